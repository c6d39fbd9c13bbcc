"""Frames of a video, read when they are needed, and which of them the language model sees."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from reviosa.errors import DataError

__all__ = ["ArrayFrames", "FrameSource", "first_frames", "uniform_frames"]


class FrameSource(Protocol):
    """Whatever gives frames by index: a :class:`~reviosa.data.records.Video`, a file, an array."""

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        ...

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Frames, uint8 [frame, height, width, 3] RGB, all of one size."""
        ...


class ArrayFrames:
    """Frames that are in memory already.

    Args:
        frames: uint8 [frame, height, width, 3].
    """

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self.frames)

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """The frames at ``indices``."""
        return self.frames[list(indices)]


def uniform_frames(num_frames: int, wanted: int) -> tuple[int, ...]:
    """Indices of ``wanted`` frames at the middles of equal parts; all where there are fewer.

    ``uniform_frames(16, 4)`` is ``(2, 6, 10, 14)``.
    """
    if num_frames <= wanted:
        return tuple(range(num_frames))
    return tuple((2 * i + 1) * num_frames // (2 * wanted) for i in range(wanted))


def first_frames(num_frames: int, wanted: int) -> tuple[int, ...]:
    """Indices of the first ``wanted`` frames, as the release takes them (REVIOSA.md 1.2)."""
    return tuple(range(min(num_frames, wanted)))


def require_frames(source: FrameSource) -> None:
    """Refuse a video of no frames.

    Raises:
        DataError: there are none.
    """
    if not source.num_frames:
        raise DataError("got a video of no frames, expected at least one; check the folder")
