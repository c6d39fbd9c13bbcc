"""The capture store, write side: one chunk of samples at a time, whole or not at all.

The parts of a chunk have fixed names, each is written beside its goal and renamed, and the samples
part comes last. A capture that is killed therefore loses at most the chunk it was in, and writing
that chunk again replaces what was left of it: nothing is lost and nothing is there twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save_file

from probes.criteria import SCORED
from probes.layout import (
    BESIDE_MAPS,
    HEADS_SCHEMA,
    SAMPLES_SCHEMA,
    SCHEMA,
    SHAPE_KEY,
    chunk_of,
    map_key,
    part,
)
from probes.parts import check_part
from reviosa.io import atomic_path, write_json

__all__ = ["CaptureWriter", "MapRow", "SampleRow"]


@dataclass(frozen=True)
class SampleRow:
    """One expression and role with a truth: the actor always, the target of interactions.

    Or one query token of another model: what is not known of it is NaN or empty.
    """

    sample_id: str
    video_id: str
    exp_id: str
    role: str
    """Whose token it is: "actor" or "target", or any other name of a query token."""
    expression: str
    caption_type: str
    emitted: bool
    """Whether the model gave the role's token; without it there is no attention and no mask."""
    put_into_form: bool
    """Whether the model had named no role by itself, so that its token was put there."""
    j: float
    """Mean over frames, 0 to 1; 0 where the role was not emitted. ``f`` and ``jf`` alike."""
    f: float
    jf: float
    mask_area: float
    """Fraction of the patches of the sampled frames that the object covers; NaN if unknown."""
    objects: int
    """Objects that the expressions about the video speak of."""
    centrality: float
    """How near the object is to the middle of the frames, 0 to 1; NaN if it is on none."""
    centre_share: float
    """Mask share of a prior that only knows the middle."""
    n_frames: int
    query_position: int
    """Position of the role token in the sequence; -1 where it was not emitted."""
    text: str
    """What the model answered."""
    frame_indices: tuple[int, ...]
    """Frames that the language model saw."""

    def __post_init__(self) -> None:
        if not self.role or "|" in self.role or self.role in BESIDE_MAPS:
            raise ValueError(
                f"role {self.role!r} of {self.sample_id}; expected a name without | that is none "
                f"of {', '.join(BESIDE_MAPS)}"
            )


@dataclass(frozen=True)
class MapRow:
    """Attention maps of one sample and role, as the model gave them."""

    sample_id: str
    role: str
    values: NDArray
    """[pair, frame, row, column], attention weights; the writer normalises them."""
    text: NDArray | None = None
    """[pair, text token], the rest of the same rows of attention; None where it was not taken."""
    tokens: tuple[str | int, ...] = ()
    """With ``text``: the sequence up to the role token, each text token as it reads, and a number
    in place of so many vision tokens."""


class CaptureWriter:
    """Write the parts of a capture run.

    Args:
        directory: the run directory; made when absent. The caller holds the run's lock
            (:mod:`reviosa.run_record`): two writers must never share it.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def done_chunks(self) -> frozenset[int]:
        """Chunks that are complete and readable; a resumed capture skips them."""
        return frozenset(
            chunk
            for path in (self.directory / "samples").glob("part-*.parquet")
            if (chunk := chunk_of(path)) is not None
            and _readable(path)
            and _readable(part(self.directory, "heads", chunk))
        )

    def write_chunk(
        self,
        chunk: int,
        rows: Sequence[SampleRow],
        metrics: Mapping[str, NDArray],
        *,
        maps: Sequence[MapRow] = (),
        pairs: Sequence[tuple[int, int]] = (),
        predictions: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Write one chunk, replacing what an earlier attempt left of it.

        Args:
            chunk: number of the chunk; stands for a fixed set of samples.
            rows: its samples and roles; may be empty.
            metrics: every name of :data:`probes.criteria.SCORED`, those that need gradients if they
                were taken, to [row, layer, head], NaN
                where undefined.
            maps: maps that are kept, of samples in ``rows``.
            pairs: (layer, head) of the first axis of every map.
            predictions: video to expression to prediction, of this chunk's samples.

        Raises:
            ValueError: arrays, rows and maps do not fit each other.
        """
        shape = _check(chunk, rows, metrics, maps, pairs)
        # Until the samples part is back the chunk counts as not done.
        part(self.directory, "samples", chunk).unlink(missing_ok=True)
        metadata = {
            SHAPE_KEY: json.dumps(
                {"schema": SCHEMA, "layers": shape[1], "heads": shape[2]}
            ).encode()
        }
        self._parquet("heads", chunk, _heads_table(rows, metrics, shape), metadata)
        self._maps(chunk, maps, pairs)
        self._predictions(chunk, predictions)
        self._parquet("samples", chunk, _samples_table(rows), metadata)

    def _parquet(self, folder: str, chunk: int, table: pa.Table, metadata: dict) -> None:
        floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
        others = [
            field.name
            for field in table.schema
            if field.name not in floats and not pa.types.is_nested(field.type)
        ]
        # pyarrow's type hints know only true or false here; lists of columns are documented.
        with atomic_path(part(self.directory, folder, chunk)) as temporary:
            pq.write_table(
                table.replace_schema_metadata(metadata),
                temporary,
                compression="zstd",
                # Splitting the bytes of floats saves 40 % after zstd; it rules out dictionaries.
                use_dictionary=others,  # pyright: ignore[reportArgumentType]
                use_byte_stream_split=floats,  # pyright: ignore[reportArgumentType]
                write_page_checksum=True,
            )

    def _maps(self, chunk: int, maps: Sequence[MapRow], pairs: Sequence[tuple[int, int]]) -> None:
        path = part(self.directory, "maps", chunk)
        if not maps:
            path.unlink(missing_ok=True)
            return
        tensors = {}
        metadata = {
            "schema": str(SCHEMA),
            "pairs": json.dumps([[int(layer), int(head)] for layer, head in pairs]),
        }
        for item in maps:
            values = np.asarray(item.values, dtype=np.float32)
            # Peaked heads underflow in float16; dividing by the pair's maximum keeps the small
            # weights (ECOSYSTEM 1b). A map without any attention keeps scale 0.
            scale = values.max(axis=(1, 2, 3), initial=0.0)
            divisor = np.where(scale > 0, scale, 1.0)[:, None, None, None]
            key = map_key(item.sample_id, item.role)
            tensors[key] = np.ascontiguousarray((values / divisor).astype(np.float16))
            tensors[f"{key}|scale"] = scale.astype(np.float32)
            if item.text is not None:
                tensors[f"{key}|text"] = np.ascontiguousarray(item.text, dtype=np.float16)
                metadata[f"{key}|tokens"] = json.dumps(item.tokens)
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata)

    def _predictions(self, chunk: int, predictions: Mapping[str, Mapping[str, Any]] | None) -> None:
        path = part(self.directory, "predictions", chunk)
        if predictions is None:
            path.unlink(missing_ok=True)
        else:
            write_json(path, predictions, indent=None)


def _check(
    chunk: int,
    rows: Sequence[SampleRow],
    metrics: Mapping[str, NDArray],
    maps: Sequence[MapRow],
    pairs: Sequence[tuple[int, int]],
) -> tuple[int, int, int]:
    if chunk < 0:
        raise ValueError(f"chunk {chunk} is negative")
    always = {name for name, item in SCORED.items() if not item.needs_gradients}
    if not always <= set(metrics) <= set(SCORED):
        raise ValueError(f"metrics {sorted(metrics)}; expected {sorted(SCORED)}")
    shapes = {name: np.shape(values) for name, values in metrics.items()}
    shape = shapes[next(iter(always))]
    if len(shape) != 3 or set(shapes.values()) != {shape} or shape[0] != len(rows):
        raise ValueError(
            f"metrics of shapes {shapes} for {len(rows)} rows; expected [row, layer, head]"
        )
    keys = [(row.sample_id, row.role) for row in rows]
    if len(set(keys)) != len(keys):
        raise ValueError(f"chunk {chunk} holds a sample and role twice")
    for item in maps:
        if (item.sample_id, item.role) not in keys:
            raise ValueError(f"map of {item.sample_id} {item.role}, which is not in chunk {chunk}")
        if np.ndim(item.values) != 4 or len(item.values) != len(pairs):
            raise ValueError(
                f"map of {item.sample_id} {item.role} has shape {np.shape(item.values)} for "
                f"{len(pairs)} pairs; expected [pair, frame, row, column]"
            )
        words = sum(isinstance(token, str) for token in item.tokens)
        if item.text is not None and np.shape(item.text) != (len(pairs), words):
            raise ValueError(
                f"text attention of {item.sample_id} {item.role} has shape {np.shape(item.text)} "
                f"for {len(pairs)} pairs and {words} text tokens; expected [pair, text token]"
            )
    return shape


def _samples_table(rows: Sequence[SampleRow]) -> pa.Table:
    columns = {
        field.name: [getattr(row, field.name) for row in rows] for field in fields(SampleRow)
    }
    return pa.table(columns, schema=SAMPLES_SCHEMA)


def _heads_table(
    rows: Sequence[SampleRow], metrics: Mapping[str, NDArray], shape: tuple[int, int, int]
) -> pa.Table:
    """Long form: sample-major, then layer, then head."""
    count, layers, heads = shape
    pairs = layers * heads
    columns: dict[str, Any] = {
        name: np.repeat(np.array([getattr(row, name) for row in rows], dtype=object), pairs)
        for name in ("sample_id", "video_id", "role")
    }
    columns["layer"] = np.tile(np.repeat(np.arange(layers, dtype=np.int16), heads), count)
    columns["head"] = np.tile(np.arange(heads, dtype=np.int16), count * layers)
    for name in SCORED:
        if name in metrics:
            columns[name] = np.asarray(metrics[name], dtype=np.float32).reshape(-1)
    return pa.table(columns, schema=pa.schema([HEADS_SCHEMA.field(name) for name in columns]))


def _readable(path: Path) -> bool:
    """Whether a part is whole, and of this version: a reader would leave out any other."""
    try:
        metadata = check_part(path).metadata or {}
        return json.loads(metadata.get(SHAPE_KEY, b"{}")).get("schema") == SCHEMA
    except (OSError, pa.ArrowException, ValueError):
        return False
