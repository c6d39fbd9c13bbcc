"""What a system's predictions score, and by name all that keeps them from being complete."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.data.records import ROLES, VideoSample
from reviosa.data.rle import decode
from reviosa.evaluation.metrics import boundary_f, jaccard
from reviosa.evaluation.protocols import RoleScore, protocol_means
from reviosa.evaluation.readers import AnyPredictions

__all__ = ["SystemScore", "score_system"]


@dataclass(frozen=True)
class SystemScore:
    """Scores of a system on a data set with truth."""

    scores: tuple[RoleScore, ...]
    """The actor of every expression; the target of every interaction after it, if predicted."""
    missing: tuple[str, ...]
    """Expressions without a prediction; each of their roles counts 0."""
    unknown: tuple[str, ...]
    """Expressions that were predicted but are not in the data set; they count nowhere."""
    faults: tuple[Fault, ...]
    """What is wrong with files, then with the predictions of single expressions."""

    @property
    def complete(self) -> bool:
        """Whether all was predicted, nothing else, and none of it is faulty."""
        return not (self.missing or self.unknown or self.faults)

    @property
    def protocols(self) -> dict[str, dict[str, float | int | None]]:
        """Means by protocol; of a role that the predictions do not speak of, none."""
        return protocol_means(self.scores)

    def to_json(self) -> dict[str, Any]:
        """Give the protocols in per cent, then the names of all that is not as it should be."""
        return {
            **self.protocols,
            "complete": self.complete,
            "missing": list(self.missing),
            "unknown": list(self.unknown),
            "faults": [{"where": fault.where, "what": fault.what} for fault in self.faults],
        }


def score_system(
    dataset: VideoDataset,
    source: AnyPredictions,
    name: str,
    progress: Callable[[int, int], None] | None = None,
) -> SystemScore:
    """Score all that can be scored; what is missing or faulty counts 0 and is named.

    Args:
        dataset: with truth.
        source: the predictions. A role that they do not speak of (see ``roles``) is not scored.
        name: what they are called where a file as such is faulty.
        progress: called with the number of expressions done and of all.

    Raises:
        DataError: the truth is damaged.
    """
    scores: list[RoleScore] = []
    missing: list[str] = []
    faults = [Fault(name, what) for what in source.faults]
    for done, sample in enumerate(dataset.samples, 1):
        for index, role in enumerate(ROLES):
            asked = role == "actor" or sample.expression.is_interaction
            if not asked or role not in source.roles:
                continue
            score, told = _score(dataset, source, sample, index)
            scores.append(score)
            faults += told
            if role == "actor" and score.missing and not told:
                missing.append(sample.expression.sample_id)
        if progress is not None:
            progress(done, len(dataset.samples))
    known = {sample.expression.sample_id for sample in dataset.samples}
    predicted = ("/".join(pair) for pair in source.ids())
    unknown = tuple(sample_id for sample_id in predicted if sample_id not in known)
    return SystemScore(tuple(scores), tuple(missing), unknown, tuple(faults))


def _score(
    dataset: VideoDataset, source: AnyPredictions, sample: VideoSample, index: int
) -> tuple[RoleScore, list[Fault]]:
    expression, video, role = sample.expression, sample.video, ROLES[index]
    frames = video.truth_frames
    size = dataset.size(video.video_id)
    found = source.find(video.video_id, expression.exp_id, role, video.frame_names, size, frames)
    j = f = 0.0
    if found.masks is not None:
        truth = sample.masks(index, frames)
        masks = np.zeros_like(truth)
        for row, rles in enumerate(found.masks):
            for rle in rles:
                masks[row] |= decode(rle, size)
        j, f = float(jaccard(masks, truth).mean()), float(boundary_f(masks, truth).mean())
    score = RoleScore(
        expression.video_id, expression.exp_id, role, expression.caption_type, j, f,
        found.masks is None,
    )  # fmt: skip
    where = f"{expression.sample_id}, {role}"
    return score, [Fault(where, what) for what in found.faults]
