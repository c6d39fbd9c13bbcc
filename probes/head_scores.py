"""Scores of all heads as arrays: columns of the heads parts, each row put where it belongs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from probes.bootstrap import defined_mean
from probes.layout import part

__all__ = ["HeadScores"]

_KEYS = ("sample_id", "role")
_READERS = 4


class HeadScores:
    """The heads parts of a run, of which single columns are read.

    Where a row belongs is found once and kept, in place of comparing names in every read.

    Args:
        directory: of the run.
        samples: the table of :class:`probes.parts.LoadedSamples`.
        shape: layers and heads.
    """

    def __init__(self, directory: Path, samples: pd.DataFrame, shape: tuple[int, int]) -> None:
        self._directory, self._shape = directory, shape
        self._samples = samples[["sample_id", "role", "chunk"]]
        self._last: tuple[str, dict[int, NDArray[np.float32]]] = ("", {})

    def read(self, role: str, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Columns of one role: name to [sample, layer, head] in the order of its samples.

        NaN where there is no row.

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        shape = self._count(role), *self._shape
        found = {name: np.full(shape, np.nan) for name in columns}
        for place in self._places.get(role, ()) if columns else ():
            for name, scores in self._scores(place.chunk, columns).items():
                found[name][place.samples] = self._block(place, scores)
        return found

    def read_layers(self, role: str, column: str) -> NDArray[np.float64]:
        """A column of one role, mean over the heads of a layer that have a value: [sample, layer].

        Part by part: all heads of all samples are never held at once.

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        found = np.full((self._count(role), self._shape[0]), np.nan)
        for place in self._places.get(role, ()):
            scores = self._scores(place.chunk, (column,))[column]
            found[place.samples] = defined_mean(self._block(place, scores), axis=2)
        return found

    def read_pair(self, role: str, column: str, layer: int, head: int) -> NDArray[np.float64]:
        """A column of one role and pair: [sample] in the order of its samples, NaN without a row.

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        found = np.full(self._count(role), np.nan)
        pair, pairs = layer * self._shape[1] + head, self._shape[0] * self._shape[1]
        for place in self._places.get(role, ()):
            rows = np.flatnonzero(place.pairs == pair)
            scores = self._scores(place.chunk, (column,))[column]
            found[place.samples[place.to[rows] // pairs]] = scores[place.rows[rows]]
        return found

    def _count(self, role: str) -> int:
        return int((self._samples.role == role).sum())

    def _block(self, place: "_Place", scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """What a part has of a role: [sample of the part, layer, head], NaN without a row."""
        block = np.full((len(place.samples), *self._shape), np.nan)
        block.reshape(-1)[place.to] = scores[place.rows]
        return block

    def _scores(self, chunk: int, columns: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Columns of a part. A single one is kept until another is asked for: by the next role."""
        if len(columns) > 1:
            table = self._table(chunk, columns)
            return {name: table[name].to_numpy() for name in columns}
        (name,) = columns
        if self._last[0] != name:
            self._last = (name, self._column(name))
        return {name: self._last[1][chunk]}

    def _column(self, name: str) -> dict[int, NDArray[np.float32]]:
        """A column of every part, read beside each other."""
        chunks = self._samples.chunk.unique().tolist()
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(lambda chunk: self._table(chunk, (name,))[name].to_numpy(), chunks)
            return dict(zip(chunks, found, strict=True))

    @cached_property
    def _places(self) -> dict[str, list["_Place"]]:
        """Where the rows of each role go, part by part."""
        layers, heads = self._shape
        found: dict[str, list[_Place]] = {}
        numbered = self._samples.assign(place=self._samples.groupby("role").cumcount())
        for chunk in numbered.chunk.unique().tolist():
            rows_of_chunk = numbered.loc[numbered.chunk == chunk, :]
            table = self._table(chunk, (*_KEYS, "layer", "head"))
            sample, named = (table[name].combine_chunks() for name in _KEYS)
            names, roles = sample.dictionary.to_pylist(), named.dictionary.to_pylist()
            pairs = table["layer"].to_numpy().astype(np.int32) * heads + table["head"].to_numpy()
            for role, mine in rows_of_chunk.groupby("role"):
                # A sample's place by the code that stands for its name; -1 for what is no sample.
                order = {name: place for place, name in enumerate(mine.sample_id)}
                places = np.array([order.get(name, -1) for name in names], int)
                is_role = np.array([name == role for name in roles], bool)
                place = np.where(
                    is_role[named.indices.to_numpy()], places[sample.indices.to_numpy()], -1
                )
                rows = np.flatnonzero(place >= 0)
                to = place[rows] * (layers * heads) + pairs[rows]
                samples = mine.place.to_numpy()
                found.setdefault(str(role), []).append(
                    _Place(chunk, samples, rows, pairs[rows], to)
                )
        return found

    def _table(self, chunk: int, columns: Sequence[str]) -> pa.Table:
        path = part(self._directory, "heads", chunk)
        # Names as codes: a part says each of them some hundred times.
        names = [name for name in _KEYS if name in columns]
        with pq.ParquetFile(path, read_dictionary=names) as file:
            return file.read(columns=list(columns), use_threads=False).unify_dictionaries()


@dataclass(frozen=True)
class _Place:
    """Rows of one part and role, and where their scores go."""

    chunk: int
    samples: NDArray[np.intp]
    """Places of the part's samples among all of the role."""
    rows: NDArray[np.intp]
    pairs: NDArray[np.int32]
    """layer * heads + head, of each row."""
    to: NDArray[np.intp]
    """Of each row, in a flat [sample of the part, layer, head]."""
