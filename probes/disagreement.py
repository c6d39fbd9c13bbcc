"""Samples that do not fit the rule: masks better or worse than the attention would have it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.ranks import rankdata

__all__ = ["rank_gap"]


def rank_gap(quality: ArrayLike, looked: ArrayLike) -> NDArray[np.float64]:
    """How much better a sample stands by ``quality`` than by ``looked``, -1 to 1.

    ``(rank of quality - rank of looked) / (n - 1)`` over the samples that have both, ties at their
    mean rank. 1: the best mask, and attention elsewhere more than in any other sample; -1: the
    worst mask although no sample is looked at more; 0: both ranks agree.

    Args:
        quality: [sample], for example J&F.
        looked: [sample], for example a pair's mask share.

    Returns:
        [sample]; NaN where one of them is not finite, and for all with fewer than two samples.
    """
    first, second = np.asarray(quality, dtype=float), np.asarray(looked, dtype=float)
    gap = np.full(first.shape, np.nan)
    both = np.isfinite(first) & np.isfinite(second)
    n = int(both.sum())
    if n > 1:
        gap[both] = (rankdata(first[both]) - rankdata(second[both])) / (n - 1)
    return gap
