"""Run the trials of a sweep in processes of their own, and go on where a stopped one left off.

A trial lies in ``RUNS/trials/<id>``: the training configuration and the heads file it was started
with, and its runs ``train``, ``evaluate`` and, where asked for, ``target-by-prompt``, each made by
the command that a person would give. Sweeps that hold the same trial share it.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from probes.store import CaptureStore
from probes.sweeps import SWEEP_FILE, SWEEP_SCHEMA
from reviosa.errors import ReviosaError, RunError
from reviosa.heads import HeadSelection
from reviosa.io import write_json, write_text
from reviosa.process import sigterm_raises
from reviosa.run_record import read_run
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.plan import Trial, choose_heads, plan_trials, ranked_capture

__all__ = ["TrialState", "run_sweep", "trial_state"]

_CLI: Final = (sys.executable, "-m", "workbench.cli")
_LONGEST: Final = 400
"""Characters of a message that are shown."""


@dataclass(frozen=True)
class TrialState:
    """How far a trial is."""

    trial: Trial
    status: str
    """"new", "running", "stopped", "failed" or "done"."""
    directory: Path


class _Failure(Exception):
    """A process of a trial ended with an error; the message says which."""


def trial_state(trial: Trial, runs: Path) -> TrialState:
    """Read from the trial's runs how far it is."""
    directory = runs / "trials" / trial.id
    found = [_status(directory / part) for part in _parts(trial)]
    if all(status == "done" for status in found):
        return TrialState(trial, "done", directory)
    begun = [status for status in found if status != "new"]
    status = next((s for s in ("running", "failed", "stopped") if s in begun), None)
    return TrialState(trial, status or ("stopped" if begun else "new"), directory)


def run_sweep(
    sweep: SweepConfig,
    runs: Path,
    workers: int,
    tell: Callable[[str], None],
) -> list[TrialState]:
    """Run what is not done yet.

    Args:
        sweep: what to run.
        runs: folder of all runs.
        workers: trials at a time; the processors are shared out among them.
        tell: called with a line whenever a trial begins or ends.

    Returns:
        all trials; a failed one does not stop the others.

    Raises:
        KeyboardInterrupt: stopped; the processes were told to stop too, and keep their last save.
        ReviosaError: the capture failed, or the file cannot be met.
    """
    trials = plan_trials(sweep)
    pool = _Processes(max(1, (os.cpu_count() or 1) // workers))
    with sigterm_raises():
        try:
            _run_trials(sweep, trials, runs, workers, pool, tell)
        except BaseException:
            pool.stop()
            raise
    return [trial_state(trial, runs) for trial in trials]


def _run_trials(
    sweep: SweepConfig,
    trials: Sequence[Trial],
    runs: Path,
    workers: int,
    pool: "_Processes",
    tell: Callable[[str], None],
) -> None:
    heads = _heads(sweep, trials, runs, pool, tell)
    _write_sweep(sweep, trials, runs)
    states = [trial_state(trial, runs) for trial in trials]
    waiting = [state for state in states if state.status != "done"]
    tell(f"{len(states)} trials, {len(states) - len(waiting)} done already")
    with ThreadPoolExecutor(workers) as threads:
        futures = [
            threads.submit(_run_trial, s, sweep, heads[s.trial.id], pool, tell) for s in waiting
        ]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            # Here already: leaving the block waits for the threads, which wait for the processes.
            pool.stop()
            raise


def _heads(
    sweep: SweepConfig,
    trials: Sequence[Trial],
    runs: Path,
    pool: "_Processes",
    tell: Callable[[str], None],
) -> dict[str, HeadSelection | None]:
    """The pairs of every trial, by its id; the capture that they are chosen from is made first."""
    wanted = ranked_capture(sweep)
    store = None
    if wanted is not None:
        folder = runs / wanted.folder
        if _status(folder) != "done":
            tell("capture of the model that pairs are chosen from")
            command = ("capture", "--model", wanted.model, "--data", str(sweep.selection),
                       "--maps", "none", "--out", str(folder), "--resume",
                       *(() if wanted.gradients else ("--no-gradients",)),
                       *_limit(sweep.selection_videos))  # fmt: skip
            try:
                pool.run(command, runs / "sweeps" / sweep.name / "capture.log")
            except _Failure as error:
                raise RunError(f"the capture that pairs are chosen from failed: {error}") from None
        store = CaptureStore(folder)
    return {
        trial.id: choose_heads(sweep, trial.heads, store, trial.seed) if trial.heads else None
        for trial in trials
    }


def _run_trial(
    state: TrialState,
    sweep: SweepConfig,
    heads: HeadSelection | None,
    pool: "_Processes",
    tell: Callable[[str], None],
) -> None:
    trial, folder = state.trial, state.directory
    name = f"{trial.arm}, seed {trial.seed} ({trial.id})"
    tell(f"begun: {name}")
    if _status(folder / "train") == "new":
        _write_trial(trial, heads, folder, sweep)
    log = folder / "log.txt"
    model = str(folder / "train")
    commands: dict[str, tuple[str, ...]] = {
        "train": ("train", "--config", str(folder / "train.yaml"), "--out", model),
        "evaluate": ("evaluate", "--model", model, *_report(sweep)),
        "target-by-prompt": (
            "evaluate", "--model", model, "--target-by-prompt", "--protocol", "target",
            *_report(sweep),
        ),
    }  # fmt: skip
    try:
        for part in _parts(trial):
            if _status(folder / part) != "done":
                out = () if part == "train" else ("--out", str(folder / part))
                pool.run((*commands[part], *out, "--resume"), log)
    except _Failure as error:
        tell(f"stopped: {name}" if pool.stopped else f"FAILED: {name}: {error}; see {log}")
        return
    # Only a training that is to go on needs them.
    shutil.rmtree(folder / "train" / "checkpoints", ignore_errors=True)
    tell(f"done: {name}")


def _report(sweep: SweepConfig) -> tuple[str, ...]:
    return ("--data", str(sweep.report), *_limit(sweep.report_videos))


def _limit(videos: int | None) -> tuple[str, ...]:
    return () if videos is None else ("--limit", str(videos))


def _parts(trial: Trial) -> tuple[str, ...]:
    return ("train", "evaluate", *(("target-by-prompt",) if trial.target_by_prompt else ()))


def _status(directory: Path) -> str:
    try:
        return read_run(directory)["status"]
    except ReviosaError:
        return "new"


def _write_trial(
    trial: Trial, heads: HeadSelection | None, folder: Path, sweep: SweepConfig
) -> None:
    settings: dict[str, Any] = {**trial.train, "data": os.path.abspath(sweep.data)}
    settings["attention_data"] = os.path.abspath(sweep.selection)
    if heads is not None:
        heads.save(folder / "heads.json")
        settings["heads"] = "heads.json"
    write_text(folder / "train.yaml", yaml.safe_dump(settings, sort_keys=False))


def _write_sweep(sweep: SweepConfig, trials: Sequence[Trial], runs: Path) -> None:
    value: Mapping[str, Any] = {
        "schema": SWEEP_SCHEMA,
        "name": sweep.name,
        "baseline": sweep.baseline,
        "config": sweep.model_dump(mode="json"),
        "arms": {name: arm.title for name, arm in sweep.arms.items()},
        "trials": [{"id": t.id, "arm": t.arm, "seed": t.seed} for t in trials],
    }
    write_json(runs / "sweeps" / sweep.name / SWEEP_FILE, value)


class _Processes:
    """Runs our own commands in processes, and stops them all."""

    def __init__(self, threads: int) -> None:
        self._threads = str(threads)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def run(self, arguments: Sequence[str], log: Path) -> None:
        """Run ``reviosa ARGUMENTS``; what it says goes to the end of ``log``.

        Raises:
            _Failure: it ended with an error, or all were stopped.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": self._threads}
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            file.write(f"$ reviosa {' '.join(arguments)}\n".encode())
            file.flush()
            start = file.tell()
            with self._lock:
                if self.stopped:
                    raise _Failure("the sweep was stopped")
                # A session of its own: Ctrl-C reaches us, and we tell the processes.
                process = subprocess.Popen(
                    [*_CLI, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment,
                    start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            code = process.wait()
        with self._lock:
            self._running.discard(process)
        if code < 0:
            raise _Failure(f"killed by {signal.Signals(-code).name}; was there memory enough?")
        if code:
            said = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
            raise _Failure(said[-1][:_LONGEST] if said else f"exit code {code}")

    def stop(self) -> None:
        """Tell every process to stop, let none begin, and wait until they have ended."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)
        for process in list(self._running):
            process.wait()
