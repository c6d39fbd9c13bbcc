"""Conditions on the numbers of a report, such as ``actor.jf>=70``: what a build can fail on."""

import difflib
import itertools
import math
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from probes._json import plain
from probes.bootstrap import Estimate
from probes.comparison import SeedMean
from probes.ranking import Ranking
from probes.report import ReportResults
from probes.results import AnalysisResults
from reviosa.errors import ConfigError

__all__ = ["Condition", "Outcome", "check", "named_numbers", "parse_condition"]

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
NEAREST = 5
"""Names offered in place of one that is not there."""


@dataclass(frozen=True)
class Condition:
    """``name operator bound``, as it was written."""

    text: str
    name: str
    operator: str
    bound: float


@dataclass(frozen=True)
class Outcome:
    """What became of a condition."""

    condition: str
    value: float | None
    """Unrounded; None where the report has no value for that name."""
    passed: bool
    """False as well where the value is undefined: nothing was shown."""
    reason: str | None = None
    """Why there is no value."""

    def to_json(self) -> Any:
        """Plain JSON value; an undefined number as null."""
        return plain(self)


@dataclass(frozen=True)
class _Number:
    value: float | None
    reason: str | None = None


def parse_condition(text: str) -> Condition:
    """Read ``NAME OP VALUE``, with or without spaces.

    Raises:
        ConfigError: there is no operator, no name before it or no finite number behind it.
    """
    found = re.fullmatch(r"\s*([^<>=!]+?)\s*(>=|<=|==|!=|>|<)\s*([^<>=!]+?)\s*", text)
    try:
        if found is None:
            raise ValueError
        bound = float(found[3])
        if not math.isfinite(bound):
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"condition {text!r}: expected NAME OP VALUE with OP one of {' '.join(OPERATORS)} and "
            "a number behind it, such as actor.jf>=70"
        ) from None
    return Condition(text.strip(), found[1], found[2], bound)


def check(results: ReportResults, conditions: Sequence[Condition]) -> tuple[Outcome, ...]:
    """Compare the report's unrounded numbers with the bounds, in the order of the conditions.

    Raises:
        ConfigError: the report has no number of that name; the message says the nearest names.
    """
    numbers = dict(named_numbers(results)) if conditions else {}
    outcomes = []
    for condition in conditions:
        number = numbers.get(condition.name)
        if number is None:
            raise ConfigError(
                f"condition {condition.text!r}: got {condition.name!r}, expected the name of a "
                f"number of this report, {_nearest(condition.name, list(numbers))}"
            )
        value = number.value
        passed = value is not None and OPERATORS[condition.operator](value, condition.bound)
        reason = (number.reason or "undefined") if value is None else None
        outcomes.append(Outcome(condition.text, value, bool(passed), reason))
    return tuple(outcomes)


def named_numbers(results: ReportResults) -> Iterator[tuple[str, _Number]]:
    """Every number that a condition can name, in the report's units (J&F in per cent).

    ``actor.jf``, ``.j``, ``.f``, ``.n``, ``.missing`` of each protocol;
    ``correlation.ROLE.spearman``, ``.partial`` (given the mask area), ``.adjusted``, ``.n``;
    ``ranking.CRITERION.ROLE.L00H00.score`` and ``.rank``; ``sweep.NAME.ARM.SCORE.jf``, ``.n``.
    What has an interval has its ends as ``.low`` and ``.high``. Of several captures each name
    begins with the run's, ``RUN.actor.jf``; a second run or sweep of the same name is ``RUN-2``.
    """
    names = _told_apart([part.results.name for part in results.captures])
    for name, part in zip(names, results.captures, strict=True):
        prefix = f"{name}." if len(names) > 1 else ""
        for key, number in _capture(part.results):
            yield prefix + key, number
    sweeps = results.study.sweeps if results.study else ()
    for name, sweep in zip(_told_apart([s.answer.name for s in sweeps]), sweeps, strict=True):
        for arm in sweep.answer.arms:
            for score in sweep.answer.metrics:
                key = f"sweep.{name}.{arm.arm}.{score}"
                yield from _score(key, arm.scores.get(score), arm.status)


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names, those that were there before with the first free number behind them."""
    found: list[str] = []
    for name in names:
        tried = itertools.chain((name,), (f"{name}-{number}" for number in itertools.count(2)))
        found.append(next(other for other in tried if other not in found))
    return found


def _capture(results: AnalysisResults) -> Iterator[tuple[str, _Number]]:
    for name, score in results.protocols.items():
        for key in ("j", "f"):
            yield f"{name}.{key}", _Number(getattr(score, key), score.reason)
        yield from _spread(f"{name}.jf", score.jf, score.jf_ci, score.reason)
        yield f"{name}.n", _Number(score.n)
        yield f"{name}.missing", _Number(score.missing)
    for role, found in results.correlations.items():
        for key in ("spearman", "partial", "adjusted"):
            estimate: Estimate = getattr(found.overall, key)
            yield from _spread(
                f"correlation.{role}.{key}", estimate.value, estimate.ci, estimate.reason
            )
        yield f"correlation.{role}.n", _Number(found.n)
    for criterion, by_role in results.rankings.items():
        for role, ranking in by_role.items():
            yield from _ranking(f"ranking.{criterion}.{role}", ranking)


def _ranking(prefix: str, ranking: Ranking) -> Iterator[tuple[str, _Number]]:
    for pair in ranking.pairs:
        key = f"{prefix}.L{pair.layer:02d}H{pair.head:02d}"
        yield from _spread(f"{key}.score", pair.score, pair.ci, ranking.reason)
        yield from _spread(f"{key}.rank", pair.rank, pair.rank_ci, ranking.reason)


def _score(prefix: str, score: SeedMean | None, status: str) -> Iterator[tuple[str, _Number]]:
    if score is None:
        reason = f"the arm has no finished trial with this score ({status})"
        yield from _spread(f"{prefix}.jf", None, None, reason)
        return
    yield from _spread(f"{prefix}.jf", score.value, score.ci, score.reason)
    yield f"{prefix}.n", _Number(score.n)


def _spread(
    name: str, value: float | None, ci: tuple[float, float] | None, reason: str | None
) -> Iterator[tuple[str, _Number]]:
    """A number, and the ends of its interval."""
    yield name, _Number(value, reason)
    low, high = (None, None) if ci is None else ci
    yield f"{name}.low", _Number(low, reason)
    yield f"{name}.high", _Number(high, reason)


def _nearest(name: str, names: list[str]) -> str:
    """The names that begin like it, as far as any do, and of those the most alike."""
    if not names:
        return "but it has none; give a capture or a sweep"
    parts = name.split(".")
    near = names
    for length in range(1, len(parts) + 1):
        stem = ".".join(parts[:length])
        begun = [other for other in near if other == stem or other.startswith(f"{stem}.")]
        if not begun:
            break
        near = begun
    # Each of thousands of pairs has names; those of about the same length are the likely ones.
    near = sorted(near, key=lambda other: abs(len(other) - len(name)))[:2000]
    alike = difflib.get_close_matches(name, near, NEAREST, cutoff=0.4) or near[:NEAREST]
    return f"such as {', '.join(alike)}"
