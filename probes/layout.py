"""What a capture run holds on disk: folders, part names, columns."""

import re
from pathlib import Path

import pyarrow as pa

from probes.criteria import SCORED

__all__ = [
    "BESIDE_MAPS",
    "FOLDERS",
    "HEADS_SCHEMA",
    "LATER",
    "READABLE",
    "SAMPLES_SCHEMA",
    "SCHEMA",
    "SHAPE_KEY",
    "chunk_of",
    "map_key",
    "part",
]

SCHEMA = 5
"""Version of the layout, kept in every Parquet part."""

READABLE = (2, 3, 4, 5)
"""Versions that are read. Before 3 there were four criteria; before 4 samples had no ``objects``,
``centrality`` and ``centre_share``, and heads no gradients; before 5 maps kept no attention on text
tokens."""

SHAPE_KEY = b"reviosa.shape"
"""Parquet metadata key of the JSON value {"schema", "layers", "heads"}."""

FOLDERS = {
    "samples": "parquet",
    "heads": "parquet",
    "maps": "safetensors",
    "predictions": "json",
}

SAMPLES_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("video_id", pa.string()),
        ("exp_id", pa.string()),
        ("role", pa.string()),
        ("expression", pa.string()),
        ("caption_type", pa.string()),
        ("emitted", pa.bool_()),
        ("put_into_form", pa.bool_()),
        ("j", pa.float64()),
        ("f", pa.float64()),
        ("jf", pa.float64()),
        ("mask_area", pa.float64()),
        ("objects", pa.int32()),
        ("centrality", pa.float64()),
        ("centre_share", pa.float64()),
        ("n_frames", pa.int32()),
        ("query_position", pa.int32()),
        ("text", pa.string()),
        ("frame_indices", pa.list_(pa.int32())),
    ]
)

LATER = ("objects", "centrality", "centre_share")
"""Columns that came with version 4: unknown in earlier runs."""

HEADS_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("video_id", pa.string()),
        ("role", pa.string()),
        ("layer", pa.int16()),
        ("head", pa.int16()),
        *((criterion, pa.float32()) for criterion in SCORED),
    ]
)

_PART = re.compile(r"part-(\d{5,})\.[a-z]+")


BESIDE_MAPS = ("scale", "text", "tokens")
"""Added to the name of a sample's maps behind a ``|``: the scale of each map, attention on text
tokens, and in the metadata the tokens themselves."""


def part(directory: Path, folder: str, chunk: int) -> Path:
    """Path of one part, for example ``run/heads/part-00003.parquet``."""
    return directory / folder / f"part-{chunk:05d}.{FOLDERS[folder]}"


def chunk_of(path: Path) -> int | None:
    """Chunk number of a part's path; None for other files, such as ones still being written."""
    match = _PART.fullmatch(path.name)
    return int(match.group(1)) if match else None


def map_key(sample_id: str, role: str) -> str:
    """Name of a sample's maps inside a shard; see :data:`BESIDE_MAPS` for what is beside them."""
    return f"{sample_id}|{role}"
