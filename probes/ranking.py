"""Which layer-head pair scores highest, and how sure that order is.

Every score, every rank and the chance to be among the best k come with their spread over videos
(:mod:`probes.bootstrap`). A rank without its interval is not a finding, and one pair among hundreds
is above the others by chance: its p-value is corrected for their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.association import correlation_tests
from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    defined_mean,
    defined_spread,
    draw_weights,
    interval,
    percentile_interval,
    video_means,
)
from probes.criteria import CRITERIA, Criterion
from probes.multiplicity import benjamini_hochberg, max_t_sign_flips, shrink, two_sided_p
from probes.rank_statistics import ranks_and_top
from probes.scores import RoleScores, Scored
from probes.stability import SplitHalf, split_half
from reviosa.errors import ConfigError

if TYPE_CHECKING:
    from probes.store import CaptureStore, HeadTable

__all__ = ["RankedPair", "Ranking", "rank", "rank_pairs", "role_names"]

ROLE_OPTIONS = {
    "act": ("actor",),
    "actor": ("actor",),
    "tar": ("target",),
    "target": ("target",),
    "both": ("actor", "target"),
}


@dataclass(frozen=True)
class RankedPair:
    """One layer-head pair in a ranking. None where undefined."""

    layer: int
    head: int
    score: float | None
    """Mean over samples (for "both": mean of the two roles' means)."""
    ci: tuple[float, float] | None
    shrunk: float | None
    """Score drawn towards the mean pair by as much as its noise suggests: the best of many is also
    the luckiest."""
    rank: float | None
    """1 = best; tied pairs share their average rank."""
    rank_ci: tuple[float, float] | None
    p_top_k: float | None
    """Share of the resamples with this pair among the best k; ties at the edge count in part."""
    p: float | None
    """Of a score this far from the mean pair's, in the same videos, if there were no difference;
    corrected for the number of pairs (max-T). Every video counts once in it, however many samples
    it has. Of a correlation: if there were none; None for both roles together."""
    q: float | None
    """False discovery rate at which this pair is found to differ (Benjamini-Hochberg on p-values
    that are each on its own)."""


@dataclass(frozen=True)
class Ranking:
    """All pairs by one criterion and role, best first."""

    criterion: str
    equation: str
    """Of the criterion; see :class:`~probes.criteria.Criterion`."""
    role: str
    """"actor", "target" or "both"."""
    kind: str
    low_first: bool
    """Whether the lowest score is the best."""
    pairs: tuple[RankedPair, ...]
    """Best first; tied pairs in the order of layer, then head; undefined pairs last."""
    baseline: Estimate
    """Mean of all pairs: what a pair drawn blindly would score."""
    uniform: float | None
    """Score of a head that looks everywhere alike, where that is known."""
    top_k: int
    n_samples: int
    """Expressions and roles with a score."""
    n_expressions: int
    n_videos: int
    n_failed: int
    """Rows left out: the role has a truth but its token was not emitted."""
    resamples: int
    seed: int
    split_half: SplitHalf | None
    """Agreement of random halves of the videos; None with fewer than four."""
    reason: str | None = None
    """Why intervals are missing."""
    run: dict[str, str] | None = None
    """``name`` of the capture run, ``data`` and ``model``: their identities, where known."""

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

    @property
    def merits(self) -> NDArray[np.float64]:
        """Scores turned so that higher is better, float64 [layer, head]."""
        return -self.scores if self.low_first else self.scores

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; intervals as [low, high], undefined numbers as null."""
        return plain(self)


def role_names(role: str, known: Sequence[str] = ()) -> tuple[str, ...]:
    """Roles that a command-line role means: "act", "tar" or "both" (long names too).

    Args:
        role: the name.
        known: names of other query tokens, which mean themselves.

    Raises:
        ConfigError: another name.
    """
    if role in ROLE_OPTIONS:
        return ROLE_OPTIONS[role]
    if role in known:
        return (role,)
    others = "".join(f", {name}" for name in known if name not in ROLE_OPTIONS)
    raise ConfigError(f"unknown role {role!r}; choose act, tar or both{others}")


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
    tables = [store.head_array(criterion, name) for name in role_names(role, store.roles)]
    ranking = rank_pairs(tables, resamples, seed, top_k)
    known = {
        "name": store.directory.resolve().name,
        "data": (store.run.get("data") or {}).get("identity"),
        "model": (store.run.get("model") or {}).get("identity"),
    }
    return replace(ranking, run={key: str(value) for key, value in known.items() if value})


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
        The ranking. No sample: all scores None. One video: scores and ranks, no intervals and
        p-values. A pair that is undefined in a resample counts as last there.
    """
    scored = Scored(tables)
    tables, criterion, n_videos = scored.tables, scored.criterion, scored.n_videos
    rows, roles, n_samples = scored.rows, scored.roles, scored.n_samples
    shape = tables[0].values.shape[1:]
    scores = scored.scores(np.ones((1, n_videos)))[0]
    reason, draws = None, None
    if n_samples == 0:
        reason = "no sample with a defined value"
    elif n_videos < 2:
        reason = ONE_VIDEO
    else:
        draws = scored.scores(draw_weights(n_videos, resamples, seed))
    p = None if draws is None else _p_values(criterion, roles, n_videos, resamples, seed)
    layer = np.repeat(np.arange(shape[0]), shape[1])
    return Ranking(
        criterion=criterion.name,
        equation=criterion.equation,
        role=tables[0].role if len(tables) == 1 else "both",
        kind=criterion.kind,
        low_first=criterion.low_first,
        pairs=_ranked(scores, draws, p, shape, top_k, criterion.low_first),
        baseline=_baseline(scores, draws, n_samples, n_videos, reason),
        uniform=_uniform(tables, rows),
        top_k=top_k,
        n_samples=n_samples,
        n_expressions=scored.n_expressions,
        n_videos=n_videos,
        n_failed=sum(int((~np.asarray(t.emitted, bool)).sum()) for t in tables),
        resamples=resamples,
        seed=seed,
        split_half=split_half(scored.scores, n_videos, layer, top_k, criterion.low_first, seed=seed)
        if draws is not None
        else None,
        reason=reason,
    )


def _p_values(
    criterion: Criterion, roles: Sequence[RoleScores], n_videos: int, flips: int, seed: int
) -> tuple[NDArray, NDArray]:
    """Of each pair against the mean pair of the same samples, video by video: (max-T p, q).

    Of a correlation against none at all; for two roles together there is no such test.
    """
    if criterion.kind == "outcome":
        if len(roles) > 1:
            nothing = np.full(roles[0].values.shape[1], np.nan)
            return nothing, nothing
        (role,) = roles
        area = role.area if criterion.area_free else None
        corrected, alone = correlation_tests(role.values, role.jf, area, role.codes, flips, seed)
        return corrected, benjamini_hochberg(alone)
    by_role = [
        video_means(x.values - defined_mean(x.values, axis=1)[:, None], x.codes, n_videos)
        for x in roles
    ]
    differences = defined_mean(np.stack(by_role), axis=0)
    corrected = max_t_sign_flips(differences, flips, seed)
    alone = two_sided_p(differences)
    return corrected, benjamini_hochberg(alone)


def _uniform(tables: "list[HeadTable]", rows: Sequence[Any]) -> float | None:
    even = CRITERIA[tables[0].metric].even
    if even != "area":
        return None if even is None else float(even)
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
    scores: NDArray,
    draws: NDArray | None,
    p: tuple[NDArray, NDArray] | None,
    shape: tuple[int, ...],
    top_k: int,
    low_first: bool,
) -> tuple[RankedPair, ...]:
    sign = -1.0 if low_first else 1.0
    ranks, _ = ranks_and_top(sign * scores[None], top_k)
    if draws is not None:
        low, high = percentile_interval(draws)
        draw_ranks, inside = ranks_and_top(sign * draws, top_k)
        rank_low, rank_high = percentile_interval(draw_ranks, method="inverted_cdf")
        p_top = inside.mean(axis=0)
        shrunk = shrink(scores, defined_spread(draws))
    pairs = []
    for index in np.argsort(-np.nan_to_num(sign * scores, nan=-np.inf), kind="stable"):
        layer, head = divmod(int(index), shape[1])
        score, place = float(scores[index]), float(ranks[0, index])
        if not np.isfinite(score):
            pair = RankedPair(layer, head, *[None] * 8)
        elif draws is None or p is None:
            pair = RankedPair(layer, head, score, None, None, place, *[None] * 4)
        else:
            ci = (float(low[index]), float(high[index]))
            rank_ci = (float(rank_low[index]), float(rank_high[index]))
            towards, *tested = (
                float(x[index]) if np.isfinite(x[index]) else None for x in (shrunk, *p)
            )
            chance = float(p_top[index])
            pair = RankedPair(layer, head, score, ci, towards, place, rank_ci, chance, *tested)
        pairs.append(pair)
    return tuple(pairs)
