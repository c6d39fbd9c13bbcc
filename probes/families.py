"""Do different ways to choose heads choose the same ones? Agreement of rankings, with intervals.

Looking at the video, looking at the object, mattering to first order, going with better masks and
costing masks when silenced are five questions (ANALYSIS 2). Here their answers are correlated over
all pairs of one model, never averaged. The same comparison serves two runs: seeds, checkpoints, or
a model against itself with shuffled weights (Adebayo et al., arXiv 1810.03292).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.bootstrap import Estimate, draw_weights, interval, video_codes, weighted_means
from probes.criteria import CRITERIA
from probes.ranks import rankdata
from probes.scores import score_draws
from probes.stability import Agreement, agreement
from reviosa.errors import ConfigError

if TYPE_CHECKING:
    from probes.store import HeadTable

__all__ = [
    "REPRESENTATIVES",
    "FamilyAgreement",
    "Merits",
    "RunAgreement",
    "compare_families",
    "compare_runs",
    "merits_of_effects",
    "merits_of_tables",
]

REPRESENTATIVES = ("visual_mass", "auroc", "attribution_patching", "jf_correlation_area")
"""One criterion of each family; of the mask family one that is free of the area."""


@dataclass(frozen=True)
class Merits:
    """How good each pair is by one measure, higher is better."""

    family: str
    title: str
    values: NDArray[np.float64]
    """[pair], layer by layer; NaN where undefined."""
    draws: NDArray[np.float64] | None
    """Over resampled videos, [draw, pair]; None with fewer than two videos."""
    n_videos: int


@dataclass(frozen=True)
class FamilyAgreement:
    """Spearman correlation, over the pairs of a model, of every two measures."""

    role: str
    families: tuple[str, ...]
    titles: tuple[str, ...]
    cells: tuple[tuple[Estimate, ...], ...]
    """Row i, column j < i: measure i with measure j; ``n`` is the number of pairs."""
    resamples: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


@dataclass(frozen=True)
class RunAgreement:
    """One criterion's ranking in two runs."""

    criterion: str
    role: str
    spearman: Estimate
    """Over all pairs."""
    best: Agreement
    """Of the best ``k``, as :func:`probes.stability.agreement` counts them."""
    k: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def merits_of_tables(tables: "Sequence[HeadTable]", resamples: int = 2000, seed: int = 0) -> Merits:
    """By a criterion of one role, or of both together, turned so that high is good."""
    criterion = CRITERIA[tables[0].metric]
    scores, draws, n_videos = score_draws(tables, resamples, seed)
    sign = -1.0 if criterion.low_first else 1.0
    turned = None if draws is None else sign * draws
    return Merits(criterion.kind, criterion.title, sign * scores, turned, n_videos)


def merits_of_effects(
    kind: str,
    pairs: Sequence[tuple[int, int]],
    change: NDArray[np.float64],
    videos: NDArray,
    shape: tuple[int, int],
    resamples: int = 2000,
    seed: int = 0,
) -> Merits:
    """By what silencing a pair costs.

    Args:
        kind: what :func:`probes.causal.ablate` did; with ``role-swap`` a pair is good that moves
            the mask to the other object, else one that lowers J&F.
        pairs: single pairs that were silenced.
        change: of each expression, [expression, pair].
        videos: of each expression, str [expression].
        shape: layers and heads of the model.
        resamples: draws over videos.
        seed: of the draws.
    """
    index = [layer * shape[1] + head for layer, head in pairs]
    total = shape[0] * shape[1]
    sign = 1.0 if kind == "role-swap" else -1.0
    values, draws, n_videos = np.full(total, np.nan), None, 0
    if len(change):
        codes, n_videos = video_codes(videos)
        values[index] = sign * weighted_means(change, codes, np.ones((1, n_videos)))[0]
    if n_videos > 1:
        draws = np.full((resamples, total), np.nan)
        weights = draw_weights(n_videos, resamples, seed)
        draws[:, index] = sign * weighted_means(change, codes, weights)
    title = "Roles exchanged" if kind == "role-swap" else f"Silenced ({kind})"
    return Merits("causal", title, values, draws, n_videos)


def compare_families(role: str, measures: Sequence[Merits], resamples: int) -> FamilyAgreement:
    """Every two measures of the same pairs.

    Where both were taken on the same videos the draws are the same ones, so that what the videos
    have in common is kept. An interval of a correlation of noisy scores lies somewhat below the
    value, since a draw adds noise of its own.
    """
    cells = tuple(
        tuple(_spearman(first, second) for second in measures[:row])
        for row, first in enumerate(measures)
    )
    return FamilyAgreement(
        role, tuple(m.family for m in measures), tuple(m.title for m in measures), cells, resamples
    )


def compare_runs(
    first: "Sequence[HeadTable]",
    second: "Sequence[HeadTable]",
    k: int = 4,
    resamples: int = 2000,
    seed: int = 0,
) -> RunAgreement:
    """The same criterion and roles in two runs.

    Args:
        first: one role's table, or both roles' of one criterion.
        second: those of the other run.
        k: how many best pairs are compared.
        resamples: draws over videos; the same ones for both where they hold as many videos.
        seed: of the draws.

    Raises:
        ConfigError: the models have other numbers of layers or heads.
    """
    shapes = [tables[0].values.shape[1:] for tables in (first, second)]
    if shapes[0] != shapes[1]:
        sizes = " and ".join(f"{layers} layers of {heads} heads" for layers, heads in shapes)
        raise ConfigError(f"got runs of models with {sizes}; compare runs of models of one shape")
    merits = [merits_of_tables(tables, resamples, seed) for tables in (first, second)]
    role = first[0].role if len(first) == 1 else "both"
    best = agreement(merits[0].values, merits[1].values, k)
    return RunAgreement(first[0].metric, role, _spearman(*merits), best, k)


def _spearman(first: Merits, second: Merits) -> Estimate:
    both = np.isfinite(first.values) & np.isfinite(second.values)
    n, n_videos = int(both.sum()), min(first.n_videos, second.n_videos)
    if n < 3:
        return Estimate(None, None, n, n_videos, f"{n} pairs with both: at least 3 are needed")
    value = _rows(first.values[None, both], second.values[None, both])[0]
    if not np.isfinite(value):
        return Estimate(None, None, n, n_videos, "one of them is the same for all pairs")
    if first.draws is None or second.draws is None:
        return Estimate(float(value), None, n, n_videos, "an interval needs at least 2 videos")
    count = min(len(first.draws), len(second.draws))
    draws = _rows(first.draws[:count, both], second.draws[:count, both])
    if np.isfinite(draws).mean() < 0.5:
        reason = "most resamples leave a pair without a value, so there is no interval"
        return Estimate(float(value), None, n, n_videos, reason)
    return Estimate(float(value), interval(draws), n, n_videos)


def _rows(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """Spearman of each row, [draw]; NaN for rows that are constant or hold NaN."""
    whole = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    ranks = [rankdata(np.nan_to_num(x), axis=1) for x in (first, second)]
    x, y = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    size = (x**2).sum(axis=1) * (y**2).sum(axis=1)
    usable = whole & (size > 0)
    result = np.full(len(x), np.nan)
    np.divide((x * y).sum(axis=1), np.sqrt(size), out=result, where=usable)
    return result
