"""Conditions name the report's own numbers; what is undefined shows nothing and fails."""

from dataclasses import replace

import pytest

from probes.conditions import check, named_numbers, parse_condition
from probes.report import CapturePart, ReportResults
from probes.results import ProtocolScore
from probes.study import study_runs
from reviosa.errors import ConfigError
from tests.fixtures_sweep import sweep, trial


@pytest.fixture
def report(planted_results):
    """One capture whose actors have J&F 70.25 [60.5, 80]; there is no target at all."""
    protocols = {
        "actor": ProtocolScore(65.5, 75.0, 70.25, (60.5, 80.0), 40, 2),
        "target": ProtocolScore(None, None, None, None, 0, 0, "no sample"),
    }
    results = replace(planted_results, name="one", protocols=protocols)
    return ReportResults("Heading", "reviosa report", (CapturePart(results),))


def outcome(report, text):
    (found,) = check(report, [parse_condition(text)])
    return found


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("actor.jf>=70.25", True),
        ("actor.jf > 70.25", False),
        ("actor.jf<=70.25", True),
        (" actor.jf <70.25 ", False),
        ("actor.jf==70.25", True),
        ("actor.jf!=70.25", False),
        ("actor.j>=65.5", True),
        ("actor.f<7.6e1", True),
        ("actor.jf.low>60", True),
        ("actor.jf.high<80", False),
        ("actor.n==40", True),
        ("actor.missing<=1", False),
        ("target.n==0", True),
        ("correlation.actor.spearman>-2", True),
    ],
)
def test_each_operator_on_numbers_of_the_report(report, text, passed):
    found = outcome(report, text)
    assert found.passed is passed and found.condition == text.strip() and found.reason is None


def test_an_undefined_number_fails_whatever_is_asked_of_it(report):
    for text in ("target.jf>=0", "target.jf<100", "target.jf!=5", "target.jf.low>0"):
        found = outcome(report, text)
        assert (found.value, found.passed, found.reason) == (None, False, "no sample")


def test_values_are_those_of_the_record(report):
    results = report.captures[0].results
    best = results.rankings["lift"]["both"].pairs[0]
    name = f"ranking.lift.both.L{best.layer:02d}H{best.head:02d}"
    assert name == "ranking.lift.both.L02H01"
    assert outcome(report, f"{name}.score>0").value == best.score
    assert outcome(report, f"{name}.score.low>0").value == best.ci[0]
    assert outcome(report, f"{name}.rank==1").passed
    partial = results.correlations["target"].overall.partial
    assert outcome(report, "correlation.target.partial.high<=1").value == partial.ci[1]


def test_of_several_captures_the_run_is_named(report):
    other = replace(report.captures[0].results, name="two.1")
    both = replace(report, captures=(*report.captures, *[CapturePart(other)] * 3))
    for run in ("one", "two.1", "two.1-2", "two.1-3"):
        assert outcome(both, f"{run}.actor.jf>70").passed
    with pytest.raises(ConfigError, match=r"such as .*one\.actor\.jf"):
        outcome(both, "actor.jf>70")


def test_arms_of_a_sweep(report):
    # Trial b scores 0.02 more than a, which is 2 points, on every expression.
    study = study_runs([sweep([trial("a", 0), trial("b", 0, 0.02)])], [], resamples=50)
    whole = replace(report, study=study)
    answer = study.sweeps[0].answer
    name = f"sweep.{answer.name}"
    score = answer.metrics[0]
    first, second = (outcome(whole, f"{name}.{arm}.{score}.jf>0").value for arm in "ab")
    assert second - first == pytest.approx(2)
    assert outcome(whole, f"{name}.a.{score}.n>0").value == answer.arm("a").scores[score].n


def test_names_are_unique(report):
    study = study_runs([sweep([trial("a", 0), trial("b", 0)])] * 3, [], resamples=50)
    twice = replace(report, captures=report.captures * 3, study=study)
    names = [name for name, _ in named_numbers(twice)]
    assert len(set(names)) == len(names) > 100


@pytest.mark.parametrize(
    "text",
    ["", "actor.jf", "actor.jf=70", "actor.jf>=", ">=70", "actor.jf>=seventy", "actor.jf>=nan",
     "actor.jf>=inf", "actor.jf>=70>=60", "a >> 3"],
)  # fmt: skip
def test_what_is_no_condition_says_how_one_looks(text):
    with pytest.raises(ConfigError, match="expected NAME OP VALUE.*such as actor.jf>=70"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("actor.jff", "actor.jf"),
        ("act.jf", "actor.jf"),
        ("correlation.actor.spearmann", "correlation.actor.spearman"),
        ("ranking.lift.both.L02H01", "ranking.lift.both.L02H01.score"),
        ("ranking.lift.both.L77H01.score", "ranking.lift.both.L0.H01.score"),
        ("ranking.nonsense.both.L02H01.score", "ranking."),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest(report, name, nearest):
    with pytest.raises(ConfigError, match=f"got '{name}'.*such as .*{nearest}"):
        outcome(report, f"{name}>0")


def test_a_report_without_numbers_says_so():
    with pytest.raises(ConfigError, match="it has none"):
        check(ReportResults("H", "c"), [parse_condition("actor.jf>1")])
