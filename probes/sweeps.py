"""The runs of a sweep, read side: ``RUNS/sweeps/<name>/sweep.json`` and ``RUNS/trials/<id>``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from probes._json import read_versioned
from probes.comparison import SCORES
from probes.halving import Halving, read_halving
from reviosa.errors import ConfigError, DataError, RunError
from reviosa.evaluation import SCORES_FILE, protocol_rows, read_scores
from reviosa.heads import HeadSelection
from reviosa.run_record import read_run
from reviosa.training.log import ATTENTION_FILE, read_log

__all__ = [
    "SWEEP_FILE", "SWEEP_SCHEMA", "Cost", "ScoreTables", "SweepRuns", "TrialRuns", "read_sweep",
    "score_tables",
]  # fmt: skip

SWEEP_FILE = "sweep.json"
SWEEP_SCHEMA = 1


@dataclass(frozen=True)
class Cost:
    """Time that processes took, over all the times they were started."""

    wall_s: float
    cpu_s: float
    gpu_s: float
    """0 without a GPU."""

    def __add__(self, other: "Cost") -> "Cost":
        """The time of both."""
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, self.gpu_s + other.gpu_s)


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
    selection: dict[str, pd.DataFrame] = field(default_factory=dict)
    """As ``scores``, on the selection split; empty in sweeps that did not score it."""
    heads: HeadSelection | None = None
    """The heads file that the training was given."""


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
    """Those that are whole; of arms that were cut there is none."""
    problems: tuple[str, ...]
    """Trials that are not finished or cannot be read, without those of arms that were cut."""
    metrics: tuple[str, ...] = SCORES
    """Scores to report, of :data:`probes.comparison.SCORES`; what no arm has is not shown."""
    choose: str = "rvos"
    """The score by which the best arm is chosen on the selection split."""
    planned: tuple[tuple[str, str, int], ...] = ()
    """(id, arm, seed) of every trial of the file, finished or not."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """Trial id -> what its runs took so far, also of trials that were cut or failed; without
    those whose runs do not say."""
    halving: Halving | None = None


ScoreTables = dict[tuple[str, str], dict[int, pd.DataFrame]]
"""(arm, score) -> seed -> rows."""


def score_tables(trials: Iterable[TrialRuns], selection: bool = False) -> ScoreTables:
    """Rows of every arm and score that can be counted, on the reporting or the selection split."""
    tables: ScoreTables = {}
    for trial in trials:
        for name, rows in (trial.selection if selection else trial.scores).items():
            # An arm with one token has no target of its own to be scored.
            if len(rows) and not (name == "target" and trial.train["config"]["roles"] == "actor"):
                tables.setdefault((trial.arm, name), {})[trial.seed] = rows
    return tables


def read_sweep(directory: str | Path) -> SweepRuns:
    """Read a sweep; trials that are not whole are left out and named in ``problems``.

    The trials of an arm that was cut early are left out without a word, even where another sweep
    has run them to their end: what a sweep says must not depend on its neighbours.

    Raises:
        RunError: there is no sweep, or it is of another schema.
    """
    directory = Path(directory)
    value = _read(directory / SWEEP_FILE)
    halving = read_halving(directory)
    cut = halving.cut if halving else {}
    folder = directory.resolve().parent.parent / "trials"
    trials: list[TrialRuns] = []
    problems: list[str] = []
    for entry in value["trials"]:
        if entry["arm"] in cut:
            continue
        try:
            trials.append(_trial(entry, folder / entry["id"]))
        except (RunError, DataError, ConfigError) as error:
            problems.append(f"{entry['arm']}, seed {entry['seed']} ({entry['id']}): {error}")
    problems += _mixed(trials)
    costs = {entry["id"]: _cost(folder / entry["id"]) for entry in value["trials"]}
    return SweepRuns(
        value["name"],
        directory,
        value["baseline"],
        value["arms"],
        value["config"],
        tuple(trials),
        tuple(problems),
        tuple(value.get("metrics") or SCORES),
        value.get("choose", "rvos"),
        tuple((entry["id"], entry["arm"], entry["seed"]) for entry in value["trials"]),
        {name: cost for name, cost in costs.items() if cost is not None},
        halving,
    )


def _read(path: Path) -> dict[str, Any]:
    value = read_versioned(path, SWEEP_SCHEMA, "the sweep", "check the path")
    missing = [key for key in ("name", "baseline", "arms", "config", "trials") if key not in value]
    if missing:
        raise RunError(f"{path}: got a sweep without {missing[0]!r}; run the sweep again")
    unknown = {*(value.get("metrics") or ()), value.get("choose", "rvos")} - set(SCORES)
    if unknown:
        raise RunError(
            f"{path}: got the score {min(unknown)!r}, expected one of {', '.join(SCORES)}; run the "
            "sweep again"
        )
    return value


def _trial(entry: dict[str, Any], folder: Path) -> TrialRuns:
    header = _done(folder, "train")
    scores = _scores(folder, "evaluate")
    if (folder / "target-by-prompt").is_dir():
        scores["target_by_prompt"] = _scores(folder, "target-by-prompt")["target"]
    selection = _scores(folder, "selection") if (folder / "selection").is_dir() else {}
    log = folder / "train" / ATTENTION_FILE
    attention = tuple(read_log(log)) if log.is_file() else ()
    pairs = tuple((int(layer), int(head)) for layer, head in header["config"].get("heads") or ())
    file = folder / "heads.json"
    heads = HeadSelection.load(file) if pairs and file.is_file() else None
    return TrialRuns(
        entry["id"], entry["arm"], entry["seed"], pairs, header, scores, attention, selection, heads
    )


def _done(folder: Path, part: str) -> dict[str, Any]:
    header = read_run(folder / part)
    if header["status"] != "done":
        raise RunError(f"{part} is {header['status']}")
    return header


def _scores(folder: Path, part: str) -> dict[str, pd.DataFrame]:
    _done(folder, part)
    table = read_scores(folder / part / SCORES_FILE)
    undefined = int((~np.isfinite(table.jf)).sum())
    if undefined:
        raise DataError(
            f"{part}: J&F of {undefined} of {len(table)} rows is no number; evaluate again"
        )
    return protocol_rows(table)


def _cost(folder: Path) -> Cost | None:
    """Sum over the runs of a trial; None where there is none, or one does not say."""
    total = Cost(0.0, 0.0, 0.0)
    found = (*folder.glob("*/run.json"), *folder.glob("rungs/*/run.json"))
    parts = [path.parent for path in sorted(found)]
    for part in parts:
        try:
            own = read_run(part)["cost"]
            total += Cost(float(own["wall_s"]), float(own["cpu_s"]), float(own["gpu_s"]))
        except (RunError, TypeError, KeyError, ValueError):
            return None
    return total if parts else None


def _mixed(trials: Sequence[TrialRuns]) -> list[str]:
    """Say so where trials were made by different versions of the code."""
    commits = sorted({str((t.train.get("git") or {}).get("commit"))[:7] for t in trials})
    if len(commits) < 2:
        return []
    return [f"trials were trained by different versions of the code: {', '.join(commits)}"]
