"""Reading what a sweep left on disk, whole, in pieces and from before."""

from dataclasses import fields

import pandas as pd
import pytest

from probes.answer import sweep_answer
from probes.sweeps import Cost, read_sweep
from reviosa.errors import RunError
from reviosa.evaluation import RoleScore
from reviosa.heads import HeadSelection
from reviosa.io import write_json

PAIR = (1, 2)
COST = {"wall_s": 1.0, "cpu_s": 2.0, "gpu_s": 0.5}


def write_run(folder, status="done", jf=None, cost=COST, config=None):
    header = {
        "schema": 1, "kind": "train", "status": status, "created": "", "seed": 0,
        "config": config or {},
    }  # fmt: skip
    write_json(folder / "run.json", header | ({"cost": cost} if cost else {}))
    if jf is not None:
        columns = [field.name for field in fields(RoleScore)]
        made = [
            {
                "video_id": f"v{video}", "exp_id": "0", "caption_type": "unidirectional",
                "role": role, "j": jf, "f": jf,
            }
            for video in range(4)
            for role in ("actor", "target")
        ]  # fmt: skip
        pd.DataFrame(made, columns=columns).to_parquet(folder / "scores.parquet")


@pytest.fixture
def made(tmp_path):
    """Write a sweep of the arms a and b with two seeds; ``made.folder(id)`` is a trial's."""

    class Made:
        directory = tmp_path / "sweeps" / "small"

        def folder(self, name):
            return tmp_path / "trials" / name

        def trial(self, name, cost=COST, selection=0.5, pairs=()):
            folder = self.folder(name)
            config = {"roles": "both", "steps": 4, "heads": [list(p) for p in pairs]}
            write_run(folder / "train", cost=cost, config=config)
            write_run(folder / "evaluate", jf=0.4, cost=cost)
            if selection is not None:
                write_run(folder / "selection", jf=selection, cost=cost)
            if pairs:
                HeadSelection(pairs, "top-pairs", "lift", "capture-x").save(folder / "heads.json")

        def write(self, **changes):
            trials = [{"id": f"{a}{s}", "arm": a, "seed": s} for s in (0, 1) for a in "ab"]
            value = {
                "schema": 1, "name": "small", "baseline": "a", "arms": {"a": "A", "b": "B"},
                "config": {"arms": {}}, "trials": trials,
            }  # fmt: skip
            write_json(self.directory / "sweep.json", value | changes)
            return read_sweep(self.directory)

    return Made()


def test_everything_that_a_trial_left_is_read(made):
    for name in ("a0", "a1"):
        made.trial(name)
    for name in ("b0", "b1"):
        made.trial(name, pairs=(PAIR,))
    found = made.write(metrics=["rvos", "target"], choose="target")
    assert not found.problems
    assert (found.metrics, found.choose) == (("rvos", "target"), "target")
    assert found.planned[:2] == (("a0", "a", 0), ("b0", "b", 0))
    b = found.trials[1]
    assert b.pairs == (PAIR,)
    assert b.heads == HeadSelection((PAIR,), "top-pairs", "lift", "capture-x")
    assert len(b.selection["rvos"]) == 4 and b.selection["rvos"].jf.mean() == pytest.approx(0.5)
    # Three runs of 1, 2 and 0.5 seconds.
    assert found.costs["b0"] == Cost(3.0, 6.0, 1.5)
    # A look on the way cost as much as a run.
    write_run(made.directory.parents[1] / "trials" / "b0" / "rungs" / "step-000001")
    assert made.write().costs["b0"] == Cost(4.0, 8.0, 2.0)
    best = sweep_answer(found, resamples=20).best
    assert best is not None and best.heads == b.heads


def test_sweeps_from_before_have_no_selection_scores_and_no_cost(made):
    for name in ("a0", "a1", "b0", "b1"):
        made.trial(name, cost=None, selection=None)
    found = made.write()
    assert not found.problems and not found.costs and found.halving is None
    assert all(trial.selection == {} for trial in found.trials)
    assert found.choose == "rvos" and set(found.metrics) >= {"actor", "target", "rvos"}


def test_what_failed_is_named_and_what_it_took_is_counted(made):
    made.trial("a0")
    made.trial("a1")
    write_run(made.folder("a1") / "selection", status="failed")
    write_run(made.folder("b0") / "train", status="failed")
    found = made.write()
    assert [trial.id for trial in found.trials] == ["a0"]
    a1, b0, b1 = sorted(found.problems)
    assert "a, seed 1 (a1): selection is failed" in a1 and "train is failed" in b0
    assert "b, seed 1" in b1
    assert found.costs["b0"] == Cost(1.0, 2.0, 0.5) and "b1" not in found.costs


def test_a_run_that_does_not_say_what_it_took_leaves_the_trial_without_a_cost(made):
    made.trial("a0")
    write_run(made.folder("a0") / "evaluate", jf=0.4, cost=None)
    assert "a0" not in made.write().costs


def test_a_score_that_is_no_number_is_a_problem_of_its_trial(made):
    made.trial("a0")
    made.trial("b0")
    write_run(made.folder("b0") / "evaluate", jf=float("nan"))
    found = made.write()
    assert [trial.id for trial in found.trials] == ["a0"]
    (problem,) = [p for p in found.problems if "b, seed 0" in p]
    assert "J&F of 8 of 8 rows is no number; evaluate again" in problem


def test_trials_of_an_arm_that_was_cut_are_no_problem_and_not_read(made):
    """b0 is whole, as another sweep has run it on: this sweep cut it, and does not report it."""
    for name in ("a0", "a1", "b0"):
        made.trial(name)
    write_run(made.folder("b1") / "train", status="stopped")
    rung = {"step": 2, "scores": {"a0": 50, "b0": 40.5, "b1": None}, "kept": ["a"], "cut": ["b"]}
    write_json(made.directory / "halving.json", {"schema": 1, "metric": "rvos", "rungs": [rung]})
    found = made.write()
    assert not found.problems and {trial.arm for trial in found.trials} == {"a"}
    assert found.halving is not None and found.halving.cut["b"].step == 2
    assert "b1" in found.costs
    b = sweep_answer(found, resamples=20).arm("b")
    assert (b.status, b.cut_score) == ("cut", 40.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "cannot read who was cut"), ("[]", "schema 'list'"), ('{"schema": 2}', "schema 2"),
     ('{"schema": 1, "metric": 3, "rungs": []}', "metric should be str")],
)  # fmt: skip
def test_damaged_decisions_are_refused(made, text, message):
    made.write()
    (made.directory / "halving.json").write_text(text)
    with pytest.raises(RunError, match=message):
        read_sweep(made.directory)


def test_an_unknown_score_is_refused(made):
    with pytest.raises(RunError, match="got the score 'iou', expected one of actor"):
        made.write(metrics=["iou"])
    with pytest.raises(RunError, match="got the score 'loss'"):
        made.write(choose="loss")
