"""What a sweep does when trials end well, fail, are lost or held elsewhere.

The executor is made up: it answers at once and writes the headers that the real commands would.
"""

import fcntl
import io
import json
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.halving import read_halving
from workbench.executors import Outcome
from workbench.sweeps.halving import arm_scores, survivors
from workbench.sweeps.load import load_sweep
from workbench.sweeps.plan import plan_trials
from workbench.sweeps.run import Resources, run_sweep
from workbench.sweeps.view import duration, headline, table

DONE = Outcome("done")


def header(run, status="done", kind="train"):
    run.mkdir(parents=True, exist_ok=True)
    value = {"schema": 1, "kind": kind, "status": status, "created": "", "config": {}, "seed": 0}
    (run / "run.json").write_text(json.dumps(value))


class MadeUp:
    """An executor; ``ends`` maps an arm to the outcomes of its tries, the last one again and again.

    A trial's J&F on the selection split is ``scores[arm]``.
    """

    def __init__(self, ends=None, scores=None, places=2):
        self.places, self.ends, self.scores = places, dict(ends or {}), scores or {}
        self.jobs = []

    def submit(self, job):
        self.jobs.append(job)
        arm = job.name.split(",")[0]
        outcomes = self.ends.get(arm, [DONE])
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        for step in job.steps if outcome.status == "done" else ():
            if step.run is not None:
                header(step.run)
                found = {"rvos": {"J&F": self.scores.get(arm, 50.0)}}
                (step.run / "evaluation.json").write_text(json.dumps(found))
            if "--stop-at" in step.command:
                header(Path(step.command[step.command.index("--out") + 1]), "stopped")
        future = Future()
        future.set_result(outcome)
        return future

    def stop(self):
        pass

    def begun(self):
        return [job.name for job in self.jobs]


class Said:
    def __init__(self):
        self.lines, self.headlines = [], []

    def say(self, line):
        self.lines.append(line)

    def show(self, status):
        self.headlines.append(headline(status))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("workbench.sweeps.run._AGAIN_S", 0.0)
    monkeypatch.setattr("workbench.sweeps.run._LOOK_S", 0.0)


@pytest.fixture
def sweep(sweep_file):
    """Three arms without pairs, and what the test adds."""

    def make(**changes):
        arms = {
            name: {"title": name, "set": {"learning_rate": rate}}
            for name, rate in (("a", 1e-4), ("b", 2e-4), ("c", 3e-4))
        }
        base = {"arms": arms, "baseline": "a", "claims": None}
        return load_sweep(sweep_file(**{**base, **changes}))

    return make


def run(sweep, runs, executor, **options):
    view = Said()
    states = run_sweep(sweep, runs, executor, Resources(cpus=1), view, **options)
    return {state.trial.arm: state for state in states}, view


def status(runs):
    return json.loads((runs / "sweeps" / "small" / "status.json").read_text())


def test_a_failed_trial_stays_failed_until_it_is_to_be_tried_again(sweep, tmp_path):
    broken = Outcome("failed", "got no disk")
    states, view = run(sweep(), tmp_path, MadeUp({"b": [broken]}))
    assert {arm: s.status for arm, s in states.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert states["b"].reason == "got no disk"
    assert any(line.startswith("FAILED: b, seed 0") for line in view.lines)
    assert status(tmp_path)["counts"] == {"done": 2, "failed": 1}

    again = MadeUp()
    states, view = run(sweep(), tmp_path, again)
    assert again.jobs == [] and states["b"].status == "failed"
    assert states["b"].reason == "got no disk"
    assert "--retry-failed" in view.lines[0]

    states, _ = run(sweep(), tmp_path, again, retry_failed=True)
    assert again.begun() == ["b, seed 0"] and states["b"].status == "done"
    states, _ = run(sweep(), tmp_path, again)
    assert len(again.jobs) == 1 and states["b"].status == "done"


def test_a_trial_whose_process_is_killed_is_begun_three_times(sweep, tmp_path):
    lost = Outcome("lost", "killed by SIGKILL")
    once = MadeUp({"b": [lost, DONE]})
    states, _ = run(sweep(), tmp_path / "once", once)
    assert states["b"].status == "done" and once.begun().count("b, seed 0") == 2
    # Looks on the way are no tries: three beginnings that end well, then one that is lost.
    raced = sweep(
        halving={"rungs": [1, 2, 3], "keep": 0.9},
        arms={n: {"title": n, "set": {"steps": 4, "learning_rate": r}}
              for n, r in (("a", 1e-4), ("b", 2e-4), ("c", 3e-4))},
    )  # fmt: skip
    late = MadeUp({"b": [DONE, DONE, DONE, lost, DONE]})
    states, _ = run(raced, tmp_path / "late", late)
    assert states["b"].status == "done" and late.begun().count("b, seed 0") == 2
    always = MadeUp({"b": [lost]})
    states, _ = run(sweep(), tmp_path / "always", always)
    assert states["b"].status == "failed" and "SIGKILL" in states["b"].reason
    assert always.begun().count("b, seed 0") == 3 and states["c"].status == "done"


def test_a_trial_that_another_sweep_runs_is_come_back_to(sweep, tmp_path):
    busy = Outcome("busy", "another process has it")
    executor = MadeUp({"a": [busy, busy, busy, busy, DONE]})
    states, view = run(sweep(), tmp_path, executor)
    assert states["a"].status == "done" and executor.begun().count("a, seed 0") == 5
    assert executor.begun()[:3] == ["a, seed 0", "b, seed 0", "c, seed 0"], "others first"
    assert any("1 run by another sweep" in line for line in view.headlines)


def test_no_more_trials_are_handed_over_than_there_are_places(sweep, tmp_path):
    class Counting(MadeUp):
        most = running = 0

        def submit(self, job):
            future = super().submit(job)
            pending = Future()
            self.waiting = [*getattr(self, "waiting", []), (pending, future.result())]
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running == self.places or len(self.jobs) == 6:
                for held, outcome in self.waiting:
                    held.set_result(outcome)
                self.running, self.waiting = 0, []
            return pending

    executor = Counting(places=2)
    states, _ = run(sweep(seeds=[0, 1]), tmp_path, executor)
    assert len(executor.jobs) == 6 and executor.most == 2
    assert {s.status for s in states.values()} == {"done"}


def test_a_folder_that_cannot_be_written_fails_its_trial_alone(sweep, tmp_path):
    made = sweep()
    first, _ = run(made, tmp_path / "list", MadeUp())
    (tmp_path / "runs" / "trials").mkdir(parents=True)
    (tmp_path / "runs" / "trials" / first["b"].trial.id).write_text("in the way")
    states, _ = run(made, tmp_path / "runs", MadeUp())
    assert [s.status for s in states.values()] == ["done", "failed", "done"]
    assert first["b"].trial.id in states["b"].reason


def test_a_capture_that_fails_fails_what_needs_it_and_nothing_else(sweep, tmp_path):
    arms = {
        "a": {"title": "a"},
        "b": {"title": "b", "heads": {"strategy": "top-layer", "k": 2}},
        "c": {"title": "c", "heads": {"strategy": "random", "k": 2}},
    }
    executor = MadeUp({"capture": [Outcome("failed", "No space left on device")]})
    states, _ = run(sweep(arms=arms), tmp_path, executor)
    assert [s.status for s in states.values()] == ["done", "failed", "done"]
    assert "No space left on device" in states["b"].reason and "capture" in states["b"].reason
    # It did not fail itself: with a capture it is simply run.
    assert not (states["b"].directory / "failure.json").exists()


def test_what_was_not_run_when_all_was_stopped_is_said(sweep, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(sweep(), tmp_path, MadeUp({"b": [KeyboardInterrupt()]}, places=1))
    trials = {t["arm"]: t["status"] for t in status(tmp_path)["trials"]}
    assert trials == {"a": "done", "b": "new", "c": "new"}


def test_the_dashboard_can_read_where_a_running_trial_is(sweep, tmp_path):
    seen = []

    class Watching(MadeUp):
        def submit(self, job):
            # A line is torn while it is written.
            log = job.folder / "train" / "log.jsonl"
            job.folder.mkdir(parents=True, exist_ok=True)
            self.lock = open(job.folder / ".lock", "w")  # noqa: SIM115 - held while it "runs"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
            self.job = job
            future = Future()
            self.future = future
            return future

    class Looking(Said):
        def show(self, shown):
            found = status(tmp_path)
            seen.append(next(t for t in found["trials"] if t["arm"] == "a"))
            if seen[-1]["part"] == "queued":
                fcntl.flock(executor.lock, fcntl.LOCK_EX)
                return
            executor.lock.close()
            for step in executor.job.steps:
                header(step.run)
            if not executor.future.done():
                executor.future.set_result(DONE)

    executor = Watching(places=1)
    run_sweep(sweep(), tmp_path, executor, Resources(), Looking())
    # Until its process holds the folder it waits, as in a cluster's queue.
    assert (seen[0]["status"], seen[0]["part"], seen[0]["step"]) == ("running", "queued", None)
    assert (seen[1]["status"], seen[1]["part"]) == ("running", "train")
    assert (seen[1]["step"], seen[1]["steps"], seen[1]["loss"]) == (1, 2, 2.5)


def test_halving_cuts_the_arms_that_are_behind_on_the_selection_split(sweep, tmp_path):
    arms = {
        name: {"title": name, "set": {"learning_rate": rate}}
        for name, rate in (("a", 1e-4), ("b", 2e-4), ("c", 3e-4), ("d", 4e-4))
    }
    heads = {"strategy": "random", "k": 1}
    arms["good"] = {"title": "g", "heads": heads}
    arms["bad"] = {"title": "b", "heads": {**heads, "k": 2}}
    arms["like-good"] = {"title": "l", "heads": {"strategy": "matched-random", "like": "good"}}
    arms["like-bad"] = {"title": "m", "heads": {"strategy": "matched-random", "like": "bad"}}
    scores = {"a": 1.0, "b": 60.0, "c": 70.0, "d": 65.0, "good": 80.0, "bad": 10.0}
    made = sweep(arms=arms, halving={"rungs": [1], "keep": 0.5, "metric": "rvos"})
    executor = MadeUp(scores=scores)
    states, view = run(made, tmp_path, executor)
    # b, c, d, good and bad race: the best ceil(2.5) = 3 go on. The baseline a and the control of
    # good, which goes where good goes, do not race.
    cut = {arm for arm, state in states.items() if state.status == "cut"}
    assert cut == {"b", "bad", "like-bad"}
    assert {state.status for arm, state in states.items() if arm not in cut} == {"done"}
    raced = [name for name in executor.begun() if name.endswith("to step 1")]
    assert raced == [f"{arm}, seed 0, to step 1" for arm in ("b", "c", "d", "good", "bad")]
    halving = read_halving(tmp_path / "sweeps" / "small")
    (rung,) = halving.rungs
    assert (halving.metric, rung.step, set(rung.cut)) == ("rvos", 1, cut)
    assert sorted(rung.scores.values()) == [10.0, 60.0, 65.0, 70.0, 80.0]
    judged = executor.jobs[0].steps[-1].command
    assert judged[judged.index("--data") + 1] == str(made.selection)
    assert any("3 are cut by rvos J&F on the selection split" in line for line in view.lines)

    # Nothing is measured or trained anew; without halving the others are trained to their end, and
    # nothing says any more that they were cut.
    again = MadeUp(scores=scores)
    run(made, tmp_path, again)
    assert again.jobs == []
    states, _ = run(sweep(arms=arms), tmp_path, again)
    assert {job.name for job in again.jobs} == {f"{arm}, seed 0" for arm in cut}
    assert read_halving(tmp_path / "sweeps" / "small") is None


def test_a_trial_that_fails_on_the_way_leaves_its_arm_to_the_other_seeds(sweep, tmp_path):
    made = sweep(seeds=[0, 1], halving={"rungs": [1], "keep": 0.5})
    executor = MadeUp({"c": [Outcome("failed", "broken"), DONE]}, {"b": 10.0, "c": 20.0})
    run_sweep(made, tmp_path, executor, Resources(), Said())
    (rung,) = read_halving(tmp_path / "sweeps" / "small").rungs
    assert rung.kept == ("a", "c") and rung.cut == ("b",)
    assert sorted(rung.scores.values(), key=str) == [10.0, 10.0, 20.0, None]


def raced(sweep, *rungs):
    """b is behind, c ahead; the baseline a does not race."""
    arms = {n: {"title": n, "set": {"steps": 4, "learning_rate": r}}
            for n, r in (("a", 1e-4), ("b", 2e-4), ("c", 3e-4))}  # fmt: skip
    return sweep(arms=arms, halving={"rungs": list(rungs), "keep": 0.5})


def test_what_is_trained_to_its_end_is_never_cut_for_want_of_a_look(sweep, tmp_path):
    scores = {"b": 10.0, "c": 20.0}
    states, _ = run(raced(sweep, 1), tmp_path, MadeUp(scores=scores))
    assert {arm: s.status for arm, s in states.items()} == {"a": "done", "b": "cut", "c": "done"}
    # c is done and was never looked at after step 2, and can be no more.
    again = MadeUp(scores=scores)
    states, _ = run(raced(sweep, 1, 2), tmp_path, again)
    assert {arm: s.status for arm, s in states.items()} == {"a": "done", "b": "cut", "c": "done"}
    assert again.jobs == []


def test_an_arm_that_another_sweep_finishes_meanwhile_goes_on(sweep, tmp_path):
    made = raced(sweep, 1)
    folders = {t.arm: tmp_path / "trials" / t.id for t in plan_trials(made)}

    class Meanwhile(MadeUp):
        def submit(self, job):
            for part in ("train", "selection", "evaluate"):
                header(folders["c"] / part)
            return super().submit(job)

    executor = Meanwhile(scores={"b": 10.0}, places=1)
    states, _ = run(made, tmp_path, executor)
    assert states["c"].status == "done" and states["b"].status == "done", "b raced alone"
    assert "c, seed 0, to step 1" not in executor.begun()


def test_a_trial_that_is_trained_but_not_evaluated_does_not_race(sweep, tmp_path):
    made = raced(sweep, 1)
    (c,) = (t for t in plan_trials(made) if t.arm == "c")
    header(tmp_path / "trials" / c.id / "train")
    executor = MadeUp(scores={"b": 10.0})
    states, _ = run(made, tmp_path, executor)
    assert states["c"].status == "done"
    assert "c, seed 0, to step 1" not in executor.begun()


def test_what_only_a_training_needs_is_removed(sweep, tmp_path):
    made = raced(sweep, 1)
    folders = {t.arm: tmp_path / "trials" / t.id for t in plan_trials(made)}
    for folder in folders.values():
        (folder / "train" / "checkpoints" / "checkpoint-1").mkdir(parents=True)
        (folder / "train" / "model-at-1").mkdir()
    run(made, tmp_path, MadeUp(scores={"b": 10.0, "c": 20.0}))
    for folder in folders.values():
        assert not (folder / "train" / "checkpoints").exists()
        assert not (folder / "train" / "model-at-1").exists()


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100), min_size=1),
    st.floats(0.01, 0.99),
)
def test_none_that_is_cut_is_better_than_one_that_goes_on(scores, keep):
    arms = sorted(scores)
    kept = survivors(arms, scores, keep)
    cut = [arm for arm in arms if arm not in kept]
    assert 1 <= len(kept) <= len(arms)
    assert all(scores[k] >= scores[c] for k in kept for c in cut)


def test_arms_are_judged_by_the_mean_of_what_was_measured():
    arms = {"1": "a", "2": "a", "3": "b", "4": "c"}
    # a: (10 + 20) / 2; c was never measured.
    scores = {"1": 10.0, "2": 20.0, "3": 5.0, "4": None}
    assert arm_scores(scores, arms) == {"a": 15.0, "b": 5.0}
    assert survivors(["a", "b", "c"], {"a": 15.0, "b": 5.0}, 0.99) == ["a", "b"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3725, "1 h 2 min"), (119.6, "2 min")],
)
def test_times_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_table_in_the_terminal_shows_what_runs_and_what_failed(sweep, tmp_path):
    from rich.console import Console

    from workbench.sweeps.status import SweepStatus, TrialStatus

    trials = [
        TrialStatus("1", "a", 0, "done", 100, seconds=60.0, attempts=1),
        TrialStatus("2", "b [red]", 0, "running", 100, "", "train", 40, 1.25, 30.0, 1),
        TrialStatus("3", "c", 0, "failed", 100, "got no disk"),
        TrialStatus("4", "d", 0, "waiting", 100),
    ]
    shown = SweepStatus("small", trials, places=2)
    # One takes 60 s: d has 60 s before it, b 30 s; two places share 90 s of work, and the longest
    # that runs ends in 30 s.
    assert shown.seconds_left() == pytest.approx(45.0)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(shown))
    text = console.export_text()
    for words in ("1 of 4 trials done, 1 running, 1 failed, about 45 s left", "b [red], seed 0",
                  "40 of 100", "1.250", "failed: got no disk"):  # fmt: skip
        assert words in text
