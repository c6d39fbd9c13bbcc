"""Does attention on the object go with better masks? Rank correlation with J&F, and its controls.

Association, not cause: a large object is easier to segment *and* catches more attention by chance.
The partial correlation given the mask area and the controls tell the two apart. Spearman is used
because neither quantity is linear in the other; area and log area have the same ranks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from probes._json import plain
from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    defined_mean,
    draw_weights,
    interval,
    video_codes,
    video_means,
)
from probes.multiplicity import max_r_permutations, smallest_detectable
from probes.rank_statistics import CentredRanks, partial_correlation
from probes.ranking import role_names
from probes.store import CaptureStore, HeadTable
from reviosa.errors import ConfigError

__all__ = ["Association", "Correlation", "correlate", "correlate_tables"]

PAIR_BUDGET = 2 * 10**8
"""Draws x samples x pairs that the intervals of single pairs may cost: a few seconds."""
BLOCK = 2 * 10**5
"""Draws x samples held at a time: 1.6 MB an array, so that the work stays in the cache."""


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
    p: float | None = None
    """Of the rank correlation over videos if there were none, corrected for the number of layers
    or pairs it is among (max-T permutation of J&F between videos)."""
    partial_p: float | None = None
    """The same with the mask area taken out of both."""


@dataclass(frozen=True)
class Correlation:
    """Correlation of a head metric with the J&F of the same role."""

    metric: str
    outcome: str
    role: str
    overall: Association
    layers: tuple[Association, ...]
    pairs: tuple[Association, ...]
    """Layer by layer, head by head. Intervals are not corrected for their number, ``p`` is."""
    controls: dict[str, Association]
    """"mask_area": knows nothing of attention; "visual_mass": knows nothing of the mask; "lift":
    mask share with the area divided out."""
    n: int
    n_videos: int
    detectable: float | None
    """Smallest correlation that so many videos show with 80 % power, one test at 5 %."""
    pair_detectable: float | None
    """The same when all pairs are tested."""
    n_excluded: int
    """Rows left out: the role was not emitted, or its J&F is undefined."""
    resamples: int
    pair_resamples: int
    """Draws behind the intervals of single pairs; fewer than ``resamples`` in a large capture."""
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def correlate(
    store: CaptureStore, role: str = "actor", resamples: int = 2000, seed: int = 0
) -> Correlation:
    """Correlate the mask share of every pair, layer and of all heads with J&F.

    Raises:
        ConfigError: unknown role, or "both": the roles differ in J&F and in attention, so that
            pooling them would show a correlation between roles, not between samples.
    """
    name, *others = role_names(role)
    if others:
        raise ConfigError("correlations are computed role by role; choose act or tar")
    share, visual, lift = (
        store.head_array(metric, name) for metric in ("mask_share", "visual_mass", "lift")
    )
    return correlate_tables(share, visual, lift, resamples, seed)


def correlate_tables(
    share: HeadTable,
    visual: HeadTable | None = None,
    lift: HeadTable | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Correlate ``share`` with its J&F, with intervals from a cluster bootstrap over videos.

    Args:
        share: the metric of interest, one role.
        visual: visual mass of the same rows, for the control; left out when None.
        lift: lift of the same rows, likewise.
        resamples: draws for the overall number, the layers and the controls. Single pairs get as
            many as :data:`PAIR_BUDGET` allows, at least 200.
        seed: of the draws.

    Returns:
        The record. Fewer than 3 samples, or a constant variable: None with the reason. One video:
        values without intervals. Ties share their average rank.
    """
    keep = np.asarray(share.emitted, bool) & np.isfinite(share.jf)
    values = share.values[keep]
    _, layers, heads = values.shape
    names = np.asarray(share.video_ids)[keep]
    codes, n_videos = video_codes(names) if keep.any() else (np.zeros(0, int), 0)
    size = max(1, layers * heads * len(values))
    pair_resamples = int(min(resamples, max(200, PAIR_BUDGET // size)))
    flat = share.flat[keep]
    samples = _Samples(share.jf[keep], share.mask_area[keep], codes, n_videos, seed)
    controls = {
        "mask_area": samples.associate(share.mask_area[keep, None], [(None, None)], resamples)[0]
    }
    for table in (visual, lift):
        if table is not None:
            mean = defined_mean(table.flat[keep], axis=1)[:, None]
            controls[table.metric] = samples.associate(mean, [(None, None)], resamples)[0]
    return Correlation(
        metric=share.metric,
        outcome="jf",
        role=share.role,
        overall=samples.associate(defined_mean(flat, axis=1)[:, None], [(None, None)], resamples)[
            0
        ],
        layers=samples.associate(
            defined_mean(values, axis=2), [(layer, None) for layer in range(layers)], resamples
        ),
        pairs=samples.associate(
            flat, [divmod(index, heads) for index in range(layers * heads)], pair_resamples
        ),
        controls=controls,
        n=len(values),
        n_videos=n_videos,
        detectable=smallest_detectable(n_videos),
        pair_detectable=smallest_detectable(n_videos, max(1, layers * heads)),
        n_excluded=int((~keep).sum()),
        resamples=resamples,
        pair_resamples=pair_resamples,
        seed=seed,
    )


@dataclass(frozen=True)
class _Samples:
    """The rows of one role that have a J&F; what every score is correlated with."""

    jf: NDArray
    area: NDArray
    codes: NDArray
    n_videos: int
    seed: int

    def associate(
        self, scores: NDArray, labels: Sequence[tuple[int | None, int | None]], resamples: int
    ) -> tuple[Association, ...]:
        """One association for each column of ``scores`` [sample, column]."""
        result: list[Association | None] = [None] * len(labels)
        defined = np.isfinite(scores) & np.isfinite(self.area)[:, None]
        # Columns that are defined on the same rows share their draws: mostly all of them.
        groups: dict[bytes, list[int]] = {}
        for column in range(len(labels)):
            groups.setdefault(defined[:, column].tobytes(), []).append(column)
        for columns in groups.values():
            rows = defined[:, columns[0]]
            subset = _Samples(
                self.jf[rows], self.area[rows], self.codes[rows], self.n_videos, self.seed
            )
            chosen = subset._group(
                scores[rows][:, columns], [labels[c] for c in columns], resamples
            )
            for column, association in zip(columns, chosen, strict=True):
                result[column] = association
        return tuple(item for item in result if item is not None)

    def _group(
        self, scores: NDArray, labels: Sequence[tuple[int | None, int | None]], resamples: int
    ) -> list[Association]:
        n, n_videos = len(scores), len(np.unique(self.codes))
        reasons = [_undefined(column, self.jf) for column in scores.T]
        usable = [index for index, reason in enumerate(reasons) if not reason]
        if usable:
            points = self._correlations(scores[:, usable], np.ones((n, 1)))
            draws = self._draws(scores[:, usable], resamples) if n_videos > 1 else None
            plain_p, partial_p = self._corrected(scores[:, usable], resamples)
        associations = []
        for index, ((layer, head), reason) in enumerate(zip(labels, reasons, strict=True)):
            if reason:
                none = Estimate(None, None, n, n_videos, reason)
                associations.append(Association(layer, head, none, None, none))
                continue
            column = usable.index(index)
            plain_value, partial_value = (float(values[0, column]) for values in points)
            plain_draws, partial_draws = (v[:, column] for v in draws) if draws else (None, None)
            why = _no_partial(scores[:, index], self.area, partial_value)
            pearson = float(np.corrcoef(scores[:, index], self.jf)[0, 1])
            associations.append(
                Association(
                    layer,
                    head,
                    _estimate(plain_value, plain_draws, n, n_videos),
                    pearson if np.isfinite(pearson) else None,
                    Estimate(None, None, n, n_videos, why)
                    if why
                    else _estimate(partial_value, partial_draws, n, n_videos),
                    _defined(plain_p[column]),
                    None if why else _defined(partial_p[column]),
                )
            )
        return associations

    def _corrected(self, scores: NDArray, permutations: int) -> tuple[NDArray, NDArray]:
        """p-values of plain and partial correlations of each column, corrected for all columns."""
        ranks = rankdata(scores, axis=0)
        jf, area = rankdata(self.jf), rankdata(self.area)
        _, codes = np.unique(self.codes, return_inverse=True)
        videos = int(codes.max()) + 1

        def test(columns: NDArray, outcome: NDArray) -> NDArray:
            means = video_means(np.column_stack([columns, outcome]), codes, videos)
            return max_r_permutations(means[:, :-1], means[:, -1], permutations, self.seed)

        left = test(_without(ranks, area), _without(jf[:, None], area)[:, 0])
        return test(ranks, jf), left

    def _draws(self, scores: NDArray, resamples: int) -> tuple[NDArray, NDArray]:
        per_video = draw_weights(self.n_videos, resamples, self.seed)
        step = max(1, BLOCK // len(scores))
        parts = [
            self._correlations(scores, per_video[start : start + step].T[self.codes])
            for start in range(0, resamples, step)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _correlations(self, scores: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Plain and partial Spearman, each [draw, column]."""
        jf, area = CentredRanks(self.jf, weights), CentredRanks(self.area, weights)
        yz = jf.correlation(area)
        plain_parts, partial_parts = [], []
        for score in scores.T:
            ranks = CentredRanks(score, weights)
            xy = ranks.correlation(jf)
            plain_parts.append(xy)
            partial_parts.append(partial_correlation(xy, ranks.correlation(area), yz))
        return np.stack(plain_parts, axis=1), np.stack(partial_parts, axis=1)


def _without(columns: NDArray, known: NDArray) -> NDArray:
    """Columns [sample, column] with what goes along with ``known`` [sample] taken out."""
    deviation = known - known.mean()
    centred = columns - columns.mean(axis=0)
    spread = deviation @ deviation
    return centred if spread == 0 else centred - np.outer(deviation, deviation @ centred / spread)


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _estimate(value: float, draws: NDArray | None, n: int, n_videos: int) -> Estimate:
    if draws is None:
        return Estimate(float(value), None, n, n_videos, ONE_VIDEO)
    if np.isfinite(draws).mean() < 0.5:
        reason = "most resamples leave nothing to correlate: too few videos"
        return Estimate(float(value), None, n, n_videos, reason)
    return Estimate(float(value), interval(draws), n, n_videos)


def _undefined(score: NDArray, jf: NDArray) -> str | None:
    if len(score) < 3:
        return f"{len(score)} samples with a defined value: at least 3 are needed"
    if np.ptp(score) == 0:
        return "the score is the same in all samples"
    if np.ptp(jf) == 0:
        return "J&F is the same in all samples"
    return None


def _no_partial(score: NDArray, area: NDArray, value: float) -> str | None:
    if np.ptp(area) == 0:
        return "the mask area is the same in all samples: nothing to control for"
    if len(score) < 4:
        return f"{len(score)} samples: a partial correlation needs at least 4"
    if not np.isfinite(value):
        return "the score or J&F orders the samples exactly as the mask area does"
    return None
