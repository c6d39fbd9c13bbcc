"""J and F of whole videos, compiled with numba; the same bits as the numpy way.

A mask is held in bands of 64 rows: ``words[band, column]`` has row ``64 * band + k`` in bit k. Runs
of COCO RLE, which go down the columns, are then filled a word at a time; a step to the right is
the next word of the band and a step down a shift, so that the processor works on several columns
at once; and packing a bool array adds one row after another to a band.

All of it is in this one file, because numba throws what it cached away when the file of the called
function changes, not when that of an inner function does. Loops are written out: on slices numba
compiles several times as long.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = ["load"]

_ONE = np.uint64(1)
_LAST = np.uint64(63)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

_inner: Any = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)  # pyright: ignore


def load() -> Callable[..., tuple[int, int]]:
    """The kernel, compiled, or read from numba's cache where it was compiled before.

    See :func:`_score` for how it is called.
    """
    try:
        return _ready(numba.njit(cache=True, nogil=True, error_model="numpy")(_score))
    except Exception:
        # A folder that cannot be written, a full disk, a damaged file: do without the cache.
        return _ready(numba.njit(nogil=True, error_model="numpy")(_score))


def _ready(kernel: Any) -> Any:
    """Call it once, on no frame, because only then it is compiled."""
    nothing = np.zeros(1, np.int64)
    side = np.zeros((0, 1, 1), np.uint8), np.frombuffer(b"", np.uint8), nothing, nothing
    kernel(side, side, (1, 1), nothing, np.zeros(0), np.zeros(0), np.zeros((0, 3), np.int64))
    return kernel


def _set_bits(_context: Any, _word: Any) -> Any:
    """Number of set bits of a uint64."""

    def build(_lowering: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), build


_count: Any = intrinsic(_set_bits)


def _score(prediction, truth, size, half_heights, j, f, counts):
    """Score the frames of two sides; gives (-1, -1), or (side, mask) of the first damaged string.

    Args:
        prediction: (array, text, starts, frames). Either the array, uint8 [frame, height, width] of
            0 and 1, C-contiguous; or, where that has no frame, masks in COCO's compressed form: all
            strings joined, uint8; where each starts and the last ends, int64 [mask + 1]; and the
            first of the masks that are united on each frame, int64 [frame + 1].
        truth: likewise.
        size: height and width, both at least 1.
        half_heights: int64 [reach + 1]; the disk holds rows -half to half of the column at distance
            0, 1, 2, ... from its centre.
        j: float64 [frame], written into, as are the next two.
        f: float64 [frame].
        counts: int64 [frame, 3]: pixels of both masks, of the prediction, of the truth.
    """
    height, width = size
    bands = (height + 63) // 64
    masks = np.zeros((2, bands, width), np.uint64)
    edges = np.zeros((2, bands, width), np.uint64)
    near = np.zeros((bands, width), np.uint64)
    # Empty bands and columns all round, so that nothing needs to ask where the map ends.
    reach = min(len(half_heights), width) - 1
    run = np.zeros((bands + 2, width + 2 * reach), np.uint64)
    grown = np.zeros((bands + 2, width + 2 * reach), np.uint64)
    eighth = np.zeros(width, np.uint8)
    for frame in range(len(j)):
        for side in range(2):
            array, text, starts, frames = prediction if side == 0 else truth
            words = masks[side]
            for band in range(bands):
                for column in range(width):
                    words[band, column] = 0
            if len(array):
                _pack(array[frame], words, eighth)
                continue
            for mask in range(frames[frame], frames[frame + 1]):
                if not _decode(text, starts[mask], starts[mask + 1], height, words):
                    return side, mask
        both, first, second = _count_pixels(masks)
        counts[frame, 0], counts[frame, 1], counts[frame, 2] = both, first, second
        union = first + second - both
        j[frame] = both / union if union else 1.0
        f[frame] = _f(masks, height, half_heights, edges, near, run, grown) if union else 1.0
    return -1, -1


@_inner
def _pack(mask, words, eighth):
    """Add a mask, uint8 [height, width] of 0 and 1; ``eighth`` is scratch, uint8 [width]."""
    height, width = mask.shape
    whole = height - height % 8
    # Eight rows in bytes first: eight times as many columns fit the processor's registers.
    for row in range(0, whole, 8):
        r0, r1, r2, r3 = mask[row], mask[row + 1], mask[row + 2], mask[row + 3]
        r4, r5, r6, r7 = mask[row + 4], mask[row + 5], mask[row + 6], mask[row + 7]
        for x in range(width):
            low = r0[x] | (r1[x] << 1) | (r2[x] << 2) | (r3[x] << 3)
            high = (r4[x] << 4) | (r5[x] << 5) | (r6[x] << 6) | (r7[x] << 7)
            eighth[x] = np.uint8(low | high)
        line, place = words[row // 64], np.uint64(row % 64)
        for x in range(width):
            line[x] |= np.uint64(eighth[x]) << place
    for row in range(whole, height):
        pixels, line, place = mask[row], words[row // 64], np.uint64(row % 64)
        for x in range(width):
            line[x] |= np.uint64(pixels[x]) << place


@_inner
def _decode(text, first, end, height, words):
    """Add the mask in ``text[first:end]``; gives whether that is a whole one.

    The rules are those of :func:`reviosa.data.rle.decode`.
    """
    total = height * words.shape[1]
    filled = 0
    value = False
    before = last = 0  # the runs two and one places ago
    runs = number = bits = 0
    for place in range(first, end):
        digit = np.int64(text[place]) - 48
        if digit < 0 or digit > 63 or bits == 35:
            return False
        number |= (digit & 31) << bits
        bits += 5
        if digit & 32:
            continue
        if digit & 16:
            number -= 1 << bits
        run = number + before if runs > 2 else number
        if run < 0 or run > total - filled:
            return False
        if value:
            _fill(words, height, filled, run)
        filled += run
        before, last = last, run
        value = not value
        runs += 1
        number = bits = 0
    return runs > 0 and bits == 0 and filled == total


@_inner
def _fill(words, height, start, left):
    """Set ``left`` pixels from the one numbered ``start`` on, counted down the columns."""
    column, row = start // height, start % height
    while left > 0:
        stop = min(height, row + left)
        left -= stop - row
        for band in range(row // 64, (stop + 63) // 64):
            low, high = max(row - 64 * band, 0), min(stop - 64 * band, 64)
            words[band, column] |= (_ALL >> np.uint64(64 - high + low)) << np.uint64(low)
        column += 1
        row = 0


@_inner
def _count_pixels(masks):
    """Pixels of both masks, of the first and of the second."""
    both = first = second = 0
    for band in range(masks.shape[1]):
        one, two = masks[0, band], masks[1, band]
        for column in range(len(one)):
            both += _count(one[column] & two[column])
            first += _count(one[column])
            second += _count(two[column])
    return both, first, second


@_inner
def _box(masks):
    """First and last band, first and last column that hold every boundary of two masks."""
    _, bands, width = masks.shape
    top, bottom, left, right = bands, -1, width, -1
    for band in range(bands):
        one, two = masks[0, band], masks[1, band]
        seen = np.uint64(0)
        for column in range(width):
            word = one[column] | two[column]
            seen |= word
            if word:
                left, right = min(left, column), max(right, column)
        if seen:
            # A boundary pixel lies on a set pixel or above, left or above-left of one.
            top = min(top, band - 1 if seen & _ONE and band else band)
            bottom = band
    return top, bottom, max(left - 1, 0), right


@_inner
def _f(masks, height, half_heights, edges, near, run, grown):
    """F of two masks of which one has a pixel; all but the first three are scratch."""
    top, bottom, left, right = _box(masks)
    bands, columns = bottom + 1 - top, right + 1 - left
    first = _boundary(masks[0], height, top, left, bands, columns, edges[0])
    second = _boundary(masks[1], height, top, left, bands, columns, edges[1])
    if first == 0 or second == 0:
        return 1.0 if first == second else 0.0
    precision = recall = 0.0
    for side in range(2):
        _dilate(edges[1 - side], half_heights, bands, columns, near, run, grown)
        hits = 0
        for band in range(bands):
            line, wanted = near[band], edges[side, band]
            for column in range(columns):
                hits += _count(line[column] & wanted[column])
        if side == 0:
            precision = hits / first
        else:
            recall = hits / second
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


@_inner
def _boundary(words, height, top, left, bands, columns, edge):
    """Boundary map of a part of a mask into ``edge``; gives how many pixels it has."""
    all_bands, width = words.shape
    # Only columns that have a right neighbour in the frame may be compared with it.
    inner = min(columns, width - 1 - left)
    total = 0
    for band in range(bands):
        place = top + band
        # The last row of the frame has nothing below it, and nothing counts there but a step to
        # the right. What is taken as the band below the last one is then of no account either.
        rows = height - 1 - 64 * place
        inside = _ALL if rows >= 64 else (_ONE << np.uint64(rows)) - _ONE
        here, below = words[place, left:], words[min(place + 1, all_bands - 1), left:]
        line = edge[band]
        for column in range(inner):
            pixel, right = here[column], here[column + 1]
            lower = (pixel >> _ONE) | (below[column] << _LAST)
            beside = (right >> _ONE) | (below[column + 1] << _LAST)
            word = (pixel ^ right) | (((pixel ^ lower) | (pixel ^ beside)) & inside)
            line[column] = word
            total += _count(word)
        if inner < columns:
            pixel = here[inner]
            word = (pixel ^ ((pixel >> _ONE) | (below[inner] << _LAST))) & inside
            line[inner] = word
            total += _count(word)
    return total


@_inner
def _dilate(edge, half_heights, bands, columns, near, run, grown):
    """Dilate a map with the disk into ``near``, cut to the given bands and columns."""
    reach = min(len(half_heights), columns) - 1
    for band in range(bands + 2):
        for column in range(columns + 2 * reach):
            run[band, column] = 0
            grown[band, column] = 0
    for band in range(bands):
        for column in range(columns):
            near[band, column] = 0
            run[band + 1, reach + column] = edge[band, column]
    height = 0
    # From the far, narrow columns of the disk to its widest: the runs only ever grow.
    for distance in range(reach, -1, -1):
        while height < half_heights[distance]:
            step = min(half_heights[distance] - height, height + 1, 63)
            _grow(run, grown, bands, reach, columns, step)
            run, grown = grown, run
            height += step
        for band in range(bands):
            line = near[band]
            # Slices, for an index that may be below zero keeps the loop from being vectorised.
            before = run[band + 1, reach - distance :]
            after = run[band + 1, reach + distance :]
            for column in range(columns):
                line[column] |= before[column] | after[column]


@_inner
def _grow(run, grown, bands, reach, columns, step):
    """Add to a map what is ``step`` rows above and below, 1 to 63."""
    moved, rest = np.uint64(step), np.uint64(64 - step)
    for band in range(1, bands + 1):
        line, above = grown[band, reach:], run[band - 1, reach:]
        here, below = run[band, reach:], run[band + 1, reach:]
        for column in range(columns):
            word = here[column]
            up = (word >> moved) | (below[column] << rest)
            down = (word << moved) | (above[column] >> rest)
            line[column] = word | up | down
