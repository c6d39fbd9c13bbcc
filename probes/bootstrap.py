"""Cluster bootstrap over videos: how far a number would move with other videos.

Expressions of one video share its frames, so they are not independent; the video is the unit that
is drawn with replacement (ANALYSIS 3.1). A draw is a vector of how often each video was taken,
which turns every mean of the draw into a ratio of two matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

__all__ = [
    "Estimate",
    "cluster_bootstrap_means",
    "defined_mean",
    "defined_spread",
    "draw_weights",
    "estimate_mean",
    "estimate_means",
    "interval",
    "percentile_interval",
    "video_codes",
    "video_means",
    "weighted_means",
]

ONE_VIDEO = "1 video: an interval over videos needs at least 2"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or the reason why there is none."""

    value: float | None
    """None where undefined."""
    ci: tuple[float, float] | None
    """95 % percentile interval of the cluster bootstrap; None where undefined."""
    n: int
    """Samples with a defined value."""
    n_videos: int
    """Videos they come from."""
    reason: str | None = None
    """Why ``value`` or ``ci`` is None."""


def video_codes(videos: Sequence[str] | NDArray) -> tuple[NDArray[np.intp], int]:
    """Number the videos of ``videos`` [sample] in sorted order: (code [sample], count).

    Sorted, so that neither the order of the samples nor a resumed capture changes a draw.
    """
    names, codes = np.unique(np.asarray(videos), return_inverse=True)
    return codes.reshape(-1), len(names)


@lru_cache(maxsize=4)
def draw_weights(videos: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each video is in each resample: [resample, video], rows sum to ``videos``.

    Read-only, as the same draws serve every score of an analysis.

    Raises:
        ValueError: fewer than one video or resample.
    """
    if videos < 1 or resamples < 1:
        raise ValueError(f"{videos} videos and {resamples} resamples; both must be at least 1")
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(videos, np.full(videos, 1 / videos), size=resamples)
    weights = weights.astype(np.float64)
    weights.setflags(write=False)
    return weights


def weighted_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of ``values`` in each resample, NaN values left out: ratio of sums.

    Args:
        values: [sample, ...].
        codes: [sample], the video's column in ``weights``.
        weights: [resample, video].

    Returns:
        [resample, ...]; NaN where a resample holds no defined value.
    """
    values = np.asarray(values, dtype=np.float64)
    tail = values.shape[1:]
    sums, counts = _sums(values.reshape(len(values), -1), codes, weights.shape[1])
    # Counts of columns without a gap are all the same one.
    total = weights @ (counts[:, :1] if counts.strides[1] == 0 else counts)
    total = np.broadcast_to(total, (len(weights), sums.shape[1]))
    means = np.full(total.shape, np.nan)
    np.divide(weights @ sums, total, out=means, where=total > 0)
    return means.reshape(len(weights), *tail)


def video_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], videos: int
) -> NDArray[np.float64]:
    """Mean of each video's samples, NaN values left out.

    Args:
        values: [sample, column].
        codes: [sample], the video of each.
        videos: how many there are.

    Returns:
        [video, column]; NaN where a video has no defined value.
    """
    sums, counts = _sums(np.asarray(values, dtype=np.float64), codes, videos)
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _sums(
    values: NDArray[np.float64], codes: NDArray[np.intp], videos: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the defined values of each video, [video, column] both."""
    one = np.ones(len(codes))
    by_video = csr_array((one, (codes, np.arange(len(codes)))), shape=(videos, len(codes)))
    defined = np.isfinite(values)
    if defined.all():
        counts = np.bincount(codes, minlength=videos).astype(np.float64)
        return by_video @ values, np.broadcast_to(counts[:, None], (videos, values.shape[1]))
    return by_video @ np.where(defined, values, 0.0), by_video @ defined.astype(np.float64)


def defined_mean(values: ArrayLike, axis: int) -> NDArray[np.float64]:
    """Mean along ``axis`` with NaN left out; NaN, without a warning, where nothing is defined."""
    array = np.asarray(values, dtype=np.float64)
    defined = np.isfinite(array)
    if array.shape[axis] and defined.all():
        return array.mean(axis=axis)
    count = defined.sum(axis=axis)
    total = np.where(defined, array, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def defined_spread(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation over the first axis with NaN left out: the bootstrap's standard error."""
    mean = defined_mean(draws, axis=0)
    return np.sqrt(defined_mean((draws - mean) ** 2, axis=0))


def cluster_bootstrap_means(
    values: ArrayLike,
    videos: Sequence[str] | NDArray,
    resamples: int = 2000,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Bootstrap means over videos.

    Args:
        values: [sample, ...]; NaN is left out.
        videos: [sample], the video of each sample.
        resamples: number of draws.
        seed: of the draws; the same seed and the same number of videos give the same draws.

    Returns:
        [resample, ...]. With one video all draws are equal, which says nothing about other videos.

    Raises:
        ValueError: no sample, or lengths that differ.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array) or len(array) != len(videos):
        raise ValueError(f"{len(array)} values for {len(videos)} videos; give one video a sample")
    codes, count = video_codes(videos)
    return weighted_means(array, codes, draw_weights(count, resamples, seed))


def percentile_interval(
    draws: ArrayLike,
    confidence: float = 0.95,
    method: Literal["linear", "inverted_cdf"] = "linear",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval along the first axis: (low [...], high [...]).

    ``method`` as in :func:`numpy.percentile`; "inverted_cdf" keeps to values that occur, as ranks
    ask for. NaN draws are left out; an entry without any defined draw is NaN.
    """
    array = np.asarray(draws, dtype=np.float64)
    levels = [50 * (1 - confidence), 50 * (1 + confidence)]
    if np.isfinite(array).all():
        low, high = np.percentile(array, levels, axis=0, method=method)
        return low, high
    # Column by column: np.nanpercentile warns on all-NaN columns and is slower still.
    flat = array.reshape(len(array), -1)
    bounds = np.full((2, flat.shape[1]), np.nan)
    for column in range(flat.shape[1]):
        defined = flat[np.isfinite(flat[:, column]), column]
        if len(defined):
            bounds[:, column] = np.percentile(defined, levels, method=method)
    low, high = bounds.reshape(2, *array.shape[1:])
    return low, high


def interval(draws: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float] | None:
    """Interval of one number's ``draws`` [resample]; None where no draw is defined."""
    low, high = percentile_interval(draws, confidence)
    return (float(low), float(high)) if np.isfinite(low) else None


def estimate_mean(
    values: ArrayLike,
    videos: Sequence[str] | NDArray,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Mean of ``values`` [sample] with its interval over videos; see :func:`estimate_means`."""
    array = np.asarray(values, dtype=np.float64).reshape(-1, 1)
    return estimate_means(array, videos, resamples, seed, confidence)[0]


def estimate_means(
    values: ArrayLike,
    videos: Sequence[str] | NDArray,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[Estimate, ...]:
    """Mean of each column of ``values`` [sample, column] with its interval over videos.

    No defined value: value and interval None. One video: interval None, as resampling it would
    give a width of 0. NaN is left out and not counted in ``n``.
    """
    array = np.asarray(values, dtype=np.float64)
    names = np.asarray(videos)
    defined = np.isfinite(array)
    rows = defined.any(axis=1)
    array, names, defined = array[rows], names[rows], defined[rows]
    if not len(array):
        none = Estimate(None, None, 0, 0, "no sample with a defined value")
        return (none,) * array.shape[1]
    codes, count = video_codes(names)
    means = weighted_means(array, codes, np.ones((1, count)))[0]
    low, high = percentile_interval(
        weighted_means(array, codes, draw_weights(count, resamples, seed)), confidence
    )
    estimates = []
    for column, mean in enumerate(means):
        n, n_videos = int(defined[:, column].sum()), len(np.unique(codes[defined[:, column]]))
        if not n:
            estimates.append(Estimate(None, None, 0, 0, "no sample with a defined value"))
        elif n_videos < 2:
            estimates.append(Estimate(float(mean), None, n, n_videos, ONE_VIDEO))
        else:
            ci = (float(low[column]), float(high[column]))
            estimates.append(Estimate(float(mean), ci, n, n_videos))
    return tuple(estimates)
