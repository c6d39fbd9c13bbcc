"""What the pages show, fetched: runs of a folder, their results, samples and pictures.

No drawing happens here and no Streamlit element is made, only its caches are used. A cached value
is keyed by the run's directory and by a fingerprint of its parts, so a run that grows is read anew.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from probes.analysis import analyse
from probes.results import AnalysisResults, Counts
from probes.store import AttentionMap, CaptureStore
from reports.sample_pictures import SamplePictures, load_pictures
from reviosa.data import VideoDataset
from reviosa.errors import DataError, ReviosaError, RunError
from reviosa.run_record import read_run
from workbench.datasets import dataset_places, find_dataset
from workbench.pages._paths import is_below

__all__ = [
    "FrameShare",
    "Left",
    "NotAnalysed",
    "RunEntry",
    "analysis_seconds",
    "attention_map",
    "compute_analysis",
    "dataset_of",
    "files_mark",
    "fingerprint",
    "frame_shares",
    "is_large",
    "kept_results_of",
    "left_analysis",
    "list_runs",
    "pair_values",
    "pictures_of",
    "results_of",
    "runs_folder",
    "sample_table",
    "store_of",
]

PATIENCE_S = 15.0
S_PER_CELL = 77 / (10_096 * 336)
"""Of a sample-role and pair on a slow machine; docs/benchmarks.md has others."""

DEPTH = 3
"""How far below the runs folder a run may lie: runs/sweep/trial."""


@dataclass(frozen=True)
class RunEntry:
    """One run directory as the list of runs shows it."""

    name: str
    """Path below the runs folder."""
    directory: Path
    kind: str
    status: str
    """Of the header; "unreadable" where there is none to read."""
    created: str
    error: str
    """Why the run failed, or why it cannot be read."""
    header: dict[str, Any]


def runs_folder() -> Path:
    """Where to look: the argument after ``--``, else ``REVIOSA_RUNS``, else ``./runs``."""
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("REVIOSA_RUNS")
    return Path(given or "runs")


def list_runs(folder: Path) -> list[RunEntry]:
    """All runs in a folder or directly it, newest first; unreadable ones at the end."""
    if not folder.is_dir():
        return []
    found = [_entry(folder, path.parent) for path in _headers(folder, DEPTH)]
    found.sort(key=lambda entry: entry.name)
    return sorted(found, key=lambda entry: entry.created, reverse=True)


def _headers(folder: Path, depth: int) -> list[Path]:
    """The headers below a folder. A run holds no other run, and its parts are many: not entered."""
    if (folder / "run.json").is_file():
        return [folder / "run.json"]
    if depth == 0:
        return []
    headers: list[Path] = []
    with contextlib.suppress(OSError):
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and not entry.name.startswith("."):
                headers += _headers(entry, depth - 1)
    return headers


def _entry(folder: Path, directory: Path) -> RunEntry:
    name = directory.relative_to(folder).as_posix()
    name = directory.resolve().name if name == "." else name
    if not is_below(folder, directory):
        error = "a link that leads out of the runs folder; start the dashboard where it leads to"
        return RunEntry(name, directory, "unknown", "unreadable", "", error, {})
    try:
        header = read_run(directory)
    except RunError as error:
        return RunEntry(name, directory, "unknown", "unreadable", "", str(error), {})
    return RunEntry(
        name=name,
        directory=directory,
        kind=str(header["kind"]),
        status=str(header["status"]),
        created=str(header["created"]),
        error=str(header.get("error") or ""),
        header=header,
    )


def fingerprint(directory: Path) -> tuple[str]:
    """Mark of the header and of every finished part; changes as the run grows.

    One word: it is in the key of every cache, which Streamlit hashes piece by piece at each click.
    """
    mark = files_mark(
        [directory / "run.json", *sorted((directory / "samples").glob("part-*.parquet"))]
    )
    return (hashlib.sha256(repr(mark).encode()).hexdigest(),)


def files_mark(paths: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Path, time and size of the files that are there."""
    marks = []
    for path in paths:
        with contextlib.suppress(OSError):
            state = path.stat()
            marks.append((str(path), state.st_mtime_ns, state.st_size))
    return tuple(marks)


@st.cache_resource(max_entries=4, show_spinner="Opening the run")
def store_of(directory: Path, mark: tuple) -> CaptureStore:
    """The capture store of a run; ``mark`` is its :func:`fingerprint`.

    Raises:
        RunError: not a capture run.
    """
    return CaptureStore(directory)


@dataclass(frozen=True)
class Left:
    """The analysis that a command left beside a run."""

    results: AnalysisResults | None
    """None where there is none, or none that can be used."""
    current: bool
    """Whether it is of the run's present state."""
    problem: str
    """Why a file that lies there cannot be used; else empty."""


@st.cache_resource(max_entries=8, show_spinner="Reading the analysis")
def left_analysis(directory: Path, mark: tuple) -> Left:
    """The analysis beside a run, if it is of the run at all.

    Raises:
        RunError: not a capture run.
    """
    store, older, problem = store_of(directory, mark), None, ""
    for path in (directory / "analysis.json", directory.parent / "analysis.json"):
        if not path.is_file():
            continue
        try:
            found = AnalysisResults.load(path)
        except ReviosaError as error:  # damaged, or of another version
            problem = problem or f"{path.name}: {error}"
            continue
        if _fits(found, store):
            return Left(found, True, "")
        if older is None and _begun(found.run) == _begun(store.run):
            older = found
    return Left(older, False, problem)


def kept_results_of(directory: Path, mark: tuple) -> AnalysisResults | None:
    """The analysis that a command left beside or in a run; None without one of this state.

    Raises:
        RunError: not a capture run.
    """
    left = left_analysis(directory, mark)
    return left.results if left.current else None


def results_of(directory: Path, mark: tuple) -> AnalysisResults:
    """The analysis of a run: the file that a command left, or computed where that is quick.

    Of a large run without a file of this state: what :func:`compute_analysis` made, else an older
    file.

    Raises:
        RunError: not a capture run; or a large one of which there is no analysis yet.
    """
    left = left_analysis(directory, mark)
    if left.current and left.results is not None:
        return left.results
    if not is_large(directory, mark) or (directory, mark) in _wanted():
        return _computed(directory, mark)
    if left.results is not None:
        return left.results
    raise NotAnalysed(
        f"{directory}: got a large capture without an analysis, expected analysis.json in it; "
        "compute it on the page"
    )


class NotAnalysed(RunError):
    """A capture so large that its analysis is computed only when asked for."""


def is_large(directory: Path, mark: tuple) -> bool:
    """Whether the analysis of a run takes longer than a reader waits without being asked."""
    return analysis_seconds(directory, mark) > PATIENCE_S


def analysis_seconds(directory: Path, mark: tuple) -> float:
    """About how long the analysis of a run takes."""
    store = store_of(directory, mark)
    return len(store.samples()) * store.num_layers * store.num_heads * S_PER_CELL


def compute_analysis(directory: Path, mark: tuple) -> None:
    """Compute the analysis of a large run; :func:`results_of` gives it from now on."""
    _wanted().add((directory, mark))
    _computed(directory, mark)


@st.cache_resource(max_entries=1, show_spinner=False)
def _wanted() -> set[tuple[Path, tuple]]:
    """Large runs of which a reader asked for the analysis."""
    return set()


@st.cache_resource(max_entries=4, show_spinner="Computing rankings and intervals", show_time=True)
def _computed(directory: Path, mark: tuple) -> AnalysisResults:
    return analyse(store_of(directory, mark))


def _fits(results: AnalysisResults, store: CaptureStore) -> bool:
    rows = store.samples().role.value_counts()
    return results.run == store.run and all(
        count.rows == int(rows.get(role, 0)) for role, count in results.counts.roles.items()
    )


def _begun(run: dict[str, Any]) -> tuple[Any, ...]:
    """What stays the same of a run's header while it grows."""
    return tuple(run.get(name) for name in ("created", "kind", "config", "seed"))


def dataset_of(directory: Path, mark: tuple) -> VideoDataset | None:
    """The data set behind a run, None where it is not at hand any more."""
    run = store_of(directory, mark).run
    places = files_mark(dataset_places(run, directory))
    return _dataset(run.get("data") or {}, places, run, directory)


# Runs over the same data have it between them; a folder that was put back is seen by its mark.
@st.cache_resource(max_entries=4, show_spinner="Opening the data set")
def _dataset(
    data: dict[str, Any], places: tuple, _run: dict[str, Any], _directory: Path
) -> VideoDataset | None:
    return find_dataset(_run, _directory)


def sample_table(directory: Path, mark: tuple) -> pd.DataFrame:
    """One row per sample and role: the store's columns with J&F 0 where no token was given.

    Added: ``mask_share`` (mean of all heads; NaN of samples that the analysis does not know yet)
    and ``key`` (``sample_id|role``).
    """
    return _sample_table(directory, mark, results_of(directory, mark).counts)


@st.cache_data(max_entries=8, show_spinner="Reading the samples", hash_funcs={Counts: repr})
def _sample_table(directory: Path, mark: tuple, counts: Counts) -> pd.DataFrame:
    """``counts`` tells the analyses of a run apart."""
    samples = store_of(directory, mark).samples()
    shares = {
        (point.sample_id, point.role): point.mask_share
        for points in results_of(directory, mark).scatter.values()
        for point in points
    }
    keys = list(zip(samples.sample_id, samples.role, strict=True))
    samples["mask_share"] = [shares.get(key, np.nan) for key in keys]
    samples["key"] = [f"{sample}|{role}" for sample, role in keys]
    for column in ("j", "f", "jf"):
        samples[column] = samples[column].where(samples.emitted.astype(bool), 0.0)
    return samples


@st.cache_data(max_entries=64, show_spinner="Reading the head")
def pair_values(
    directory: Path, mark: tuple, metric: str, role: str, layer: int, head: int
) -> pd.DataFrame:
    """One metric of one pair: ``sample_id``, ``role``, ``value``, ``jf``, defined values alone.

    ``role`` "both" gives the rows of both roles.
    """
    store = store_of(directory, mark)
    samples = store.samples()[["sample_id", "role", "jf", "expression"]]
    tables = []
    for name in ("actor", "target") if role == "both" else (role,):
        of_role = samples.loc[samples.role == name, :]
        tables.append(of_role.assign(value=store.pair_scores(metric, name, layer, head)))
    found = pd.concat(tables).sort_values(["sample_id", "role"], kind="stable")
    return found[np.isfinite(found["value"])].reset_index(drop=True)


def pictures_of(
    directory: Path, mark: tuple, sample_id: str, indices: tuple[int, ...]
) -> SamplePictures | str:
    """Frames, masks and attention of one sample, or the reason why there are none."""
    try:
        return _pictures(directory, mark, sample_id, indices)
    except ReviosaError as error:
        return str(error)


@st.cache_resource(max_entries=16, show_spinner="Reading frames and masks")
def _pictures(
    directory: Path, mark: tuple, sample_id: str, indices: tuple[int, ...]
) -> SamplePictures:
    dataset = dataset_of(directory, mark)
    if dataset is None:  # an error is not kept: when the data set is back, its pictures are shown
        raise DataError(
            "The data set of this run is not at hand, so its frames cannot be shown. Put it back "
            "where it was, or beside the run in a folder of the same name."
        )
    return load_pictures(store_of(directory, mark), dataset, sample_id, indices)


def attention_map(directory: Path, mark: tuple, sample_id: str, role: str) -> AttentionMap | None:
    """The kept maps of one sample and role, None without."""
    return store_of(directory, mark).map(sample_id, role)


@dataclass(frozen=True)
class FrameShare:
    """How one pair's attention on vision tokens is spread over the frames."""

    frame: int
    """Index in the video."""
    share: float
    """Of the pair's attention on all shown frames, 0 to 1."""
    on_object: float | None
    """The part of it on the true object; None without truth. At most ``share``."""
    area: float | None
    """What even attention would put on the object in this frame."""


def frame_shares(
    indices: tuple[int, ...], attention: NDArray, truth: NDArray | None
) -> tuple[FrameShare, ...]:
    """Spread of ``attention`` [frame, row, column] over frames and over the object in them.

    ``truth``, bool [frame, height, width], is pooled to the patches by area. Attention that is 0
    everywhere gives no rows: it has no spread.
    """
    total = float(attention.sum())
    if total <= 0:
        return ()
    shares = []
    for place, index in enumerate(indices):
        inside = area = None
        if truth is not None:
            size = attention.shape[2], attention.shape[1]
            picture = Image.fromarray(truth[place].astype(np.float32))
            soft = np.asarray(picture.resize(size, Image.Resampling.BOX))
            inside = float((attention[place] * soft).sum()) / total
            area = float(soft.mean()) / len(indices)
        shares.append(FrameShare(index, float(attention[place].sum()) / total, inside, area))
    return tuple(shares)
