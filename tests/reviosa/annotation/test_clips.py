import numpy as np
import pytest

from reviosa.annotation.clips import Span, choose_clips, choose_objects, sampled, visible_span
from reviosa.annotation.settings import ClipSettings, MarkSettings, ObjectSettings


@pytest.mark.parametrize(
    ("frames", "clips"),
    [
        (199, []),
        (200, [(0, 0, 200)]),
        (368, [(0, 0, 368)]),
        (872, [(0, 0, 500)]),
        # The second bin is one frame short, then just long enough.
        (1199, [(0, 0, 500)]),
        (1200, [(0, 0, 500), (1, 1000, 1200)]),
        (1925, [(0, 0, 500), (1, 1000, 1500)]),
        # The last bin that is left is not the last bin.
        (4100, [(0, 0, 500), (3, 3000, 3500)]),
    ],
)
def test_the_first_and_the_last_long_bin_begin_a_clip(frames, clips):
    assert choose_clips(frames, ClipSettings()) == tuple(Span(*x) for x in clips)


def test_sampled_frames_are_middles_of_equal_parts():
    assert sampled(0, 15, 4) == (2, 6, 10, 14)
    assert sampled(10, 25, 4) == (12, 16, 20, 24)
    assert sampled(5, 7, 16) == (5, 6, 7)
    assert sampled(3, 3, 1) == (3,)


def test_the_visible_span():
    assert visible_span(np.array([0, 0.1, 0, 0.2, 0])) == (1, 3)
    assert visible_span(np.zeros(4)) is None


def areas(start, stop, area, length=100):
    found = np.zeros(length)
    found[start:stop] = area
    return found


def test_a_glimpse_is_dropped_in_any_clip():
    # 10 frames from the first to the last are one too few, 11 are enough.
    dropped = choose_objects(
        {1: areas(20, 31, 0.2), 2: areas(20, 32, 0.2), 3: np.zeros(100)},
        ObjectSettings(),
        MarkSettings(),
    )
    assert set(dropped) == {1, 3}
    assert "10 after its first" in dropped[1] and "no mask" in dropped[3]


def test_small_and_rare_objects_are_dropped_in_crowds_alone():
    # Of 16 sampled frames of 100 (3, 9, 15, 21, ...) object 3 is on the first two.
    few = {0: areas(0, 100, 0.2), 1: areas(0, 100, 0.01), 2: areas(0, 12, 0.2)}
    assert choose_objects(few, ObjectSettings(), MarkSettings()) == {}
    # An object that is in another part of the video makes no crowd.
    absent = {**few, 9: np.zeros(100)}
    assert set(choose_objects(absent, ObjectSettings(), MarkSettings())) == {9}
    many = {**few, 3: areas(0, 100, 0.0101), 4: areas(0, 17, 0.2)}
    dropped = choose_objects(many, ObjectSettings(), MarkSettings())
    assert set(dropped) == {1, 2}
    assert "1.00%" in dropped[1] and "2 of 16 sampled frames" in dropped[2]
