"""How columns of scores go with one outcome: plain, with the area, and with all else held fixed.

Spearman is used because neither attention nor J&F is linear in the other; area and log area have
the same ranks.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.adjusted import (
    adjusted_correlations,
    normal_scores,
    residuals,
)
from probes.bootstrap import ONE_VIDEO, Estimate, draw_weights, interval, video_means
from probes.multiplicity import max_t_sign_flips, two_sided_p
from probes.rank_statistics import CentredRanks, partial_correlation
from probes.ranks import rankdata

__all__ = [
    "Association",
    "Samples",
    "alike",
    "correlation_draws",
    "correlation_tests",
    "estimate_of_draws",
    "pair_draws",
    "why_undefined",
]

PAIR_BUDGET = 2 * 10**8
"""Draws x samples x pairs that the intervals of single pairs may cost: a few seconds."""
BLOCK = 2 * 10**5
"""Draws x samples held at a time: 1.6 MB an array, so that the work stays in the cache."""

Label = tuple[int | None, int | None]
"""Layer and head of a column; None, None for the mean of all heads."""


@dataclass(frozen=True)
class Association:
    """How one score goes with J&F over the samples of one role."""

    layer: int | None
    """None: mean of all heads of all layers."""
    head: int | None
    """None with a layer: mean of the layer's heads."""
    spearman: Estimate
    pearson: float | None
    partial: Estimate
    """Spearman given the mask area."""
    adjusted: Estimate
    """Given all that :attr:`Correlation.held_fixed` names; of normal scores, see
    :func:`probes.adjusted.normal_scores`."""
    p: float | None = None
    """Of the rank correlation if there were none, corrected for the number of layers or pairs it is
    among: signs of the videos' shares in it are flipped (max-T)."""
    partial_p: float | None = None
    """The same with the mask area taken out of both."""
    adjusted_p: float | None = None
    """The same with all that is held fixed taken out of both."""


@dataclass(frozen=True)
class Samples:
    """The rows of one role that have a J&F; what every score is correlated with."""

    jf: NDArray
    """[sample]"""
    area: NDArray
    """Mask area, [sample]."""
    known: NDArray
    """All that is held fixed for every score, [sample, variable]."""
    codes: NDArray
    """Video of each, [sample]."""
    n_videos: int
    seed: int

    def take(self, rows: NDArray) -> "Samples":
        """Some of the rows, of the same videos."""
        return replace(
            self, jf=self.jf[rows], area=self.area[rows], known=self.known[rows],
            codes=self.codes[rows],
        )  # fmt: skip

    def associate(
        self,
        scores: NDArray,
        labels: Sequence[Label],
        resamples: int,
        own: NDArray | None = None,
    ) -> tuple[Association, ...]:
        """One association for each column of ``scores`` [sample, column].

        ``own`` [sample, column] is held fixed, too, for the column of the same place.
        """
        result: list[Association | None] = [None] * len(labels)
        defined = np.isfinite(scores) & np.isfinite(self.area)[:, None]
        for rows, columns in alike(defined):
            chosen = self.take(rows)._group(
                scores[rows][:, columns],
                [labels[c] for c in columns],
                resamples,
                None if own is None else own[rows][:, columns],
            )
            for column, association in zip(columns, chosen, strict=True):
                result[column] = association
        return tuple(item for item in result if item is not None)

    def _group(
        self, scores: NDArray, labels: Sequence[Label], resamples: int, own: NDArray | None
    ) -> list[Association]:
        """Columns that are defined in all rows."""
        n, n_videos = len(scores), len(np.unique(self.codes))
        reasons = [why_undefined(column, self.jf) for column in scores.T]
        usable = [index for index, reason in enumerate(reasons) if not reason]
        tested = None
        if usable:
            tested = self._tested(
                scores[:, usable], resamples, None if own is None else own[:, usable]
            )
        associations = []
        for index, ((layer, head), reason) in enumerate(zip(labels, reasons, strict=True)):
            if reason or tested is None:
                none = Estimate(None, None, n, n_videos, reason)
                associations.append(Association(layer, head, none, None, none, none))
                continue
            column = usable.index(index)
            estimates, ps = [], []
            for name, (value, draws, p) in tested.items():
                point = float(value[column])
                why = self._no_value(name, scores[:, index], point)
                estimates.append(
                    Estimate(None, None, n, n_videos, why)
                    if why
                    else estimate_of_draws(
                        point, None if draws is None else draws[:, column], n, n_videos
                    )
                )
                ps.append(None if why or not np.isfinite(p[column]) else float(p[column]))
            pearson = float(np.corrcoef(scores[:, index], self.jf)[0, 1])
            associations.append(
                Association(
                    layer, head, estimates[0], pearson if np.isfinite(pearson) else None,
                    estimates[1], estimates[2], *ps,
                )
            )  # fmt: skip
        return associations

    def _tested(
        self, scores: NDArray, resamples: int, own: NDArray | None
    ) -> dict[str, tuple[NDArray, NDArray | None, NDArray]]:
        """Value [column], draws [draw, column] and corrected p [column] of the three kinds."""
        one = np.ones((1, self.n_videos))
        several = len(np.unique(self.codes)) > 1
        weights = draw_weights(self.n_videos, resamples, self.seed) if several else None
        plain, partial = _correlations(scores, self.jf, self.area, np.ones((len(scores), 1)))

        def adjusted(draws: NDArray) -> NDArray:
            return adjusted_correlations(scores, self.jf, self.known, own, self.codes, draws)

        draws = None if weights is None else self._draws(scores, weights)
        ps = self._corrected(scores, resamples, own)
        return {
            "plain": (plain[0], None if draws is None else draws[0], ps[0]),
            "partial": (partial[0], None if draws is None else draws[1], ps[1]),
            "adjusted": (adjusted(one)[0], None if weights is None else adjusted(weights), ps[2]),
        }

    def _draws(self, scores: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
        step = max(1, BLOCK // len(scores))

        def block(start: int) -> tuple[NDArray, NDArray]:
            part = weights[start : start + step].T[self.codes]
            return _correlations(scores, self.jf, self.area, part)

        # numpy lets other threads run while it sorts and sums.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = list(pool.map(block, range(0, len(weights), step)))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _corrected(
        self, scores: NDArray, flips: int, own: NDArray | None
    ) -> tuple[NDArray, NDArray, NDArray]:
        """p-values of each column, corrected for all columns: plain, given area, given all."""
        ranks, jf = rankdata(scores, axis=0), rankdata(self.jf)[:, None]
        area = rankdata(self.area)[:, None]
        known = normal_scores(self.known)
        mine, outcome = (residuals(normal_scores(x), known) for x in (scores, self.jf[:, None]))
        if own is not None:
            other = residuals(normal_scores(own), known)
            length = (other**2).sum(axis=0)
            mine, outcome = (
                x - other * (other * x).sum(axis=0) / np.where(length > 1e-9, length, np.inf)
                for x in (mine, outcome)
            )

        def test(columns: NDArray, outcome: NDArray, held: int) -> NDArray:
            shares = _shares(columns, outcome, self.codes)
            return max_t_sign_flips(shares, flips, self.seed, held)

        return (
            test(residuals(ranks, area[:, :0]), residuals(jf, area[:, :0]), 0),
            test(residuals(ranks, area), residuals(jf, area), 1),
            test(mine, outcome, known.shape[1] + (own is not None)),
        )

    def _no_value(self, kind: str, score: NDArray, value: float) -> str | None:
        if kind == "plain":
            return None
        if kind == "partial" and np.ptp(self.area) == 0:
            return "the mask area is the same in all samples: nothing to control for"
        fixed = 1 if kind == "partial" else self.known.shape[1] + 1
        if len(score) < fixed + 3:
            return f"{len(score)} samples: a partial correlation needs at least {fixed + 3}"
        videos = len(np.unique(self.codes))
        if kind == "adjusted" and 1 < videos < fixed + 3:
            return f"{videos} videos: with so much held fixed at least {fixed + 3} are needed"
        if not np.isfinite(value):
            what = "the mask area does" if kind == "partial" else "what is held fixed does"
            return f"the score or J&F orders the samples exactly as {what}"
        return None


def correlation_draws(
    scores: NDArray,
    outcome: NDArray,
    area: NDArray | None,
    codes: NDArray,
    weights: NDArray,
) -> NDArray[np.float64]:
    """Spearman correlation with the outcome in every draw; ranks are taken once, over all samples.

    Args:
        scores: [sample, column]; a column's samples without a value are left out.
        outcome: [sample]; samples without one are left out.
        area: held fixed, [sample]; samples without one are left out. Nothing is when None.
        codes: video of each sample, [sample].
        weights: how often each draw holds each video, [draw, video].

    Returns:
        [draw, column]; NaN where undefined.
    """
    found = np.full((len(weights), scores.shape[1]), np.nan)
    usable = np.isfinite(outcome)
    known = np.zeros((len(outcome), 0)) if area is None else area[:, None]
    usable = usable & np.isfinite(known).all(axis=1)
    for rows, columns in alike(np.isfinite(scores) & usable[:, None]):
        if rows.sum() >= 3:
            found[:, columns] = adjusted_correlations(
                scores[rows][:, columns],
                outcome[rows],
                known[rows],
                None,
                codes[rows],
                weights,
                rankdata,
            )
    return found


def pair_draws(resamples: int, samples: int, pairs: int) -> int:
    """How many of the draws single pairs get: all, or at least 200 in a large capture."""
    return int(min(resamples, max(200, PAIR_BUDGET // max(1, samples * pairs))))


def correlation_tests(
    scores: NDArray,
    outcome: NDArray,
    area: NDArray | None,
    codes: NDArray,
    flips: int,
    seed: int,
) -> tuple[NDArray, NDArray]:
    """p-values of "no rank correlation with the outcome" for each column.

    Args:
        scores: [sample, column]; a column's samples without a value are left out.
        outcome: [sample].
        area: taken out of both, [sample]; nothing is when None.
        codes: video of each sample, [sample].
        flips: random signs of the videos' shares in the covariance.
        seed: of the signs.

    Returns:
        [column] both: corrected for the number of columns (max-T), and of each by itself (Student's
        t over videos). NaN where undefined.
    """
    corrected, alone = np.full((2, scores.shape[1]), np.nan)
    usable = np.isfinite(outcome)
    if area is not None:
        usable = usable & np.isfinite(area)
    for rows, columns in alike(np.isfinite(scores) & usable[:, None]):
        if rows.sum() < 3:
            continue
        known = np.zeros((int(rows.sum()), 0)) if area is None else rankdata(area[rows])[:, None]
        ranks = rankdata(scores[rows][:, columns], axis=0)
        shares = _shares(
            residuals(ranks, known), residuals(rankdata(outcome[rows])[:, None], known), codes[rows]
        )
        corrected[columns] = max_t_sign_flips(shares, flips, seed, known.shape[1])
        alone[columns] = two_sided_p(shares)
    return corrected, alone


def _shares(columns: NDArray, outcome: NDArray, codes: NDArray) -> NDArray[np.float64]:
    """What each video adds to the covariance of columns and outcome, [video, column].

    Both centred, [sample, column] or [sample, 1]. Where there is no correlation a video's share is
    as likely with the other sign, whatever its samples have in common: the score form of the wild
    cluster bootstrap (Kline and Santos 2012). Next to nothing is nothing, so that rounding has no
    sign.
    """
    names, numbered = np.unique(codes, return_inverse=True)
    products = columns * outcome
    size = np.sqrt((columns**2).sum(axis=0) * (outcome**2).sum(axis=0))
    sums = video_means(products, numbered, len(names)) * np.bincount(numbered)[:, None]
    return np.where(np.abs(sums) > 1e-12 * np.maximum(size, 1e-300), sums, 0.0)


def alike(defined: NDArray[np.bool_]) -> list[tuple[NDArray, list[int]]]:
    """Columns that are defined in the same rows share their draws: mostly all of them."""
    groups: dict[bytes, list[int]] = {}
    for column in range(defined.shape[1]):
        groups.setdefault(defined[:, column].tobytes(), []).append(column)
    return [(defined[:, columns[0]], columns) for columns in groups.values()]


def _correlations(
    scores: NDArray, outcome: NDArray, known: NDArray, weights: NDArray
) -> tuple[NDArray, NDArray]:
    """Plain and partial Spearman, each [draw, column], of weights [sample, draw]."""
    jf, area = CentredRanks(outcome, weights), CentredRanks(known, weights)
    yz = jf.correlation(area)
    plain_parts, partial_parts = [], []
    for score in scores.T:
        ranks = CentredRanks(score, weights)
        xy = ranks.correlation(jf)
        plain_parts.append(xy)
        partial_parts.append(partial_correlation(xy, ranks.correlation(area), yz))
    return np.stack(plain_parts, axis=1), np.stack(partial_parts, axis=1)


def estimate_of_draws(value: float, draws: NDArray | None, n: int, n_videos: int) -> Estimate:
    """A correlation with the interval of its draws [draw], or why there is none.

    ``draws`` is None where there is one video.
    """
    if draws is None:
        return Estimate(float(value), None, n, n_videos, ONE_VIDEO)
    if np.isfinite(draws).mean() < 0.5:
        reason = "most resamples leave nothing to correlate: too few videos"
        return Estimate(float(value), None, n, n_videos, reason)
    return Estimate(float(value), interval(draws), n, n_videos)


def why_undefined(score: NDArray, jf: NDArray) -> str | None:
    """Why two columns [sample] have no correlation; None if they have one."""
    if len(score) < 3:
        return f"{len(score)} samples with a defined value: at least 3 are needed"
    if np.ptp(score) == 0:
        return "the score is the same in all samples"
    if np.ptp(jf) == 0:
        return "J&F is the same in all samples"
    return None
