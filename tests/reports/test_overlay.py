import io

import numpy as np
import pytest
from PIL import Image

from reports.gallery import FRAME_HEIGHTS, GAP, sample_strip
from reports.overlay import compose_frame, encode_jpeg, encode_png, heat_scale, resize_mask

BLUE, VERMILLION = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def frame(height=40, width=60, value=100):
    return np.full((height, width, 3), value, np.uint8)


def box(top=10, bottom=30, left=20, right=40, shape=(40, 60)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def test_prediction_is_filled_and_outlined_in_the_colour_of_its_role():
    for role, color in (("actor", BLUE), ("target", VERMILLION)):
        drawn = compose_frame(frame(), predicted={role: box()})
        assert tuple(drawn[10, 25]) == color  # the mask's own border
        # Inside: half frame, half colour.
        np.testing.assert_allclose(drawn[20, 30], (100 + np.array(color)) / 2, atol=1)
        assert tuple(drawn[5, 5]) == (100, 100, 100)


def test_truth_is_a_white_ring_outside_its_mask():
    drawn = compose_frame(frame(), truth={"actor": box()})
    assert tuple(drawn[9, 30]) == (255, 255, 255)
    assert tuple(drawn[20, 30]) == (100, 100, 100)  # inside stays as filmed
    assert drawn[8, 30].max() < 40  # dark around the white: seen on a bright frame as well


def test_both_outlines_are_seen_where_prediction_and_truth_agree():
    drawn = compose_frame(frame(), predicted={"actor": box()}, truth={"actor": box()})
    assert tuple(drawn[10, 30]) == BLUE
    assert tuple(drawn[9, 30]) == (255, 255, 255)


def test_inputs_are_not_changed():
    image, mask, heat = frame(), box(), np.random.default_rng(0).random((4, 6))
    copies = image.copy(), mask.copy(), heat.copy()
    compose_frame(image, predicted={"actor": mask}, truth={"actor": mask}, attention=heat)
    for value, copy in zip((image, mask, heat), copies, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_each_patch_covers_its_part_of_the_frame_without_smoothing():
    heat = np.zeros((2, 3))
    heat[0, 2] = 1.0
    drawn = compose_frame(frame(), attention=heat, peak=1.0, opacity=1.0).astype(int)
    # Patch (0, 2) covers rows 0..19 and columns 40..59; one colour inside, another outside.
    hot, cold = drawn[0, 40], drawn[20, 0]
    np.testing.assert_array_equal(drawn[0:20, 40:60], np.broadcast_to(hot, (20, 20, 3)))
    np.testing.assert_array_equal(drawn[20:, :], np.broadcast_to(cold, (20, 60, 3)))
    # viridis ends in yellow (253, 231, 37).
    np.testing.assert_allclose(hot, (253, 231, 37), atol=2)


@pytest.mark.parametrize("attention", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_no_attention_is_drawn_dark_and_does_not_fail(attention):
    drawn = compose_frame(frame(), attention=attention, peak=heat_scale(attention))
    assert (drawn == drawn[0, 0]).all()


def test_scale_of_even_attention_ends_well_above_it():
    # Even: 4 x the mean, so a patch sits at a quarter of the scale. Peaked: its own maximum.
    assert heat_scale(np.full((2, 4, 4), 0.5)) == 2.0
    peaked = np.zeros((2, 4, 4))
    peaked[0, 0, 0] = 1.0
    assert heat_scale(peaked) == 1.0
    assert heat_scale(np.zeros((0, 4, 4))) == 0.0


def test_mask_keeps_its_area_when_enlarged():
    large = resize_mask(box(), (80, 120))
    assert large.shape == (80, 120)
    assert abs(large.mean() - box().mean()) < 0.01


def test_a_shrunk_mask_is_what_lies_in_the_middle_of_its_pixels():
    mask = np.zeros((4, 9), bool)
    mask[1, 4:] = True
    # Of 4 rows the middles of 2 lie in rows 1 and 3; of 9 columns those of 3 in columns 1, 4, 7.
    assert resize_mask(mask, (2, 3)).tolist() == [[False, True, True], [False, False, False]]
    assert resize_mask(mask, (4, 9)).tolist() == mask.tolist()
    one = np.ones((1, 1), bool)
    assert resize_mask(one, (1, 1)).all() and resize_mask(one, (3, 2)).all()
    assert resize_mask(np.ones((8, 2), bool), (4, 6)).all(), "one side shrinks, the other grows"


@pytest.mark.parametrize("height", [20, 37, 40])
def test_a_mask_keeps_its_area_when_shrunk(height):
    rows, columns = np.mgrid[:200, :300]
    disc = (rows - 90) ** 2 + (columns - 140) ** 2 < 70**2
    small = resize_mask(disc, (height, height * 3 // 2))
    assert abs(small.mean() - disc.mean()) < 0.01


def test_attention_lies_where_it_does_when_the_frame_is_shrunk():
    heat = np.zeros((2, 3))
    heat[0, 2] = 1.0
    drawn = compose_frame(frame(), attention=heat, opacity=1.0, height=20).astype(int)
    # 20 x 30: the patch is the upper half of the last ten columns, in viridis' yellow.
    np.testing.assert_allclose(drawn[:10, 20:].reshape(-1, 3), [(253, 231, 37)] * 100, atol=2)
    assert (abs(drawn[10:] - (253, 231, 37)).sum(axis=-1) > 100).all()


def test_a_png_holds_every_pixel_as_it_was_drawn():
    drawn = compose_frame(frame(), predicted={"actor": box()})
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(drawn)))), drawn)


def test_strip_has_one_row_for_masks_and_one_for_each_map():
    frames = np.stack([frame()] * 4)
    masks = {"actor": np.stack([box()] * 4)}
    maps = [np.random.default_rng(i).random((4, 5, 5)) for i in range(2)]
    plain = sample_strip(frames, masks, masks, width=600)
    full = sample_strip(frames, masks, masks, maps, labels=list("abcd"), width=600)
    # 4 columns share 600 - 3 gaps of 4 pixels: 147 wide, 98 high at 3:2.
    assert plain.shape == (98, 4 * 147 + 3 * GAP, 3)
    assert full.shape == (3 * 98 + 2 * GAP, plain.shape[1], 3)
    assert FRAME_HEIGHTS[0] <= 98 <= FRAME_HEIGHTS[1]
    image = Image.open(io.BytesIO(encode_jpeg(full)))
    assert image.size == (full.shape[1], full.shape[0])
    assert encode_jpeg(full) == encode_jpeg(full)


def test_strip_of_a_role_that_was_not_named_has_no_colour():
    frames = np.stack([frame()] * 2)
    strip = sample_strip(frames, {"target": np.zeros((2, 40, 60), bool)}, {}, role="target")
    assert set(map(tuple, strip.reshape(-1, 3))) == {(100, 100, 100), (255, 255, 255)}
