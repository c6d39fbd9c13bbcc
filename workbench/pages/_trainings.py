"""What the page of trainings shows, fetched: losses, what was watched, and J&F where evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from probes.comparison import mean_score
from probes.criteria import CRITERIA
from reviosa.data.records import ROLES
from reviosa.errors import ReviosaError
from reviosa.evaluation import SCORES_FILE, protocol_rows, read_scores
from reviosa.run_record import read_run
from reviosa.training.log import ATTENTION_FILE, read_log
from workbench.pages._data import RunEntry, files_mark

__all__ = [
    "LOG_FILE", "Watched", "attention_frame", "evaluations_of", "losses_of",
    "supervised_pairs", "watched_of",
]  # fmt: skip

LOG_FILE: Final = "log.jsonl"
_SPLITS: Final = {
    "selection": "selection split",
    "evaluate": "reporting split",
    "target-by-prompt": "reporting split",
}
"""Evaluation beside a trial's training -> what it was made on."""


@dataclass(frozen=True)
class Watched:
    """Head metrics that were followed over a training."""

    values: dict[tuple[str, str], tuple[tuple[int, ...], NDArray[np.float64]]]
    """(criterion, role) -> steps, and values [look, layer, head]; NaN where undefined."""
    left_out: int
    """Lines of the log that could not be used."""

    @property
    def criteria(self) -> tuple[str, ...]:
        """Those that have a value, in the order of the log."""
        return tuple(dict.fromkeys(criterion for criterion, _ in self.values))

    @property
    def shape(self) -> tuple[int, int]:
        """(layers, heads)."""
        _, values = next(iter(self.values.values()))
        return values.shape[1], values.shape[2]


@st.cache_data(max_entries=16, show_spinner="Reading the log")
def losses_of(directory: Path, mark: tuple) -> pd.DataFrame:
    """The log of a training: ``step`` and every number of it, one row a logged step.

    Empty without a log. What is no finite number is NaN.
    """
    rows = [
        {name: _finite(value) for name, value in record.items() if isinstance(name, str)}
        for record in _log(directory / LOG_FILE)
    ]
    if not rows:
        return pd.DataFrame(columns=["step"])
    frame = pd.DataFrame(rows)
    frame = frame.dropna(axis="columns", how="all").sort_values("step", kind="stable")
    order = [name for name in frame if name != "step"]
    order.sort(key=lambda name: (name != "loss", not name.startswith("loss_"), name))
    return frame[["step", *order]].reset_index(drop=True)


@st.cache_data(max_entries=16, show_spinner="Reading what was watched")
def watched_of(directory: Path, mark: tuple) -> Watched | None:
    """What was followed over a training; None where nothing was, or nothing can be used."""
    found: dict[tuple[str, str], dict[int, NDArray[np.float64]]] = {}
    shape, left_out = None, 0
    for record in _log(directory / ATTENTION_FILE):
        whole = record.get("role") in ROLES
        for name in CRITERIA if whole else ():
            if name not in record:
                continue
            values = _matrix(record[name])
            shape = shape or (None if values is None else values.shape)
            if values is None or values.shape != shape:
                whole = False
            else:
                found.setdefault((name, record["role"]), {})[record["step"]] = values
        left_out += not whole
    if not found:
        return None
    return Watched(
        {
            key: (tuple(sorted(looks)), np.stack([looks[step] for step in sorted(looks)]))
            for key, looks in found.items()
        },
        left_out,
    )


def attention_frame(watched: Watched, criterion: str) -> pd.DataFrame:
    """One row a look, role and pair: ``step``, ``role``, ``layer``, ``head``, ``value``."""
    frames = []
    for (name, role), (steps, values) in watched.values.items():
        if name == criterion:
            step, layer, head = np.indices(values.shape).reshape(3, -1)
            frames.append(
                pd.DataFrame(
                    {
                        "step": np.asarray(steps)[step], "role": role, "layer": layer,
                        "head": head, "value": values.reshape(-1),
                    }
                )
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def supervised_pairs(header: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """The (layer, head) pairs that a training pulled onto the masks, of its header."""
    try:
        return tuple((int(layer), int(head)) for layer, head in header["config"].get("heads") or ())
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


@st.cache_data(max_entries=32, show_spinner="Reading evaluations")
def _score_rows(directory: Path, split: str, step: int, mark: tuple) -> list[dict[str, Any]] | str:
    """Scores of one evaluation, with intervals over videos; or why there are none."""
    try:
        if (status := read_run(directory)["status"]) != "done":
            return f"{directory.name} is {status}"
        table = read_scores(directory / SCORES_FILE)
        if not np.isfinite(table.jf).all():
            return f"{directory.name}: J&F of some rows is no number; evaluate again"
        asked = directory.name == "target-by-prompt"
        rows = []
        for name, part in protocol_rows(table).items():
            if not len(part) or (asked and name != "target"):
                continue
            mean = mean_score({0: part})
            low, high = mean.ci or (None, None)
            score = "target_by_prompt" if asked else name
            rows.append(
                {
                    "step": step, "split": split, "score": score, "jf": mean.value, "low": low,
                    "high": high, "expressions": mean.n, "videos": mean.n_videos,
                    "run": directory.name,
                }
            )  # fmt: skip
    except (ReviosaError, KeyError, TypeError, ValueError, AttributeError) as error:
        return f"{directory.name}: {' '.join(str(error).split())}"
    return rows


def evaluations_of(
    entry: RunEntry, runs: Sequence[RunEntry], last_step: int
) -> tuple[pd.DataFrame, list[str]]:
    """J&F of a training wherever it was evaluated, and what could not be read.

    These are the runs beside the training of a trial, and those that name its folder as model.

    Args:
        entry: the training.
        runs: all of the folder.
        last_step: of the training, at which its final model stands.
    """
    beside = entry.directory.parent if entry.directory.name == "train" else None
    found: dict[Path, tuple[str, int]] = {}
    if beside is not None:
        for part, split in _SPLITS.items():
            found[beside / part] = (split, last_step)
        for rung in sorted(beside.glob("rungs/step-*")):
            step = rung.name.removeprefix("step-")
            if step.isdecimal():
                found[rung] = ("selection split", int(step))
    for other in runs:
        model = other.header.get("model") if other.kind == "evaluate" else None
        path = model.get("path") if isinstance(model, dict) else None
        if isinstance(path, str) and other.directory not in found:
            folder = Path(path)
            folder = folder.parent if folder.name == "model" else folder
            if folder.absolute() == entry.directory.absolute():
                found[other.directory] = (other.name, last_step)
    rows, problems = [], []
    one_token = (entry.header.get("config") or {}).get("roles") == "actor"
    for folder, (split, step) in found.items():
        mark = files_mark([folder / "run.json", folder / SCORES_FILE])
        if not mark:
            continue
        scores = _score_rows(folder, split, step, mark)
        if isinstance(scores, str):
            problems.append(scores)
        else:
            # A model with one token has no target of its own to be scored.
            rows += [row for row in scores if not (one_token and row["score"] == "target")]
    columns = ["step", "split", "score", "jf", "low", "high", "expressions", "videos", "run"]
    return pd.DataFrame(rows, columns=columns), problems


def _log(path: Path) -> list[dict[str, Any]]:
    """Records of a log with a whole number for a step; none where it cannot be read."""
    try:
        records = read_log(path)
    except (OSError, ValueError):
        return []
    return [r for r in records if isinstance(r["step"], int) and not isinstance(r["step"], bool)]


def _finite(value: Any) -> float | int:
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return value
    return np.nan


def _matrix(value: Any) -> NDArray[np.float64] | None:
    """Numbers [layer, head], null as NaN; None where it is something else."""
    try:
        values = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.ndim == 2 and values.size else None
