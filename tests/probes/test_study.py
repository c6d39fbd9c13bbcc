"""Claims, verdicts and curves from the runs of a sweep that were made up here."""

import numpy as np
import pytest

from probes.halving import Halving, Rung
from probes.study import study_runs, verdict
from probes.sweeps import read_sweep
from reviosa.errors import RunError
from tests.fixtures_sweep import CLAIM, PAIR, look, sweep, trial


@pytest.mark.parametrize(
    ("ci", "agree", "expected"),
    [
        ((0.2, 3.0), True, "reproduced"),
        ((0.2, 3.0), False, "undecided"),  # a seed points the other way
        ((-0.2, 3.0), True, "undecided"),
        ((-0.5, 0.9), True, "not reproduced"),  # what is possible is less than what counts
        ((0.1, 0.9), True, "not reproduced"),  # above 0, yet too small to count
        ((-4.0, -1.0), True, "not reproduced"),
        (None, True, "undecided"),
    ],
)
def test_the_rule_of_the_verdict(ci, agree, expected):
    assert verdict(ci, least=1.0, agree=agree) == expected


@pytest.mark.parametrize(
    ("gains", "paper", "expected"),
    [
        ((0.02, 0.021, 0.022), 3.0, "reproduced"),
        ((0.02, 0.021, 0.022), 9.0, "not reproduced"),  # 2.1 points, less than half of 9
        ((0.06, -0.05, 0.05), 3.0, "undecided"),
        ((0.0, 0.0, 0.0), 3.0, "not reproduced"),
    ],
)
def test_a_stated_claim_is_judged_by_its_pairs(gains, paper, expected):
    trials = [trial("a", s) for s in range(3)] + [trial("b", s, g) for s, g in enumerate(gains)]
    (claim,) = study_runs([sweep(trials, [CLAIM | {"paper": paper}])]).claims
    assert claim.verdict == expected
    assert claim.value == pytest.approx(100 * np.mean(gains), abs=1e-9)
    assert claim.seeds == {str(s): pytest.approx(100 * g) for s, g in enumerate(gains)}
    assert claim.runs == ("trials/a0", "trials/a1", "trials/a2", "trials/b0", "trials/b1",
                          "trials/b2")  # fmt: skip


def test_two_seeds_decide_nothing():
    trials = [trial(arm, s, gain) for arm, gain in (("a", 0), ("b", 0.05)) for s in range(2)]
    (claim,) = study_runs([sweep(trials, [CLAIM | {"least": 1.0}])]).claims
    assert claim.value == pytest.approx(5) and claim.verdict == "undecided"


def test_arms_without_a_common_seed_cannot_be_judged():
    with pytest.raises(RunError, match="no finished seed in common"):
        study_runs([sweep([trial("a", 0), trial("b", 1)])])


def test_a_claim_about_what_was_not_run_is_an_error():
    with pytest.raises(RunError, match="no finished trial has b/rvos"):
        study_runs([sweep([trial("a", 0)])])


def test_a_model_of_one_token_has_no_target_score_but_one_by_prompt():
    trials = [
        trial("a", 0, roles="actor", scores=("rvos", "target", "target_by_prompt")),
        trial("b", 0, scores=("rvos", "target")),
    ]
    arms = study_runs([sweep(trials, [])]).sweeps[0].answer.arms
    assert set(arms[0].scores) == {"rvos", "target_by_prompt"}
    assert set(arms[1].scores) == {"rvos", "target"}
    assert set(arms[1].to_baseline) == {"rvos"}


def test_a_claim_about_an_arm_that_was_cut_stays_undecided():
    halving = Halving("rvos", (Rung(2, {"b0": 31.0}, ("a",), ("b",)),))
    found = study_runs([sweep([trial("a", 0)], arms=["a", "b"], halving=halving)])
    (claim,) = found.claims
    assert (claim.value, claim.n, claim.verdict) == (None, 0, "undecided")


def test_attention_curves_part_supervised_pairs_from_those_that_none_supervises():
    """Arm c supervises another pair: in a and b it is neither supervised nor free."""
    other = (0, 1)
    trials = [
        trial("a", 0, attention=[look(0, 0.1, 0.2), look(5, 0.3, 0.2)]),
        trial("b", 0, pairs=(PAIR,), attention=[look(0, 0.1, 0.2), look(5, 0.6, 0.2)]),
        trial("b", 1, pairs=(PAIR,), attention=[look(0, 0.1, 0.2), look(5, 0.8, 0.4)]),
        trial("c", 0, pairs=(other,), attention=[look(0, 0.1, 0.2), look(5, 0.1, 0.5, other)]),
    ]
    curves = {(c.arm, c.group): c for c in study_runs([sweep(trials, [])]).sweeps[0].curves}
    pulled = curves["b", "supervised"]
    assert pulled.steps == (0, 5)
    assert pulled.mean == pytest.approx((0.1, 0.7))
    assert (pulled.low[1], pulled.high[1]) == (pytest.approx(0.6), pytest.approx(0.8))
    # Without AML: both supervised pairs, 0.3 and 0.2.
    assert curves["a", "supervised"].mean == pytest.approx((0.15, 0.25))
    assert curves["b", "others"].mean == pytest.approx((0.2, 0.3))
    assert curves["c", "supervised"].mean == pytest.approx((0.2, 0.1))
    assert curves["c", "others"].mean == pytest.approx((0.2, 0.5))


def test_the_papers_claims_about_attention_are_judged_on_a_capture(planted_results):
    """In the planted capture quality drives one head's mask share, and J&F."""
    claims = {(c.source, c.says): c for c in study_runs([], [planted_results]).claims}
    actor = claims["Fig. 6a", "Masks are better where the actor token attends more to the object"]
    assert actor.value == planted_results.correlations["actor"].overall.spearman.value
    spread = next(
        c for (source, says), c in claims.items() if source == "Fig. 6b" and "actor" in says
    )
    # One head of layer 1 has 0.9; the layers' means differ by less than half of that.
    vision = [p.vision.value for p in planted_results.layer_profile["actor"]]
    assert spread.value == pytest.approx(max(vision) - min(vision))
    assert spread.verdict == "reproduced"


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_a_folder_that_is_no_sweep_says_so(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(RunError, match=r"sweep\.json"):
        read_sweep(tmp_path)
