"""The pixels behind one sample: frames, true and predicted masks, attention maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reviosa import ROLES
from reviosa.data.rle import decode
from reviosa.errors import DataError
from reviosa.evaluation.predictions import MASK_KEYS

if TYPE_CHECKING:
    from probes.ranking import Ranking
    from probes.store import AttentionMap, CaptureStore
    from reviosa.data.dataset import VideoDataset
    from reviosa.data.records import VideoSample

__all__ = ["SamplePictures", "find_sample", "load_pictures", "shown_pair"]


@dataclass(frozen=True)
class SamplePictures:
    """Everything that can be drawn of one expression, for the same frames."""

    frame_indices: tuple[int, ...]
    """Frames of the video that are shown."""
    frames: NDArray[np.uint8] = field(repr=False)
    """[frame, height, width, 3]"""
    truth: dict[str, NDArray[np.bool_]] = field(repr=False)
    """role to [frame, height, width]; a role without truth is absent."""
    predicted: dict[str, NDArray[np.bool_]] = field(repr=False)
    """role to [frame, height, width]; a role that the model did not name is absent."""
    attention: dict[str, "AttentionMap"] = field(repr=False)
    """role to its maps, on the same frames; empty where no map was kept for just these frames."""


def find_sample(dataset: "VideoDataset", sample_id: str) -> "VideoSample":
    """The sample of a data set with that id.

    Raises:
        DataError: it is not in the data set.
    """
    for sample in dataset.samples:
        if sample.expression.sample_id == sample_id:
            return sample
    raise DataError(
        f"{dataset.root}: got no expression {sample_id}, expected the data set of the capture; "
        "check that the folder still holds the same data"
    )


def load_pictures(
    store: "CaptureStore",
    dataset: "VideoDataset",
    sample_id: str,
    frame_indices: Sequence[int],
) -> SamplePictures:
    """Read the frames of one expression with all that is known about them.

    Args:
        store: the capture run; gives predictions and attention.
        dataset: gives frames and truth.
        sample_id: of the expression.
        frame_indices: which frames; maps exist for those that the language model saw.

    Raises:
        DataError: the data set has another content than at capture, or a file cannot be read.
    """
    sample = find_sample(dataset, sample_id)
    length = len(sample.video.frame_names)
    if outside := [index for index in frame_indices if not 0 <= index < length]:
        raise DataError(
            f"{sample_id}: got frame {outside[0]}, expected one of the {length} in {dataset.root}; "
            "check that the folder still holds the same data"
        )
    frames = sample.video.read_frames(frame_indices)
    roles = ROLES if sample.expression.is_interaction else ROLES[:1]
    prediction = store.prediction(sample.video.video_id, sample.expression.exp_id) or {}
    size = frames.shape[1:3]
    found = {role: _predicted(prediction, role, frame_indices, length, size) for role in ROLES}
    maps = {role: store.map(sample_id, role) for role in roles}
    return SamplePictures(
        frame_indices=tuple(int(index) for index in frame_indices),
        frames=frames,
        truth={role: sample.masks(ROLES.index(role), frame_indices) for role in roles},
        predicted={role: masks for role, masks in found.items() if masks is not None},
        attention={
            role: kept
            for role, kept in maps.items()
            if kept is not None and kept.values.shape[1] == len(frame_indices)
        },
    )


def shown_pair(ranking: "Ranking", kept: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """The best pair of a ranking among those whose maps were kept."""
    ranked = [(pair.layer, pair.head) for pair in ranking.pairs]
    return next((pair for pair in ranked if pair in set(kept)), None)


def _predicted(
    prediction: Mapping[str, object], role: str, indices: Sequence[int], length: int, size: tuple
) -> NDArray[np.bool_] | None:
    rles = prediction.get(MASK_KEYS[role])
    if not isinstance(rles, list) or len(rles) != length:
        return None
    masks = np.zeros((len(indices), *size), dtype=bool)
    for row, index in enumerate(indices):
        if rles[index] is not None:
            masks[row] = decode(rles[index], size)
    return masks
