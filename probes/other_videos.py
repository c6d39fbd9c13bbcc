"""Nulls that keep everything but the video: whose object is it, and what does a head see anyhow?

Both take the other videos of one chunk of a capture, so that a capture that was stopped and goes on
finds the same ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reviosa.data.records import VideoSample

__all__ = ["MeanMaps", "next_of_another_video"]


class MeanMaps:
    """What each head looks at on average, video by video and role by role.

    Expressions of a video are averaged first, so that each video counts once.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], dict[str, NDArray]] = {}
        self._counts: dict[tuple[int, int, str], NDArray] = {}

    def add(self, video: str, role: int, patches: NDArray) -> None:
        """Take in attention on patches [layer, head, patch]; only its shape counts."""
        total = patches.sum(axis=-1, keepdims=True)
        defined = total > 0
        maps = np.where(defined, patches / np.where(defined, total, 1.0), 0.0)
        sums = self._sums.setdefault((role, patches.shape[-1]), {})
        key = (role, patches.shape[-1], video)
        sums[video] = sums.get(video, 0.0) + maps
        self._counts[key] = self._counts.get(key, 0) + defined

    def of_others(self, video: str, role: int, patches: int) -> NDArray | None:
        """Mean map of all other videos with as many patches, [layer, head, patch]; None if none.

        Zero, which no share is defined of, for a head that never looked at a patch.
        """
        sums = self._sums.get((role, patches), {})
        means = [
            total / np.maximum(self._counts[role, patches, name], 1)
            for name, total in sums.items()
            if name != video
        ]
        return np.mean(means, axis=0) if means else None


def next_of_another_video(
    samples: Sequence[VideoSample], index: int, role: int, seen: Sequence[int]
) -> VideoSample | None:
    """The sample that lends its mask: the next one, round the end, of another video.

    Args:
        samples: of one chunk.
        index: of the sample that borrows.
        role: the one that the lender must have.
        seen: how many frames the model sees of each sample's video; lender and borrower agree.
    """
    mine = samples[index].video.video_id
    for step in range(1, len(samples)):
        other = (index + step) % len(samples)
        lender = samples[other]
        has_role = role == 0 or lender.expression.is_interaction
        if lender.video.video_id != mine and has_role and seen[other] == seen[index]:
            return lender
    return None
