"""Where the masks of a system's predictions come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "PredictionSource"]

Masks = NDArray[np.bool_] | list[list[Any]]
"""bool [frame, height, width], or the RLE masks to unite on each frame."""


@dataclass(frozen=True)
class Found:
    """What a system predicted for one role of one expression."""

    masks: Masks | None
    """None where there is no prediction, or none that can be scored: it counts as 0."""
    faults: tuple[str, ...] = ()
    """What is wrong with it, in sentences without the expression's name."""


class PredictionSource(Protocol):
    """Predictions of any system."""

    def find(
        self,
        video_id: str,
        exp_id: str,
        role: str,
        frames: Sequence[str],
        size: tuple[int, int],
        indices: Sequence[int],
    ) -> Found:
        """Masks of a role ("actor", "target") on the frames ``indices`` of a video.

        ``frames`` are the names of all frames of the video, ``size`` their height and width in
        pixels. Each process that scores asks a copy of its own, which pickle made.
        """
        ...

    def ids(self) -> Iterator[tuple[str, str]]:
        """Video and expression of everything that is predicted."""
        ...
