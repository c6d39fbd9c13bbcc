"""What a set of runs says about stated claims: :func:`study_runs`.

A claim is written down before its runs are made: the paper's in the sweep files, those about one
model's attention here. Its verdict follows from one rule, :func:`verdict`, whichever way it falls.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probes._json import plain
from probes.answer import SweepAnswer, sweep_answer
from probes.bootstrap import Estimate, defined_mean
from probes.comparison import difference
from probes.results import AnalysisResults
from probes.sweeps import ScoreTables, SweepRuns, TrialRuns, score_tables
from reviosa.data.records import ROLES
from reviosa.errors import RunError

__all__ = ["AttentionCurve", "Claim", "StudyResults", "SweepResults", "study_runs", "verdict"]

SCHEMA = 3
FEWEST_SEEDS = 3
"""With fewer, a difference of trainings is not decided."""
WEAKEST = 0.1
"""Smallest rank correlation, and smallest difference of attention, that would count."""
_POINTS = "points of J&F"
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"


@dataclass(frozen=True)
class Claim:
    """One statement, what was found, and the verdict."""

    says: str
    source: str
    """Where it is stated, such as "Table 3"."""
    value: float | None
    """What was found; in the direction of the statement."""
    ci: tuple[float, float] | None
    unit: str
    paper: float | None
    """What the source reports in the same unit."""
    least: float
    """Smallest effect that would count."""
    n: int
    n_videos: int
    seeds: dict[str, float]
    """Value of each seed; empty where nothing was trained."""
    verdict: str
    runs: tuple[str, ...]
    """Run directories behind it, relative to the folder of runs."""


@dataclass(frozen=True)
class AttentionCurve:
    """Mask share of some pairs as training goes, mean over pairs and over seeds."""

    arm: str
    role: str
    group: str
    """"supervised": the trial's own pairs or, where it has none, all pairs that any trial of the
    sweep supervises; "others": the pairs that no trial supervises."""
    steps: tuple[int, ...]
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    """Lowest and highest seed."""
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class SweepResults:
    """A sweep's arms side by side, and what they look at as they train."""

    answer: SweepAnswer
    curves: tuple[AttentionCurve, ...]
    config: dict[str, Any]


@dataclass(frozen=True)
class StudyResults:
    """Sweeps, and the verdict on every claim that they and the captures speak to."""

    claims: tuple[Claim, ...]
    sweeps: tuple[SweepResults, ...]
    resamples: int
    schema: int = SCHEMA

    def to_json(self) -> Any:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def verdict(ci: Sequence[float] | None, least: float, agree: bool = True) -> str:
    """Judge an effect whose stated direction is up.

    Reproduced: the 95 % interval lies above 0 and every seed agrees. Not reproduced: it lies below
    ``least``, the smallest effect that would count. Else undecided: the data do not tell.
    """
    if ci is None:
        return UNDECIDED
    if ci[1] < least:
        return NOT_REPRODUCED
    return REPRODUCED if ci[0] > 0 and agree else UNDECIDED


def study_runs(
    sweeps: Sequence[SweepRuns],
    captures: Sequence[AnalysisResults] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> StudyResults:
    """Put sweeps and analysed captures together and judge every claim that they speak to.

    Raises:
        RunError: a sweep states a claim about an arm or score that it has no finished trial of.
    """
    claims = [claim for results in captures for claim in _attention_claims(results)]
    found = []
    for sweep in sweeps:
        tables = score_tables(sweep.trials)
        claims += [_judge(sweep, tables, stated, resamples, seed) for stated in _stated(sweep)]
        answer = sweep_answer(sweep, resamples, seed)
        found.append(SweepResults(answer, _curves(sweep), sweep.config))
    return StudyResults(tuple(claims), tuple(found), resamples)


def _stated(sweep: SweepRuns) -> Sequence[Mapping[str, Any]]:
    return sweep.config.get("claims", ())


def _judge(
    sweep: SweepRuns, tables: ScoreTables, stated: Mapping[str, Any], resamples: int, seed: int
) -> Claim:
    sides = [tuple(stated[side].split("/")) for side in ("better", "than")]
    paper = stated.get("paper")
    least = stated["least"] if paper is None else paper / 2
    if sweep.halving and {arm for arm, _ in sides} & set(sweep.halving.cut):
        # Cut early: there will never be a score to judge by.
        return Claim(
            stated["says"], stated["source"], None, None, _POINTS, paper, least, 0, 0, {},
            UNDECIDED, (),
        )  # fmt: skip
    for side in sides:
        if side not in tables:
            raise RunError(
                f"sweep {sweep.name}: no finished trial has {'/'.join(side)}, which a claim is "
                "about; run the sweep to its end"
            )
    high, low = tables[sides[0]], tables[sides[1]]
    if not set(high) & set(low):
        raise RunError(
            f"sweep {sweep.name}: {stated['better']} and {stated['than']} have no finished seed in "
            "common; run the sweep to its end"
        )
    gap = difference(high, low, resamples, seed)
    agree = len({np.sign(value) for value in gap.seeds.values()}) == 1
    enough = len(gap.seeds) >= FEWEST_SEEDS
    arms = {arm for arm, _ in sides}
    return Claim(
        stated["says"],
        stated["source"],
        gap.value,
        gap.ci,
        _POINTS,
        paper,
        least,
        gap.n,
        gap.n_videos,
        {str(s): value for s, value in gap.seeds.items()},
        verdict(gap.ci if enough else None, least, agree),
        tuple(f"trials/{t.id}" for t in sweep.trials if t.arm in arms and t.seed in gap.seeds),
    )


def _curves(sweep: SweepRuns) -> tuple[AttentionCurve, ...]:
    union = {pair for trial in sweep.trials for pair in trial.pairs}
    curves = []
    for arm in sweep.arms:
        trials = [t for t in sweep.trials if t.arm == arm and t.attention]
        for role in ROLES:
            series = [_shares(trial, role, union) for trial in trials]
            series = [one for one in series if one]
            steps = sorted(set.intersection(*(set(one) for one in series))) if series else []
            for place, group in enumerate(("supervised", "others")):
                values = np.array([[one[step][place] for step in steps] for one in series])
                if not values.size or not np.isfinite(values).any():
                    continue
                lines = (values.mean(0), values.min(0), values.max(0))
                shown = (tuple(None if np.isnan(x) else float(x) for x in line) for line in lines)
                curves.append(AttentionCurve(arm, role, group, tuple(steps), *shown))
    return tuple(curves)


def _shares(
    trial: TrialRuns, role: str, union: Collection[tuple[int, int]]
) -> dict[int, tuple[float, float]]:
    """Step -> mean mask share of the supervised pairs, and of those that no trial supervises."""
    found = {}
    for line in trial.attention:
        if line["role"] == role:
            share = np.array(line["mask_share"], dtype=np.float64)
            own, free = np.zeros(share.shape, bool), np.ones(share.shape, bool)
            for pair in trial.pairs or union:
                own[pair] = True
            for pair in union:
                free[pair] = False
            found[line["step"]] = tuple(
                float(defined_mean(share[pick], axis=0)) if pick.any() else np.nan
                for pick in (own, free)
            )
    return found


def _attention_claims(results: AnalysisResults) -> list[Claim]:
    """The paper's Fig. 6a and 6b, and what a reviewer would ask beside them."""
    claims = []
    runs = (results.name,)
    for role in ROLES:
        correlation = results.correlations[role]
        if not correlation.n:
            continue
        for says, source, estimate in (
            (
                f"Masks are better where the {role} token attends more to the object",
                "Fig. 6a",
                correlation.overall.spearman,
            ),
            (
                f"The same holds for the {role} among objects of equal area",
                "asked beside Fig. 6a",
                correlation.overall.partial,
            ),
        ):
            claims.append(_correlation_claim(says, source, estimate, runs))
        spread = _layer_spread(results, role)
        if spread is not None:
            claims.append(spread)
    return claims


def _correlation_claim(says: str, source: str, estimate: Estimate, runs: tuple[str, ...]) -> Claim:
    return Claim(
        says, source, estimate.value, estimate.ci, "Spearman", None, WEAKEST, estimate.n,
        estimate.n_videos, {}, verdict(estimate.ci, WEAKEST), runs,
    )  # fmt: skip


def _layer_spread(results: AnalysisResults, role: str) -> Claim | None:
    points = [p.vision for p in results.layer_profile[role] if p.vision.value is not None]
    if len(points) < 2:
        return None
    high = max(points, key=lambda p: p.value or 0.0)
    low = min(points, key=lambda p: p.value or 0.0)
    assert high.value is not None and low.value is not None
    ci = None
    if high.ci and low.ci:
        # Ends against ends: wider than a paired interval of two layers that were named before.
        ci = (high.ci[0] - low.ci[1], high.ci[1] - low.ci[0])
    return Claim(
        f"Layers differ in how much the {role} token attends to vision (highest less lowest "
        "layer, picked on the same data)",
        "Fig. 6b",
        high.value - low.value,
        ci,
        "share of attention",
        None,
        WEAKEST,
        high.n,
        high.n_videos,
        {},
        verdict(ci, WEAKEST),
        (results.name,),
    )
