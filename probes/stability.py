"""Would other videos give the same ranking? Split-half reliability and agreement of rankings.

Half of the videos rank the pairs, the other half ranks them again; how far the two agree says more
about a ranking than any single score. The same numbers compare two runs: seeds, checkpoints, data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.bootstrap import defined_mean, percentile_interval
from probes.ranks import rankdata

__all__ = ["Agreement", "HeldOut", "SplitHalf", "agreement", "split_half"]


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings of the same pairs are. None where undefined."""

    spearman: float | None
    """Rank correlation of the scores."""
    jaccard: float | None
    """Pairs among the best k of both, over pairs among the best k of either."""
    kuncheva: float | None
    """Overlap of the best k beyond chance: 1 for the same pairs, 0 as by chance (2007)."""


@dataclass(frozen=True)
class HeldOut:
    """The best k pairs by one half of the videos, scored on the other half; means over splits.

    What is chosen as the best on some videos looks better there than it is: only the score on
    videos that had no say in the choice is fair.
    """

    chosen: float | None
    """Mean score of the k pairs on the videos that chose them."""
    held_out: float | None
    """The same pairs on the other videos."""
    same_layers: float | None
    """On the other videos, what as many heads of the same layers score that are drawn blindly."""
    gain: float | None
    """How much better the pairs are there than those of the same layers; for a criterion whose low
    scores are good, how much lower."""
    gain_range: tuple[float, float] | None
    """95 % of the splits have a gain in between."""


@dataclass(frozen=True)
class SplitHalf:
    """Agreement of two random halves of the videos, over many splits."""

    median: Agreement
    low: Agreement
    """2.5 % of the splits lie below."""
    high: Agreement
    reliability: float | None
    """Spearman-Brown: what the median correlation of halves says of all videos, 2 r / (1 + r)."""
    held_out: HeldOut
    k: int
    splits: int


def agreement(first: NDArray[np.float64], second: NDArray[np.float64], k: int) -> Agreement:
    """Compare two rankings.

    Args:
        first: merits of the pairs, higher is better, [pair]; NaN where undefined.
        second: of the same pairs, in the same order.
        k: size of the best set. Ties at its edge go to the first pair.

    Raises:
        ValueError: other numbers of pairs.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} pairs; rankings of one model agree")
    values = _compare(first[None], second[None], k)
    return _agreement([float(v[0]) for v in values])


def split_half(
    means: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    n_videos: int,
    layer: NDArray[np.intp],
    k: int,
    low_first: bool = False,
    splits: int = 200,
    seed: int = 0,
) -> SplitHalf | None:
    """Rank by one half of the videos and by the other, again and again.

    Args:
        means: from weights of the videos [draw, video], 1 inside a half and 0 outside, to scores of
            the pairs [draw, pair].
        n_videos: number of videos; an odd one leaves one video out of each split.
        layer: of each pair, [pair].
        k: size of the best set.
        low_first: whether low values are good.
        splits: random splits.
        seed: of the splits.

    Returns:
        None with fewer than four videos: a half would be a single one.
    """
    half = n_videos // 2
    if half < 2:
        return None
    rng = np.random.default_rng(seed)
    order = np.argsort(rng.random((splits, n_videos)), axis=1)
    halves = []
    for chosen in (order[:, :half], order[:, half : 2 * half]):
        weights = np.zeros((splits, n_videos))
        np.put_along_axis(weights, chosen, 1.0, axis=1)
        halves.append(means(weights))
    first, second = ((-x if low_first else x) for x in halves)
    values = np.stack(_compare(first, second, k), axis=1)
    low, high = percentile_interval(values)
    middle = [_median(column) for column in values.T]
    r = middle[0]
    reliability = 2 * r / (1 + r) if np.isfinite(r) and r > -1 else None
    return SplitHalf(
        _agreement(middle), _agreement(list(low)), _agreement(list(high)), reliability,
        _held_out(halves[0], halves[1], layer, k, low_first), k, splits,
    )  # fmt: skip


def _held_out(
    choosing: NDArray[np.float64],
    other: NDArray[np.float64],
    layer: NDArray[np.intp],
    k: int,
    low_first: bool,
) -> HeldOut:
    """Of scores of both halves, [split, pair]."""
    both = np.isfinite(choosing) & np.isfinite(other)
    merit = np.where(both, -choosing if low_first else choosing, -np.inf)
    best = np.argsort(-merit, axis=1, kind="stable")[:, :k]
    enough = both.sum(axis=1) >= k
    if not enough.any():
        return HeldOut(None, None, None, None, None)
    best, choosing, other = best[enough], choosing[enough], other[enough]
    layers = np.stack([defined_mean(other[:, layer == i], axis=1) for i in range(layer.max() + 1)])
    rows = np.arange(len(best))[:, None]
    chosen, held, same = choosing[rows, best], other[rows, best], layers.T[rows, layer[best]]
    gain = (held - same).mean(axis=1) * (-1.0 if low_first else 1.0)
    low, high = percentile_interval(gain)
    return HeldOut(
        float(chosen.mean()), float(held.mean()), float(same.mean()), float(gain.mean()),
        (float(low), float(high)),
    )  # fmt: skip


def _compare(
    first: NDArray[np.float64], second: NDArray[np.float64], k: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Spearman, Jaccard and Kuncheva of each row of merits [split, pair]."""
    both = np.isfinite(first) & np.isfinite(second)
    n = both.sum(axis=1)
    merits = [np.where(both, x, -np.inf) for x in (first, second)]
    # Negated, what is unknown ranks last and the ranks of the known are those among themselves.
    ranks = [rankdata(-x, axis=1) for x in merits]
    middle = (n + 1)[:, None] / 2  # the mean of n ranks, with or without ties
    one, two = (np.where(both, x - middle, 0.0) for x in ranks)
    spread = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    spearman, jaccard, kuncheva = (np.full(len(first), np.nan) for _ in range(3))
    np.divide((one * two).sum(axis=1), spread, out=spearman, where=spread > 0)
    best = np.zeros((2, *first.shape), dtype=bool)
    for chosen, merit in zip(best, merits, strict=True):
        order = np.argsort(-merit, axis=1, kind="stable")
        np.put_along_axis(chosen, order[:, :k], True, axis=1)
    shared = best.all(axis=0).sum(axis=1)
    np.divide(shared, 2 * k - shared, out=jaccard, where=n >= k)
    np.divide(shared * n - k * k, k * (n - k), out=kuncheva, where=n > k)
    return np.clip(spearman, -1, 1), jaccard, kuncheva


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _agreement(values: Sequence[float]) -> Agreement:
    return Agreement(*(float(v) if np.isfinite(v) else None for v in values))
