"""Run the trials of a sweep in processes of their own, and go on where a stopped one left off.

A trial lies in ``RUNS/trials/<id>``: ``trial.json``, the training configuration and the heads file
it was started with, and its runs ``train``, ``evaluate`` and, where asked for,
``target-by-prompt``, each made by the command that a person would give. Sweeps that hold the same
trial share it.
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
from reviosa.model import model_identity
from reviosa.run_record import read_run
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.plan import Trial, base_config, choose_heads, data_used, plan_trials

__all__ = ["SweepFailure", "TrialState", "capture_directory", "run_sweep", "trial_state"]

_CLI: Final = (sys.executable, "-m", "workbench.cli")
_LAST_LINES: Final = 400


@dataclass(frozen=True)
class TrialState:
    """How far a trial is."""

    trial: Trial
    status: str
    """"new", "running", "stopped", "failed" or "done"."""
    directory: Path


class SweepFailure(Exception):
    """A process of a trial ended with an error; the message is its last line."""


def trial_state(trial: Trial, runs: Path) -> TrialState:
    """Read from the trial's runs how far it is."""
    directory = runs / "trials" / trial.id
    found = [_status(directory / part) for part in _parts(trial)]
    if all(status == "done" for status in found):
        return TrialState(trial, "done", directory)
    begun = [status for status in found if status != "new"]
    status = next((s for s in ("running", "failed", "stopped") if s in begun), None)
    return TrialState(trial, status or ("stopped" if begun else "new"), directory)


def capture_directory(sweep: SweepConfig, runs: Path) -> Path:
    """Where the capture of the start model lies; sweeps from the same start share it."""
    model = model_identity(base_config(sweep, sweep.baseline).model)
    data, videos = data_used(sweep.selection, sweep.selection_videos).split("-")
    return runs / f"capture-{model[:8]}-{data[:8]}-{videos}"


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
    pool = _Processes(max(1, (os.cpu_count() or 1) // workers))
    runs.mkdir(parents=True, exist_ok=True)

    trials = plan_trials(sweep)
    heads = _heads(sweep, trials, runs, pool, tell)
    _write_sweep(sweep, trials, heads, runs)
    states = [trial_state(trial, runs) for trial in trials]
    waiting = [state for state in states if state.status != "done"]
    tell(f"{len(states)} trials, {len(states) - len(waiting)} done already")
    with ThreadPoolExecutor(workers) as threads:
        futures = {
            threads.submit(_run_trial, s, sweep, heads[s.trial.id], pool, tell): s for s in waiting
        }
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            pool.stop()
            raise
    return [trial_state(trial, runs) for trial in trials]


def _heads(
    sweep: SweepConfig,
    trials: Sequence[Trial],
    runs: Path,
    pool: "_Processes",
    tell: Callable[[str], None],
) -> dict[str, HeadSelection | None]:
    """The pairs of every trial, by its id; the capture that they are chosen from is made first."""
    if all(trial.heads is None for trial in trials):
        return {trial.id: None for trial in trials}
    folder = capture_directory(sweep, runs)
    if _status(folder) != "done":
        tell("capture of the start model")
        limit = () if sweep.selection_videos is None else ("--limit", str(sweep.selection_videos))
        model = base_config(sweep, sweep.baseline).model
        command = ("capture", "--model", model, "--data", str(sweep.selection), "--maps", "none",
                   "--out", str(folder), "--resume", *limit)  # fmt: skip
        try:
            pool.run(command, runs / "sweeps" / sweep.name / "capture.log")
        except SweepFailure as error:
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
    except SweepFailure as error:
        tell(f"FAILED: {name}: {error}; see {log}")
        return
    # Only a training that is to go on needs them.
    shutil.rmtree(folder / "train" / "checkpoints", ignore_errors=True)
    tell(f"done: {name}")


def _report(sweep: SweepConfig) -> tuple[str, ...]:
    limit = () if sweep.report_videos is None else ("--limit", str(sweep.report_videos))
    return ("--data", str(sweep.report), *limit)


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
    settings = {**trial.train, "data": str(sweep.data.resolve())}
    settings["attention_data"] = str(sweep.selection.resolve())
    if heads is not None:
        heads.save(folder / "heads.json")
        settings["heads"] = "heads.json"
    write_text(folder / "train.yaml", yaml.safe_dump(settings, sort_keys=False))
    write_json(folder / "trial.json", {"id": trial.id, "seed": trial.seed, "pairs": _pairs(heads)})


def _write_sweep(
    sweep: SweepConfig,
    trials: Sequence[Trial],
    heads: Mapping[str, HeadSelection | None],
    runs: Path,
) -> None:
    capture = capture_directory(sweep, runs).name
    needs = any(arm.heads is not None for arm in sweep.arms.values())
    value: dict[str, Any] = {
        "schema": SWEEP_SCHEMA,
        "name": sweep.name,
        "baseline": sweep.baseline,
        "capture": capture if needs else None,
        "config": sweep.model_dump(mode="json"),
        "arms": {name: arm.title for name, arm in sweep.arms.items()},
        "trials": [
            {"id": t.id, "arm": t.arm, "seed": t.seed, "pairs": _pairs(heads[t.id])} for t in trials
        ],
    }
    write_json(runs / "sweeps" / sweep.name / SWEEP_FILE, value)


def _pairs(heads: HeadSelection | None) -> list[list[int]]:
    return [list(pair) for pair in heads.pairs] if heads else []


class _Processes:
    """Runs our own commands in processes, and stops them all."""

    def __init__(self, threads: int) -> None:
        self._threads = str(threads)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, arguments: Sequence[str], log: Path) -> None:
        """Run ``reviosa ARGUMENTS``; what it says goes to the end of ``log``.

        Raises:
            SweepFailure: it ended with an error.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": self._threads}
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            file.write(f"$ reviosa {' '.join(arguments)}\n".encode())
            file.flush()
            with self._lock:
                if self._stopped:
                    raise SweepFailure("the sweep was stopped")
                # A session of its own: Ctrl-C reaches us, and we tell the processes.
                process = subprocess.Popen(
                    [*_CLI, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment,
                    start_new_session=True,
                )  # fmt: skip
                self._running.add(process)
            try:
                code = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        if code:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise SweepFailure(lines[-1][:_LAST_LINES] if lines else f"exit code {code}")

    def stop(self) -> None:
        """Tell every process to stop, and let none begin."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGTERM)
