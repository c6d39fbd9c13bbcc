"""F on bit-packed rows, in plain numpy: what is used where numba cannot be.

Boundaries are sparse and binary, so a row of pixels is held as 64-bit words: one integer operation
then handles 64 pixels, and only the box round both masks is looked at.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["boundary_f_by_numpy", "disk_half_widths"]

Masks = NDArray[np.bool_]
Words = NDArray[np.uint64]

WORD_BITS: Final = 64
# Pixel k of a row is bit k of its word, whatever the machine's own byte order.
_WORD: Final = np.dtype("<u8")
# Frames are handled together as long as their packed rows fit the processor's fast cache; beyond
# that, larger groups only cost memory traffic.
_GROUP_WORDS: Final = 16_384


def boundary_f_by_numpy(prediction: Masks, truth: Masks, radius: float) -> NDArray[np.float64]:
    """F of each frame, float64 [frame], of bool [frame, height, width] and a radius in pixels."""
    frames, height, width = prediction.shape
    result = np.ones(frames)
    group = max(1, _GROUP_WORDS // max(1, 2 * height * (width // WORD_BITS + 1)))
    for start in range(0, frames, group):
        part = slice(start, start + group)
        result[part] = _boundary_f_of_group(prediction[part], truth[part], radius)
    return result


def disk_half_widths(radius: float, height: int, width: int) -> list[int]:
    """How far the disk x^2 + y^2 <= radius^2 reaches to each side at distance 0, 1, 2, ...

    No two pixels of a frame of that size are further apart than its diagonal, so a larger disk is
    cut: it adds nothing.
    """
    radius = min(radius, math.ceil(math.hypot(height, width)))
    return [math.isqrt(math.floor(radius**2 - d**2)) for d in range(math.floor(radius) + 1)]


def _boundary_f_of_group(prediction: Masks, truth: Masks, radius: float) -> NDArray[np.float64]:
    """F of frames that are handled together; the masks are bool [frame, height, width]."""
    frames, height, width = prediction.shape
    # First half predictions, second half truths: both go through each step in one operation.
    bits = _pack(prediction, truth)
    box = _box(bits, height)
    if box is None:
        return np.ones(frames)
    rows, words = box
    boundary = _boundary(bits[:, rows, words], width - words.start * WORD_BITS)
    near = _dilate(boundary, radius)
    hits = np.bitwise_count(boundary & np.concatenate((near[frames:], near[:frames])))
    # Counts are whole numbers far below 2**53, so float64 holds them exactly.
    matched = hits.sum(axis=(1, 2), dtype=np.float64)
    total = np.bitwise_count(boundary).sum(axis=(1, 2), dtype=np.float64)
    # The convention of davis2017: a share of nothing is 1, so a missing boundary has precision 1
    # and recall 0 (F = 0), and two missing ones have both 1 (F = 1).
    share = np.divide(matched, total, out=np.ones_like(total), where=total > 0)
    precision, recall = share[:frames], share[frames:]
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)


def _pack(prediction: Masks, truth: Masks) -> Words:
    """Pack two masks [frame, height, width] into uint64 [2 * frame, height, word]."""
    frames, height, width = prediction.shape
    words = -(-width // WORD_BITS)
    packed = np.zeros((2 * frames, height, words * 8), np.uint8)
    used = -(-width // 8)
    packed[:frames, :, :used] = np.packbits(prediction, axis=-1, bitorder="little")
    packed[frames:, :, :used] = np.packbits(truth, axis=-1, bitorder="little")
    return packed.view(_WORD)


def _box(bits: Words, height: int) -> tuple[slice, slice] | None:
    """Rows and words that hold every boundary pixel of any mask in the group, None if all empty."""
    rows = np.flatnonzero(np.bitwise_or.reduce(bits, axis=(0, 2)))
    if not len(rows):
        return None
    columns = np.bitwise_or.reduce(bits, axis=(0, 1))
    words = np.flatnonzero(columns)
    # A boundary pixel lies on a set pixel or above, left or above-left of one; and the row below
    # the lowest set pixel is needed to see that it differs. The column to the right of the box is
    # seen as empty anyway (see _boundary).
    first_word = int(words[0])
    if first_word and int(columns[first_word]) & 1:
        first_word -= 1
    return (
        slice(max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, height)),
        slice(first_word, int(words[-1]) + 1),
    )


def _boundary(bits: Words, width: int) -> Words:
    """Boundary maps of packed masks of a frame that ends ``width`` columns after the first word.

    Beyond the given rows and words the masks must be empty, or the frame must end there.
    """
    here = _with_padding(bits, 1)
    right = _towards_zero(here, 1)
    columns = here.shape[2] * WORD_BITS
    # Only columns that have a right neighbour inside the frame may be compared with it.
    inside = np.arange(columns) < min(width - 1, columns)
    has_right = np.packbits(inside, bitorder="little").view(_WORD)
    result = (here ^ right) & has_right
    result[:, :-1] |= here[:, :-1] ^ here[:, 1:]
    result[:, :-1] |= (here[:, :-1] ^ right[:, 1:]) & has_right
    return result[:, :, :-1]


def _dilate(bits: Words, radius: float) -> Words:
    """Dilate packed maps with the disk x^2 + y^2 <= radius^2, cut to the given rows and words."""
    _, rows, words = bits.shape
    half_widths = disk_half_widths(radius, rows, words * WORD_BITS)[:rows]
    # Zeros after each row keep what is moved out of one row from entering the next.
    run = _with_padding(bits, -(-half_widths[0] // WORD_BITS) or 1)
    result = np.zeros_like(run)
    grown = 0
    # From the far, narrow rows of the disk to its widest: the runs only ever grow.
    for dy in reversed(range(len(half_widths))):
        while grown < half_widths[dy]:
            step = min(half_widths[dy] - grown, grown + 1)
            run = run | _towards_zero(run, step) | _from_zero(run, step)
            grown += step
        if dy:
            result[:, dy:] |= run[:, :-dy]
            result[:, :-dy] |= run[:, dy:]
        else:
            result |= run
    return result[:, :, :words]


def _with_padding(bits: Words, padding: int) -> Words:
    """Copy with ``padding`` empty words after each row."""
    maps, rows, words = bits.shape
    result = np.zeros((maps, rows, words + padding), _WORD)
    result[:, :, :words] = bits
    return result


def _towards_zero(bits: Words, pixels: int) -> Words:
    """Move all pixels to lower columns; the rows are seen as one long line, whose start is lost."""
    flat = bits.reshape(-1)
    whole, part = divmod(pixels, WORD_BITS)
    result = np.zeros_like(flat)
    kept = len(flat) - whole
    if kept > 0:
        np.right_shift(flat[whole:], part, out=result[:kept])
        if part:
            result[: kept - 1] |= flat[whole + 1 :] << (WORD_BITS - part)
    return result.reshape(bits.shape)


def _from_zero(bits: Words, pixels: int) -> Words:
    """Move all pixels to higher columns; the rows are seen as one long line, whose end is lost."""
    flat = bits.reshape(-1)
    whole, part = divmod(pixels, WORD_BITS)
    result = np.zeros_like(flat)
    kept = len(flat) - whole
    if kept > 0:
        np.left_shift(flat[:kept], part, out=result[whole:])
        if part:
            result[whole + 1 :] |= flat[: kept - 1] >> (WORD_BITS - part)
    return result.reshape(bits.shape)
