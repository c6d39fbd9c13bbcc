"""Scores of all heads as arrays: columns of the heads parts, each row put where it belongs."""

from collections.abc import Iterator, Sequence
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
from probes.parts import READERS

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
        shape = self._count(role), *self._shape
        found = {name: np.full(shape, np.nan) for name in columns}
        for place, parts in self._parts(role, columns):
            for name, scores in parts.items():
                found[name][place.samples] = scores[place.cells]
        return found

    def read_layers(self, role: str, column: str) -> NDArray[np.float64]:
        """A column of one role, mean over the heads of a layer that have a value: [sample, layer].

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        found = np.full((self._count(role), self._shape[0]), np.nan)
        for place, parts in self._parts(role, (column,)):
            # Part by part: an array of all heads and samples would be written to be read once.
            found[place.samples] = defined_mean(parts[column][place.cells], axis=2)
        return found

    def read_pair(self, role: str, column: str, layer: int, head: int) -> NDArray[np.float64]:
        """A column of one role and pair: [sample] in the order of its samples, NaN without a row.

        Raises:
            OSError: a part cannot be read any more.
            ArrowException: likewise.
        """
        found = np.full(self._count(role), np.nan)
        for place, parts in self._parts(role, (column,)):
            found[place.samples] = parts[column][place.cells[:, layer, head]]
        return found

    def _count(self, role: str) -> int:
        return int((self._samples.role == role).sum())

    def _parts(
        self, role: str, columns: Sequence[str]
    ) -> Iterator[tuple["_Place", dict[str, NDArray[np.float32]]]]:
        """The parts that have rows of a role, with columns of theirs, to be taken by the cells."""
        places = self._places.get(role, ()) if columns else ()
        if len(columns) == 1 and places:
            (name,) = columns
            held = self._column(name)
            yield from ((place, {name: held[place.chunk]}) for place in places)
            return
        for place in places:
            yield place, _numbers(self._table(place.chunk, columns), columns)

    def _column(self, name: str) -> dict[int, NDArray[np.float32]]:
        """A column of every part. Kept until another is asked for: the next role needs it, too."""
        last = self._last  # other threads may put another one there at any moment
        if last[0] != name:
            chunks = self._samples.chunk.unique().tolist()
            with ThreadPoolExecutor(READERS) as pool:
                tables = pool.map(lambda chunk: self._table(chunk, (name,)), chunks)
                found = (_numbers(table, (name,))[name] for table in tables)
                last = self._last = name, dict(zip(chunks, found, strict=True))
        return last[1]

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
                cells = np.full((len(mine), layers, heads), len(table))
                cells.reshape(-1)[place[rows] * (layers * heads) + pairs[rows]] = rows
                found.setdefault(str(role), []).append(_Place(chunk, mine.place.to_numpy(), cells))
        return found

    def _table(self, chunk: int, columns: Sequence[str]) -> pa.Table:
        path = part(self._directory, "heads", chunk)
        # Names as codes: a part says each of them some hundred times.
        names = [name for name in _KEYS if name in columns]
        with pq.ParquetFile(path, read_dictionary=names) as file:
            return file.read(columns=list(columns), use_threads=False).unify_dictionaries()


@dataclass(frozen=True)
class _Place:
    """Where the scores of one part and role go."""

    chunk: int
    samples: NDArray[np.intp]
    """Places of the part's samples among all of the role."""
    cells: NDArray[np.intp]
    """[sample of the part, layer, head], the row of each; without one, one behind the last."""


def _numbers(table: pa.Table, columns: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Columns as numbers, with a NaN behind the last row for what has none."""
    none = np.array([np.nan], np.float32)
    return {name: np.concatenate([table[name].to_numpy(), none]) for name in columns}
