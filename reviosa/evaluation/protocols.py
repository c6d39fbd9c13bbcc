"""The three settings of InterRVOS: Actor, Target and RVOS.

Actor and Target count the interaction expressions (caption type "unidirectional") with the masks
of that role; RVOS counts the actor masks of all expressions. Every frame counts; J and F are
averaged over the frames of an expression, then over the expressions.

Departure from the released scripts: they leave an expression without a prediction out of the mean,
so that a system gains by failing. Here it counts as zero and is listed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from reviosa.data.records import ROLES, VideoSample
from reviosa.evaluation.metrics import boundary_f, jaccard
from reviosa.evaluation.predictions import Predictions, decode_masks

__all__ = ["Evaluation", "RoleScore", "evaluate_predictions", "protocol_means"]


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


class Dataset(Protocol):
    """What an evaluation needs of a data set."""

    @property
    def samples(self) -> Sequence[VideoSample]:
        """All expressions with their videos."""
        ...


def evaluate_predictions(
    dataset: Dataset,
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
    scores: list[RoleScore] = []
    missing: list[str] = []
    for done, sample in enumerate(dataset.samples, start=1):
        expression = sample.expression
        prediction = predictions.get(expression.video_id, {}).get(expression.exp_id)
        if prediction is None:
            missing.append(expression.sample_id)
        for index, role in enumerate(ROLES):
            if role == "actor" or expression.is_interaction:
                scores.append(_score(sample, index, prediction))
        if progress is not None:
            progress(done, len(dataset.samples))
    known = {sample.expression.sample_id for sample in dataset.samples}
    predicted = (f"{video}/{exp}" for video, records in predictions.items() for exp in records)
    unknown = tuple(sample_id for sample_id in predicted if sample_id not in known)
    return Evaluation(tuple(scores), protocol_means(scores), tuple(missing), unknown)


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


def _score(sample: VideoSample, role: int, prediction: Mapping[str, Any] | None) -> RoleScore:
    expression = sample.expression
    j = f = 0.0
    if prediction is not None:
        truth = sample.masks(role)
        masks = decode_masks(prediction, ROLES[role], truth.shape, expression.sample_id)
        j = float(jaccard(masks, truth).mean())
        f = float(boundary_f(masks, truth).mean())
    return RoleScore(
        video_id=expression.video_id,
        exp_id=expression.exp_id,
        role=ROLES[role],
        caption_type=expression.caption_type,
        j=j,
        f=f,
        missing=prediction is None,
    )


def _means(scores: Sequence[RoleScore]) -> dict[str, float | int | None]:
    if not scores:
        return {"J": None, "F": None, "J&F": None, "n": 0}
    j = 100 * float(np.mean([score.j for score in scores]))
    f = 100 * float(np.mean([score.f for score in scores]))
    return {"J": j, "F": f, "J&F": (j + f) / 2, "n": len(scores)}
