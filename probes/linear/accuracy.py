"""How well a label can be read off hidden states, layer by layer, beside what means nothing.

A linear probe tells that a label *can* be read off a state, not that the model reads it (that is
what ``probes.causal`` is for). Its accuracy is held-out by video, since objects and backgrounds of
a video are in all of its states, and is set beside three others: the most frequent class, a
control task (Hewitt and Liang 2019, arXiv 1909.03368), and the same probe on the embedding, where
a role's token is one vector whatever it stands for.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    defined_mean,
    draw_weights,
    interval,
    video_codes,
    weighted_means,
)
from probes.linear.control import control_labels, share_met
from probes.linear.fit import predict_held_out
from reviosa.errors import DataError

__all__ = ["LayerAccuracy", "TaskAccuracy", "probe_layers"]

_FEWEST_VIDEOS: Final = 2
"""A class that fewer videos hold is never both fitted and held out."""


@dataclass(frozen=True)
class LayerAccuracy:
    """Held-out accuracy of the probes of one layer, or of the chosen ones.

    Balanced accuracy: the mean over classes of the share of their samples that are right, 0 to 1.
    """

    accuracy: Estimate
    control: Estimate
    """The same of the control labels, mean over their draws."""
    selectivity: Estimate
    """Accuracy less control, resample by resample."""
    unsaid: Estimate
    """Accuracy where the expression does not tell the label."""


@dataclass(frozen=True)
class TaskAccuracy:
    """How well one label could be read; intervals are over videos, the fitted probes held fixed.

    Where recalls are simulated with effects of 24 to 60 videos, 92 to 96 % of the intervals hold
    the true one; where the fits are, too, on noise of 24 videos, 88 % hold chance: what other
    training videos would change is not in them. A probe that is always right has an interval of no
    width, since no draw has an error.
    """

    task: str
    classes: dict[str, int]
    """Samples of each class that is asked for."""
    left_out: dict[str, int]
    """Classes that fewer than two videos hold, and their samples."""
    n: int
    n_videos: int
    layers: tuple[LayerAccuracy, ...]
    """Empty where nothing could be fitted; see ``reason``."""
    majority: Estimate | None
    """Of always saying the class that is most frequent in the other folds."""
    chosen: LayerAccuracy | None
    """Of the layer that was best within each fold's own training videos: no choice by the number
    that is reported."""
    chosen_layers: tuple[int, ...]
    """Which, fold by fold."""
    readable_from: int | None
    """First layer whose selectivity is above zero by an interval widened for the number of layers
    (Bonferroni); None where there is none."""
    seen_from: int | None
    """The same where the expression does not tell the label, with the control on those samples:
    what is read there is not from the words."""
    types: int
    """Different types that the control labels were given to."""
    types_met: float | None
    """Share of samples whose type is met in the videos their probe was fitted on."""
    fits: int
    unfinished: int
    """Fits that had not converged; see :class:`probes.linear.fit.HeldOut`."""
    reason: str | None = None
    """Why there is no number."""


def probe_layers(
    task: str,
    states: NDArray,
    labels: Sequence[str] | NDArray,
    videos: Sequence[str] | NDArray,
    types: Sequence[str] | NDArray,
    said: Sequence[bool] | NDArray | None = None,
    folds: int = 5,
    draws: int = 5,
    resamples: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TaskAccuracy:
    """Probe every layer for one label.

    Args:
        task: name of the label.
        states: [sample, layer, hidden].
        labels: [sample].
        videos: [sample]; no video is both fitted and predicted.
        types: [sample], what the control task gives its labels to.
        said: [sample], whether the expression tells the label; of none when None.
        folds: of the cross-validation by videos; as many as videos where there are fewer.
        draws: of the control labels.
        resamples: bootstrap draws over videos.
        seed: of folds, control labels and bootstrap.
        progress: called with (layers of folds done, all of them).

    Returns:
        the record; without numbers, and with the reason, where fewer than two classes are held by
        two videos each.

    Raises:
        DataError: a state is not finite.
        ValueError: lengths that differ.
    """
    names, held_by = np.asarray(labels, dtype=str), np.asarray(videos, dtype=str)
    kinds = np.asarray(types, dtype=str)
    told = np.zeros(len(names), dtype=bool) if said is None else np.asarray(said, dtype=bool)
    if not len(states) == len(names) == len(held_by) == len(kinds) == len(told):
        raise ValueError(
            f"{len(states)} states, {len(names)} labels, {len(held_by)} videos, {len(kinds)} types "
            f"and {len(told)} times told or not; give one of each a sample"
        )
    _require_finite(task, states)
    spread = {name: len(set(held_by[names == name])) for name in sorted(set(names.tolist()))}
    rare = [name for name, number in spread.items() if number < _FEWEST_VIDEOS]
    keep = ~np.isin(names, rare)
    counts, lost = Counter(names[keep].tolist()), Counter(names[~keep].tolist())
    names, held_by, kinds, told = names[keep], held_by[keep], kinds[keep], told[keep]
    wanted, codes = np.unique(names, return_inverse=True)
    classes = {name: counts[name] for name in wanted.tolist()}
    n_videos = len(set(held_by.tolist()))
    if len(wanted) < 2:
        reason = (
            f"{len(wanted)} of {len(spread)} classes held by {_FEWEST_VIDEOS} videos or more; "
            "a probe needs 2"
        )
        return TaskAccuracy(
            task, classes, dict(lost), len(names), n_videos, (), None, None, (), None, None,
            len(set(kinds.tolist())), None, 0, 0, reason,
        )  # fmt: skip
    rng = np.random.default_rng(seed)
    controls = np.stack([control_labels(codes, kinds, rng) for _ in range(draws)])
    held = predict_held_out(states[keep], codes, held_by, controls, folds, seed, progress)
    score = _Score(held_by, resamples, seed)
    best = np.array(held.chosen)[held.fold]
    rows = np.arange(len(codes))
    # The chosen layers are one more column behind the layers.
    predicted = np.column_stack([held.predicted, held.predicted[rows, best]])
    guessed = np.concatenate([held.controls, held.controls[:, rows, best][:, :, None]], axis=2)
    true = score.of(codes, predicted)
    wrong = _mean_control(score, controls, guessed)
    unsaid = score.of(codes, predicted, ~told)
    over = unsaid - _mean_control(score, controls, guessed, ~told)
    found = [
        LayerAccuracy(
            score.estimate(true[:, column]),
            score.estimate(wrong[:, column]),
            score.estimate(true[:, column] - wrong[:, column]),
            score.estimate(unsaid[:, column], ~told),
        )
        for column in range(predicted.shape[1])
    ]
    majority = score.of(codes, held.majority[:, None])[:, 0]
    return TaskAccuracy(
        task=task,
        classes=classes,
        left_out=dict(lost),
        n=len(codes),
        n_videos=n_videos,
        layers=tuple(found[:-1]),
        majority=score.estimate(majority),
        chosen=found[-1],
        chosen_layers=held.chosen,
        readable_from=_first_above_zero((true - wrong)[1:, :-1]),
        seen_from=_first_above_zero(over[1:, :-1]),
        types=len(set(kinds.tolist())),
        types_met=share_met(kinds, held.fold),
        fits=held.fits,
        unfinished=held.unfinished,
    )


def _require_finite(task: str, states: NDArray) -> None:
    broken = np.argwhere(~np.isfinite(states).all(axis=2))
    if len(broken):
        sample, layer = broken[0]
        raise DataError(
            f"{task}: got {len(np.unique(broken[:, 0]))} states that are not finite (first: sample "
            f"{sample}, layer {layer}), expected numbers; record them again in a wider type"
        )


class _Score:
    """Balanced accuracy of the samples and of their bootstrap draws over videos."""

    def __init__(self, videos: NDArray, resamples: int, seed: int) -> None:
        self._codes, count = video_codes(videos)
        # The whole first, then the draws: each is a weight a video.
        self._weights = np.vstack([np.ones((1, count)), draw_weights(count, resamples, seed)])

    def of(
        self, truth: NDArray[np.intp], predicted: NDArray[np.intp], among: NDArray | None = None
    ) -> NDArray[np.float64]:
        """[1 + resample, column] of ``predicted`` [sample, column], over the samples ``among``.

        NaN where a draw holds none of them; a class that a draw does not hold is left out of it.
        """
        recalls = []
        for label in np.unique(truth if among is None else truth[among]):
            here = truth == label if among is None else (truth == label) & among
            right = np.where(here[:, None], predicted == label, np.nan)
            recalls.append(weighted_means(right, self._codes, self._weights))
        if not recalls:
            return np.full((len(self._weights), predicted.shape[1]), np.nan)
        return defined_mean(np.stack(recalls), axis=0)

    def estimate(self, draws: NDArray[np.float64], among: NDArray | None = None) -> Estimate:
        """Of [1 + resample]."""
        codes = self._codes if among is None else self._codes[among]
        n, videos = len(codes), len(np.unique(codes))
        if not n:
            return Estimate(None, None, 0, 0, "no sample with a defined value")
        if videos < 2:
            return Estimate(float(draws[0]), None, n, videos, ONE_VIDEO)
        return Estimate(float(draws[0]), interval(draws[1:]), n, videos)


def _mean_control(
    score: _Score, truths: NDArray, guesses: NDArray, among: NDArray | None = None
) -> NDArray[np.float64]:
    """Mean over draws of the control labels, [1 + resample, column]."""
    pairs = zip(truths, guesses, strict=True)
    return np.mean([score.of(truth, guess, among) for truth, guess in pairs], axis=0)


def _first_above_zero(draws: NDArray[np.float64]) -> int | None:
    """First column of ``draws`` [resample, layer] that is above zero at a level for all layers."""
    layers = draws.shape[1]
    for layer in range(layers):
        found = interval(draws[:, layer], 1 - 0.05 / layers)
        if found is not None and found[0] > 0:
            return layer
    return None
