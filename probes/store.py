"""The capture store, read side: tables and maps of one capture run.

A run directory holds ``run.json`` and, per chunk k of samples, ``samples/part-k.parquet`` (one row
per sample and role), ``heads/part-k.parquet`` (one row per sample, role, layer and head),
``predictions/part-k.json`` and, where maps were kept, ``maps/part-k.safetensors``. The samples part
is written last: a chunk without it does not exist (:mod:`probes.writer`). Reading takes no lock and
may run beside a capture.
"""

import glob
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from probes.criteria import CRITERIA, OUTCOME_OF, SCORED
from probes.head_scores import HeadScores
from probes.layout import BESIDE_MAPS, HEADS_SCHEMA, SAMPLES_SCHEMA, map_key, part
from probes.parts import load_samples, missing_parts, problem
from probes.writer import CaptureWriter, MapRow, SampleRow
from reviosa.data.records import ROLES
from reviosa.errors import ConfigError, RunError
from reviosa.run_record import read_run

__all__ = [
    "AttentionMap",
    "CaptureStore",
    "CaptureWriter",
    "HeadTable",
    "MapRow",
    "SampleRow",
    "TextAttention",
]


Kept = TypeVar("Kept")


@dataclass(frozen=True)
class HeadTable:
    """One metric of one role for all its samples, in the order of the samples table."""

    metric: str
    role: str
    values: NDArray[np.float64]
    """[sample, layer, head]; NaN where the role was not emitted or the metric is undefined.

    Of :meth:`CaptureStore.layer_array` the mean of a layer's heads stands in place of them.
    """
    sample_ids: tuple[str, ...]
    video_ids: NDArray
    """str [sample]"""
    jf: NDArray[np.float64]
    """[sample], J&F of the role's mask, 0 to 1; 0 where the role was not emitted."""
    mask_area: NDArray[np.float64]
    """[sample], fraction of the patches of the sampled frames that the object covers."""
    emitted: NDArray[np.bool_]
    """[sample], whether the model gave the role's token."""

    @property
    def flat(self) -> NDArray[np.float64]:
        """The values as [sample, pair], pairs layer by layer; also without any sample."""
        samples, layers, heads = self.values.shape
        return self.values.reshape(samples, layers * heads)


@dataclass(frozen=True)
class AttentionMap:
    """Attention of one role token on the patches of the sampled frames."""

    pairs: tuple[tuple[int, int], ...]
    """(layer, head) of each map."""
    values: NDArray[np.float32]
    """[pair, frame, row, column], attention weights (a whole row sums to at most 1)."""


@dataclass(frozen=True)
class TextAttention:
    """Attention of one role token on everything that is no patch: the rest of the same rows."""

    pairs: tuple[tuple[int, int], ...]
    """(layer, head) of each row."""
    tokens: tuple[str | int, ...]
    """The sequence up to the role token: a text token as it reads, a number in place of so many
    vision tokens."""
    values: NDArray[np.float32]
    """[pair, text token], attention weights."""


class CaptureStore:
    """Open a capture run for reading.

    Args:
        directory: the run directory.

    Attributes:
        run: the run's header, ``run.json``.

    Raises:
        RunError: no such directory, no readable header, or a run of another kind.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.run = _read_header(self.directory)
        loaded = load_samples(self.directory)
        self._problems = [*loaded.problems, *missing_parts(self.directory, self.run, loaded)]
        self._shape, self._chunks, self._samples = loaded.shape, loaded.chunks, loaded.samples
        self._criteria = loaded.criteria
        self._heads = HeadScores(self.directory, self._samples, self._shape)
        # Rows of a role with their names, made once: as plain strings they take longer than scores.
        self._of_role: dict[str, tuple[pd.DataFrame, tuple[str, ...], NDArray]] = {}
        self._connection = self._connect()

    @property
    def problems(self) -> tuple[str, ...]:
        """Parts that could not be read, one line each; their chunks or maps are left out."""
        return tuple(self._problems)

    @property
    def num_layers(self) -> int:
        """Layers of the captured model; 0 while no chunk is there."""
        return self._shape[0]

    @property
    def num_heads(self) -> int:
        """Heads per layer of the captured model; 0 while no chunk is there."""
        return self._shape[1]

    @property
    def criteria(self) -> tuple[str, ...]:
        """What the run was scored by, in the order of :data:`probes.criteria.CRITERIA`.

        A run of an earlier version has fewer.
        """
        return self._criteria

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Actor and target, and other query tokens that the run has, by name."""
        return tuple(dict.fromkeys((*ROLES, *sorted(set(self._samples.role)))))

    def samples(self) -> pd.DataFrame:
        """The samples table (columns of :class:`SampleRow`), in the order of capture; a copy."""
        return self._samples.drop(columns="chunk")

    def head_array(self, metric: str, role: str) -> HeadTable:
        """One metric of one role as a dense array.

        Raises:
            ConfigError: unknown criterion or role, or one that the run was not scored by.
            RunError: a part is damaged inside.
        """
        return self.head_tables(role, (metric,))[metric]

    def pair_scores(self, metric: str, role: str, layer: int, head: int) -> NDArray[np.float64]:
        """One metric of one role and pair: [sample] in the order of that role's samples.

        NaN where undefined.

        Raises:
            ConfigError: a criterion that the run was not scored by, or one of no single sample.
            RunError: a part is damaged inside.
        """
        self._expect_scored(metric)
        with self._told():
            return self._heads.read_pair(role, metric, layer, head)

    def head_tables(self, role: str, metrics: Sequence[str] | None = None) -> dict[str, HeadTable]:
        """Several metrics of one role, read in one go: name to table.

        Args:
            role: which.
            metrics: which; all that the run was scored by when None.

        Raises:
            ConfigError: unknown criterion or role, or a criterion that the run was not scored by.
            RunError: a part is damaged inside.
        """
        for name in metrics or ():
            self._expect_criterion(name)
        self._expect_role(role)
        names = self.criteria if metrics is None else tuple(metrics)
        # The outcome family is made of the scores of another criterion and of J&F.
        stored = {name: OUTCOME_OF if name not in SCORED else name for name in names}
        columns = tuple(dict.fromkeys(stored.values()))
        with self._told():
            values = self._heads.read(role, columns)
        return {name: self._table(name, role, values[stored[name]]) for name in names}

    def layer_array(self, metric: str, role: str) -> HeadTable:
        """As :meth:`head_array`, with a layer's mean in place of its heads: [sample, layer, 1].

        What compares layers takes it in less time and memory.

        Raises:
            ConfigError: unknown role; a criterion that the run was not scored by, or one of no
                single sample.
            RunError: a part is damaged inside.
        """
        self._expect_scored(metric)
        self._expect_role(role)
        with self._told():
            return self._table(metric, role, self._heads.read_layers(role, metric)[..., None])

    def sample_heads(self, sample_id: str, role: str) -> dict[str, NDArray[np.float64]]:
        """All scores of one sample and role: name to float64 [layer, head], NaN where undefined.

        Raises:
            RunError: the run holds no such sample and role.
        """
        self._expect_sample(sample_id, role)
        scored = [name for name in self.criteria if name in SCORED]
        found = self._fetch(
            f"SELECT layer, head, {', '.join(scored)} FROM heads WHERE sample_id = ? AND role = ?",
            (sample_id, role),
        )
        arrays = {}
        for metric in scored:
            arrays[metric] = np.full(self._shape, np.nan)
            arrays[metric][found["layer"], found["head"]] = np.ma.filled(found[metric], np.nan)
        return arrays

    def map(self, sample_id: str, role: str) -> AttentionMap | None:
        """Attention maps of one sample and role; None where none were kept."""
        key = map_key(sample_id, role)

        def read(file: Any) -> AttentionMap | None:
            scale = file.get_tensor(f"{key}|scale")
            values = file.get_tensor(key).astype(np.float32)
            _expect_whole(values, scale, key)
            return AttentionMap(_kept_pairs(file), values * scale[:, None, None, None])

        return self._of_shard(sample_id, key, read)

    def text_attention(self, sample_id: str, role: str) -> TextAttention | None:
        """Attention of one sample and role on text tokens.

        None where no map was kept, or by a version before 5 or a bridge that did not take it.
        """
        key = map_key(sample_id, role)

        def read(file: Any) -> TextAttention | None:
            if f"{key}|tokens" not in file.metadata():
                return None
            tokens = json.loads(file.metadata()[f"{key}|tokens"])
            values = file.get_tensor(f"{key}|text").astype(np.float32)
            return TextAttention(_kept_pairs(file), tuple(tokens), values)

        return self._of_shard(sample_id, key, read)

    def map_keys(self) -> frozenset[tuple[str, str]]:
        """(sample_id, role) of all samples whose maps were kept."""
        found: set[tuple[str, str]] = set()
        for chunk in self._chunks:
            path = part(self.directory, "maps", chunk)
            if not path.exists():
                continue
            try:
                with safe_open(path, framework="numpy") as file:
                    keys = [
                        key
                        for key in file.keys()  # noqa: SIM118
                        if key.rpartition("|")[2] not in BESIDE_MAPS
                    ]
            except (OSError, SafetensorError) as error:
                self._problem(f"maps of chunk {chunk} left out", error)
                continue
            for key in keys:
                sample_id, _, role = key.rpartition("|")
                found.add((sample_id, role))
        return frozenset(found)

    def predictions(self) -> dict[str, dict[str, Any]]:
        """Predictions of all chunks as one value: video to expression to its masks and text."""
        merged: dict[str, dict[str, Any]] = {}
        for chunk in self._chunks:
            for video, expressions in self._prediction_part(chunk).items():
                merged.setdefault(video, {}).update(expressions)
        return merged

    def prediction(self, video_id: str, exp_id: str) -> dict[str, Any] | None:
        """Prediction of one expression, or None where there is none; reads only its chunk."""
        rows = self._samples
        for chunk in self._chunks_of((rows.video_id == video_id) & (rows.exp_id == exp_id)):
            found = self._prediction_part(chunk).get(video_id, {}).get(exp_id)
            if found is not None:
                return found
        return None

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Run SQL over the tables ``samples`` and ``heads``; safe to call from several threads.

        Raises:
            RunError: DuckDB refused the query or a part.
        """
        return pd.DataFrame(self._fetch(sql, parameters))

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """An in-memory database (no file, no lock) with views over the parts of whole chunks."""
        connection = duckdb.connect()
        for name, schema in (("samples", SAMPLES_SCHEMA), ("heads", HEADS_SCHEMA)):
            # Paths are patterns to DuckDB; a folder named run[1] must not become one.
            paths = [glob.escape(str(part(self.directory, name, c))) for c in self._chunks]
            if paths:
                listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
                connection.execute(
                    f"CREATE VIEW {name} AS SELECT * FROM "
                    f"read_parquet([{listed}], union_by_name = true)"
                )
            else:
                connection.register("nothing", schema.empty_table())
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM nothing")
        return connection

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        try:
            with self._connection.cursor() as cursor:  # a connection is not safe between threads
                return cursor.execute(sql, list(parameters)).fetchnumpy()
        except duckdb.Error as error:
            line = str(error).splitlines()[0]
            raise RunError(
                f"cannot query the capture in {self.directory}: {line}; if a part is damaged, "
                "capture again with --resume after removing it"
            ) from error

    def _table(self, metric: str, role: str, values: NDArray[np.float64]) -> HeadTable:
        if role not in self._of_role:
            rows = self._samples.loc[self._samples.role == role, :]
            names = tuple(rows.sample_id), rows.video_id.to_numpy(dtype=str)
            self._of_role[role] = rows, *names
        rows, sample_ids, video_ids = self._of_role[role]
        return HeadTable(
            metric=metric,
            role=role,
            values=values,
            sample_ids=sample_ids,
            video_ids=video_ids.copy(),
            jf=rows.jf.to_numpy(dtype=np.float64, copy=True),
            mask_area=rows.mask_area.to_numpy(dtype=np.float64, copy=True),
            emitted=rows.emitted.to_numpy(dtype=bool, copy=True),
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A part that cannot be read is told as that of a run."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise RunError(
                f"{problem(f'cannot read the heads of {self.directory}', error)}; remove the part "
                "and capture again with --resume"
            ) from error

    def _prediction_part(self, chunk: int) -> dict[str, dict[str, Any]]:
        path = part(self.directory, "predictions", chunk)
        if not path.exists():
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            self._problem(f"predictions of chunk {chunk} left out", error)
            return {}

    def _of_shard(
        self, sample_id: str, key: str, read: Callable[[Any], Kept | None]
    ) -> Kept | None:
        """What ``read`` makes of the shard that holds a map; a damaged one is a problem.

        Only the shard of the sample's own chunk is opened.
        """
        for chunk in self._chunks_of(self._samples.sample_id == sample_id):
            path = part(self.directory, "maps", chunk)
            if not path.exists():
                continue
            try:
                with safe_open(path, framework="numpy") as file:
                    if key in file.keys():  # noqa: SIM118
                        return read(file)
            except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
                self._problem(f"maps of chunk {chunk} left out", error)
        return None

    def _chunks_of(self, wanted: pd.Series) -> list[int]:
        return [int(chunk) for chunk in self._samples.chunk[wanted].unique()]

    def _problem(self, what: str, error: Exception) -> None:
        line = problem(what, error)
        if line not in self._problems:
            self._problems.append(line)

    def _expect_criterion(self, name: str) -> None:
        if name not in CRITERIA:
            raise ConfigError(f"unknown criterion {name!r}; choose one of {', '.join(CRITERIA)}")
        if name not in self.criteria:
            raise ConfigError(
                f"{self.directory}: this capture was not scored by {name}, which came later or "
                f"needs gradients; capture again, or choose one of {', '.join(self.criteria)}"
            )

    def _expect_scored(self, name: str) -> None:
        self._expect_criterion(name)
        if name not in SCORED:
            raise ConfigError(f"{name} is no score of single samples; choose another criterion")

    def _expect_role(self, role: str) -> None:
        if role not in self.roles:
            raise ConfigError(f"unknown role {role!r}; choose one of {', '.join(self.roles)}")

    def _expect_sample(self, sample_id: str, role: str) -> None:
        rows = self._samples
        if not ((rows.sample_id == sample_id) & (rows.role == role)).any():
            raise RunError(
                f"{self.directory} holds no sample {sample_id!r} with role {role!r}; see the "
                "samples table for what it holds"
            )


def _kept_pairs(file: Any) -> tuple[tuple[int, int], ...]:
    return tuple((int(layer), int(head)) for layer, head in json.loads(file.metadata()["pairs"]))


def _expect_whole(values: NDArray, scale: NDArray, key: str) -> None:
    """Maps are kept as fractions of their largest weight, so that of each the largest is 1."""
    largest = values.max(axis=(1, 2, 3), initial=0.0)
    if not np.array_equal(largest, np.where(scale > 0, 1.0, 0.0)):
        raise ValueError(f"the map {key} is damaged")


def _read_header(directory: Path) -> dict[str, Any]:
    header = read_run(directory)
    if header.get("kind") != "capture":
        raise RunError(
            f"{directory} is a run of kind {header.get('kind')!r}, expected a capture; give a "
            "folder that reviosa capture wrote"
        )
    return header
