"""RLE in and out, against pycocotools and against damage."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from reviosa.data.rle import decode, encode, rle_size
from reviosa.errors import DataError

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


# pycocotools 2.0.11 decodes with an __array__ of the time before numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@given(MASKS)
@example(np.zeros((1, 1), bool))
@example(np.ones((37, 23), bool))
def test_round_trip_agrees_with_pycocotools(mask: np.ndarray) -> None:
    rle = encode(mask)
    assert np.array_equal(decode(rle), mask)
    theirs = coco.decode({"size": rle["size"], "counts": rle["counts"].encode()})
    assert np.array_equal(theirs.astype(bool), mask)


@pytest.mark.parametrize("size", [(480, 854), (1080, 1920)])
def test_long_runs_at_video_sizes(size: tuple[int, int]) -> None:
    # One column of pixels far to the right needs runs of 20 bits, beyond three 5-bit groups.
    mask = np.zeros(size, bool)
    mask[5:-3, -7] = True
    assert np.array_equal(decode(encode(mask), size), mask)


def test_runs_go_down_the_columns() -> None:
    # Runs 1, 2, 3 in a 2 x 3 mask, column after column: 0 1 | 1 0 | 0 0.
    # Each is below 16: one character, chr(48 + run); differences start at the fourth.
    mask = decode({"size": [2, 3], "counts": "123"})
    assert mask.tolist() == [[False, True, False], [True, False, False]]


def test_size_is_checked_against_the_frames() -> None:
    rle = encode(np.zeros((4, 6), bool))
    with pytest.raises(DataError, match="got an RLE of 4x6 pixels, expected 6x4"):
        decode(rle, (6, 4))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
@example("")
@example("o" * 14 + "0")
@example("1é")
def test_any_string_decodes_to_the_size_or_raises(counts: str) -> None:
    try:
        mask = decode({"size": [3, 5], "counts": counts})
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert mask.shape == (3, 5)


@pytest.mark.parametrize(
    "rle",
    [
        None,
        [],
        "1",
        {},
        {"size": [2, 2]},
        {"size": [2, 2], "counts": [4]},
        {"size": [2], "counts": "4"},
        {"size": [2, 0], "counts": "0"},
        {"size": [2, 2.0], "counts": "4"},
        {"size": [2, True], "counts": "2"},
        {"size": [2, 10**30], "counts": "2"},
        {"size": 4, "counts": "4"},
    ],
)
def test_malformed_records_raise(rle: object) -> None:
    with pytest.raises(DataError):
        rle_size(rle)
    with pytest.raises(DataError):
        decode(rle)


def test_encode_wants_two_axes() -> None:
    with pytest.raises(ValueError, match="two axes"):
        encode(np.zeros((2, 3, 4), bool))
