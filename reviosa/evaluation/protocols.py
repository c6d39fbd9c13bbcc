"""The three settings of InterRVOS: Actor, Target and RVOS.

Actor and Target count the interaction expressions (caption type "unidirectional") with the masks
of that role; RVOS counts the actor masks of all expressions. Every frame counts; J and F are
averaged over the frames of an expression, then over the expressions.

Departure from the released scripts: they leave an expression without a prediction out of the mean,
so that a system gains by failing. Here it counts as zero and is listed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reviosa.data.dataset import VideoDataset
from reviosa.data.rle import checked_counts
from reviosa.errors import DataError
from reviosa.evaluation.predictions import MASK_KEYS, Predictions, mask_list
from reviosa.evaluation.scoring import RoleFrames, score_expressions
from reviosa.evaluation.source import Found

__all__ = [
    "DictionarySource",
    "Evaluation",
    "RoleScore",
    "evaluate_predictions",
    "protocol_means",
    "role_score",
]


@dataclass(frozen=True)
class RoleScore:
    """J and F of one role of one expression, averaged over the frames of its video, 0 to 1."""

    video_id: str
    exp_id: str
    role: str
    """"actor" or "target"."""
    caption_type: str
    j: float
    f: float
    missing: bool
    """The system gave no prediction for the expression; j and f are then 0."""

    @property
    def jf(self) -> float:
        """J&F, the mean of both."""
        return (self.j + self.f) / 2

    @property
    def sample_id(self) -> str:
        """``video_id/exp_id``."""
        return f"{self.video_id}/{self.exp_id}"


@dataclass(frozen=True)
class Evaluation:
    """The scores of a system on a data set."""

    scores: tuple[RoleScore, ...]
    """The actor of every expression, and the target of every interaction after its actor."""
    protocols: dict[str, dict[str, float | int | None]]
    """What :func:`protocol_means` makes of the scores."""
    missing: tuple[str, ...]
    """Sample ids without a prediction, counted as zero."""
    unknown: tuple[str, ...] = ()
    """Sample ids that were predicted but are not in the data set; they count nowhere."""

    def to_json(self) -> dict[str, Any]:
        """Give the protocols in per cent, then the ids of missing and unknown predictions."""
        return {**self.protocols, "missing": list(self.missing), "unknown": list(self.unknown)}


def evaluate_predictions(
    dataset: VideoDataset,
    predictions: Predictions,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score the predictions of any system.

    A role that a prediction does not name (an empty mask list) is scored as empty masks. An
    expression that is not predicted at all scores 0 for each of its roles and is listed.

    Args:
        dataset: the data set with the true masks, for example an ``InterRVOSDataset``.
        predictions: video id -> expression id -> record with RLE masks.
        progress: called with the number of expressions done and of all.

    Raises:
        DataError: a prediction has another number of masks, or masks of another size, than the
            video, or is damaged; the message names the video and expression and both numbers.
    """
    found = score_expressions(dataset, DictionarySource(predictions), progress=progress)
    for sample_id, faults in found.faults.items():
        raise DataError(f"{sample_id}, {faults[0]}")
    scores = tuple(map(role_score, found.roles))
    return Evaluation(scores, protocol_means(scores), found.missing, found.unknown)


def protocol_means(scores: Sequence[RoleScore]) -> dict[str, dict[str, float | int | None]]:
    """Give ``{"actor" | "target" | "rvos": {"J", "F", "J&F", "n"}}`` in per cent.

    J&F is the mean of the mean J and the mean F; n is the number of expressions. With n = 0 the
    three means are None, for there is nothing to average.
    """
    actors = [score for score in scores if score.role == "actor"]
    settings = {
        "actor": [score for score in actors if score.caption_type == "unidirectional"],
        "target": [score for score in scores if score.role == "target"],
        "rvos": actors,
    }
    return {name: _means(chosen) for name, chosen in settings.items()}


class DictionarySource:
    """Predictions in ReVIOSa's form as a source; what is wrong with one is raised."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions

    def find(
        self,
        video_id: str,
        exp_id: str,
        role: str,
        frames: Sequence[str],
        size: tuple[int, int],
        indices: Sequence[int],
    ) -> Found:
        """See :class:`~reviosa.evaluation.source.PredictionSource`."""
        record = self._predictions.get(video_id, {}).get(exp_id)
        if record is None:
            return Found(None)
        where, key = f"{video_id}/{exp_id}", MASK_KEYS[role]
        rles = mask_list(record, role, len(frames), where)
        chosen = [rles[index] for index in indices] if rles else [None] * len(indices)
        for index, rle in zip(indices, chosen, strict=True):
            try:
                if rle is not None:
                    checked_counts(rle, size)
            except DataError as error:
                raise DataError(f"{where}, {key}, frame {index}: {error}") from None
        return Found([[] if rle is None else [rle] for rle in chosen])

    def ids(self) -> Iterator[tuple[str, str]]:
        """See :class:`~reviosa.evaluation.source.PredictionSource`."""
        for video_id, records in self._predictions.items():
            for exp_id in records:
                yield video_id, exp_id


def role_score(role: RoleFrames) -> RoleScore:
    """J and F of a role, averaged over its frames."""
    expression = role.expression
    return RoleScore(
        video_id=expression.video_id,
        exp_id=expression.exp_id,
        role=role.role,
        caption_type=expression.caption_type,
        j=role.j,
        f=role.f,
        missing=role.missing,
    )


def _means(scores: Sequence[RoleScore]) -> dict[str, float | int | None]:
    if not scores:
        return {"J": None, "F": None, "J&F": None, "n": 0}
    j = 100 * float(np.mean([score.j for score in scores]))
    f = 100 * float(np.mean([score.f for score in scores]))
    return {"J": j, "F": f, "J&F": (j + f) / 2, "n": len(scores)}
