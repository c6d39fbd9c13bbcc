"""The runs of a sweep, read side: ``RUNS/sweeps/<name>/sweep.json`` and ``RUNS/trials/<id>``."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from reviosa.errors import DataError, RunError
from reviosa.evaluation import SCORES_FILE, protocol_rows, read_scores
from reviosa.run_record import read_run
from reviosa.training.log import ATTENTION_FILE, read_log

__all__ = ["SWEEP_FILE", "SWEEP_SCHEMA", "SweepRuns", "TrialRuns", "read_sweep"]

SWEEP_FILE = "sweep.json"
SWEEP_SCHEMA = 1


@dataclass(frozen=True)
class TrialRuns:
    """What one trial left behind."""

    id: str
    arm: str
    seed: int
    pairs: tuple[tuple[int, int], ...]
    """Layer-head pairs that were supervised."""
    train: dict[str, Any]
    """Header of the training run."""
    scores: dict[str, pd.DataFrame]
    """One of :data:`probes.comparison.SCORES` -> rows with sample_id, video_id and jf."""
    attention: tuple[dict[str, Any], ...]
    """Lines of the attention log (:mod:`probes.over_training`), empty where none was kept."""


@dataclass(frozen=True)
class SweepRuns:
    """A sweep and its finished trials."""

    name: str
    directory: Path
    baseline: str
    arms: dict[str, str]
    """Name -> title, in the order of the file."""
    config: dict[str, Any]
    """The sweep file as it was resolved."""
    trials: tuple[TrialRuns, ...]
    problems: tuple[str, ...]
    """Trials that are not finished or cannot be read."""


def read_sweep(directory: str | Path) -> SweepRuns:
    """Read a sweep; trials that are not whole are left out and named in ``problems``.

    Raises:
        RunError: there is no sweep, or it is of another schema.
    """
    directory = Path(directory)
    path = directory / SWEEP_FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path}: cannot read the sweep: {reason}; check the path") from None
    if not isinstance(value, dict) or value.get("schema") != SWEEP_SCHEMA:
        got = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise RunError(f"{path}: got schema {got!r}, expected {SWEEP_SCHEMA}; run the sweep again")
    missing = [key for key in ("name", "baseline", "arms", "config", "trials") if key not in value]
    if missing:
        raise RunError(f"{path}: got a sweep without {missing[0]!r}; run the sweep again")
    runs = directory.resolve().parent.parent
    trials: list[TrialRuns] = []
    problems: list[str] = []
    for entry in value["trials"]:
        try:
            trials.append(_trial(entry, runs / "trials" / entry["id"]))
        except (RunError, DataError) as error:
            problems.append(f"{entry['arm']}, seed {entry['seed']} ({entry['id']}): {error}")
    problems += _mixed(trials)
    return SweepRuns(
        value["name"],
        directory,
        value["baseline"],
        value["arms"],
        value["config"],
        tuple(trials),
        tuple(problems),
    )


def _trial(entry: dict[str, Any], folder: Path) -> TrialRuns:
    headers = {part: read_run(folder / part) for part in ("train", "evaluate")}
    for part, header in headers.items():
        if header["status"] != "done":
            raise RunError(f"{part} is {header['status']}")
    scores = protocol_rows(read_scores(folder / "evaluate" / SCORES_FILE))
    prompted = folder / "target-by-prompt"
    if prompted.is_dir():
        if (status := read_run(prompted)["status"]) != "done":
            raise RunError(f"target-by-prompt is {status}")
        scores["target_by_prompt"] = protocol_rows(read_scores(prompted / SCORES_FILE))["target"]
    log = folder / "train" / ATTENTION_FILE
    attention = tuple(read_log(log)) if log.is_file() else ()
    supervised = headers["train"]["config"].get("heads", ())
    pairs = tuple((int(layer), int(head)) for layer, head in supervised)
    return TrialRuns(
        entry["id"], entry["arm"], entry["seed"], pairs, headers["train"], scores, attention
    )


def _mixed(trials: list[TrialRuns]) -> list[str]:
    """Say so where trials were made by different versions of the code."""
    commits = sorted({str((t.train.get("git") or {}).get("commit"))[:7] for t in trials})
    if len(commits) < 2:
        return []
    return [f"trials were trained by different versions of the code: {', '.join(commits)}"]
