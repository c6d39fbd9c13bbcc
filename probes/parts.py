"""Which chunks of a capture run are whole, and the samples they hold."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from probes.criteria import CRITERIA, OUTCOME_OF, SCORED
from probes.layout import FOLDERS, LATER, READABLE, SAMPLES_SCHEMA, SHAPE_KEY, chunk_of, part
from reviosa.errors import RunError

__all__ = ["READERS", "LoadedSamples", "check_part", "load_samples", "missing_parts", "problem"]

READERS = 4
"""Parts that are checked or read at a time; pyarrow works outside of Python's lock."""


@dataclass(frozen=True)
class LoadedSamples:
    """All whole chunks of a run."""

    samples: pd.DataFrame
    """The samples table with one more column, ``chunk``."""
    chunks: tuple[int, ...]
    shape: tuple[int, int]
    """Layers and heads; (0, 0) without a chunk."""
    criteria: tuple[str, ...]
    """What every chunk was scored by, in the order of the registry; all without a chunk."""
    problems: tuple[str, ...]
    """Chunks that were left out, one line each."""


def load_samples(directory: Path) -> LoadedSamples:
    """Read the samples parts of all chunks that are whole; the others are named, never raised."""
    frames: list[pd.DataFrame] = []
    chunks: list[int] = []
    shape: tuple[int, int] | None = None
    problems: list[str] = []
    scored = dict.fromkeys(SCORED)
    paths = sorted((directory / "samples").glob("part-*.parquet"))
    _check_ahead(directory, paths)
    for path in paths:
        chunk = chunk_of(path)
        if chunk is None:
            continue
        try:
            frame, found, columns = _read_chunk(directory, chunk)
            if shape not in (None, found):
                raise RunError(f"shape {found}, but the chunks before have {shape}")
        except (RunError, OSError, KeyError, ValueError, pa.ArrowException) as error:
            problems.append(problem(f"chunk {chunk} left out", error))
            continue
        shape = found
        scored = {name: None for name in scored if name in columns}
        frames.append(frame)
        chunks.append(chunk)
    empty = SAMPLES_SCHEMA.empty_table().to_pandas().assign(chunk=0)
    samples = pd.concat(frames, ignore_index=True) if frames else empty
    double = samples.duplicated(["sample_id", "role"])
    if double.any():
        problems.append(
            f"{int(double.sum())} samples stand in two chunks; the first of each is used"
        )
        samples = samples.loc[~double, :].reset_index(drop=True)
    samples["frame_indices"] = [tuple(map(int, item)) for item in samples.frame_indices]
    criteria = [
        name
        for name, item in CRITERIA.items()
        if (OUTCOME_OF if item.kind == "outcome" else name) in scored
    ]
    return LoadedSamples(samples, tuple(chunks), shape or (0, 0), tuple(criteria), tuple(problems))


def _check_ahead(directory: Path, samples: Sequence[Path]) -> None:
    """Check the heads parts beside each other, as they are large; what is wrong is told later."""

    def check(path: Path) -> None:
        with contextlib.suppress(OSError, ValueError, pa.ArrowException):
            check_part(path)

    chunks = [chunk for path in samples if (chunk := chunk_of(path)) is not None]
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(check, [part(directory, "heads", chunk) for chunk in chunks]))


def missing_parts(
    directory: Path, run: Mapping[str, Any], loaded: LoadedSamples
) -> tuple[str, ...]:
    """Parts that a finished run must have had and that are gone, one line each.

    A missing heads part is told by :func:`load_samples`; maps and predictions are looked for where
    the header says that :func:`probes.capture.capture` wrote them. A run may be kept without the
    whole folder of either, which is left out of a copy to make it small.
    """
    if run.get("status") != "done":
        return ()  # the samples part of a chunk is written last
    found = {
        folder: {chunk_of(path) for path in (directory / folder).glob("part-*")}
        for folder in FOLDERS
    }
    chunks = {chunk for of in found.values() for chunk in of if chunk is not None}
    gone = [("samples", chunk, "chunk {}") for chunk in sorted(chunks - found["samples"])]
    kept = (run.get("config") or {}).get("maps")
    named = loaded.samples.chunk[loaded.samples.emitted].unique()
    if kept in ("all", "selected") and (directory / "maps").is_dir():
        gone += [("maps", int(c), "maps of chunk {}") for c in named if c not in found["maps"]]
    if kept is not None and (directory / "predictions").is_dir():
        lost = [c for c in loaded.chunks if c not in found["predictions"]]
        gone += [("predictions", c, "predictions of chunk {}") for c in lost]
    lines = []
    for folder, chunk, what in gone:
        path, again = part(directory, folder, chunk), "capture again with --resume"
        if folder != "samples":  # which is what a chunk counts as done by
            again += f" after removing {_name(part(directory, 'samples', chunk))}"
        lines.append(f"{what.format(chunk)} left out: {_name(path)}: it is missing; {again}")
    return tuple(lines)


def problem(what: str, error: Exception) -> str:
    """One line about a part that could not be read."""
    reason = str(error).splitlines()
    return f"{what}: {reason[0] if reason else type(error).__name__}"


def check_part(path: Path) -> pa.Schema:
    """Read a Parquet part to its end and give its schema; a part is read once in each state.

    The writer keeps a checksum of every page. Without a look at them, numbers that were damaged on
    the disk are read as other numbers.

    Raises:
        OSError: it is missing, cut off or damaged.
        ArrowException: likewise.
    """
    state = path.stat()
    return _checked(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _checked(path: Path, changed: int, size: int) -> pa.Schema:
    # Names as codes: a part of heads says each of them some hundred times.
    names = ["sample_id", "video_id", "role"]
    with pq.ParquetFile(path, read_dictionary=names, page_checksum_verification=True) as file:
        return file.read().schema


def _read_chunk(directory: Path, chunk: int) -> tuple[pd.DataFrame, tuple[int, int], list[str]]:
    path, heads = part(directory, "samples", chunk), part(directory, "heads", chunk)
    table = _told(path, lambda: pq.read_table(path, page_checksum_verification=True))
    shape = _shape(table.schema.metadata, path)
    schema = _told(heads, lambda: check_part(heads))
    if _shape(schema.metadata, heads) != shape:
        raise RunError(f"{_name(heads)} has another model shape than {_name(path)}")
    for name in LATER:
        if name not in table.column_names:
            nothing = pa.nulls(len(table), SAMPLES_SCHEMA.field(name).type)
            table = table.append_column(name, nothing)
    frame = table.select(SAMPLES_SCHEMA.names).cast(SAMPLES_SCHEMA).to_pandas()
    return frame.assign(chunk=chunk), shape, schema.names


Read = TypeVar("Read")


def _told(path: Path, read: Callable[[], Read]) -> Read:
    """What ``read`` gives; what is wrong with the part is told with its name and the remedy."""
    try:
        return read()
    except FileNotFoundError:
        got = "it is missing"
    except (OSError, ValueError, pa.ArrowException) as error:
        got = problem("it is damaged", error)
    raise RunError(f"{_name(path)}: {got}; capture again with --resume") from None


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _shape(metadata: dict[bytes, bytes] | None, path: Path) -> tuple[int, int]:
    value = json.loads((metadata or {}).get(SHAPE_KEY, b"{}"))
    if value.get("schema") not in READABLE:
        raise RunError(
            f"{_name(path)} has schema {value.get('schema')}, expected one of {READABLE}; open it "
            "with the version of the project that wrote it, or capture again"
        )
    return value["layers"], value["heads"]
