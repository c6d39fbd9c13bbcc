"""Run the trials of a sweep, and go on where a stopped one left off.

A trial lies in ``RUNS/trials/<id>``: the training configuration and the heads file it was started
with, and its runs, each made by the command that a person would give. Sweeps that hold the same
trial share it: whoever runs it has its folder locked, and the others come back to it later.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from probes.halving import Halving, Rung
from probes.store import CaptureStore
from probes.sweeps import SWEEP_FILE, SWEEP_SCHEMA
from reviosa.errors import ReviosaError, RunError
from reviosa.heads import HeadSelection
from reviosa.io import write_json
from reviosa.process import is_locked, sigterm_raises
from reviosa.run_record import is_done
from workbench.executors import Executor, Job, Outcome, Step
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.halving import arm_scores, survivors, write_halving
from workbench.sweeps.plan import (
    Trial,
    choose_heads,
    plan_trials,
    ranked_capture,
)
from workbench.sweeps.status import SweepStatus, TrialStatus
from workbench.sweeps.trials import (
    Features,
    TrialState,
    clear_failure,
    drop_leftovers,
    drop_looks,
    keep_failure,
    rung_score,
    rung_steps,
    running_at,
    trained,
    trial_state,
    trial_steps,
    write_trial,
)
from workbench.sweeps.view import View, duration

__all__ = ["Resources", "run_sweep"]

_TRIES: Final = 3
"""How often a trial is begun whose process is killed from outside."""
_AGAIN_S: Final = 5.0
"""After which a trial that another sweep runs is looked at again."""
_LOOK_S: Final = 1.0


@dataclass(frozen=True)
class Resources:
    """What each trial is given."""

    cpus: int = 1
    gpus: float = 0
    minutes: float | None = None
    memory_gb: float | None = None


def run_sweep(
    sweep: SweepConfig,
    runs: Path,
    executor: Executor,
    resources: Resources,
    view: View,
    retry_failed: bool = False,
    features: Features = (),
) -> list[TrialState]:
    """Run what is not done yet.

    Args:
        sweep: what to run.
        runs: folder of all runs.
        executor: where trials run.
        resources: of each trial.
        view: is told what happens.
        retry_failed: run again what failed before; else it stays failed.
        features: options of the feature cache that all trials share; none without.

    Returns:
        all trials; one that failed does not stop the others, and one that was cut early is "cut".

    Raises:
        KeyboardInterrupt: stopped; the trials keep their last save.
        ReviosaError: the file cannot be met, or the folder cannot be written.
    """
    trials = plan_trials(sweep)
    folder = runs / "sweeps" / sweep.name
    _write_sweep(sweep, trials, folder)
    running = _Sweep(sweep, trials, runs, executor, resources, view, retry_failed, features)
    with sigterm_raises():
        try:
            running.run()
        except BaseException:
            # Before the status is written: what runs on would still be running.
            executor.stop()
            raise
        finally:
            running.close()
    return running.states()


class _Sweep:
    """A sweep that runs."""

    def __init__(
        self,
        sweep: SweepConfig,
        trials: Sequence[Trial],
        runs: Path,
        executor: Executor,
        resources: Resources,
        view: View,
        retry_failed: bool,
        features: Features,
    ) -> None:
        self.sweep, self.runs, self.executor, self.view = sweep, runs, executor, view
        self._folder = runs / "sweeps" / sweep.name
        self.resources, self.features = resources, features
        self.trials = {trial.id: trial for trial in trials}
        states = {trial.id: trial_state(trial, runs) for trial in trials}
        self.folders = {key: state.directory for key, state in states.items()}
        self.status = SweepStatus(
            sweep.name,
            [TrialStatus(t.id, t.arm, t.seed, "waiting", int(t.train["steps"])) for t in trials],
            executor.places,
        )
        self.of = {entry.id: entry for entry in self.status.trials}
        for key, state in states.items():
            if state.status == "done":
                self.of[key].status = "done"
            elif state.status == "failed" and not retry_failed:
                self.of[key].status, self.of[key].reason = "failed", state.reason
        self.heads: dict[str, HeadSelection | None] = {}
        self._lost: Counter[str] = Counter()
        for key, state in states.items():
            if state.status == "done":
                # A sweep that was killed did not come to it.
                drop_leftovers(self.folders[key])

    def run(self) -> None:
        """Run everything that waits."""
        self._tell_start()
        self._choose_heads()
        if self.sweep.halving is not None:
            self._race()
        else:
            write_halving(self._folder, None)
        self._run_all(self._waiting(), self._whole, self._close_trial)

    def close(self) -> None:
        """Say in the status file how all ended."""
        for entry in self.status.trials:
            if entry.status in ("waiting", "running", "elsewhere"):
                entry.status = trial_state(self.trials[entry.id], self.runs).status
        self.status.doing = ""
        self.status.write(self._folder)

    def states(self) -> list[TrialState]:
        """Where each trial is at the end."""
        return [
            TrialState(self.trials[entry.id], entry.status, self.folders[entry.id], entry.reason)
            for entry in self.status.trials
        ]

    def _waiting(self) -> list[str]:
        return [entry.id for entry in self.status.trials if entry.status == "waiting"]

    def _tell_start(self) -> None:
        counts = self.status.counts()
        parts = [f"{counts['waiting']} trials to run", f"{counts['done']} done already"]
        if counts["failed"]:
            parts.append(f"{counts['failed']} failed before (--retry-failed runs them again)")
        self.view.say(f"{self.sweep.name}: {', '.join(parts)}")

    def _choose_heads(self) -> None:
        """Choose the pairs of every trial; the capture they are chosen from is made first."""
        rules = {key: self.trials[key].heads for key in self._waiting()}
        self.heads = dict.fromkeys(rules)
        store, problem = None, ""
        if any(rule is not None and rule.needs_scores for rule in rules.values()):
            try:
                store = self._capture()
            except ReviosaError as error:
                problem = str(error)
        for key, rule in rules.items():
            if rule is None:
                continue
            if rule.needs_scores and store is None:
                self._fail(key, f"the pairs cannot be chosen: {problem}", keep=False)
                continue
            try:
                self.heads[key] = choose_heads(self.sweep, rule, store, self.trials[key].seed)
            except ReviosaError as error:
                self._fail(key, f"the pairs cannot be chosen: {error}", keep=False)

    def _capture(self) -> CaptureStore:
        wanted = ranked_capture(self.sweep)
        assert wanted is not None
        folder = self.runs / wanted.folder
        limit = self.sweep.selection_videos
        command = (
            "capture", "--model", wanted.model, "--data", str(self.sweep.selection),
            "--maps", "none", "--gradients" if wanted.gradients else "--no-gradients",
            "--out", str(folder), "--resume", *(() if limit is None else ("--limit", str(limit))),
            *self.features,
        )  # fmt: skip
        if not is_done(folder):
            self.status.doing = "capture of the model that pairs are chosen from"
            self.view.say(self.status.doing)
        # Its lock and log lie beside it: its own folder is locked by the capture.
        job = self._job("capture", self._folder / "capture", (Step(command, folder),))
        tries = _TRIES
        while not is_done(folder):
            outcome = self._alone(job)
            tries -= outcome.status == "lost"
            elsewhere = "in use by another process" in outcome.reason
            if not tries or (outcome.status == "failed" and not elsewhere):
                raise RunError(f"the capture failed: {outcome.reason}; see {job.log}")
            if not is_done(folder):
                # Another sweep makes it.
                time.sleep(_AGAIN_S)
        self.status.doing = ""
        return CaptureStore(folder)

    def _alone(self, job: Job) -> Outcome:
        future = self.executor.submit(job)
        while not wait([future], timeout=_LOOK_S).done:
            self._show()
        return future.result()

    def _race(self) -> None:
        """Successive halving: measure arms after some steps and go on with the better ones.

        The baseline goes on whatever it scores, because all others are compared with it, and so
        does an arm that was trained to its end without a look on the way: it costs nothing more.
        """
        halving = self.sweep.halving
        assert halving is not None
        arm_of = {key: trial.arm for key, trial in self.trials.items()}
        alive = list(dict.fromkeys(arm_of.values()))
        rules = {name: arm.heads for name, arm in self.sweep.arms.items()}
        controls = {n: rule.like for n, rule in rules.items() if rule is not None and rule.like}
        rungs: list[Rung] = []
        for step in halving.rungs:
            measure = partial(rung_score, step=step, metric=halving.metric)
            out_of_it = {self.sweep.baseline, *controls}
            racing = [k for k, arm in arm_of.items() if arm in {*alive} - out_of_it]
            self._run_all(
                [k for k in self._waiting() if k in racing and self._unknown(k, measure)],
                partial(self._rung, step=step),
                lambda key: drop_looks(self.folders[key]),
            )
            scores = {key: measure(self.folders[key]) for key in racing}
            # Trained to their end without this look, here or by another sweep.
            past = {arm_of[k] for k in racing if scores[k] is None and trained(self.folders[k])}
            safe = {self.sweep.baseline, *past}
            kept = survivors(alive, arm_scores(scores, arm_of), halving.keep, safe, controls)
            cut = [arm for arm in alive if arm not in kept]
            alive = kept
            rungs.append(Rung(step, scores, tuple(kept), tuple(cut)))
            write_halving(self._folder, Halving(halving.metric, tuple(rungs)))
            for entry in self.status.trials:
                if entry.arm in cut and entry.status == "waiting":
                    entry.status, entry.reason = "cut", f"cut after step {step}"
                    if not is_locked(self.folders[entry.id]):
                        drop_leftovers(self.folders[entry.id])
            if cut:
                self.view.say(
                    f"step {step}: {len(alive)} arms go on, {len(cut)} are cut by "
                    f"{halving.metric} J&F on the selection split: {', '.join(cut)}"
                )

    def _unknown(self, key: str, measure: Callable[[Path], float | None]) -> bool:
        """Whether a trial has to be trained to a rung: it was not looked at, and still can be."""
        return measure(self.folders[key]) is None and not trained(self.folders[key])

    def _job(self, name: str, folder: Path, steps: tuple[Step, ...]) -> Job:
        given = self.resources
        return Job(name, folder, steps, given.cpus, given.gpus, given.minutes, given.memory_gb)

    def _whole(self, key: str) -> Job:
        trial, folder = self.trials[key], self.folders[key]
        steps = trial_steps(trial, self.sweep, folder, self.features)
        return self._job(self.of[key].name, folder, steps)

    def _rung(self, key: str, step: int) -> Job:
        folder = self.folders[key]
        name = f"{self.of[key].name}, to step {step}"
        steps = rung_steps(self.trials[key], self.sweep, folder, step, self.features)
        return self._job(name, folder, steps)

    def _run_all(
        self,
        keys: Collection[str],
        job: Callable[[str], Job],
        ended: Callable[[str], None],
    ) -> None:
        """Run a job for each trial, so many at a time, until none waits."""
        waiting, later = deque(keys), deque[tuple[float, str]]()
        running: dict[Future[Outcome], str] = {}
        while waiting or later or running:
            while later and later[0][0] <= time.monotonic():
                waiting.append(later.popleft()[1])
            while waiting and len(running) < self.executor.places:
                key = waiting.popleft()
                if self._begin(key):
                    running[self.executor.submit(job(key))] = key
            if running:
                for future in wait(running, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done:
                    key = running.pop(future)
                    if self._again(key, future.result(), ended):
                        later.append((time.monotonic() + _AGAIN_S, key))
            elif later:
                time.sleep(_LOOK_S)
            self._show()

    def _begin(self, key: str) -> bool:
        """Make a trial ready; False where there is nothing to run."""
        entry, trial = self.of[key], self.trials[key]
        if trial_state(trial, self.runs).status == "done":
            # Another sweep has done it meanwhile.
            entry.status = "done"
            self.view.say(f"done by another sweep: {entry.name} ({key})")
            return False
        try:
            write_trial(trial, self.heads[key], self.folders[key], self.sweep)
        except OSError as error:
            self._fail(key, f"{error.filename or self.folders[key]}: {error.strerror}")
            return False
        clear_failure(self.folders[key])
        if entry.status != "elsewhere":
            self.view.say(f"begun: {entry.name} ({key})")
        entry.status, entry.began = "running", time.monotonic()
        entry.attempts += 1
        return True

    def _again(self, key: str, outcome: Outcome, ended: Callable[[str], None]) -> bool:
        """Take note of how a trial's process ended; whether it is to be begun once more."""
        self._tick()
        entry = self.of[key]
        entry.began = None
        if outcome.status == "done":
            entry.status = "waiting"
            ended(key)
        elif outcome.status == "busy":
            entry.status = "elsewhere"
            entry.attempts -= 1
            return True
        elif outcome.status == "lost" and self._lost[key] < _TRIES - 1:
            self._lost[key] += 1
            self.view.say(f"begun again: {entry.name} ({key}): {outcome.reason}")
            entry.status = "waiting"
            return True
        elif outcome.status == "stopped":
            entry.status = "stopped"
        else:
            self._fail(key, outcome.reason)
        return False

    def _close_trial(self, key: str) -> None:
        entry = self.of[key]
        entry.status = "done"
        drop_leftovers(self.folders[key])
        self.view.say(f"done: {entry.name} ({key}), {duration(entry.seconds)}")

    def _fail(self, key: str, reason: str, keep: bool = True) -> None:
        entry = self.of[key]
        entry.status, entry.reason = "failed", reason
        log = self.folders[key] / "log.txt"
        if keep:
            keep_failure(self.folders[key], reason, entry.attempts)
        see = f"; see {log}" if log.exists() else ""
        self.view.say(f"FAILED: {entry.name} ({key}): {reason}{see}")

    def _show(self) -> None:
        for entry in self.status.trials:
            if entry.status == "running" and not is_locked(self.folders[entry.id]):
                # On a cluster a job may wait before it runs.
                entry.part, entry.began = "queued", None
            elif entry.status == "running":
                entry.began = entry.began or time.monotonic()
                at = running_at(self.trials[entry.id], self.folders[entry.id])
                entry.part, entry.step, entry.loss = at.part, at.step, at.loss
        self._tick()
        self.status.write(self._folder)
        self.view.show(self.status)

    def _tick(self) -> None:
        """Add the time since the last look to what runs."""
        now = time.monotonic()
        for entry in self.status.trials:
            if entry.began is not None:
                entry.seconds, entry.began = entry.seconds + now - entry.began, now


def _write_sweep(sweep: SweepConfig, trials: Sequence[Trial], folder: Path) -> None:
    value = {
        "schema": SWEEP_SCHEMA,
        "name": sweep.name,
        "baseline": sweep.baseline,
        "metrics": list(sweep.metrics),
        "choose": sweep.choose,
        "config": sweep.model_dump(mode="json"),
        "arms": {name: arm.title for name, arm in sweep.arms.items()},
        "trials": [{"id": t.id, "arm": t.arm, "seed": t.seed} for t in trials],
    }
    write_json(folder / SWEEP_FILE, value)
