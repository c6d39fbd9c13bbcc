"""Which layer-head pair scores highest, and how sure that order is.

Every score, every rank and the chance to be among the best k come with their spread over videos
(:mod:`probes.bootstrap`). A rank without its interval is not a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    defined_mean,
    draw_weights,
    interval,
    percentile_interval,
    video_codes,
    weighted_means,
)
from probes.rank_statistics import ranks_and_top
from reviosa.errors import ConfigError

if TYPE_CHECKING:
    from probes.store import CaptureStore, HeadTable

__all__ = ["CRITERIA", "Criterion", "RankedPair", "Ranking", "rank", "rank_pairs", "role_names"]

ROLE_OPTIONS = {
    "act": ("actor",),
    "actor": ("actor",),
    "tar": ("target",),
    "target": ("target",),
    "both": ("actor", "target"),
}


@dataclass(frozen=True)
class Criterion:
    """One way to score a pair."""

    name: str
    """Column of the capture store."""
    title: str
    description: str
    kind: str
    """"where": where the head looks, no truth needed; "ground truth": against the true mask."""
    unit: str


CRITERIA: dict[str, Criterion] = {
    item.name: item
    for item in (
        Criterion(
            "visual_mass",
            "Visual attention",
            "share of the role token's attention that falls on vision tokens (the paper's choice)",
            "where",
            "share, 0 to 1",
        ),
        Criterion(
            "text_mass",
            "Text attention",
            "share of the role token's attention that falls on all other tokens",
            "where",
            "share, 0 to 1",
        ),
        Criterion(
            "mask_share",
            "Mask share",
            "share of the attention on vision tokens that lies on the object of the role",
            "ground truth",
            "share, 0 to 1",
        ),
        Criterion(
            "lift",
            "Lift over area",
            "mask share over mask area: 1 for a head that looks everywhere alike",
            "ground truth",
            "ratio, 1 = no preference",
        ),
    )
}


@dataclass(frozen=True)
class RankedPair:
    """One layer-head pair in a ranking. None where undefined."""

    layer: int
    head: int
    score: float | None
    """Mean over samples (for "both": mean of the two roles' means)."""
    ci: tuple[float, float] | None
    rank: float | None
    """1 = highest; tied pairs share their average rank."""
    rank_ci: tuple[float, float] | None
    p_top_k: float | None
    """Share of the resamples with this pair among the best k; ties at the edge count in part."""


@dataclass(frozen=True)
class Ranking:
    """All pairs by one criterion and role, best first."""

    criterion: str
    role: str
    """"actor", "target" or "both"."""
    kind: str
    pairs: tuple[RankedPair, ...]
    """Best first; tied pairs in the order of layer, then head; undefined pairs last."""
    baseline: Estimate
    """Mean of all pairs: what a pair drawn blindly would score."""
    uniform: float | None
    """Score of a head that looks everywhere alike, where that is known."""
    top_k: int
    n_samples: int
    n_videos: int
    n_failed: int
    """Rows left out: the role has a truth but its token was not emitted."""
    resamples: int
    seed: int
    reason: str | None = None
    """Why intervals are missing."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores as float64 [layer, head], NaN where undefined."""
        layers = 1 + max((pair.layer for pair in self.pairs), default=-1)
        heads = 1 + max((pair.head for pair in self.pairs), default=-1)
        scores = np.full((layers, heads), np.nan)
        for pair in self.pairs:
            if pair.score is not None:
                scores[pair.layer, pair.head] = pair.score
        return scores

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; intervals as [low, high], undefined numbers as null."""
        return plain(self)


def role_names(role: str) -> tuple[str, ...]:
    """Roles that a command-line role means: "act", "tar" or "both" (long names too).

    Raises:
        ConfigError: another name.
    """
    if role not in ROLE_OPTIONS:
        raise ConfigError(f"unknown role {role!r}; choose act, tar or both")
    return ROLE_OPTIONS[role]


def rank(
    store: "CaptureStore",
    criterion: str = "visual_mass",
    role: str = "both",
    resamples: int = 2000,
    seed: int = 0,
    top_k: int = 4,
) -> Ranking:
    """Rank the pairs of a capture run; see :func:`rank_pairs`.

    Raises:
        ConfigError: unknown criterion or role, or a number below 1.
    """
    if criterion not in CRITERIA:
        raise ConfigError(f"unknown criterion {criterion!r}; choose one of {', '.join(CRITERIA)}")
    for name, value in (("resamples", resamples), ("top_k", top_k)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be at least 1")
    tables = [store.head_array(criterion, name) for name in role_names(role)]
    return rank_pairs(tables, resamples, seed, top_k)


def rank_pairs(
    tables: "Sequence[HeadTable]", resamples: int = 2000, seed: int = 0, top_k: int = 4
) -> Ranking:
    """Rank all pairs by their mean score.

    Args:
        tables: one role's table, or both roles' of one metric: then the score is the unweighted
            mean of the two roles' means (of the one that is defined, where the other is not), so
            that the role with more expressions does not decide alone. Videos are drawn jointly.
        resamples: bootstrap draws over videos.
        seed: of the draws.
        top_k: k of ``p_top_k``.

    Returns:
        The ranking. No sample: all scores None. One video: scores and ranks, no intervals.
        A pair that is undefined in a resample counts as last there.
    """
    tables = list(tables)
    metric = tables[0].metric
    role = tables[0].role if len(tables) == 1 else "both"
    shape = tables[0].values.shape[1:]
    rows = [np.isfinite(t.flat).any(axis=1) for t in tables]
    kept = list(zip(tables, rows, strict=True))
    values = [table.flat[keep] for table, keep in kept]
    names = [np.asarray(table.video_ids)[keep] for table, keep in kept]
    n_samples = sum(len(value) for value in values)
    codes, n_videos = video_codes(np.concatenate(names)) if n_samples else (np.zeros(0, int), 0)
    split = np.split(codes, np.cumsum([len(value) for value in values])[:-1])
    roles = list(zip(values, split, strict=True))

    def role_mean(weights: NDArray) -> NDArray:
        means = [_means(value, code, weights) for value, code in roles]
        return defined_mean(np.stack(means), axis=0)

    scores = role_mean(np.ones((1, n_videos)))[0]
    reason, draws = None, None
    if n_samples == 0:
        reason = "no sample with a defined value"
    elif n_videos < 2:
        reason = ONE_VIDEO
    else:
        draws = role_mean(draw_weights(n_videos, resamples, seed))
    return Ranking(
        criterion=metric,
        role=role,
        kind=CRITERIA[metric].kind if metric in CRITERIA else "where",
        pairs=_ranked(scores, draws, shape, top_k),
        baseline=_baseline(scores, draws, n_samples, n_videos, reason),
        uniform=_uniform(tables, rows),
        top_k=top_k,
        n_samples=n_samples,
        n_videos=n_videos,
        n_failed=sum(int((~np.asarray(t.emitted, bool)).sum()) for t in tables),
        resamples=resamples,
        seed=seed,
        reason=reason,
    )


def _means(values: NDArray, codes: NDArray, weights: NDArray) -> NDArray[np.float64]:
    if not len(values):
        return np.full((len(weights), values.shape[1]), np.nan)
    return weighted_means(values, codes, weights)


def _uniform(tables: "list[HeadTable]", rows: Sequence[Any]) -> float | None:
    if tables[0].metric == "lift":
        return 1.0
    if tables[0].metric != "mask_share":
        return None
    means = [
        float(np.mean(area))
        for table, keep in zip(tables, rows, strict=True)
        if len(area := np.asarray(table.mask_area)[keep])
    ]
    return float(np.mean(means)) if means else None


def _baseline(
    scores: NDArray, draws: NDArray | None, n: int, n_videos: int, reason: str | None
) -> Estimate:
    defined = np.isfinite(scores)
    if not defined.any():
        return Estimate(None, None, n, n_videos, reason or "no pair with a defined value")
    value = float(scores[defined].mean())
    if draws is None:
        return Estimate(value, None, n, n_videos, reason)
    return Estimate(value, interval(defined_mean(draws, axis=1)), n, n_videos)


def _ranked(
    scores: NDArray, draws: NDArray | None, shape: tuple[int, ...], top_k: int
) -> tuple[RankedPair, ...]:
    ranks, _ = ranks_and_top(scores[None], top_k)
    if draws is not None:
        low, high = percentile_interval(draws)
        draw_ranks, inside = ranks_and_top(draws, top_k)
        rank_low, rank_high = percentile_interval(draw_ranks, method="inverted_cdf")
        p_top = inside.mean(axis=0)
    pairs = []
    for index in np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable"):
        layer, head = divmod(int(index), shape[1])
        score, place = float(scores[index]), float(ranks[0, index])
        if not np.isfinite(score):
            pair = RankedPair(layer, head, None, None, None, None, None)
        elif draws is None:
            pair = RankedPair(layer, head, score, None, place, None, None)
        else:
            ci = (float(low[index]), float(high[index]))
            rank_ci = (float(rank_low[index]), float(rank_high[index]))
            pair = RankedPair(layer, head, score, ci, place, rank_ci, float(p_top[index]))
        pairs.append(pair)
    return tuple(pairs)
