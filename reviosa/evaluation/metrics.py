"""Region similarity J and boundary accuracy F, as davis2017-evaluation, MeViS and InterRVOS count.

Equations: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation", CVPR 2016. The values are exactly those of the definition: all counting is done in
integers, and the few divisions are in float64 and in the definition's order.

F is counted by a kernel that numba compiles on its first use (some seconds, once an installation)
or, with the same bits, by numpy: where numba cannot be imported, or where the environment variable
``REVIOSA_METRICS`` is "numpy".
"""

import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reviosa.data.rle import checked_counts, damaged, decode
from reviosa.errors import DataError, ReviosaError
from reviosa.evaluation.numpy_boundary import boundary_f_by_numpy, disk_half_widths

__all__ = ["FrameScores", "MaskError", "boundary_f", "boundary_radius", "frame_scores", "jaccard"]

Masks = NDArray[np.bool_]
Compressed = Sequence[Sequence[Any]]
"""For each frame the RLE masks to unite; none is an empty mask."""

_SIDES: Final = ("prediction", "truth")


@dataclass(frozen=True)
class FrameScores:
    """What two tracks of masks have in common, frame by frame."""

    j: NDArray[np.float64]
    """J [frame], 0 to 1."""
    f: NDArray[np.float64]
    """F [frame], 0 to 1."""
    common: NDArray[np.int64]
    """Pixels in both masks [frame]."""
    predicted: NDArray[np.int64]
    """Pixels in the prediction [frame]."""
    true: NDArray[np.int64]
    """Pixels in the truth [frame]."""


class MaskError(DataError):
    """A mask that is to be scored cannot be read."""

    def __init__(self, side: str, frame: int, reason: str) -> None:
        super().__init__(side, frame, reason)
        self.side = side
        """"prediction" or "truth"."""
        self.frame = frame
        """Index into the frames that were given."""
        self.reason = reason
        """What is wrong with it."""

    def __str__(self) -> str:
        return f"{self.side}, frame {self.frame}: {self.reason}"


def frame_scores(
    prediction: Masks | Compressed,
    truth: Masks | Compressed,
    size: tuple[int, int],
    bound: float = 0.008,
) -> FrameScores:
    """Give J and F of each frame, with the pixels they come from.

    Args:
        prediction: bool [frame, height, width], or for each frame a list of compressed COCO RLE
            masks, which are united. These are not decoded to arrays but scored as they are.
        truth: likewise; it may come in the other form.
        size: height and width in pixels, which all masks must have.
        bound: tolerance of F, a share of the image diagonal, or pixels if it is 1 or more.

    Raises:
        MaskError: an RLE is malformed, damaged, or of another size.
        ReviosaError: an array is not bool or not of that size; there are more frames on one side;
            or ``bound`` is negative or not finite.
    """
    radius = boundary_radius(*size, bound)
    for side, masks in zip(_SIDES, (prediction, truth), strict=True):
        if isinstance(masks, np.ndarray):
            _check_array(side, masks, (len(masks), *size))
    if len(prediction) != len(truth):
        raise ReviosaError(
            f"got masks of {len(prediction)} frames as prediction and of {len(truth)} as truth, "
            "expected the same frames; choose those that have truth"
        )
    return _score(prediction, truth, size, radius)


def jaccard(prediction: Masks, truth: Masks, void: Masks | None = None) -> NDArray[np.float64]:
    """Give J = |P and G| / |P or G| of each frame, 1 where the union is empty.

    Args:
        prediction: bool [frame, height, width].
        truth: bool, of the same shape.
        void: bool, of the same shape; pixels that count in neither mask. None: no such pixels.

    Returns:
        float64 [frame], 0 to 1.

    Raises:
        ReviosaError: an array is not bool, not of three axes, or of another shape than the others.
    """
    prediction, truth = _without_void(prediction, truth, void)
    result = np.ones(len(prediction))
    for frame, (predicted, true) in enumerate(zip(prediction, truth, strict=True)):
        both = np.count_nonzero(predicted & true)
        union = np.count_nonzero(predicted) + np.count_nonzero(true) - both
        if union:
            result[frame] = both / union
    return result


def boundary_f(
    prediction: Masks, truth: Masks, void: Masks | None = None, bound: float = 0.008
) -> NDArray[np.float64]:
    """Give the boundary measure F = 2PR / (P + R) of each frame.

    A boundary pixel differs from its right, lower or lower-right neighbour, so the image border
    itself is never a boundary. P is the share of the predicted boundary that lies within the
    radius of the true one, R the reverse. Without a boundary in either mask F is 1 (also for a
    full mask against an empty one: neither has a boundary); without one in just one of them, 0.

    Args:
        prediction: bool [frame, height, width].
        truth: bool, of the same shape.
        void: bool, of the same shape; set to background in both masks before anything else.
        bound: tolerance, a share of the image diagonal, or pixels if it is 1 or more.

    Returns:
        float64 [frame], 0 to 1.

    Raises:
        ReviosaError: an array is not bool, not of three axes, or of another shape than the others;
            or ``bound`` is negative or not finite.
    """
    prediction, truth = _without_void(prediction, truth, void)
    _, height, width = prediction.shape
    return _score(prediction, truth, (height, width), boundary_radius(height, width, bound)).f


def boundary_radius(height: int, width: int, bound: float = 0.008) -> float:
    """Give the radius in pixels: ``bound`` itself if >= 1, else ceil(bound * image diagonal).

    Raises:
        ReviosaError: ``bound`` is negative or not finite.
    """
    if not (math.isfinite(bound) and bound >= 0):
        raise ReviosaError(
            f"boundary tolerance is {bound}, expected a share of the diagonal (below 1) or a "
            "number of pixels; leave it out for the usual 0.008"
        )
    return bound if bound >= 1 else math.ceil(bound * math.sqrt(height**2 + width**2))


def _without_void(prediction: Masks, truth: Masks, void: Masks | None) -> tuple[Masks, Masks]:
    """Check the arrays and clear the void pixels, if any, in copies."""
    _check_array("prediction", prediction, None)
    _check_array("truth", truth, prediction.shape)
    if void is None:
        return prediction, truth
    _check_array("void", void, prediction.shape)
    return prediction & ~void, truth & ~void


def _check_array(name: str, mask: Any, shape: tuple[int, ...] | None) -> None:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        got = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ReviosaError(
            f"{name} is {got}, expected a numpy array of bool; threshold it, e.g. mask > 0"
        )
    if mask.ndim != 3:
        raise ReviosaError(
            f"{name} has shape {mask.shape}, expected [frame, height, width]; "
            "give a single frame as mask[None]"
        )
    if shape is not None and mask.shape != shape:
        raise ReviosaError(
            f"{name} has shape {mask.shape}, expected {shape} like the frames; "
            "resize the masks to the frames of the video"
        )


def _score(
    prediction: Masks | Compressed, truth: Masks | Compressed, size: tuple[int, int], radius: float
) -> FrameScores:
    """Score checked masks of as many frames."""
    kernel = _kernel()
    if kernel is None or 0 in size:
        one, two = (_array(*side, size) for side in _named(prediction, truth))
        return _by_numpy(one, two, radius)
    frames = len(prediction)
    j, f, counts = np.empty(frames), np.empty(frames), np.empty((frames, 3), np.int64)
    sides = [_for_kernel(*side, size) for side in _named(prediction, truth)]
    half_heights = np.array(disk_half_widths(radius, *size), np.int64)
    # Plain tuples, as the kernel was called when it was compiled: of others it is compiled anew.
    side, mask = kernel(*map(tuple, sides), size, half_heights, j, f, counts)
    if side >= 0:
        frame = int(np.searchsorted(sides[side].frames, mask, side="right")) - 1
        raise MaskError(_SIDES[side], frame, str(damaged(*size)))
    return FrameScores(j, f, *counts.T)


def _named(
    prediction: Masks | Compressed, truth: Masks | Compressed
) -> tuple[tuple[str, Masks | Compressed], ...]:
    return tuple(zip(_SIDES, (prediction, truth), strict=True))


def _by_numpy(prediction: Masks, truth: Masks, radius: float) -> FrameScores:
    common, predicted, true = (
        np.count_nonzero(masks, axis=(1, 2)) for masks in (prediction & truth, prediction, truth)
    )
    union = predicted + true - common
    j = np.divide(common, union, out=np.ones(len(union)), where=union > 0)
    f = boundary_f_by_numpy(prediction, truth, radius)
    return FrameScores(j, f, common, predicted, true)


def _array(side: str, masks: Masks | Compressed, size: tuple[int, int]) -> Masks:
    """Decode what is compressed to bool [frame, height, width]."""
    if isinstance(masks, np.ndarray):
        return masks
    united = np.zeros((len(masks), *size), bool)
    for frame, rles in enumerate(masks):
        for rle in rles:
            try:
                united[frame] |= decode(rle, size)
            except DataError as error:
                raise MaskError(side, frame, str(error)) from None
    return united


class _Side(NamedTuple):
    """One side as the kernel takes it."""

    array: NDArray[np.uint8]
    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    frames: NDArray[np.int64]


def _for_kernel(side: str, masks: Masks | Compressed, size: tuple[int, int]) -> _Side:
    if isinstance(masks, np.ndarray):
        # Writable too, though nothing is written: numba compiles anew for arrays that are not.
        array = np.require(masks, requirements=["C", "W"]).view(np.uint8)
        nothing = np.zeros(1, np.int64)
        return _Side(array, np.frombuffer(b"", np.uint8), nothing, nothing)
    strings: list[bytes] = []
    frames = [0]
    for frame, rles in enumerate(masks):
        for rle in rles:
            try:
                counts = checked_counts(rle, size)
            except DataError as error:
                raise MaskError(side, frame, str(error)) from None
            # What is not ASCII becomes bytes that are no code of a run, which the kernel sees.
            strings.append(counts.encode("utf-8", "surrogatepass"))
        frames.append(len(strings))
    return _Side(
        np.zeros((0, 1, 1), np.uint8),
        np.frombuffer(b"".join(strings), np.uint8),
        np.cumsum([0, *map(len, strings)], dtype=np.int64),
        np.array(frames, np.int64),
    )


def _kernel() -> Callable[..., tuple[int, int]] | None:
    """The compiled kernel; None where numpy is to do the work."""
    return None if os.environ.get("REVIOSA_METRICS") == "numpy" else _compiled()


@functools.cache
def _compiled() -> Callable[..., tuple[int, int]] | None:
    # Here, because importing numba takes a second that only those who score should wait.
    try:
        from numba import config  # pyright: ignore

        from reviosa.evaluation import kernels
    # OSError: llvmlite does not find its library.
    except (ImportError, OSError):
        return None
    return None if config.DISABLE_JIT else kernels.load()  # pyright: ignore
