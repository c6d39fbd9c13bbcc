"""What a sweep answers: every arm's scores, its differences, its cost, and the best pairs.

Arms are reported on one split and chosen on another. Their trainings are the same on both, so that
the luck of a seed goes from one to the other: the p-values to read are the corrected ones, for the
best arm as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probes._json import plain, read_json, record
from probes.comparison import SeedMean, difference, mean_score
from probes.halving import Halving
from probes.multiplicity import holm
from probes.sweeps import Cost, ScoreTables, SweepRuns, TrialRuns, score_tables
from reviosa.errors import RunError
from reviosa.heads import HeadSelection

__all__ = [
    "ArmAnswer", "Best", "Contrast", "SweepAnswer", "TrialCost", "load_answer", "sweep_answer",
]  # fmt: skip

SCHEMA = 1
WHOLE, PARTIAL, MISSING, CUT = "whole", "partial", "missing", "cut"


@dataclass(frozen=True)
class Contrast:
    """An arm less another one, in points of J&F, paired by seed and expression."""

    than: str
    """Name of the other arm."""
    gap: SeedMean
    corrected_p: float | None
    """Holm's, over all arms of the sweep that are compared in this score; an arm that has no
    finished trial yet, or was cut, counts as one that shows nothing."""


@dataclass(frozen=True)
class TrialCost:
    """Time of trials, in GPU seconds where any trial of the sweep used a GPU, else of the CPU."""

    total_s: float
    per_trial_s: float
    trials: int
    """That say what they took, also those that failed or were cut."""


@dataclass(frozen=True)
class ArmAnswer:
    """One arm of a sweep."""

    arm: str
    title: str
    status: str
    """"whole": every seed is done; "partial": some are; "missing": none; "cut" early."""
    missing: tuple[int, ...]
    """Seeds that are not done, of an arm that was not cut."""
    cut_step: int | None
    """Optimiser step at which it was cut."""
    cut_score: float | None
    """What it was cut by: J&F in per cent on the selection split, mean over its seeds."""
    steps: int | None
    """Optimiser steps of each trial; None without a finished one."""
    pairs: dict[str, tuple[tuple[int, int], ...]]
    """Seed -> supervised pairs, (layer, head)."""
    trials: dict[str, str]
    """Seed -> id of the finished trial."""
    scores: dict[str, SeedMean]
    """One of :data:`probes.comparison.SCORES` -> mean in per cent; those that the arm has."""
    selection: SeedMean | None
    """The score to choose by, on the selection split."""
    to_baseline: dict[str, Contrast]
    """Score -> less the baseline; empty for the baseline."""
    to_control: dict[str, Contrast]
    """Score -> less the arm of other heads of the same layers that is this one's control."""
    cost: TrialCost | None
    """None where no trial says."""


@dataclass(frozen=True)
class Best:
    """The arm with supervised pairs that did best on the selection split."""

    arm: str
    seed: int | None
    """Whose pairs these are, where they were drawn anew with each seed: the one that did best on
    the selection split. None where all seeds have the same."""
    trial: str
    """Id of the trial that the pairs are taken from."""
    heads: HeadSelection
    selection: SeedMean
    """Its score on the selection split, per cent."""
    over_baseline: SeedMean | None
    """Its difference to the baseline there, in points. The largest of several: it flatters."""


@dataclass(frozen=True)
class SweepAnswer:
    """The end of a sweep, whether all of its trials are done or not."""

    name: str
    baseline: str
    metrics: tuple[str, ...]
    """Scores that are reported and that some arm has."""
    choose: str
    """Score by which the best arm is chosen."""
    seeds: tuple[int, ...]
    arms: tuple[ArmAnswer, ...]
    """All of the file, in its order."""
    best: Best | None
    best_reason: str | None
    """Why there is no best arm."""
    halving: Halving | None
    cost: TrialCost | None
    """Of all trials."""
    cost_unit: str
    """"GPU" or "CPU" seconds."""
    problems: tuple[str, ...]
    resamples: int
    schema: int = SCHEMA

    def arm(self, name: str) -> ArmAnswer:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.arm == name)

    def to_json(self) -> Any:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)

    @classmethod
    def from_json(cls, value: Any) -> "SweepAnswer":
        """Read what :meth:`to_json` wrote.

        Raises:
            RunError: another schema, or a value that does not fit it.
        """
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise RunError(f"answer of schema {schema!r}, expected {SCHEMA}; run the sweep again")
        return record(cls, value, "answer")


def load_answer(path: str | Path) -> SweepAnswer:
    """Read an ``answer.json``.

    Raises:
        RunError: the file is missing, not JSON, or of another schema.
    """
    return SweepAnswer.from_json(read_json(Path(path), "the answer"))


def sweep_answer(sweep: SweepRuns, resamples: int = 2000, seed: int = 0) -> SweepAnswer:
    """Everything that a sweep's finished trials say.

    Args:
        sweep: what was read; trials may be missing, failed or cut.
        resamples: bootstrap draws over videos.
        seed: of the draws.
    """
    tables, chosen = score_tables(sweep.trials), score_tables(sweep.trials, selection=True)
    present = {score for _, score in tables}
    done = {(trial.arm, trial.seed) for trial in sweep.trials}
    # Whether targets are also asked for in words is said of an arm, so it needs no other word.
    wanted = dict.fromkeys((*sweep.metrics, sweep.choose, "target_by_prompt"))
    metrics = tuple(score for score in wanted if score in present)
    finished = {trial.arm for trial in sweep.trials}
    whole = finished - {arm for _, arm, seed in sweep.planned if (arm, seed) not in done}
    bases = {arm: sweep.baseline for arm in sweep.arms if arm != sweep.baseline}
    controls = _controls(sweep)
    to_baseline, to_control = (
        {s: _contrasts(pairs, tables, s, whole, resamples, seed) for s in metrics}
        for pairs in (bases, controls)
    )
    unit = "GPU" if any(cost.gpu_s > 0 for cost in sweep.costs.values()) else "CPU"
    arms = []
    for arm, title in sweep.arms.items():
        own = {s: tables[arm, s] for s in metrics if (arm, s) in tables}
        picked = chosen.get((arm, sweep.choose))
        ids = [name for name, of, _ in sweep.planned if of == arm and name in sweep.costs]
        arms.append(
            ArmAnswer(
                arm=arm,
                title=title,
                **_progress(sweep, arm),
                scores={s: mean_score(rows, resamples, seed) for s, rows in own.items()},
                selection=mean_score(picked, resamples, seed) if picked else None,
                to_baseline={s: of[arm] for s, of in to_baseline.items() if arm in of},
                to_control={s: of[arm] for s, of in to_control.items() if arm in of},
                cost=_cost((sweep.costs[name] for name in ids), unit),
            )
        )
    best, reason = _best(sweep, arms, chosen, resamples, seed)
    problems = sweep.problems
    if sweep.baseline not in finished and finished:
        problems += (f"{sweep.baseline} has no finished trial: there are no differences to it",)
    return SweepAnswer(
        sweep.name,
        sweep.baseline,
        metrics,
        sweep.choose,
        tuple(dict.fromkeys(seed for _, _, seed in sweep.planned)),
        tuple(arms),
        best,
        reason,
        sweep.halving,
        _cost(sweep.costs.values(), unit),
        unit,
        problems,
        resamples,
    )


def _rule(sweep: SweepRuns, arm: str) -> Mapping[str, Any]:
    return _stated(sweep, arm).get("heads") or {}


def _stated(sweep: SweepRuns, arm: str) -> Mapping[str, Any]:
    return sweep.config.get("arms", {}).get(arm) or {}


def _controls(sweep: SweepRuns) -> dict[str, str]:
    """Arm -> the first arm that is its layer-matched control and differs in nothing else."""
    found: dict[str, str] = {}
    for control in sweep.arms:
        arm = _rule(sweep, control).get("like")
        if arm in sweep.arms and _stated(sweep, arm).get("set") == _stated(sweep, control).get(
            "set"
        ):
            found.setdefault(arm, control)
    return found


def _contrasts(
    pairs: Mapping[str, str],
    tables: ScoreTables,
    score: str,
    whole: set[str],
    resamples: int,
    seed: int,
) -> dict[str, Contrast]:
    """Every arm of ``pairs`` less its other arm, in one score; one family of tests."""
    gaps: dict[str, SeedMean] = {}
    open_tests = 0
    for arm, than in pairs.items():
        high, low = tables.get((arm, score), {}), tables.get((than, score), {})
        if set(high) & set(low):
            gaps[arm] = difference(high, low, resamples, seed)
        elif not {arm, than} <= whole:
            open_tests += 1
    # A difference that nothing varies in counts as one that shows nothing, too.
    p = [1.0 if gap.p is None else gap.p for gap in gaps.values()]
    corrected = holm(np.array(p + [1.0] * open_tests))
    return {
        arm: Contrast(pairs[arm], gap, None if gap.p is None else float(own))
        for (arm, gap), own in zip(gaps.items(), corrected[: len(gaps)], strict=True)
    }


def _progress(sweep: SweepRuns, arm: str) -> dict[str, Any]:
    """The fields of an arm that say how far it came, and with which pairs."""
    trials = [trial for trial in sweep.trials if trial.arm == arm]
    rung = sweep.halving.cut.get(arm) if sweep.halving else None
    done = {trial.seed for trial in trials}
    missing = tuple(s for _, a, s in sweep.planned if a == arm and s not in done)
    own = [rung.scores.get(i) for i, a, _ in sweep.planned if a == arm] if rung else []
    known = [score for score in own if score is not None]
    status = CUT if rung else MISSING if not trials else PARTIAL if missing else WHOLE
    return {
        "status": status,
        "missing": () if rung else missing,
        "cut_step": rung.step if rung else None,
        "cut_score": float(np.mean(known)) if known else None,
        "steps": trials[0].train["config"]["steps"] if trials else None,
        "pairs": {str(trial.seed): trial.pairs for trial in trials},
        "trials": {str(trial.seed): trial.id for trial in trials},
    }


def _cost(costs: Iterable[Cost], unit: str) -> TrialCost | None:
    seconds = [cost.gpu_s if unit == "GPU" else cost.cpu_s for cost in costs]
    if not seconds:
        return None
    return TrialCost(sum(seconds), sum(seconds) / len(seconds), len(seconds))


def _best(
    sweep: SweepRuns,
    arms: Sequence[ArmAnswer],
    chosen: ScoreTables,
    resamples: int,
    seed: int,
) -> tuple[Best | None, str | None]:
    """The best arm, or why there is none.

    Arms with fewer seeds than others are passed over: their mean holds more chance. Equal ones: the
    one with fewer pairs, then the first.
    """
    supervised = [arm for arm in arms if any(arm.pairs.values())]
    if not supervised:
        return None, "no finished trial supervises any pair"
    scored = [(arm, arm.selection) for arm in supervised if arm.selection is not None]
    if not scored:
        return None, "no finished trial with supervised pairs was scored on the selection split"
    seeds = max(len(found.seeds) for _, found in scored)

    def merit(one: tuple[ArmAnswer, SeedMean]) -> tuple[float, int]:
        # Rounded: the same scores summed in another order are the same.
        return round(one[1].value, 9), -max(map(len, one[0].pairs.values()))

    best, found = max((one for one in scored if len(one[1].seeds) == seeds), key=merit)
    drawn = len(set(best.pairs.values())) > 1
    first = max(found.seeds, key=lambda s: round(found.seeds[s], 9))
    trial = next(t for t in sweep.trials if t.arm == best.arm and (t.seed == first or not drawn))
    own, base = chosen[best.arm, sweep.choose], chosen.get((sweep.baseline, sweep.choose), {})
    over = None
    if best.arm != sweep.baseline and set(own) & set(base):
        over = difference(own, base, resamples, seed)
    seed_of_pairs = trial.seed if drawn else None
    return Best(best.arm, seed_of_pairs, trial.id, _heads(sweep, trial), found, over), None


def _heads(sweep: SweepRuns, trial: TrialRuns) -> HeadSelection:
    if trial.heads is not None:
        return trial.heads
    return HeadSelection(trial.pairs, _rule(sweep, trial.arm).get("strategy", "manual"))
