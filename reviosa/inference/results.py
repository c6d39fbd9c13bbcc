"""What the model made of one expression, masks compressed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reviosa.data.rle import decode, encode

__all__ = ["SegmentationResult", "Track", "encode_track"]

Track = list[dict[str, Any]]
"""A mask for each frame of the video, as COCO RLE."""


def encode_track(masks: Iterable[np.ndarray]) -> Track:
    """Compress masks, bool [frame, height, width]."""
    return [encode(mask) for mask in masks]


@dataclass(frozen=True)
class SegmentationResult:
    """What the model made of one expression.

    Masks are kept compressed, so that a long video fits in memory; ``actor``, ``target`` and
    ``masks`` give them as arrays.
    """

    text: str
    """Its answer, role tokens included."""
    tracks: tuple[Track | None, Track | None]
    """Masks of actor and target on every frame of the video; None where not named."""
    frame_indices: tuple[int, ...]
    """Frames that the language model saw."""
    input_ids: tuple[int, ...]
    """The whole conversation, question and answer, as token ids."""
    babble: str | None = None
    """What the model had said by itself, where that named no role; see ``Segmenter.answer``."""

    @cached_property
    def masks(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Actor and target, bool [frame, height, width]; None where not named."""
        actor, target = (
            None if t is None else np.stack([decode(x) for x in t]) for t in self.tracks
        )
        return actor, target

    @property
    def actor(self) -> np.ndarray | None:
        """Masks of the actor, bool [frame, height, width]."""
        return self.masks[0]

    @property
    def target(self) -> np.ndarray | None:
        """Masks of the target, bool [frame, height, width]; None where none was named."""
        return self.masks[1]
