"""Claims, verdicts and curves from the runs of a sweep that were made up here."""

import json

import numpy as np
import pytest

from probes.study import StudyResults, study_runs, verdict
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


def test_a_claim_about_what_was_not_run_is_an_error():
    with pytest.raises(RunError, match="no finished trial has b/rvos"):
        study_runs([sweep([trial("a", 0)])])


def test_a_model_of_one_token_has_no_target_score_but_one_by_prompt():
    trials = [
        trial("a", 0, roles="actor", scores=("rvos", "target", "target_by_prompt")),
        trial("b", 0, scores=("rvos", "target")),
    ]
    arms = study_runs([sweep(trials, [])]).sweeps[0].arms
    assert set(arms[0].scores) == {"rvos", "target_by_prompt"}
    assert set(arms[1].scores) == {"rvos", "target"}
    assert set(arms[1].differences) == {"rvos"}


def test_attention_curves_part_the_watched_pairs_from_the_others():
    trials = [
        trial("a", 0, attention=[look(0, 0.1, 0.2), look(5, 0.2, 0.2)]),
        trial("b", 0, pairs=(PAIR,), attention=[look(0, 0.1, 0.2), look(5, 0.6, 0.2)]),
        trial("b", 1, pairs=(PAIR,), attention=[look(0, 0.1, 0.2), look(5, 0.8, 0.4)]),
    ]
    curves = {(c.arm, c.group): c for c in study_runs([sweep(trials, [])]).sweeps[0].curves}
    pulled = curves["b", "watched"]
    assert pulled.supervised and not curves["a", "watched"].supervised
    assert pulled.steps == (0, 5)
    assert pulled.mean == pytest.approx((0.1, 0.7))
    assert (pulled.low[1], pulled.high[1]) == (pytest.approx(0.6), pytest.approx(0.8))
    assert curves["a", "watched"].mean == pytest.approx((0.1, 0.2))
    assert curves["b", "others"].mean == pytest.approx((0.2, 0.3))


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


def test_results_come_back_from_their_file(tmp_path, planted_results):
    trials = [
        trial(arm, s, 0.01 * s, attention=[look(0, 0.1, 0.2)]) for arm in "ab" for s in (0, 1)
    ]
    results = study_runs([sweep(trials)], [planted_results])
    results.save(tmp_path / "results.json")
    assert StudyResults.load(tmp_path / "results.json").to_json() == results.to_json()
    (tmp_path / "old.json").write_text(json.dumps({"schema": 0}))
    with pytest.raises(RunError, match="another schema"):
        StudyResults.load(tmp_path / "old.json")
    with pytest.raises(RunError, match="cannot read"):
        StudyResults.load(tmp_path / "absent.json")


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}'])
def test_a_folder_that_is_no_sweep_says_so(tmp_path, text):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(RunError, match=r"sweep\.json"):
        read_sweep(tmp_path)
