"""J and F against the table of edge cases, a plain implementation and their symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reviosa.errors import ReviosaError
from reviosa.evaluation import boundary_f, boundary_radius, jaccard


def full(*shape):
    return np.ones(shape, bool)


def empty(*shape):
    return np.zeros(shape, bool)


def box(height, width, rows, columns):
    mask = empty(1, height, width)
    mask[:, slice(*rows), slice(*columns)] = True
    return mask


# The definition, pixel by pixel, with no thought of speed.


def slow_jaccard(prediction, truth):
    both = union = 0
    for row in range(prediction.shape[0]):
        for column in range(prediction.shape[1]):
            p, g = prediction[row, column], truth[row, column]
            both += bool(p and g)
            union += bool(p or g)
    return 1.0 if union == 0 else both / union


def slow_boundary(mask):
    height, width = mask.shape
    pixels = []
    for row in range(height):
        for column in range(width):
            for below, beside in ((0, 1), (1, 0), (1, 1)):
                inside = row + below < height and column + beside < width
                if inside and mask[row, column] != mask[row + below, column + beside]:
                    pixels.append((row, column))
                    break
    return pixels


def slow_f(prediction, truth, bound):
    height, width = prediction.shape
    radius = bound if bound >= 1 else math.ceil(bound * math.sqrt(height * height + width * width))

    def near(pixel, others):
        return any(
            (pixel[0] - y) * (pixel[0] - y) + (pixel[1] - x) * (pixel[1] - x) <= radius * radius
            for y, x in others
        )

    predicted, true = slow_boundary(prediction), slow_boundary(truth)
    if not predicted and not true:
        return 1.0
    if not predicted or not true:
        return 0.0
    precision = sum(near(pixel, true) for pixel in predicted) / len(predicted)
    recall = sum(near(pixel, predicted) for pixel in true) / len(true)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


# Shapes up to 3 words of 64 pixels wide, and the ones in which something has no neighbour.
SHAPES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 63), (1, 64), (1, 65), (1, 129), (65, 1), (3, 5)]
SHAPES += [(7, 127), (9, 128), (9, 129), (31, 33), (17, 64), (40, 71), (5, 193)]


def random_masks(height, width, seed):
    """Pairs of every kind: noise of several densities, lines, boards, blobs, their neighbours."""
    generator = np.random.default_rng([seed, height, width])
    rows, columns = np.indices((height, width))
    masks = [generator.random((height, width)) < density for density in (0.01, 0.1, 0.5, 0.95)]
    masks += [(rows + columns) % 2 == 0, columns % 2 == 1, rows == height // 2]
    masks += [columns == width // 2, rows == columns, rows + columns == width - 1]
    masks += [(rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3) ** 2]
    masks += [columns >= width - 1, rows >= height - 1, columns < 1, columns > width // 2]
    masks += [empty(height, width), full(height, width)]
    masks += [np.roll(masks[10], (1, 3), (0, 1)), ~masks[10]]
    order = generator.permutation(len(masks))
    return np.stack(masks), np.stack(masks)[order]


@pytest.mark.parametrize(("height", "width"), SHAPES, ids=lambda value: str(value))
def test_equals_the_plain_implementation(height, width):
    prediction, truth = random_masks(height, width, seed=3)
    j, f = jaccard(prediction, truth), boundary_f(prediction, truth)
    assert j.dtype == f.dtype == np.float64
    assert j.tolist() == [slow_jaccard(*pair) for pair in zip(prediction, truth, strict=True)]
    expected = [slow_f(*pair, 0.008) for pair in zip(prediction, truth, strict=True)]
    assert f.tolist() == expected
    # One by one, each frame is cut to its own box.
    alone = [boundary_f(p[None], g[None])[0] for p, g in zip(prediction, truth, strict=True)]
    assert alone == expected


@pytest.mark.parametrize("column", [0, 1, 62, 63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("row", [0, 1, 5, 7, 8])
def test_small_boxes_everywhere(row, column):
    # Boxes that begin or end on the edge of a word of 64 pixels, of the rows, of the frame.
    truth = box(9, 130, (row, row + 1), (column, column + 1))
    for prediction in (
        box(9, 130, (row, row + 3), (column, column + 70)),
        box(9, 130, (max(row - 2, 0), row + 1), (max(column - 2, 0), column + 1)),
    ):
        expected = [slow_f(prediction[0], truth[0], 2)]
        assert boundary_f(prediction, truth, bound=2).tolist() == expected


@pytest.mark.parametrize("bound", [0.0, 0.03, 0.2, 0.9, 1, 1.5, 2, 3.7, 5, 70, 1e9])
def test_radius_equals_the_plain_implementation(bound):
    # 3.7: the disk of a fraction holds what lies within it; 70 is further than a whole word.
    for shape in ((13, 75), (40, 3), (2, 140)):
        prediction, truth = random_masks(*shape, seed=5)
        expected = [slow_f(*pair, bound) for pair in zip(prediction, truth, strict=True)]
        assert boundary_f(prediction, truth, bound=bound).tolist() == expected


def test_far_pixels_under_a_large_disk():
    # The widest steps of the dilation, in the corner where the packed line of pixels begins.
    corner = box(80, 30, (0, 1), (0, 1))
    for column in range(1, 29):
        other = box(80, 30, (70, 71), (column, column + 1))
        for bound in (70, 70.5, 72):
            assert boundary_f(corner, other, bound=bound) == slow_f(corner[0], other[0], bound)


def test_frames_do_not_mix():
    # 300 small frames are handled in several groups with one box each.
    generator = np.random.default_rng(0)
    prediction = generator.random((300, 9, 70)) < generator.random((300, 1, 1)) ** 4
    truth = np.roll(prediction, 1, axis=2) ^ (generator.random(prediction.shape) < 0.02)
    together = boundary_f(prediction, truth)
    alone = [boundary_f(p[None], g[None])[0] for p, g in zip(prediction, truth, strict=True)]
    assert together.tolist() == alone
    assert len(set(alone)) > 100


def test_a_video_longer_than_a_group_at_480p():
    prediction = np.concatenate([box(480, 854, (100, 200), (300 + t, 500 + t)) for t in range(3)])
    truth = np.repeat(box(480, 854, (100, 200), (300, 500)), 3, axis=0)
    # Shift by t columns of 200: (200 - t) / (200 + t). The boundaries stay within 8 pixels.
    assert jaccard(prediction, truth).tolist() == [1.0, 199 / 201, 198 / 202]
    assert boundary_f(prediction, truth).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("prediction", "truth", "j", "f"),
    [
        pytest.param(empty(1, 8, 9), empty(1, 8, 9), 1, 1, id="both empty"),
        pytest.param(full(1, 8, 9), full(1, 8, 9), 1, 1, id="both full"),
        pytest.param(empty(1, 8, 9), box(8, 9, (2, 5), (2, 5)), 0, 0, id="no prediction"),
        pytest.param(box(8, 9, (2, 5), (2, 5)), empty(1, 8, 9), 0, 0, id="no truth"),
        pytest.param(full(1, 8, 9), empty(1, 8, 9), 0, 1, id="full against empty"),
        pytest.param(empty(1, 8, 9), full(1, 8, 9), 0, 1, id="empty against full"),
        # 9 of 72 pixels; the full mask has no boundary.
        pytest.param(full(1, 8, 9), box(8, 9, (2, 5), (2, 5)), 9 / 72, 0, id="full against box"),
        pytest.param(full(1, 1, 1), empty(1, 1, 1), 0, 1, id="a single pixel"),
        # The right half of 4 x 4 against its lower half: boundaries are column 1 and row 1 (each of
        # 4 pixels: the one differs to its right, the other downwards), meeting in (1, 1); radius 1
        # reaches 3 of 4 from either.
        pytest.param(
            box(4, 4, (0, 4), (2, 4)), box(4, 4, (2, 4), (0, 4)), 4 / 12, 0.75, id="halves"
        ),
    ],
)
def test_edge_cases(prediction, truth, j, f):
    assert jaccard(prediction, truth).tolist() == [j]
    assert boundary_f(prediction, truth).tolist() == [f]


def test_image_border_is_no_boundary():
    # A mask in the right half: its boundary is the column left of it and nothing at the border.
    # A prediction that is one row short has a lower boundary besides, row 8 of columns 5 to 9.
    truth = box(10, 10, (0, 10), (5, 10))
    prediction = box(10, 10, (0, 9), (5, 10))
    # Predicted: (0..8, 4) and (8, 5..9) = 14, near (radius 1) are (0..8, 4) and (8, 5) = 10.
    # True: (0..9, 4), all near. F = 2 * 10/14 / (10/14 + 1) = 20/24.
    assert boundary_f(prediction, truth)[0] == pytest.approx(20 / 24, abs=1e-15)


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(480, 854, 8), (720, 1280, 12), (1080, 1920, 18), (1, 1, 1)]
)
def test_radius(height, width, radius):
    assert boundary_radius(height, width) == radius


def test_radius_is_the_bound_itself_from_one_on():
    assert boundary_radius(480, 854, 1) == 1
    assert boundary_radius(480, 854, 2.5) == 2.5


def test_tolerance_decides_what_is_near():
    truth, prediction = box(1, 60, (0, 1), (0, 20)), box(1, 60, (0, 1), (0, 23))
    assert boundary_f(prediction, truth, bound=2).tolist() == [0.0]
    assert boundary_f(prediction, truth, bound=3).tolist() == [1.0]


def test_void_counts_in_neither():
    truth = box(6, 6, (1, 3), (1, 3))
    prediction = box(6, 6, (1, 3), (1, 5))
    void = box(6, 6, (0, 6), (3, 6))
    assert jaccard(prediction, truth).tolist() == [0.5]
    assert jaccard(prediction, truth, void).tolist() == [1.0]
    assert boundary_f(prediction, truth, void).tolist() == [1.0]
    assert jaccard(prediction, truth, full(1, 6, 6)).tolist() == [1.0]
    # Void is background for F, not left out: half a full mask has a boundary then.
    assert boundary_f(full(1, 6, 6), full(1, 6, 6) & ~void, void).tolist() == [1.0]
    assert boundary_f(full(1, 6, 6), full(1, 6, 6), void).tolist() == [1.0]
    assert boundary_f(full(1, 6, 6), empty(1, 6, 6), void).tolist() == [0.0]


def test_no_frames_and_no_pixels():
    assert jaccard(empty(0, 4, 5), empty(0, 4, 5)).shape == (0,)
    assert boundary_f(empty(0, 4, 5), empty(0, 4, 5)).shape == (0,)
    assert jaccard(empty(2, 0, 5), empty(2, 0, 5)).tolist() == [1, 1]
    assert boundary_f(empty(2, 4, 0), empty(2, 4, 0)).tolist() == [1, 1]


def test_inputs_are_not_changed_and_may_be_views():
    generator = np.random.default_rng(1)
    prediction, truth, void = generator.random((3, 4, 20, 70)) < 0.4
    copies = prediction.copy(), truth.copy(), void.copy()
    expected = boundary_f(prediction, truth, void)
    jaccard(prediction, truth, void)
    for mask, copy in zip((prediction, truth, void), copies, strict=True):
        np.testing.assert_array_equal(mask, copy)
    turned = [np.asfortranarray(mask) for mask in copies]
    np.testing.assert_array_equal(boundary_f(*turned), expected)


@pytest.mark.parametrize("metric", [jaccard, boundary_f])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((empty(4, 5), empty(4, 5)), r"prediction has shape \(4, 5\), expected \[frame"),
        ((empty(1, 4, 5), empty(1, 5, 4)), r"truth has shape \(1, 5, 4\).*\(1, 4, 5\)"),
        ((empty(1, 4, 5), empty(1, 4, 5), empty(2, 4, 5)), r"void has shape \(2, 4, 5\)"),
        ((np.zeros((1, 4, 5)), empty(1, 4, 5)), "prediction is dtype float64, expected .*bool"),
        ((empty(1, 4, 5), np.zeros((1, 4, 5), np.uint8)), "truth is dtype uint8"),
        (([[[True]]], empty(1, 1, 1)), "prediction is list"),
        ((empty(1, 4, 5), None), "truth is NoneType"),
    ],
)
def test_wrong_arrays(metric, arguments, message):
    with pytest.raises(ReviosaError, match=message) as caught:
        metric(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bound", [-0.1, math.nan, math.inf])
def test_wrong_bound(bound):
    with pytest.raises(ReviosaError, match="tolerance"):
        boundary_f(empty(1, 4, 5), empty(1, 4, 5), bound=bound)


pairs = array_shapes(min_dims=3, max_dims=3, max_side=12).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


@given(pairs)
@settings(deadline=None)
def test_properties(pair):
    prediction, truth = pair
    j, f = jaccard(prediction, truth), boundary_f(prediction, truth)
    assert ((j >= 0) & (j <= 1) & (f >= 0) & (f <= 1)).all()
    np.testing.assert_array_equal(jaccard(truth, prediction), j)
    np.testing.assert_array_equal(boundary_f(truth, prediction), f)
    assert (jaccard(truth, truth) == 1).all()
    assert (boundary_f(truth, truth) == 1).all()
    assert ((j == 1) == (prediction == truth).all(axis=(1, 2))).all()
    for axis in (1, 2):
        flipped = jaccard(np.flip(prediction, axis), np.flip(truth, axis))
        np.testing.assert_array_equal(flipped, j)
    # A boundary is where neighbours differ, so it is that of the complement too. (It does change
    # when the image is flipped: it lies on the pixel towards the origin.)
    np.testing.assert_array_equal(boundary_f(~prediction, ~truth), f)
    # Transposing swaps right and lower and leaves lower-right.
    turned = boundary_f(prediction.swapaxes(1, 2), truth.swapaxes(1, 2))
    np.testing.assert_array_equal(turned, f)


@given(pairs, st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_a_larger_radius_never_lowers_f(pair, one, other):
    prediction, truth = pair
    small, large = sorted((1 + one / 2, 1 + other / 2))
    near = boundary_f(prediction, truth, bound=small)
    far = boundary_f(prediction, truth, bound=large)
    assert (near <= far).all()
