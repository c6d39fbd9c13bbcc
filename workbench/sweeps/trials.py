"""A trial on disk: where it stands, what runs it, and what is kept of it when it fails."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reviosa.errors import ReviosaError
from reviosa.heads import HeadSelection
from reviosa.io import write_json, write_text
from reviosa.process import is_locked
from reviosa.run_record import is_done, read_run
from workbench.executors import Step
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.plan import Trial, parts

__all__ = [
    "Progress",
    "TrialState",
    "clear_failure",
    "drop_leftovers",
    "drop_looks",
    "keep_failure",
    "rung_score",
    "rung_steps",
    "running_at",
    "trained",
    "trial_state",
    "trial_steps",
    "write_trial",
]

_FAILURE: Final = "failure.json"
Features = tuple[str, ...]
"""Options of the feature cache; none without one."""


@dataclass(frozen=True)
class TrialState:
    """How far a trial is."""

    trial: Trial
    status: str
    """"new", "running", "stopped", "failed" or "done"; a sweep adds "waiting" and "cut"."""
    directory: Path
    reason: str = ""
    """Of a failure."""


def trial_state(trial: Trial, runs: Path) -> TrialState:
    """Read from the trial's folder how far it is.

    A trial that failed counts as failed until it is run again, also where it had been begun.
    """
    directory = runs / "trials" / trial.id
    found = [_status(directory / part) for part in parts(trial)]
    if all(status == "done" for status in found):
        return TrialState(trial, "done", directory)
    if is_locked(directory):
        return TrialState(trial, "running", directory)
    with contextlib.suppress(OSError, ValueError):
        failure = json.loads((directory / _FAILURE).read_bytes())
        return TrialState(trial, "failed", directory, str(failure["reason"]))
    # "running" with nobody holding the folder was killed.
    begun = any(status != "new" for status in found)
    return TrialState(trial, "stopped" if begun else "new", directory)


def keep_failure(directory: Path, reason: str, attempts: int) -> None:
    """Write down why a trial failed; a disk that is full is no reason to fail here, too."""
    with contextlib.suppress(OSError):
        write_json(directory / _FAILURE, {"reason": reason, "attempts": attempts})


def clear_failure(directory: Path) -> None:
    """Forget that a trial failed, because it is run again."""
    with contextlib.suppress(OSError):
        (directory / _FAILURE).unlink(missing_ok=True)


def write_trial(
    trial: Trial, heads: HeadSelection | None, folder: Path, sweep: SweepConfig
) -> None:
    """Write what ``reviosa train`` is given: its configuration and heads file.

    Raises:
        OSError: the folder cannot be written.
    """
    if _status(folder / "train") != "new":
        return
    settings: dict[str, Any] = {**trial.train, "data": os.path.abspath(sweep.data)}
    settings["attention_data"] = os.path.abspath(sweep.selection)
    if heads is not None:
        heads.save(folder / "heads.json")
        settings["heads"] = "heads.json"
    write_text(folder / "train.yaml", yaml.safe_dump(settings, sort_keys=False))


def trial_steps(
    trial: Trial, sweep: SweepConfig, folder: Path, features: Features
) -> tuple[Step, ...]:
    """The commands of a trial, each as a person would give it."""
    # A model in shares cannot skip its encoders.
    features = features if trial.train["sharding"] == "none" else ()
    model = folder / "train"
    judged = _evaluate(sweep.selection, trial.selection_videos, features)
    reported = _evaluate(sweep.report, trial.report_videos, features)
    commands: dict[str, tuple[str, ...]] = {
        "train": _train(folder, features),
        "selection": (*judged, "--model", str(model)),
        "evaluate": (*reported, "--model", str(model)),
        "target-by-prompt": (
            *reported, "--model", str(model), "--target-by-prompt", "--protocol", "target",
        ),
    }  # fmt: skip
    return tuple(
        Step((*commands[part], "--out", str(folder / part), "--resume"), folder / part)
        for part in parts(trial)
    )


def rung_steps(
    trial: Trial, sweep: SweepConfig, folder: Path, step: int, features: Features
) -> tuple[Step, ...]:
    """The commands that train a trial up to a step and measure it there on the selection split."""
    features = features if trial.train["sharding"] == "none" else ()
    model = folder / "train" / f"model-at-{step}"
    train = (*_train(folder, features), "--out", str(folder / "train"), "--resume")
    judge = _evaluate(sweep.selection, trial.selection_videos, features)
    rung = _rung(folder, step)
    # Where the model of that step lies there already, it need not be trained again.
    trained = () if model.exists() else (Step((*train, "--stop-at", str(step))),)
    return (
        *trained,
        Step((*judge, "--model", str(model), "--out", str(rung), "--resume"), rung),
    )


def rung_score(folder: Path, step: int, metric: str) -> float | None:
    """J&F in per cent of a trial at a rung; None where it was not measured."""
    rung = _rung(folder, step)
    if not is_done(rung):
        return None
    try:
        found = json.loads((rung / "evaluation.json").read_bytes())
        return float(found[metric]["J&F"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def trained(folder: Path) -> bool:
    """Whether a trial is trained to its end, so that no look on the way is possible any more."""
    return is_done(folder / "train")


def drop_leftovers(folder: Path) -> None:
    """Remove what only a training that is to go on needs."""
    shutil.rmtree(folder / "train" / "checkpoints", ignore_errors=True)
    drop_looks(folder)


def drop_looks(folder: Path) -> None:
    """Remove models of steps that were looked at."""
    for model in (folder / "train").glob("model-at-*"):
        shutil.rmtree(model, ignore_errors=True)


@dataclass(frozen=True)
class Progress:
    """Where a running trial is."""

    part: str
    step: int | None = None
    loss: float | None = None


def running_at(trial: Trial, folder: Path) -> Progress:
    """Which part of a trial runs, and where its training is."""
    part = next((p for p in parts(trial) if _status(folder / p) != "done"), parts(trial)[-1])
    if part != "train":
        return Progress(part)
    last = _last_line(folder / "train" / "log.jsonl")
    return Progress(part, last.get("step"), last.get("loss"))


def _last_line(path: Path) -> dict[str, Any]:
    """The last whole line of a log, read from its end."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines: Iterable[bytes] = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(list(lines)):
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                return value
    return {}


def _train(folder: Path, features: Features) -> tuple[str, ...]:
    return ("train", "--config", str(folder / "train.yaml"), *features)


def _evaluate(data: Path, videos: int, features: Features) -> tuple[str, ...]:
    # Always, so that a trial is the same whether a sweep names all videos or counts them.
    return ("evaluate", "--data", str(data), "--limit", str(videos), *features)


def _rung(folder: Path, step: int) -> Path:
    return folder / "rungs" / f"step-{step:06d}"


def _status(directory: Path) -> str:
    try:
        return read_run(directory)["status"]
    except ReviosaError:
        return "new"
