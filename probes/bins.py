"""Mean J&F of samples whose score lies in one bin: what a scatter plot's eye is led by."""

import numpy as np
from numpy.typing import NDArray

from probes.bootstrap import estimate_means
from probes.results import ScatterBin

__all__ = ["quantile_bins"]

MAX_BINS = 8
BIN_SIZE = 8
"""Samples that a bin holds at least, about."""


def quantile_bins(
    score: NDArray[np.float64],
    jf: NDArray[np.float64],
    videos: NDArray,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[ScatterBin, ...]:
    """Bins of about as many samples each, equal scores in the same one.

    Args:
        score: [sample], finite.
        jf: [sample].
        videos: of each sample, [sample]. All bins share the draws over them.
        resamples: draws.
        seed: of the draws.

    Returns:
        None of them with fewer than 16 samples: the points say more than a mean of a handful.
    """
    if len(score) < 2 * BIN_SIZE:
        return ()
    count = min(MAX_BINS, len(score) // BIN_SIZE)
    edges = np.unique(np.quantile(score, np.linspace(0, 1, count + 1)))
    place = np.searchsorted(edges[1:-1], score, side="right")
    inside = [place == index for index in np.unique(place)]
    columns = np.column_stack([np.where(rows, jf, np.nan) for rows in inside])
    estimates = estimate_means(columns, videos, resamples, seed)
    return tuple(
        ScatterBin(
            float(score[rows].min()), float(score[rows].max()), float(score[rows].mean()), estimate
        )
        for rows, estimate in zip(inside, estimates, strict=True)
    )
