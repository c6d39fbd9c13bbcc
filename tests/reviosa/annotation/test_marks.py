import io

import numpy as np
import pytest
from PIL import Image

from reviosa.annotation.marks import PALETTE, Mark, blank, draw_marks, mark_all, mark_one
from reviosa.annotation.settings import MarkSettings
from reviosa.annotation.tracks import ObjectTrack, Tracks
from reviosa.data.records import Video
from reviosa.data.rle import encode
from reviosa.errors import DataError

GREY = (100, 100, 100)


def square(top, left, side, size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def picture(jpeg):
    return np.array(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


@pytest.fixture
def video(tmp_path):
    paths = []
    for index in range(4):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (320, 240), GREY).save(paths[-1])
    return Video("v", tuple(path.stem for path in paths), tuple(paths))


def test_a_contour_is_as_thick_as_it_says():
    frame, mask = np.full((60, 80, 3), 100, np.uint8), square(20, 30, 10)
    red = (255, 0, 0)
    for thickness, wide in ((1, 1), (2, 2)):
        drawn = draw_marks(frame, [Mark(mask, red, thickness, 0.0, None)])
        row = (drawn[25] == red).all(axis=1)
        assert row.sum() == 2 * wide
        # Of the second pixel the outer one lies outside of the mask.
        assert row[30] and row[29] == (thickness == 2) and not row[31:39].any()
        assert (drawn[25, 35] == GREY).all()
    assert (frame == 100).all(), "the frame is left as it was"


def test_a_colour_lies_over_the_mask_with_its_opacity():
    frame, mask = np.full((60, 80, 3), 100, np.uint8), square(20, 30, 20)
    drawn = draw_marks(frame, [Mark(mask, (200, 0, 100), 1, 0.3, None)])
    np.testing.assert_array_equal(drawn[30, 40], [130, 70, 100])
    np.testing.assert_array_equal(drawn[0, 0], GREY)


def test_a_mask_at_the_border_is_closed_and_an_empty_one_draws_nothing():
    frame = np.full((60, 80, 3), 100, np.uint8)
    drawn = draw_marks(frame, [Mark(square(0, 0, 10), (255, 0, 0), 1, 0.0, None)])
    assert (drawn[0, :10] == (255, 0, 0)).all() and (drawn[:10, 0] == (255, 0, 0)).all()
    empty = draw_marks(frame, [Mark(np.zeros((60, 80), bool), (255, 0, 0), 2, 0.3, "[0]")])
    np.testing.assert_array_equal(empty, frame)


def test_a_label_is_white_on_black_in_the_middle_and_stays_in_the_picture():
    frame = np.full((60, 80, 3), 100, np.uint8)
    for mask, inside in ((square(20, 30, 20), (30, 40)), (square(0, 0, 3), (3, 3))):
        drawn = draw_marks(frame, [Mark(mask, (0, 255, 0), 1, 0.0, "[7]")])
        black = (drawn == 0).all(axis=2)
        rows, columns = np.nonzero(black)
        assert rows.min() <= inside[0] <= rows.max()
        assert columns.min() <= inside[1] <= columns.max()
        assert (drawn.min(axis=2) > 200).any()


SIZE = (240, 320)


def tracks(*masks, size=SIZE):
    objects = {
        key: ObjectTrack("dog", tuple(None if m is None else encode(m) for m in track))
        for key, track in masks
    }
    return Tracks(objects, size)


def test_of_one_object_the_first_large_frame_bears_its_label(video):
    small, large = square(80, 120, 16, SIZE), square(80, 120, 64, SIZE)
    found = [picture(x) for x in mark_one(
        video, tracks((5, [None, small, large, large])), 5, MarkSettings()
    )]  # fmt: skip
    # From its first visible frame on: 256 of 76,800 pixels are 0.33 %, 4,096 are 5.3 %.
    assert len(found) == 3
    tinted = [bool(x[130, 130, 0] - x[130, 130, 1] > 30) for x in found]
    assert tinted == [False, True, False]
    assert all(x[80, 128, 0] > 180 and x[80, 128, 1] < 90 for x in found), "a red line on each"


def test_where_none_is_large_the_largest_frame_bears_it(video):
    track = [square(80, 120, 8, SIZE), square(80, 120, 18, SIZE), square(80, 120, 12, SIZE), None]
    found = [picture(x) for x in mark_one(video, tracks((5, track)), 5, MarkSettings())]
    black = [(x.max(axis=2) < 40).sum() > 50 for x in found]
    assert black == [False, True, False], "the ground of the label"


def test_all_objects_have_their_own_colours_and_numbers(video):
    first, second = square(20, 20, 80, SIZE), square(140, 200, 80, SIZE)
    both = tracks((3, [first] * 4), (8, [None, second, second, second]))
    found = [picture(x) for x in mark_all(video, both, MarkSettings())]
    assert len(found) == 4
    for place, corner in ((0, (28, 28)), (1, (148, 208))):
        wanted = np.array(GREY) + 0.3 * (np.array(PALETTE[place]) - GREY)
        assert np.abs(found[1][corner] - wanted).max() < 8
    assert np.abs(found[0][148, 208] - GREY).max() < 8, "the second is not there yet"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1000, 600), (500, 300)),
        ((1001, 603), (500, 300)),
        ((998, 600), (998, 600)),
        ((1080, 1920), (1080, 1920)),
        ((61, 81), (60, 80)),
        ((1, 1), (2, 2)),
    ],
)
def test_high_portraits_are_halved_and_sides_are_even(size, shown):
    assert picture(blank(size, MarkSettings())).shape[:2] == shown


def test_a_halved_frame_keeps_its_marks(tmp_path):
    path = tmp_path / "0.png"
    Image.new("RGB", (240, 400), GREY).save(path)
    mask = square(160, 80, 120, (400, 240))
    settings = MarkSettings(halve_portrait_from=400)
    (found,) = mark_all(Video("v", ("0",), (path,)), tracks((0, [mask]), size=(400, 240)), settings)
    shown = picture(found)
    assert shown.shape[:2] == (200, 120)
    rows, columns = np.nonzero(shown[:, :, 0] - shown[:, :, 1] > 40)
    edges = rows.min(), rows.max(), columns.min(), columns.max()
    assert edges == pytest.approx((80, 139, 40, 99), abs=1)


def test_a_frame_of_another_size_than_its_masks_is_refused(video):
    with pytest.raises(DataError, match="240x320 pixels, expected 240x321"):
        list(mark_all(video, tracks((0, [square(0, 0, 9, (240, 321))] * 4), size=(240, 321)),
                      MarkSettings()))  # fmt: skip


def test_labels_of_objects_that_lie_over_each_other_can_all_be_read():
    mask = np.zeros((90, 120), bool)
    mask[30:60, 40:80] = True
    one = Mark(mask, (0, 0, 0), 1, 0.0, "[1]")
    frame = np.full((90, 120, 3), 100, np.uint8)
    alone = (draw_marks(frame, [one]) == 255).all(2).sum()
    picture = draw_marks(frame, [one._replace(label=f"[{key}]") for key in (1, 1, 1)])
    assert (picture == 255).all(2).sum() == 3 * alone
    # Where there is no room for all of them they are drawn all the same.
    crowded = draw_marks(frame[:12, :24], [one._replace(mask=np.ones((12, 24), bool))] * 4)
    assert (crowded > 200).all(2).any()
