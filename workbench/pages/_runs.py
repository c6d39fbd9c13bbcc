"""What the page of runs shows, fetched: how each run stands, its scores, and two runs compared."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from probes.comparison import SeedMean, difference
from probes.parts import load_samples
from probes.protocol_scores import protocol_scores
from probes.results import ProtocolScore
from reports.fact_tables import flatten
from reports.summary import model_name
from reviosa.errors import ReviosaError
from reviosa.evaluation import SCORES_FILE, protocol_rows, read_scores
from reviosa.process import is_locked
from reviosa.training.log import read_log
from workbench.pages._data import RunEntry, files_mark, fingerprint

__all__ = [
    "PROTOCOLS", "Paired", "data_name", "header_rows", "live_status", "paired_scores",
    "progress_of", "run_table", "score_rows", "scores_mark", "scores_of", "seconds_of",
    "settings_differences",
]  # fmt: skip

PROTOCOLS: Final = ("actor", "target", "rvos")
_SCORED: Final = ("capture", "evaluate")
_COLUMNS: Final = ["sample_id", "video_id", "role", "caption_type", "emitted", "j", "f", "jf"]
_LINE_FILES: Final = {"ablate": "effects.jsonl", "lens": "lens.jsonl"}
"""``EFFECTS_FILE`` of probes.causal and ``LINES_FILE`` of probes.lens, which load torch: seconds
that the first page has no use for."""
_LONGEST: Final = 400
"""Characters of a setting that are shown: a plan of thousands of ablations is no table cell."""


def live_status(entry: RunEntry) -> str:
    """What the header says; a run that says "running" and is held by no process was killed."""
    if entry.status == "running" and not is_locked(entry.directory):
        return "stopped"
    return entry.status


def scores_mark(entry: RunEntry) -> tuple:
    """Mark of what the scores of a run rest on."""
    if entry.kind == "capture":
        return fingerprint(entry.directory)
    return files_mark([entry.directory / "run.json", entry.directory / SCORES_FILE])


@st.cache_data(max_entries=256, show_spinner="Reading scores")
def score_rows(directory: Path, kind: str, mark: tuple) -> pd.DataFrame | str:
    """A row a sample and role with j, f and jf from 0 to 1, a role that was not given at 0.

    Empty where the run has no scores; one line where they cannot be read.
    """
    nothing = pd.DataFrame(columns=_COLUMNS)
    try:
        if kind == "capture":
            table = load_samples(directory).samples
        elif kind == "evaluate" and (directory / SCORES_FILE).is_file():
            table = read_scores(directory / SCORES_FILE)
            table["emitted"] = ~table["missing"].astype(bool)
        else:
            return nothing
    except ReviosaError as error:
        return " ".join(str(error).split())
    table = table[_COLUMNS].copy()
    for name in ("j", "f", "jf"):
        table[name] = table[name].where(table.emitted.astype(bool), 0.0)
    return table


@st.cache_data(max_entries=64, show_spinner="Computing intervals")
def scores_of(directory: Path, kind: str, mark: tuple) -> dict[str, ProtocolScore]:
    """Scores by protocol with intervals over videos; empty where the run has none."""
    rows = score_rows(directory, kind, mark)
    return {} if isinstance(rows, str) or not len(rows) else protocol_scores(rows)


def run_table(runs: Sequence[RunEntry]) -> pd.DataFrame:
    """One row a run: how it stands, what it is of, J&F in per cent by protocol, when, how long.

    Numbers that do not exist are missing. J&F of captures and evaluations alone: other kinds have
    no masks of whole videos.
    """
    rows = []
    for entry in runs:
        row: dict[str, Any] = {
            "run": entry.name, "kind": entry.kind, "status": live_status(entry),
            **dict.fromkeys(PROTOCOLS),
            "created": _time(entry.created), "seconds": seconds_of(entry),
            "gpu_seconds": _cost(entry, "gpu_s"),
            "model": _short_path(model_name(entry.header)) if entry.header else None,
            "data": data_name(entry.header), "error": entry.error,
        }  # fmt: skip
        if entry.kind in _SCORED:
            found = score_rows(entry.directory, entry.kind, scores_mark(entry))
            if isinstance(found, str):
                row["error"] = row["error"] or found
            else:
                means = {name: 100 * part.jf.mean() for name, part in protocol_rows(found).items()}
                row |= {name: means[name] for name in PROTOCOLS}
        rows.append(row)
    columns = ["run", "kind", "status", *PROTOCOLS, "created", "seconds", "gpu_seconds", "model",
               "data", "error"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    for name in (*PROTOCOLS, "seconds", "gpu_seconds"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    table["created"] = pd.to_datetime(table["created"], utc=True, errors="coerce")
    return table


def data_name(header: dict[str, Any]) -> str | None:
    """The folder of a run's data set, with the one it lies in; None where it has none."""
    data = header.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    return _short_path(str(path)) if path else None


def seconds_of(entry: RunEntry) -> float | None:
    """Wall time that a run took, of all its sessions; so far, while it runs; None if unknown."""
    spent = _cost(entry, "wall_s")
    if live_status(entry) != "running":
        if spent is not None:
            return spent
        first, last = _time(entry.created), _time(str(entry.header.get("finished") or ""))
        return (last - first).total_seconds() if first and last else None
    resumed = entry.header.get("resumed") or [{}]
    begun = _time(str(resumed[-1].get("at") or entry.created))
    return None if begun is None else (spent or 0) + (datetime.now(UTC) - begun).total_seconds()


def progress_of(entry: RunEntry) -> tuple[int, int] | None:
    """(done, all) of a run that goes on, expressions or steps; None where its parts do not say."""
    config = entry.header.get("config") or {}
    total = config.get("steps" if entry.kind == "train" else "samples")
    if not isinstance(total, int) or total < 1:
        return None
    try:
        if entry.kind == "capture":
            parts = len(list((entry.directory / "samples").glob("part-*.parquet")))
            done = parts * int(config.get("chunk") or 0)
        elif entry.kind == "train":
            done = max((r["step"] for r in read_log(entry.directory / "log.jsonl")), default=0)
        else:
            done = _lines(entry.directory / _LINE_FILES[entry.kind])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return min(done, total), total


@dataclass(frozen=True)
class Paired:
    """J&F of one protocol in two runs."""

    protocol: str
    first: ProtocolScore
    second: ProtocolScore
    difference: SeedMean | None
    """First less second, in points, sample by sample; None where they share no sample."""
    reason: str
    """Why there is no paired difference; empty where there is one."""


def paired_scores(first: RunEntry, second: RunEntry) -> tuple[Paired, ...]:
    """Two runs by protocol; paired over the expressions that both have of the same data.

    Empty where either has no scores.
    """
    marks = [scores_mark(entry) for entry in (first, second)]
    found = [
        scores_of(e.directory, e.kind, mark) for e, mark in zip((first, second), marks, strict=True)
    ]
    if not all(found):
        return ()
    tables = [
        score_rows(e.directory, e.kind, mark)
        for e, mark in zip((first, second), marks, strict=True)
    ]
    same = _identity(first) is not None and _identity(first) == _identity(second)
    results = []
    for name in PROTOCOLS:
        change, reason = None, "" if same else "the runs are over different data"
        if same and not any(isinstance(table, str) for table in tables):
            mine, other = (protocol_rows(table)[name] for table in tables)  # pyright: ignore[reportArgumentType]
            common = set(mine.sample_id) & set(other.sample_id)
            if common:
                change = difference(
                    {0: mine[mine.sample_id.isin(common)]}, {0: other[other.sample_id.isin(common)]}
                )
            else:
                reason = "the runs have no expression in common"
        results.append(Paired(name, found[0][name], found[1][name], change, reason))
    return tuple(results)


def header_rows(header: dict[str, Any]) -> list[tuple[str, str]]:
    """Where a run came from, as (what, value): the whole header, long values cut."""
    rows = [
        (name, str(header[name]))
        for name in ("kind", "status", "created", "finished", "seed", "error")
        if header.get(name) is not None
    ]
    for name in ("model", "data", "git", "versions", "config", "summary", "cost"):
        value = header.get(name)
        rows += flatten(value, f"{name}.") if isinstance(value, dict) else []
    rows += [("resumed", str(item.get("at"))) for item in header.get("resumed") or ()]
    return [(name, _cut(text)) for name, text in rows]


def settings_differences(
    first: dict[str, Any], second: dict[str, Any]
) -> list[tuple[str, str | None, str | None]]:
    """What differs between two headers, as (what, first, second); None where one lacks it.

    Settings, seed, model, data, commit and versions; not when they ran and what came out.
    """
    both = [_settings(header) for header in (first, second)]
    names = dict.fromkeys((*both[0], *both[1]))
    differing = [name for name in names if both[0].get(name) != both[1].get(name)]
    return [
        (name, *(None if name not in side else _cut(side[name]) for side in both))  # type: ignore[misc]
        for name in differing
    ]


def _settings(header: dict[str, Any]) -> dict[str, str]:
    rows: list[tuple[str, str]] = []
    for name in ("kind", "seed"):
        rows += [(name, str(header.get(name)))]
    for name in ("model", "data", "git", "versions", "config"):
        value = header.get(name)
        rows += flatten(value, f"{name}.") if isinstance(value, dict) else []
    return dict(rows)


def _identity(entry: RunEntry) -> str | None:
    data = entry.header.get("data")
    return data.get("identity") if isinstance(data, dict) else None


def _cost(entry: RunEntry, name: str) -> float | None:
    cost = entry.header.get("cost")
    value = cost.get(name) if isinstance(cost, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _time(text: str) -> datetime | None:
    with contextlib.suppress(ValueError):
        when = datetime.fromisoformat(text)
        return when if when.tzinfo else when.replace(tzinfo=UTC)
    return None


def _short_path(text: str) -> str:
    """The last two folders of a path; a name stays as it is."""
    parts = Path(text).parts
    return text if len(parts) <= 2 else "/".join(parts[-2:])


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS} ({len(text):,} characters)"


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
