"""Fit linear probes on some videos and let them predict on others."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from probes.bootstrap import video_codes

__all__ = ["STRENGTHS", "HeldOut", "balanced_accuracy", "predict_held_out", "video_folds"]

STRENGTHS: Final = (0.001, 0.01, 0.1, 1.0)
"""scikit-learn's C that is chosen from, for each layer in each fold, strongest penalty first."""

_INNER_FOLDS: Final = 3
_MOST_STEPS: Final = 1000


@dataclass(frozen=True)
class HeldOut:
    """Predictions on videos that the probe which made them was not fitted on."""

    fold: NDArray[np.intp]
    """[sample], in which fold each was held out."""
    predicted: NDArray[np.intp]
    """[sample, layer]"""
    controls: NDArray[np.intp]
    """[draw, sample, layer], predictions of the control labels."""
    majority: NDArray[np.intp]
    """[sample], the class that most samples of the other folds have."""
    chosen: tuple[int, ...]
    """Of each fold, the layer that was best within the videos the probe was fitted on."""
    fits: int
    """Fits whose predictions are in it or that a choice rests on."""
    unfinished: int
    """How many of them had not converged after 1,000 steps; they are used as they were then."""


def video_folds(
    labels: NDArray[np.intp], videos: Sequence[str] | NDArray, count: int, seed: int
) -> NDArray[np.intp]:
    """Cut samples into folds by whole videos, with the classes spread as evenly as that allows.

    Videos are taken in random order; each goes to that fold, among those with the fewest videos,
    which holds the least of its classes.

    Args:
        labels: [sample], classes from 0.
        videos: [sample].
        count: number of folds; at most as many as videos are made.
        seed: of the order.

    Returns:
        [sample], folds from 0.
    """
    codes, number = video_codes(videos)
    count = min(count, number)
    has = np.zeros((number, labels.max() + 1))
    np.add.at(has, (codes, labels), 1)
    has /= has.sum(axis=0).clip(1)  # a rare class weighs as much as a frequent one
    held, sizes = np.zeros((count, has.shape[1])), np.zeros(count, dtype=int)
    fold = np.zeros(number, dtype=np.intp)
    for video in np.random.default_rng(seed).permutation(number):
        free = np.flatnonzero(sizes == sizes.min())
        best = free[int(np.argmin(held[free] @ has[video]))]
        fold[video] = best
        held[best] += has[video]
        sizes[best] += 1
    return fold[codes]


def balanced_accuracy(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    """Mean over the classes in ``truth`` of the share of their samples that are right."""
    right = truth == predicted
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


def predict_held_out(
    states: NDArray,
    labels: NDArray[np.intp],
    videos: Sequence[str] | NDArray,
    controls: NDArray[np.intp],
    folds: int = 5,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> HeldOut:
    """Predict every sample by probes that were fitted on other videos.

    A probe is a multinomial logistic regression with an L2 penalty on states that are standardised
    by the mean and spread of what it is fitted on; classes weigh alike. Strength of the penalty
    and best layer are chosen within the videos that a fold is fitted on, again by whole videos (3
    inner folds). Probes of the control labels take the strength of the true ones.

    Args:
        states: [sample, layer, hidden], finite.
        labels: [sample], classes from 0.
        videos: [sample], two of them at least.
        controls: control labels, [draw, sample].
        folds: number of outer folds.
        seed: of the folds.
        progress: called with (layers of folds done, all of them).
    """
    codes, _ = video_codes(videos)
    fold = video_folds(labels, codes, folds, seed)
    layers = states.shape[1]
    predicted = np.zeros((len(labels), layers), dtype=np.intp)
    control = np.zeros((*controls.shape, layers), dtype=np.intp)
    majority = np.zeros(len(labels), dtype=np.intp)
    chosen: list[int] = []
    tally = _Tally()
    numbers = [int(number) for number in np.unique(fold)]
    # The products are small: more threads wait for each other.
    with threadpool_limits(1):
        for number in numbers:
            train, test = fold != number, fold == number
            majority[test] = np.bincount(labels[train]).argmax()
            inner = video_folds(labels[train], codes[train], _INNER_FOLDS, seed + 1)
            quality: list[float] = []
            for layer in range(layers):
                x, y = states[:, layer].astype(np.float64), labels
                strength, score = _choose(x[train], y[train], inner, tally)
                quality.append(score)
                old, new = _standardised(x[train], x[test])
                predicted[test, layer] = tally.fit(old, y[train], new, strength)
                for draw, wrong in enumerate(controls):
                    control[draw, test, layer] = tally.fit(old, wrong[train], new, strength)
                if progress is not None:
                    progress(number * layers + layer + 1, len(numbers) * layers)
            chosen.append(int(np.argmax(quality)))
    return HeldOut(fold, predicted, control, majority, tuple(chosen), tally.fits, tally.unfinished)


def _choose(
    x: NDArray, y: NDArray[np.intp], inner: NDArray[np.intp], tally: "_Tally"
) -> tuple[float, float]:
    """The strength whose held-out predictions in the inner folds are best, and how good they are.

    The strongest penalty of equal ones; 0.01, and a quality of 0, where one video is all there is.
    """
    if inner.max() == 0:
        return STRENGTHS[1], 0.0
    guessed = np.zeros((len(STRENGTHS), len(y)), dtype=np.intp)
    for number in range(inner.max() + 1):
        train, test = inner != number, inner == number
        old, new = _standardised(x[train], x[test])
        for row, strength in enumerate(STRENGTHS):
            guessed[row, test] = tally.fit(old, y[train], new, strength)
    scores = [balanced_accuracy(y, row) for row in guessed]
    best = int(np.argmax(scores))
    return STRENGTHS[best], scores[best]


def _standardised(train: NDArray, test: NDArray) -> tuple[NDArray, NDArray]:
    scaler = StandardScaler().fit(train)
    # Arrays in, arrays out; the hints allow for frames and sparse matrices.
    return np.asarray(scaler.transform(train)), np.asarray(scaler.transform(test))


@dataclass
class _Tally:
    """Fits, and counts how many were made and how many did not converge."""

    fits: int = 0
    unfinished: int = 0

    def fit(
        self, train: NDArray, labels: NDArray[np.intp], test: NDArray, strength: float
    ) -> NDArray[np.intp]:
        """Predictions for ``test`` [sample, hidden] of a probe fitted on ``train``."""
        if (labels == labels[0]).all():
            return np.full(len(test), labels[0])
        probe = LogisticRegression(C=strength, class_weight="balanced", max_iter=_MOST_STEPS)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ConvergenceWarning)
            probe.fit(train, labels)
        self.fits += 1
        self.unfinished += any(issubclass(x.category, ConvergenceWarning) for x in told)
        return np.asarray(probe.predict(test))
