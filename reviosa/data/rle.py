"""COCO run-length masks, checked before they are trusted.

Encoding is pycocotools'. Decoding is our own, because a damaged string must give a clear error
and never a mask of the wrong pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco

from reviosa.errors import DataError

__all__ = ["checked_counts", "damaged", "decode", "encode", "rle_runs", "rle_size"]


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Compress a mask, bool [height, width], to ``{"size": [height, width], "counts": str}``."""
    if mask.ndim != 2:
        raise ValueError(f"a mask to encode has two axes, got shape {mask.shape}")
    counts: Any = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return {"size": [int(side) for side in mask.shape], "counts": counts.decode("ascii")}


def rle_size(rle: Any) -> tuple[int, int]:
    """The (height, width) in pixels that an RLE declares.

    Raises:
        DataError: the record has no ``size`` of two positive integers or no ``counts`` string.
    """
    if not isinstance(rle, Mapping) or not isinstance(rle.get("counts"), str):
        raise DataError(
            f'got the mask record {str(rle)[:60]!r}, expected {{"size": [h, w], "counts": str}}; '
            "convert the masks to compressed COCO RLE"
        )
    size = rle.get("size")
    if (
        not isinstance(size, list | tuple)
        or len(size) != 2
        or not all(type(side) is int and 0 < side < 1 << 31 for side in size)
    ):
        raise DataError(
            f"got the RLE size {size!r}, expected two positive integers [height, width]; "
            "write the masks again"
        )
    return size[0], size[1]


def checked_counts(rle: Any, size: tuple[int, int]) -> str:
    """The compressed string of an RLE, not looked into.

    Raises:
        DataError: the record is malformed or of another (height, width) than ``size``.
    """
    height, width = rle_size(rle)
    if (height, width) != tuple(size):
        raise DataError(
            f"got an RLE of {height}x{width} pixels, expected {size[0]}x{size[1]} like the frames; "
            "write the masks at the frames' size"
        )
    return rle["counts"]


def damaged(height: int, width: int) -> DataError:
    """The error for a compressed string that is no mask of that size."""
    return DataError(
        f"got an RLE whose runs do not fill {height}x{width} pixels, expected a complete mask; "
        "the string is damaged, write it again"
    )


def decode(rle: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decompress an RLE to a mask, bool [height, width].

    Args:
        rle: ``{"size": [height, width], "counts": str}`` in COCO's compressed form.
        size: the (height, width) in pixels that the mask must have, if known.

    Raises:
        DataError: the record is malformed, has another size, or its runs do not fill the mask.
    """
    height, width = rle_size(rle) if size is None else size
    checked_counts(rle, (height, width))
    runs = rle_runs(rle)
    values = np.zeros(len(runs), dtype=bool)
    values[1::2] = True
    return np.repeat(values, runs).reshape(width, height).T


def rle_runs(rle: Any) -> np.ndarray:
    """Lengths of the runs of an RLE, int64 [run], unset and set in turn, column after column.

    Raises:
        DataError: the record is malformed, or its runs do not fill the mask.
    """
    height, width = rle_size(rle)
    runs = _runs(rle["counts"])
    if runs is None or (runs < 0).any() or int(runs.sum()) != height * width:
        raise damaged(height, width)
    return runs


def _runs(counts: str) -> np.ndarray | None:
    """Run lengths of a compressed string, or None if it is no such string.

    Each number is written in groups of five bits, lowest first, one character a group; bit 5 says
    that another group follows, bit 4 of the last group is the sign. From the fourth number on,
    the difference to the number two places earlier is stored.
    """
    if not counts.isascii():
        return None
    codes = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20:
        return None
    ends = np.flatnonzero((codes & 0x20) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # more than 35 bits is no run length, and would overflow below
        return None
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((codes & 0x1F) << (5 * place), starts)
    numbers -= np.where(codes[ends] & 0x10, np.int64(1) << (5 * lengths), 0)
    # numbers[0] stands alone; 1, 3, 5, ... and 2, 4, 6, ... are two chains of differences.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
