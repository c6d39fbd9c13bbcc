"""What the page of sweeps shows, fetched: which there are, how far each is, and its answer.

A name from an address is only ever looked up among those that :func:`list_sweeps` found.
"""

import contextlib
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from probes.answer import SweepAnswer, load_answer, sweep_answer
from probes.halving import HALVING_FILE
from probes.sweeps import SWEEP_FILE, read_sweep
from reviosa.errors import ReviosaError, RunError
from reviosa.evaluation import SCORES_FILE
from reviosa.process import is_locked
from workbench.pages._data import files_mark
from workbench.pages._paths import is_below
from workbench.sweeps.answer import ANSWER_FILE
from workbench.sweeps.status import STATUS_FILE, STATUS_SCHEMA

__all__ = [
    "Answered", "Progress", "answer_of", "arm_titles", "list_sweeps", "read_progress", "sweep_mark",
    "trial_names", "trial_table",
]  # fmt: skip

_PARTS: Final = ("train", "selection", "evaluate", "target-by-prompt")
_SILENT_S: Final = 300
"""A sweep that runs writes every second; after so long it is taken for dead."""
_OPEN: Final = ("running", "elsewhere", "waiting")


@dataclass(frozen=True)
class Progress:
    """How far a sweep is, as its status file says and the processes of this machine bear out."""

    state: str
    """"running"; "stopped", where trials are left and nobody goes on; "ended"."""
    where: str
    """Host and process."""
    updated: str
    doing: str
    seconds_left: float | None
    trials: tuple[dict[str, Any], ...]
    """As :class:`workbench.sweeps.status.TrialStatus` has them, with ``status`` as it is now."""

    @property
    def counts(self) -> Counter[str]:
        """How many trials are how."""
        return Counter(trial["status"] for trial in self.trials)


@dataclass(frozen=True)
class Answered:
    """The answer of a sweep and the trials of its file."""

    answer: SweepAnswer
    planned: tuple[tuple[str, str, int], ...]
    """(id, arm, seed)."""
    kept: bool
    """Whether the answer is the file's; else it was computed from the trials that are done."""


def list_sweeps(runs: Path) -> list[str]:
    """Names of the sweeps in a folder of runs, the one that was changed last first."""
    times: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for folder in (runs / "sweeps").iterdir():
            if not is_below(runs, folder):
                continue
            for name in (SWEEP_FILE, STATUS_FILE):
                with contextlib.suppress(OSError):
                    changed = (folder / name).stat().st_mtime_ns
                    times[folder.name] = max(times.get(folder.name, 0), changed)
    return sorted(times, key=lambda name: (-times[name], name))


def sweep_mark(runs: Path, name: str) -> tuple[tuple[str, int, int], ...]:
    """Mark of everything that the answer rests on, and of its file."""
    folder = runs / "sweeps" / name
    paths = [folder / file for file in (SWEEP_FILE, HALVING_FILE, ANSWER_FILE)]
    with contextlib.suppress(ReviosaError):
        paths += [
            runs / "trials" / key / part / file
            for key, _, _ in _planned(folder)
            for part in _PARTS
            for file in ("run.json", SCORES_FILE)
        ]
    return files_mark(paths)


@st.cache_resource(max_entries=8, show_spinner="Computing scores and differences")
def answer_of(runs: Path, name: str, mark: tuple) -> Answered:
    """The answer that was left, if nothing it rests on has changed since, else computed anew.

    Args:
        runs: folder of all runs.
        name: one of :func:`list_sweeps`.
        mark: of :func:`sweep_mark`.

    Raises:
        RunError: the sweep's files are damaged or of another schema.
    """
    folder = runs / "sweeps" / name
    planned = _planned(folder)
    times = {file: time for file, time, _ in mark}
    written = times.pop(str(folder / ANSWER_FILE), 0)
    if written > max(times.values(), default=0):
        with contextlib.suppress(ReviosaError):  # of another version: computed again
            answer = load_answer(folder / ANSWER_FILE)
            used = [key for arm in answer.arms for key in arm.trials.values()]
            if all(str(runs / "trials" / key / "evaluate" / "run.json") in times for key in used):
                return Answered(answer, planned, True)
    try:
        answer = sweep_answer(read_sweep(folder))
        if answer.baseline not in [arm.arm for arm in answer.arms]:
            raise ValueError(f"no arm has the name of the baseline, {answer.baseline!r}")
        return Answered(answer, planned, False)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(folder / SWEEP_FILE, error) from None


def arm_titles(runs: Path, name: str) -> dict[str, str]:
    """Arm -> title, of a sweep's file; empty where it cannot be read."""
    with contextlib.suppress(ReviosaError):
        arms = _read(runs / "sweeps" / name / SWEEP_FILE).get("arms")
        if isinstance(arms, dict):
            return {arm: str(title) for arm, title in arms.items()}
    return {}


def trial_names(runs: Path) -> dict[str, str]:
    """Trial id -> sweep, title of the arm and seed, for people; of files that can be read."""
    names: dict[str, str] = {}
    for sweep in reversed(list_sweeps(runs)):
        with contextlib.suppress(ReviosaError):
            titles = arm_titles(runs, sweep)
            for key, arm, seed in _planned(runs / "sweeps" / sweep):
                names[key] = f"{sweep}: {titles.get(arm, arm)}, seed {seed}"
    return names


def read_progress(runs: Path, name: str) -> Progress | None:
    """How far a sweep is; None where it kept no status file.

    What the file calls running is believed while its process lives and writes. After that a trial
    whose folder is locked is run by another process, and the others are stopped.

    Raises:
        RunError: the file is damaged or of another schema.
    """
    path = runs / "sweeps" / name / STATUS_FILE
    if not path.is_file():
        return None
    value = _read(path)
    if value.get("schema") != STATUS_SCHEMA:
        raise RunError(
            f"{path}: got schema {value.get('schema')!r}, expected {STATUS_SCHEMA}; run the sweep "
            "again"
        )
    try:
        process = value["process"]
        trials = [_trial(entry) for entry in value["trials"]]
        updated = datetime.fromisoformat(value["updated"]).astimezone(UTC)
        where = f"{process['host']}, process {int(process['pid'])}"
        left = value["seconds_left"]
        left = None if left is None else float(left)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None
    locked = {
        trial["id"] for trial in trials
        if trial["status"] in _OPEN and is_locked(runs / "trials" / trial["id"])
    }  # fmt: skip
    begun = any(t["id"] in locked for t in trials if t["status"] == "running")
    lives = _lives(process, updated, begun)
    if not lives:
        for trial in trials:
            if trial["status"] in _OPEN:
                was = trial["status"]
                stopped = "new" if was == "waiting" else "stopped"
                trial["status"] = "elsewhere" if trial["id"] in locked else stopped
    doing = str(value.get("doing") or "") if lives else ""
    statuses = {trial["status"] for trial in trials}
    if lives and (doing or statuses & set(_OPEN)):
        state = "running"
    else:
        state = "ended" if statuses <= {"done", "failed", "cut"} else "stopped"
    when = updated.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Progress(state, where, when, doing, left, tuple(trials))


def trial_table(progress: Progress | None, answered: Answered | None) -> pd.DataFrame:
    """One row a trial: id, arm, seed, status, step, J&F by score, seconds, reason.

    Scores are of trials that are whole; NaN elsewhere.
    """
    rows: dict[str, dict[str, Any]] = {}
    for key, arm, seed in answered.planned if answered else ():
        rows[key] = {"id": key, "arm": arm, "seed": seed, "status": "not done"}
    for trial in progress.trials if progress else ():
        rows[trial["id"]] = {k: trial[k] for k in ("id", "arm", "seed", "status")} | {
            "part": trial["part"], "step": trial["step"], "of": trial["steps"],
            "loss": trial["loss"], "seconds": trial["seconds"] or None, "reason": trial["reason"],
        }  # fmt: skip
    for arm in answered.answer.arms if answered else ():
        for row in rows.values():
            if row["arm"] != arm.arm:
                continue
            row["title"] = arm.title
            if arm.trials.get(str(row["seed"])) == row["id"]:
                row |= {"status": "done", "step": arm.steps, "of": arm.steps, "part": ""}
                for score, mean in arm.scores.items():
                    row[score] = mean.seeds.get(row["seed"])
                if arm.selection is not None:
                    row["selection"] = arm.selection.seeds.get(row["seed"])
            elif arm.status == "cut":
                row |= {"status": "cut", "reason": row.get("reason") or _cut_words(arm.cut_step)}
    scores = answered.answer.metrics if answered else ()
    columns = ["id", "title", "arm", "seed", "status", *scores, "selection", "part", "step", "of",
               "loss", "seconds", "reason"]  # fmt: skip
    table = pd.DataFrame(list(rows.values())).reindex(columns=columns)
    table["title"] = table["title"].fillna(table["arm"])
    return table


def _cut_words(step: int | None) -> str:
    return f"cut after step {step}"


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(value, dict):
        raise RunError(
            f"{path}: got {type(value).__name__}, expected an object; run the sweep again"
        )
    return value


def _damaged(path: Path, error: Exception) -> RunError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return RunError(f"{path}: cannot be read: {reason}; run the sweep again")


def _planned(folder: Path) -> tuple[tuple[str, str, int], ...]:
    path = folder / SWEEP_FILE
    try:
        return tuple(
            (_plain_name(entry["id"]), str(entry["arm"]), int(entry["seed"]))
            for entry in _read(path)["trials"]
        )
    except (TypeError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _plain_name(value: Any) -> str:
    """The id of a trial is the name of its folder, and must not lead out of the folder of runs."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "\0" in value:
        raise ValueError(f"got the trial id {value!r}, expected the name of a folder")
    return value


def _trial(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One trial of the status file, each value of its type."""

    def number(name: str, kind: type) -> Any:
        return None if entry.get(name) is None else kind(entry[name])

    return {
        "id": _plain_name(entry["id"]),
        "arm": str(entry["arm"]),
        "seed": int(entry["seed"]),
        "status": str(entry["status"]),
        "part": str(entry.get("part") or ""),
        "step": number("step", int),
        "steps": number("steps", int),
        "loss": number("loss", float),
        "seconds": number("seconds", float),
        "reason": str(entry.get("reason") or ""),
    }


def _lives(process: Mapping[str, Any], updated: datetime, begun: bool) -> bool:
    """Whether the process that wrote a status file is still at it.

    A process id is used again after a while, and those of other machines cannot be looked at: both
    are told by when the file was written. On a full disk it is not: then a locked trial tells.
    """
    if process["host"] == socket.gethostname() and not _exists(int(process["pid"])):
        return False
    return begun or (datetime.now(UTC) - updated).total_seconds() < _SILENT_S


def _exists(pid: int) -> bool:
    if pid <= 0:  # would ask about groups of processes
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
