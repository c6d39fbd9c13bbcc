"""Many pairs are tested at once: p-values that say so.

With 336 pairs an uncorrected test at 5 % finds some 17 of them by chance alone (ANALYSIS 3.2).
Max-T holds the chance of *any* false finding at the level, and so does Holm, who needs nothing but
the p-values; Benjamini-Hochberg holds the expected share of false ones among the findings. The best
of many scores is also the luckiest: shrinkage takes that back.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

__all__ = [
    "benjamini_hochberg",
    "holm",
    "max_t_sign_flips",
    "shrink",
    "smallest_detectable",
    "two_sided_p",
]

_BLOCK = 512


def max_t_sign_flips(
    differences: NDArray[np.float64], flips: int = 2000, seed: int = 0, held: int = 0
) -> NDArray[np.float64]:
    """Two-sided p-values of "the mean over videos is 0", corrected for the number of columns.

    Under the null a video's differences are as likely with the other sign; all columns of a video
    are flipped together, so that their dependence is kept. Each flip gives the largest |t| over all
    columns (Westfall and Young 1993); a column's p is the share of flips whose largest is at least
    its own, the observed data counted in.

    Args:
        differences: [video, column]; a video without a value (NaN) is left out of that column.
        flips: random sign flips.
        seed: of the flips.
        held: variables that were taken out of the differences. What is left varies less than the
            errors did, so the observed |t| is shrunk by ``sqrt((videos - held) / videos)``: with 6
            of them and 60 videos something is found in 5.3 % of null data sets at 5 %, and in
            7.5 % without.

    Returns:
        [column], 1 / (flips + 1) to 1. NaN for a column with fewer than two videos or no spread, or
        no more videos than variables.

    Raises:
        ValueError: ``flips`` below 1.
    """
    if flips < 1:
        raise ValueError(f"{flips} flips; at least 1 is needed")
    defined = np.isfinite(differences)
    values = np.where(defined, differences, 0.0)
    count = defined.sum(axis=0)
    squares = (values**2).sum(axis=0)
    # All equal and not zero has no spread either: every t would be infinite.
    spread = squares - values.sum(axis=0) ** 2 / np.maximum(count, 1)
    usable = (count > max(1, held)) & (spread > 1e-12 * squares)
    result = np.full(values.shape[1], np.nan)
    if not usable.any():
        return result
    values, count, squares = values[:, usable], count[usable], squares[usable]

    def largest(signs: NDArray[np.float64]) -> NDArray[np.float64]:
        """|t| of each column for rows of signs [flip, video]."""
        means = signs @ values / count
        variance = np.maximum(squares / count - means**2, 1e-12 * squares / count)
        return np.abs(means) / np.sqrt(variance / (count - 1))

    observed = largest(np.ones((1, len(values))))[0] * np.sqrt((count - held) / count)
    rng = np.random.default_rng(seed)
    reached = np.zeros(len(observed))
    for start in range(0, flips, _BLOCK):
        signs = rng.choice([-1.0, 1.0], size=(min(_BLOCK, flips - start), len(values)))
        highest = largest(signs).max(axis=1)
        # A tiny slack: the identity among the flips must count as reaching itself.
        reached += (highest[:, None] >= observed * (1 - 1e-9)).sum(axis=0)
    result[usable] = (reached + 1) / (flips + 1)
    return result


def two_sided_p(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Student's t-test of "the mean over videos is 0" for each column by itself.

    Args:
        differences: [video, column]; NaN is left out.

    Returns:
        [column]; NaN with fewer than two videos or no spread.
    """
    defined = np.isfinite(differences)
    count = defined.sum(axis=0)
    values = np.where(defined, differences, 0.0)
    mean = values.sum(axis=0) / np.maximum(count, 1)
    variance = np.where(defined, values - mean, 0.0) ** 2
    spread = variance.sum(axis=0) / np.maximum(count - 1, 1)
    usable = (count > 1) & (spread > 1e-12 * mean**2) & (spread > 0)
    t = np.abs(mean) / np.sqrt(np.where(usable, spread, 1.0) / np.maximum(count, 1))
    return np.where(usable, 2 * stdtr(np.maximum(count - 1, 1), -t), np.nan)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest false discovery rate at which each hypothesis is found (1995), NaN left out.

    ``q_(i) = min_{j >= i} m p_(j) / j`` over the m defined p-values in rising order.
    """
    values = np.asarray(p, dtype=np.float64)
    result = np.full(values.shape, np.nan)
    defined = np.flatnonzero(np.isfinite(values))
    order = defined[np.argsort(values[defined], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    result[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return result


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest level at which each hypothesis is found when no false finding is to be made (1979).

    ``q_(i) = max_{j <= i} (m - j + 1) p_(j)``, at most 1, over the m defined p-values in rising
    order; NaN is left out and stays. Holds whichever way the tests depend on each other.
    """
    values = np.asarray(p, dtype=np.float64)
    result = np.full(values.shape, np.nan)
    defined = np.flatnonzero(np.isfinite(values))
    order = defined[np.argsort(values[defined], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return result


def shrink(scores: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores drawn towards their mean by as much as their noise suggests.

    ``m + (s - m) t / (t + e^2)`` with the mean m of all pairs and ``t = max(0, var(s) -
    mean(e^2))``, what is left of the spread without the noise (empirical Bayes, Morris 1983).

    Args:
        scores: [pair], NaN left out.
        errors: standard error of each, [pair].

    Returns:
        [pair]; all at the mean where noise explains the whole spread.
    """
    known = np.isfinite(scores) & np.isfinite(errors)
    result = np.full(scores.shape, np.nan)
    if known.sum() < 2:
        return np.where(known, scores, np.nan)
    values, noise = scores[known], errors[known] ** 2
    real = max(0.0, float(values.var(ddof=1) - noise.mean()))
    total = real + noise
    weight = np.divide(real, total, out=np.ones_like(total), where=total > 0)
    result[known] = values.mean() + weight * (values - values.mean())
    return result


def smallest_detectable(
    videos: int, tests: int = 1, level: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest correlation that so many videos can show, with Bonferroni's correction.

    ``tanh((z_(1 - level / 2 tests) + z_power) / sqrt(videos - 3))`` by Fisher's transformation; one
    expression a video is assumed, more of them help a little.

    Returns:
        0 to 1; None with fewer than four videos.
    """
    if videos < 4:
        return None
    reach = float(ndtri(1 - level / (2 * tests)) + ndtri(power))
    return float(np.tanh(reach / np.sqrt(videos - 3)))
