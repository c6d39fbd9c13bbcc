"""J and F of 300 pairs of masks are those of the definition to the last bit, however counted."""

import functools
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import reviosa
from reviosa.data.rle import decode, encode
from reviosa.errors import DataError, ReviosaError
from reviosa.evaluation import MaskError, boundary_f, frame_scores, jaccard, metrics

ENGINES = ["numba", "numpy"]


def use(engine, patch):
    """Count with numba or numpy from here on."""
    patch.setenv("REVIOSA_METRICS", engine)
    assert (metrics._kernel() is None) == (engine == "numpy"), "numba is needed for this test"


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    use(request.param, monkeypatch)
    return request.param


# The definition on whole arrays, as davis2017-evaluation states it.


def plain_boundary(mask):
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    edge[:-1] |= mask[:-1] ^ mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return edge


def plain_near(edge, radius):
    """Pixels within the radius of an edge: in each row of the disk, a window that has one."""
    height, width = edge.shape
    count = np.zeros((height, width + 1), int)
    np.cumsum(edge, axis=1, out=count[:, 1:])
    column = np.arange(width)
    near = np.zeros_like(edge)
    for dy in range(min(math.floor(radius), height - 1) + 1):
        half = math.isqrt(math.floor(radius * radius - dy * dy))
        first, last = np.maximum(column - half, 0), np.minimum(column + half + 1, width)
        row = count[:, last] > count[:, first]
        near[dy:] |= row[: height - dy]
        near[: height - dy] |= row[dy:]
    return near


def plain(prediction, truth, bound=0.008):
    """J and F of one pair."""
    height, width = truth.shape
    union = int((prediction | truth).sum())
    j = int((prediction & truth).sum()) / union if union else 1.0
    radius = bound if bound >= 1 else math.ceil(bound * math.sqrt(height * height + width * width))
    predicted, true = plain_boundary(prediction), plain_boundary(truth)
    if not predicted.any() or not true.any():
        return j, float(predicted.any() == true.any())
    precision = int((predicted & plain_near(true, radius)).sum()) / int(predicted.sum())
    recall = int((true & plain_near(predicted, radius)).sum()) / int(true.sum())
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blobs(height, width, generator):
    rows, columns = np.ogrid[:height, :width]
    mask = np.zeros((height, width), bool)
    for _ in range(generator.integers(1, 5)):
        y, x = generator.random(2) * (height, width)
        a, b = 1 + generator.random(2) * (height, width) / 3
        mask |= ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1
    return mask


def some_mask(height, width, generator):
    """A mask of a kind that is drawn: blobs and noise, and shapes on which code goes wrong."""
    mask = np.zeros((height, width), bool)
    rows, columns = np.ogrid[:height, :width]
    y, x = generator.integers(height), generator.integers(width)
    kind = generator.integers(14)
    if kind == 0:
        return mask
    if kind == 1:
        return ~mask
    if kind == 2:
        mask[y, x] = True
    elif kind == 3:
        mask[y] = True
    elif kind == 4:
        mask[:, x] = True
    elif kind == 5:
        mask |= (rows - y) == (columns - x)
    elif kind == 6:
        mask |= (rows + columns) % 2 == 0
    elif kind == 7:
        mask |= (rows // 3 + columns // 5) % 2 == 1
    elif kind == 8:
        mask[[0, -1]] = mask[:, [0, -1]] = True
    elif kind == 9:
        mask[y:, x:] = True
    elif kind == 10:
        mask = generator.random((height, width)) < generator.random() ** 3
    elif kind == 11:
        mask = ~blobs(height, width, generator)
    else:
        mask = blobs(height, width, generator)
    return mask


def pairs(height, width, number):
    generator = np.random.default_rng([height, width, number])
    found = []
    for _ in range(number):
        truth = some_mask(height, width, generator)
        prediction = some_mask(height, width, generator)
        if generator.random() < 0.5:
            step = generator.integers(-9, 10, 2)
            prediction = np.roll(truth, step, (0, 1)) ^ (generator.random(truth.shape) < 0.002)
        found.append((prediction, truth))
    predictions, truths = zip(*found, strict=True)
    return np.stack(predictions), np.stack(truths)


# Bands are 64 rows and words 64 columns: sizes around those, and videos' own. 300 in all.
SIZES = {
    (1, 1): 8, (1, 2): 6, (2, 1): 6, (2, 2): 8, (1, 200): 8, (200, 1): 8, (3, 7): 10, (8, 8): 10,
    (63, 63): 15, (64, 64): 15, (65, 65): 15, (63, 130): 12, (128, 64): 12, (129, 127): 12,
    (17, 300): 12, (300, 17): 12, (100, 100): 20, (192, 256): 20, (240, 427): 30, (360, 640): 30,
    (480, 854): 20, (720, 1280): 7, (1080, 1920): 4,
}  # fmt: skip


@functools.cache
def expected(size, bound=0.008):
    prediction, truth = pairs(*size, SIZES.get(size, 12))
    found = [plain(*pair, bound) for pair in zip(prediction, truth, strict=True)]
    return prediction, truth, *map(list, zip(*found, strict=True))


def compress(masks):
    return [[encode(mask)] for mask in masks]


def test_there_are_300_pairs_and_they_differ():
    assert sum(SIZES.values()) == 300
    scores = [expected(size)[3] for size in SIZES if size[0] * size[1] < 20_000]
    values = [value for part in scores for value in part]
    assert 0.0 in values and 1.0 in values and len(set(values)) > 60


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_arrays_and_rle_by_either_engine(size, monkeypatch):
    prediction, truth, j, f = expected(size)
    rles = compress(prediction), compress(truth)
    forms = [(prediction, truth), rles, (prediction, rles[1]), (rles[0], truth)]
    for engine in ENGINES:
        use(engine, monkeypatch)
        # Large frames take numpy long; that its two sides may come in any form was seen by then.
        for form in forms if size[0] < 480 or engine == "numba" else forms[1:2]:
            found = frame_scores(*form, size)
            assert found.j.tolist() == j
            assert found.f.tolist() == f
            assert found.true.tolist() == truth.sum(axis=(1, 2)).tolist()
            assert found.predicted.tolist() == prediction.sum(axis=(1, 2)).tolist()
            assert found.common.tolist() == (prediction & truth).sum(axis=(1, 2)).tolist()
            assert found.j.dtype == found.f.dtype == np.float64
        assert jaccard(prediction, truth).tolist() == j
        if engine == "numba":
            assert boundary_f(prediction, truth).tolist() == f


@pytest.mark.parametrize("bound", [0.0, 0.05, 0.9, 1, 1.5, 3.7, 40, 64, 70.5, 1e9])
def test_any_tolerance(bound, engine):
    for size in ((65, 65), (17, 300), (130, 9)):
        prediction, truth, _, f = expected(size, bound)
        assert frame_scores(compress(prediction), truth, size, bound).f.tolist() == f
        assert boundary_f(prediction, truth, bound=bound).tolist() == f


def test_void_is_cleared_on_both_sides_first(engine):
    prediction, truth, _, _ = expected((64, 64))
    void = np.roll(truth, 5, 2)
    scored = [plain(p & ~v, t & ~v) for p, t, v in zip(prediction, truth, void, strict=True)]
    assert jaccard(prediction, truth, void).tolist() == [j for j, _ in scored]
    assert boundary_f(prediction, truth, void).tolist() == [f for _, f in scored]


def test_several_rles_of_a_frame_are_united(engine):
    one, two, three = expected((65, 65))[0][:3]
    truth = expected((65, 65))[1][:2]
    lists = [[encode(one), encode(two), encode(three)], []]
    found = frame_scores(lists, truth, (65, 65))
    want = [plain(one | two | three, truth[0]), plain(np.zeros_like(one), truth[1])]
    assert list(zip(found.j, found.f, strict=True)) == want


masks = array_shapes(min_dims=2, max_dims=2, max_side=80).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


@given(masks, st.sampled_from(ENGINES))
@settings(deadline=None, max_examples=60)
def test_anything_that_can_be_drawn(pair, engine):
    with pytest.MonkeyPatch.context() as patch:
        use(engine, patch)
        one, two = pair
        found = frame_scores(compress([one, two]), compress([two, two]), one.shape)
        want = [plain(one, two), (1.0, 1.0)]
        assert list(zip(found.j, found.f, strict=True)) == want
        turned = frame_scores(one.T[None], compress([two.T]), one.T.shape)
        assert (turned.j[0], turned.f[0]) == want[0]


def test_frames_do_not_touch_each_other_and_inputs_stay(engine):
    prediction, truth, j, f = expected((100, 100))
    copies = prediction.copy(), truth.copy()
    order = np.random.default_rng(0).permutation(len(j))
    found = frame_scores(prediction[order], compress(truth[order]), (100, 100))
    assert found.f.tolist() == [f[index] for index in order]
    assert found.j.tolist() == [j[index] for index in order]
    assert (prediction == copies[0]).all() and (truth == copies[1]).all()


def test_views_and_arrays_that_cannot_be_written(engine):
    prediction, truth, _, f = expected((63, 130))
    turned = np.asfortranarray(prediction)
    truth = truth.copy()
    truth.setflags(write=False)
    assert frame_scores(turned, truth, (63, 130)).f.tolist() == f
    assert boundary_f(prediction[::-1], truth[::-1]).tolist() == f[::-1]


def test_no_frames(engine):
    for nothing in (np.zeros((0, 4, 5), bool), []):
        found = frame_scores(nothing, [], (4, 5))
        assert found.j.shape == found.f.shape == found.true.shape == (0,)


WHOLE = encode(np.eye(9, 7, dtype=bool))


@pytest.mark.parametrize(
    "counts",
    ["", "o", "0", WHOLE["counts"][:-1], WHOLE["counts"] + "1", "é" + WHOLE["counts"][1:],
     "\ud800", "p1", "/1", "oooooooo0", "O2" + WHOLE["counts"], "?" * 8, "1N1", "\x00"],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("side", ["prediction", "truth"])
def test_a_damaged_string_is_never_scored(counts, side, engine):
    bad = {"size": [9, 7], "counts": counts}
    with pytest.raises(DataError, match=r"do not fill 9x7"):
        decode(bad)
    given = {"prediction": [[WHOLE], [], [WHOLE, bad]], "truth": [[WHOLE]] * 3}
    if side == "truth":
        given = {"prediction": given["truth"], "truth": given["prediction"]}
    message = rf"^{side}, frame 2: got an RLE whose runs do not fill 9x7 .* write it again$"
    with pytest.raises(MaskError, match=message) as caught:
        frame_scores(**given, size=(9, 7))
    assert (caught.value.side, caught.value.frame) == (side, 2)


# The counts of a small mask with one character changed: it is read as numpy reads it, or refused.
@given(st.integers(0, 40), st.characters(min_codepoint=40, max_codepoint=120))
@settings(deadline=None, max_examples=150)
def test_a_changed_string_is_read_alike_or_refused(place, character):
    generator = np.random.default_rng(1)
    mask = generator.random((70, 30)) < 0.02
    counts = encode(mask)["counts"]
    rle = {"size": [70, 30], "counts": counts[:place] + character + counts[place + 1 :]}
    try:
        decoded = decode(rle)
    except DataError:
        with pytest.raises(MaskError, match="do not fill"):
            frame_scores([[rle]], [[]], (70, 30))
        return
    found = frame_scores([[rle]], decoded[None], (70, 30))
    assert (found.j[0], found.f[0]) == (1.0, 1.0)
    assert found.common[0] == decoded.sum()


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        (None, r"prediction, frame 0: got the mask record 'None'"),
        ({"size": [9, 7], "counts": [3, 60]}, "prediction, frame 0: got the mask record"),
        ({"size": [9], "counts": "0"}, r"prediction, frame 0: got the RLE size \[9\]"),
        (encode(np.zeros((7, 9), bool)), "prediction, frame 0: got an RLE of 7x9 .* expected 9x7"),
    ],
)
def test_a_malformed_record_is_named(rle, message, engine):
    with pytest.raises(MaskError, match=message) as caught:
        frame_scores([[rle]], [[WHOLE]], (9, 7))
    assert "\n" not in str(caught.value)


def test_sides_that_do_not_fit(engine):
    three = np.zeros((3, 9, 7), bool)
    with pytest.raises(ReviosaError, match="masks of 3 frames as prediction and of 2 as truth"):
        frame_scores(three, [[], []], (9, 7))
    with pytest.raises(ReviosaError, match=r"truth has shape \(3, 9, 7\), expected \(3, 7, 9\)"):
        frame_scores([[], [], []], three, (7, 9))
    with pytest.raises(ReviosaError, match="prediction is dtype uint8, expected .*bool"):
        frame_scores(three.astype(np.uint8), three, (9, 7))
    with pytest.raises(ReviosaError, match="tolerance"):
        frame_scores(three, three, (9, 7), bound=-1)


PROGRAM = """
import sys
{before}
import numpy as np
import reviosa
assert sys.modules.get("numba") is None
from reviosa.evaluation import frame_scores, metrics
assert sys.modules.get("numba") is None, "it is loaded when it is needed"
mask = np.zeros((1, 40, 50), bool)
mask[0, 10:20, 10:30] = True
found = frame_scores(mask, np.roll(mask, 2, 2), (40, 50), 1)
assert found.j[0] == 180 / 220, found
print(metrics._kernel() is None, float(found.f[0]))
"""


def run_program(before, folder=None, **environment):
    root = Path(reviosa.__file__).parent.parent if folder is None else folder
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)],
        capture_output=True, text=True, cwd=root, env={"PATH": "/usr/bin", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "environment", "by_numpy"),
    [
        ("", {}, False),
        ("sys.modules['numba'] = None", {}, True),
        ("", {"NUMBA_DISABLE_JIT": "1"}, True),
        ("", {"REVIOSA_METRICS": "numpy"}, True),
    ],
    ids=["numba", "no numba", "numba that does not compile", "asked for numpy"],
)
def test_numba_is_used_if_it_can_be(before, environment, by_numpy):
    result = run_program(before, **environment)
    mask = np.zeros((40, 50), bool)
    mask[10:20, 10:30] = True
    f = plain(mask, np.roll(mask, 2, 1), 1)[1]
    assert result.stdout == f"{by_numpy} {f}\n", result.stderr


def test_numba_without_its_library(tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise OSError('no libllvmlite.so')")
    result = run_program(f"sys.path.insert(0, {str(tmp_path)!r})")
    assert result.stdout.startswith("True "), result.stderr


def test_the_kernel_is_compiled_for_one_kind_of_call(monkeypatch):
    use("numba", monkeypatch)
    prediction, truth = expected((17, 300))[:2]
    frozen = truth.copy()
    frozen.flags.writeable = False
    for one in (prediction, prediction[:, ::-1], frozen, compress(prediction)):
        frame_scores(one, truth, (17, 300))
        frame_scores(truth, one, (17, 300), 2)
    assert len(metrics._kernel().signatures) == 1


@pytest.mark.slow  # compiles the kernel anew
def test_where_nothing_can_be_cached_it_still_works(tmp_path):
    package = Path(reviosa.__file__).parent
    # A zip cannot be written into, and there is no home.
    shutil.make_archive(str(tmp_path / "packed"), "zip", package.parent, "reviosa")
    before = f"sys.path.insert(0, {str(tmp_path / 'packed.zip')!r})"
    result = run_program(before, tmp_path, HOME="/proc/none", XDG_CACHE_HOME="/proc/none")
    assert result.stdout.startswith("False "), result.stderr
