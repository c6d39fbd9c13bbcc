"""Ranks and Spearman correlations of many bootstrap draws at once.

A draw of a cluster bootstrap repeats each sample a whole number of times. Its average ranks follow
from those counts alone: a group of equal values with W copies, after C copies of smaller values,
has the rank ``C + (W + 1) / 2``. So every draw needs one cumulative sum in an order that is sorted
once, and the result is the same as ranking the drawn sample anew.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from probes.ranks import rankdata

__all__ = [
    "CentredRanks",
    "fixed_rank_correlations",
    "partial_correlation",
    "ranks_and_top",
    "spearman_draws",
    "weighted_ranks",
]


def weighted_ranks(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average ranks of ``values`` in every draw.

    Args:
        values: [sample], finite.
        weights: [sample, draw], how often each draw holds each sample. Samples come first so that
            ordering them moves whole rows of memory.

    Returns:
        [sample, draw], 1 = lowest; without meaning where the weight is 0. All weights 1 gives
        scipy's ``rankdata``.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = weights[order]
    if len(starts) < len(values):
        counts = np.add.reduceat(counts, starts, axis=0)
    middle = np.cumsum(counts, axis=0)
    middle -= (counts - 1) / 2
    if len(starts) < len(values):
        middle = np.repeat(middle, np.diff(np.r_[starts, len(values)]), axis=0)
    ranks = np.empty_like(middle)
    ranks[order] = middle
    return ranks


class CentredRanks:
    """Ranks of one variable in every draw, minus their mean, ready to be correlated.

    Args:
        values: [sample], finite.
        weights: [sample, draw], whole numbers.
    """

    def __init__(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        total = weights.sum(axis=0)
        self.ranks = weighted_ranks(values, weights) - (total + 1) / 2
        self.weighted = self.ranks * weights
        self.variance = np.einsum("sd,sd->d", self.ranks, self.weighted)

    def correlation(self, other: "CentredRanks") -> NDArray[np.float64]:
        """Spearman correlation per draw [draw]; NaN where a variable is constant in the draw."""
        scale = np.sqrt(self.variance * other.variance)
        covariance = np.einsum("sd,sd->d", self.ranks, other.weighted)
        # Ranks are multiples of a half: a variance below a quarter can only be rounding.
        defined = (self.variance > 0.25) & (other.variance > 0.25)
        result = np.full(len(scale), np.nan)
        np.divide(covariance, scale, out=result, where=defined)
        return np.clip(result, -1.0, 1.0)


def spearman_draws(
    first: NDArray[np.float64], second: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Spearman correlation [draw] of ``first`` and ``second`` [sample], weights [sample, draw]."""
    return CentredRanks(first, weights).correlation(CentredRanks(second, weights))


def partial_correlation(
    xy: NDArray[np.float64], xz: NDArray[np.float64], yz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correlation of x and y given z, from the three plain ones, elementwise.

    ``(r_xy - r_xz r_yz) / sqrt((1 - r_xz^2) (1 - r_yz^2))``; NaN where x or y follows z exactly.
    """
    rest = (1 - xz**2) * (1 - yz**2)
    result = np.full(np.shape(rest), np.nan)
    np.divide(xy - xz * yz, np.sqrt(np.maximum(rest, 0)), out=result, where=rest > 1e-12)
    return np.clip(result, -1.0, 1.0)


def fixed_rank_correlations(
    scores: NDArray[np.float64],
    outcome: NDArray[np.float64],
    area: NDArray[np.float64],
    codes: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spearman correlation with the outcome, plain and given the area, in every draw.

    Ranks are taken once, over all samples, and draws weigh them: a draw then needs a handful of
    sums of each video. The same as :func:`probes.association.correlation_draws` finds, an order of
    magnitude faster.

    Args:
        scores: [sample, column], finite.
        outcome: [sample], finite.
        area: [sample], finite.
        codes: the video of each sample, [sample].
        weights: how often each draw holds each video, [draw, video].

    Returns:
        [draw, column] both; NaN where a variable does not vary in the draw, the area explains one,
        or the draw holds fewer than 3 different samples, of the second 4.
    """
    columns = np.column_stack([outcome, area, scores])
    ranks = rankdata(columns)
    # Of mean 0 and size 1, so that sums of squares keep their digits.
    ranks = (ranks - ranks.mean(axis=0)) / np.maximum(ranks.std(axis=0), 1e-12)
    y, z, x = ranks[:, [0]], ranks[:, [1]], ranks[:, 2:]
    width = x.shape[1]
    one = np.ones((len(ranks), 1))
    of_sample = np.column_stack([one, y, z, y * y, z * z, y * z, x, x * x, x * y, x * z])
    matrix = csr_array(
        (one[:, 0], (codes, np.arange(len(ranks)))), shape=(weights.shape[1], len(ranks))
    )
    sums = weights @ (matrix @ of_sample)
    means = sums / np.maximum(sums[:, [0]], 1)
    ey, ez, eyy, ezz, eyz = (means[:, [i]] for i in range(1, 6))
    ex, exx, exy, exz = (means[:, 6 + i * width : 6 + (i + 1) * width] for i in range(4))

    def correlation(ab: NDArray, a: NDArray, b: NDArray, aa: NDArray, bb: NDArray) -> NDArray:
        first, second = np.broadcast_arrays(aa - a * a, bb - b * b)
        defined = (first > 1e-9) & (second > 1e-9)
        found = np.full(first.shape, np.nan)
        scale = np.sqrt(np.where(defined, first * second, 1.0))
        return np.clip(np.divide(ab - a * b, scale, out=found, where=defined), -1.0, 1.0)

    plain = correlation(exy, ex, ey, exx, eyy)
    partial = partial_correlation(
        plain, correlation(exz, ex, ez, exx, ezz), correlation(eyz, ey, ez, eyy, ezz)
    )
    held = (weights > 0).astype(float) @ np.bincount(codes, minlength=weights.shape[1])
    return (
        np.where(held[:, None] >= 3, plain, np.nan),
        np.where(held[:, None] >= 4, partial, np.nan),
    )


def ranks_and_top(scores: NDArray, top_k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average ranks (1 = highest) and membership of the best k, for scores [resample, pair].

    Membership is 0 or 1, and for pairs tied across the edge the chance to be inside if the tie
    were broken blindly: all equal gives k / pairs. NaN ranks last, and is tied with other NaN.
    """
    negative = -np.nan_to_num(scores, nan=-np.inf)
    first = rankdata(negative, method="min", axis=1)
    last = rankdata(negative, method="max", axis=1)
    inside = np.clip((top_k - first + 1) / (last - first + 1), 0.0, 1.0)
    return (first + last) / 2, inside
