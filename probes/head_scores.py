"""Scores of all heads as arrays: columns of the heads parts, each row put where it belongs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from probes.layout import part

__all__ = ["HeadScores"]

_KEYS = ("sample_id", "role")


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
        count = int((self._samples.role == role).sum())
        found = {name: np.full(count * self._shape[0] * self._shape[1], np.nan) for name in columns}
        for place in self._places.get(role, ()) if columns else ():
            for name, scores in self._scores(place.chunk, columns).items():
                found[name][place.to] = scores[place.rows]
        return {name: values.reshape(count, *self._shape) for name, values in found.items()}

    def read_pair(self, role: str, column: str, layer: int, head: int) -> NDArray[np.float64]:
        """A column of one role and pair: [sample] in the order of its samples, NaN without a row.

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        found = np.full(int((self._samples.role == role).sum()), np.nan)
        pair = layer * self._shape[1] + head
        for place in self._places.get(role, ()):
            rows = np.flatnonzero(place.pairs == pair)
            scores = self._scores(place.chunk, (column,))[column]
            found[place.to[rows] // (self._shape[0] * self._shape[1])] = scores[place.rows[rows]]
        return found

    def _scores(self, chunk: int, columns: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Columns of a part. A single one is kept until another is asked for: by the next role."""
        if len(columns) > 1:
            table = self._table(chunk, columns)
            return {name: table[name].to_numpy() for name in columns}
        (name,) = columns
        if self._last[0] != name:
            self._last = (name, {})
        held = self._last[1]
        if chunk not in held:
            held[chunk] = self._table(chunk, columns)[name].to_numpy()
        return {name: held[chunk]}

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
                order = dict(zip(mine.sample_id, mine.place, strict=True))
                places = np.array([order.get(name, -1) for name in names], int)
                is_role = np.array([name == role for name in roles], bool)
                place = np.where(
                    is_role[named.indices.to_numpy()], places[sample.indices.to_numpy()], -1
                )
                rows = np.flatnonzero(place >= 0)
                to = place[rows] * (layers * heads) + pairs[rows]
                found.setdefault(str(role), []).append(_Place(chunk, rows, pairs[rows], to))
        return found

    def _table(self, chunk: int, columns: Sequence[str]) -> pa.Table:
        path = part(self._directory, "heads", chunk)
        # Names as codes: a part says each of them some hundred times.
        names = [name for name in _KEYS if name in columns]
        with pq.ParquetFile(path, read_dictionary=names) as file:
            return file.read(columns=list(columns), use_threads=False).unify_dictionaries()


@dataclass(frozen=True)
class _Place:
    """Rows of one part, their pairs, and where their scores go in a flat [sample, layer, head]."""

    chunk: int
    rows: NDArray[np.intp]
    pairs: NDArray[np.int32]
    """layer * heads + head."""
    to: NDArray[np.intp]
