"""What a sweep answers, from trials made up here: scores, differences, cost, and the best pairs."""

import json
from dataclasses import replace

import pytest

from probes._json import plain
from probes.answer import SweepAnswer, load_answer, sweep_answer
from probes.comparison import difference
from probes.halving import Halving, Rung
from probes.sweeps import Cost
from reviosa.errors import RunError
from reviosa.heads import HeadSelection
from tests.fixtures_sweep import PAIR, rows, sweep, trial

TOP = {"strategy": "top-pairs", "criterion": "visual_mass"}
RANDOM = {"strategy": "matched-random", "like": "b"}


def arms_of(answer):
    return {arm.arm: arm for arm in answer.arms}


def seeds_of(arm, gains, **fields):
    return [trial(arm, seed, gain, **fields) for seed, gain in enumerate(gains)]


def test_every_arm_is_set_against_the_baseline_and_its_control():
    """b is 2 points above a and 3 above its control c; c has no control of its own."""
    trials = seeds_of("a", (0, 0.001)) + seeds_of("b", (0.02, 0.022), pairs=(PAIR,))
    trials += seeds_of("c", (-0.01, -0.0095), pairs=((1, 1),))
    answer = sweep_answer(sweep(trials, rules={"b": TOP, "c": RANDOM}))
    b, c = (arms_of(answer)[name] for name in "bc")
    assert not arms_of(answer)["a"].to_baseline
    # Mean of 2.0 and 2.1; mean of 3.0 and 3.15.
    assert b.to_baseline["rvos"].gap.value == pytest.approx(2.05)
    assert b.to_baseline["rvos"].than == "a"
    assert b.to_control["rvos"].gap.value == pytest.approx(3.075)
    assert b.to_control["rvos"].than == "c"
    assert set(c.to_baseline) == {"rvos"} and not c.to_control
    assert b.scores["rvos"].n == 40 and set(b.scores["rvos"].seeds) == {0, 1}


def test_a_control_that_trains_differently_is_none():
    trials = seeds_of("a", (0,)) + seeds_of("b", (0.02,)) + seeds_of("c", (0.0,))
    made = sweep(trials, rules={"b": TOP, "c": RANDOM})
    made.config["arms"]["c"]["set"] = {"steps": 9}
    assert not arms_of(sweep_answer(made))["b"].to_control


def test_p_is_corrected_for_all_arms_of_the_file():
    """Three arms beside the baseline, of which d has no trial yet and counts all the same."""
    gains = {"a": (0, 0, 0), "b": (0.01, 0.03, 0.02), "c": (0.01, -0.01, 0.02)}
    trials = [t for arm, own in gains.items() for t in seeds_of(arm, own)]
    answer = sweep_answer(sweep(trials, arms=list("abcd")))
    p, q = (
        [arms_of(answer)[arm].to_baseline["rvos"].corrected_p for arm in "bc"],
        [arms_of(answer)[arm].to_baseline["rvos"].gap.p for arm in "bc"],
    )
    # Holm: three times the smaller, twice the larger.
    assert q[0] < q[1]
    assert p[0] == pytest.approx(3 * q[0])
    assert p[1] == pytest.approx(min(1, max(2 * q[1], 3 * q[0])))


def test_an_arm_that_shares_no_seed_with_the_baseline_yet_counts_as_a_test():
    """d is half done, with a seed that the baseline lacks: the family is still b, c and d."""
    gains = {"a": (0, 0), "b": (0.01, 0.03), "c": (0.01, -0.01)}
    trials = [t for arm, own in gains.items() for t in seeds_of(arm, own)]
    trials.append(trial("d", 2, 0.5))
    answer = sweep_answer(sweep(trials))
    assert "rvos" not in arms_of(answer)["d"].to_baseline
    gaps = [arms_of(answer)[arm].to_baseline["rvos"] for arm in "bc"]
    least = min(gaps, key=lambda found: found.gap.p)
    assert least.corrected_p == pytest.approx(min(1, 3 * least.gap.p))


def test_an_arm_that_cannot_have_a_score_is_no_test():
    """A model of one token has no target: of the two arms only c is tested in it."""
    both = {"scores": ("rvos", "target")}
    trials = seeds_of("a", (0, 0), **both) + seeds_of("c", (0.01, 0.02), **both)
    trials += seeds_of("b", (0.0, 0.01), roles="actor", **both)
    found = arms_of(sweep_answer(sweep(trials)))
    assert "target" not in found["b"].to_baseline
    one = found["c"].to_baseline["target"]
    assert one.corrected_p == one.gap.p


def test_the_best_arm_is_chosen_on_the_selection_split_alone():
    """On the reporting split c is better, on the selection split b."""
    trials = seeds_of("a", (0, 0), selection=0.0)
    trials += seeds_of("b", (0.01, 0.01), pairs=(PAIR,), selection=0.05)
    trials += seeds_of("c", (0.09, 0.09), pairs=((1, 1),), selection=0.02)
    made = sweep(trials, rules={"b": TOP})
    answer = sweep_answer(made)
    best = answer.best
    assert best is not None and best.arm == "b" and best.seed is None
    assert best.heads == HeadSelection((PAIR,), "top-pairs")
    assert best.over_baseline is not None and best.over_baseline.value == pytest.approx(5)
    assert best.selection.value == pytest.approx(100 * rows(0.05).jf.mean())
    worse = [replace(t, scores={"rvos": rows(-0.1)}) if t.arm == "b" else t for t in trials]
    again = sweep_answer(replace(made, trials=tuple(worse))).best
    assert again == best, "no score of the reporting split has a say"


def test_equal_arms_go_to_fewer_pairs_then_to_the_first():
    two, one = ((0, 0), (0, 1)), ((1, 1),)
    trials = seeds_of("a", (0,), selection=0.0) + seeds_of("b", (0,), pairs=two, selection=0.01)
    trials += seeds_of("c", (0,), pairs=one, selection=0.01)
    trials += seeds_of("d", (0,), pairs=((2, 2),), selection=0.01)
    best = sweep_answer(sweep(trials)).best
    assert best is not None and best.arm == "c"


def test_pairs_drawn_anew_are_those_of_the_best_seed():
    trials = [trial("a", s, selection=0.0) for s in range(3)]
    trials += [
        trial("b", s, pairs=((1, s),), selection=gain) for s, gain in enumerate((0.0, 0.04, 0.01))
    ]
    best = sweep_answer(sweep(trials)).best
    assert best is not None
    assert (best.seed, best.trial, best.heads.pairs) == (1, "b1", ((1, 1),))


def test_the_trials_own_heads_file_says_where_its_pairs_came_from():
    own = HeadSelection((PAIR,), "top-layer", "mask_share", "capture-x", "data-y")
    b = replace(trial("b", 0, pairs=(PAIR,), selection=0.1), heads=own)
    best = sweep_answer(sweep([trial("a", 0), b])).best
    assert best is not None and best.heads == own
    assert best.over_baseline is None, "the baseline was not scored there"


def test_an_arm_with_fewer_seeds_is_not_chosen():
    trials = [trial("a", s, selection=0.0) for s in (0, 1)]
    trials += [trial("b", s, pairs=(PAIR,), selection=0.01) for s in (0, 1)]
    trials += [trial("c", 0, pairs=((1, 1),), selection=0.2)]
    answer = sweep_answer(sweep(trials))
    assert answer.best is not None and answer.best.arm == "b"
    assert (arms_of(answer)["c"].status, arms_of(answer)["c"].missing) == ("partial", (1,))


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ([trial("a", 0, selection=0.1)], "supervises any pair"),
        ([trial("a", 0), trial("b", 0, pairs=(PAIR,))], "scored on the selection split"),
        ([], "supervises any pair"),
    ],
)
def test_without_pairs_or_selection_scores_nothing_is_chosen(trials, reason):
    answer = sweep_answer(sweep(trials, arms=["a", "b"]))
    assert answer.best is None and answer.best_reason is not None and reason in answer.best_reason


def test_arms_that_were_cut_are_shown_with_what_cut_them():
    """Cut at step 2 with 30 and 40 per cent, that is 35 on average; a failed seed has no score."""
    rung = Rung(2, {"a0": 50.0, "b0": 30.0, "b1": 40.0, "c0": 1.0, "c1": None}, ("a",), ("b", "c"))
    made = sweep(
        seeds_of("a", (0, 0)), arms=list("abcd"), halving=Halving("rvos", (rung,)),
        problems=("d, seed 0 (d0): train is failed",),
    )  # fmt: skip
    answer = sweep_answer(made)
    b, c, d = (arms_of(answer)[name] for name in "bcd")
    assert (b.status, b.cut_step, b.cut_score, b.missing) == ("cut", 2, pytest.approx(35), ())
    assert c.cut_score == pytest.approx(1)
    assert (d.status, d.missing) == ("missing", (0, 1))
    assert answer.problems == ("d, seed 0 (d0): train is failed",)


def test_without_a_finished_baseline_there_are_no_differences_and_it_is_said():
    answer = sweep_answer(sweep([trial("b", 0)], arms=["a", "b"]))
    assert not arms_of(answer)["b"].to_baseline
    assert answer.problems == ("a has no finished trial: there are no differences to it",)


@pytest.mark.parametrize(
    ("gpu", "unit", "total", "mean"), [(0.0, "CPU", 90.0, 30.0), (2.0, "GPU", 2.0, 2 / 3)]
)
def test_cost_is_of_the_gpu_where_any_trial_had_one(gpu, unit, total, mean):
    costs = {"a0": Cost(9, 20, 0), "b0": Cost(9, 30, 0), "b1": Cost(9, 40, gpu)}
    answer = sweep_answer(sweep(seeds_of("a", (0,)) + seeds_of("b", (0, 0)), costs=costs))
    assert answer.cost_unit == unit and answer.cost is not None
    assert (answer.cost.total_s, answer.cost.trials) == (total, 3)
    assert answer.cost.per_trial_s == pytest.approx(mean)
    b = arms_of(answer)["b"].cost
    assert b is not None and b.trials == 2 and b.total_s == (70.0 if unit == "CPU" else 2.0)


def test_old_sweeps_without_costs_have_none():
    answer = sweep_answer(sweep([trial("a", 0)]))
    assert answer.cost is None and answer.arms[0].cost is None


def test_only_the_scores_to_report_and_to_choose_by_are_reported():
    every = ("actor", "target", "rvos")
    made = sweep([trial("a", 0, scores=every)], metrics=("target",), choose="actor")
    assert sweep_answer(made).metrics == ("target", "actor")


def test_targets_that_were_asked_for_in_words_are_reported_without_being_listed():
    asked = trial("a", 0, scores=("rvos", "target_by_prompt"))
    found = sweep_answer(sweep([asked, trial("b", 0)], metrics=("actor", "target", "rvos")))
    assert found.metrics == ("rvos", "target_by_prompt")


def test_an_answer_comes_back_from_json_as_it_was(tmp_path):
    rung = Rung(2, {"c0": 1.0, "c1": None}, ("a", "b"), ("c",))
    trials = seeds_of("a", (0, 0.01), selection=0.0)
    trials += seeds_of("b", (0.01, 0.03), pairs=(PAIR,), selection=0.1)
    made = sweep(trials, arms=list("abc"), halving=Halving("rvos", (rung,)),
                 costs={"a0": Cost(1, 2, 0)})  # fmt: skip
    answer = sweep_answer(made)
    assert answer.best is not None
    text = json.dumps(answer.to_json(), allow_nan=False)
    path = tmp_path / "answer.json"
    path.write_text(text)
    assert load_answer(path) == answer


def test_undefined_numbers_are_null_in_json():
    answer = sweep_answer(sweep([trial("a", 0)]))
    odd = replace(answer.arms[0], cut_score=float("nan"))
    assert plain(replace(answer, arms=(odd,)))["arms"][0]["cut_score"] is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 9}', '{"schema": 1}'])
def test_what_is_no_answer_says_so(tmp_path, text):
    path = tmp_path / "answer.json"
    path.write_text(text)
    with pytest.raises(RunError, match="run the (sweep|analysis) again"):
        load_answer(path)
    with pytest.raises(RunError, match="cannot read the answer"):
        load_answer(tmp_path / "none.json")


def test_the_difference_is_the_paired_one():
    trials = seeds_of("a", (0, 0.01)) + seeds_of("b", (0.02, 0.05))
    found = arms_of(sweep_answer(sweep(trials), resamples=100, seed=3))["b"].to_baseline["rvos"]
    tables = {arm: {t.seed: t.scores["rvos"] for t in trials if t.arm == arm} for arm in "ab"}
    assert found.gap == difference(tables["b"], tables["a"], 100, 3)
    assert isinstance(SweepAnswer.from_json(sweep_answer(sweep(trials)).to_json()), SweepAnswer)
