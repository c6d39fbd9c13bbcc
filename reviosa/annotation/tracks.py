"""Mask tracks of the objects of a video or clip: ``{id: {"category", "mask": [RLE or null]}}``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from reviosa.data.rle import decode
from reviosa.errors import DataError
from reviosa.io import write_json

__all__ = ["ObjectTrack", "Tracks", "read_tracks", "write_tracks"]


@dataclass(frozen=True)
class ObjectTrack:
    """An object: what it is, and where it is on each frame."""

    category: str
    masks: tuple[Any, ...]
    """COCO RLE of each frame, None where it is absent."""


@dataclass(frozen=True)
class Tracks:
    """All objects of a video or clip."""

    objects: Mapping[int, ObjectTrack]
    size: tuple[int, int]
    """Height and width in pixels."""

    @property
    def categories(self) -> dict[int, str]:
        """Object id -> class."""
        return {key: track.category for key, track in self.objects.items()}

    def areas(self, key: int) -> np.ndarray:
        """Share of the picture that an object covers, float64 [frame]."""
        pixels = self.size[0] * self.size[1]
        return np.array(
            [0.0 if rle is None else coco.area(rle) / pixels for rle in self.objects[key].masks]
        )

    def mask(self, key: int, frame: int) -> np.ndarray:
        """Mask of an object on a frame, bool [height, width]; empty where it is absent."""
        rle = self.objects[key].masks[frame]
        return np.zeros(self.size, dtype=bool) if rle is None else decode(rle, self.size)

    def part(self, start: int, stop: int) -> "Tracks":
        """The tracks over some of the frames."""
        cut = {
            key: ObjectTrack(track.category, track.masks[start:stop])
            for key, track in self.objects.items()
        }
        return Tracks(cut, self.size)

    def only(self, keys: Sequence[int]) -> "Tracks":
        """The tracks of some of the objects."""
        return Tracks({key: self.objects[key] for key in keys}, self.size)


def read_tracks(path: str | Path, num_frames: int, size: tuple[int, int]) -> Tracks:
    """Read mask tracks and check every mask.

    Args:
        path: the JSON file.
        num_frames: frames of the video.
        size: its height and width in pixels.

    Raises:
        DataError: the file is missing or broken; an object has no whole number as id, no category,
            or not one mask a frame; a mask is damaged or of another size.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: got {error.strerror!r}, expected mask tracks; check the path"
        ) from None
    except ValueError as error:
        raise DataError(
            f"{path}: got broken JSON ({error}), expected mask tracks; write it again"
        ) from None
    if not isinstance(record, dict):
        raise DataError(
            f'{path}: got a JSON {type(record).__name__}, expected {{id: {{"category": ..., '
            '"mask": [...]}}; write it again'
        )
    return Tracks({_id(path, k): _track(path, k, v, num_frames, size) for k, v in record.items()},
                  size)  # fmt: skip


def write_tracks(path: str | Path, tracks: Tracks) -> None:
    """Write what :func:`read_tracks` reads, whole or not at all."""
    record = {
        str(key): {"category": track.category, "mask": list(track.masks)}
        for key, track in tracks.objects.items()
    }
    write_json(path, record, indent=None)


def _id(path: Path, key: str) -> int:
    if not key.isascii() or not key.isdigit():
        raise DataError(
            f"{path}: got the object id {key!r}, expected a whole number; rename the object"
        )
    return int(key)


def _track(path: Path, key: str, entry: Any, num_frames: int, size: tuple[int, int]) -> ObjectTrack:
    where = f"{path}, object {key}"
    category = entry.get("category") if isinstance(entry, dict) else None
    masks = entry.get("mask") if isinstance(entry, dict) else None
    if not isinstance(category, str) or not category.strip() or not isinstance(masks, list):
        raise DataError(
            f'{where}: got {str(entry)[:60]!r}, expected {{"category": words, "mask": [...]}}; '
            "repair the file"
        )
    if len(masks) != num_frames:
        raise DataError(
            f"{where}: got {len(masks)} masks, expected {num_frames}, one a frame (null where it "
            "is absent); repair the file"
        )
    for frame, rle in enumerate(masks):
        if rle is None:
            continue
        try:
            decode(rle, size)
        except DataError as error:
            raise DataError(f"{where}, frame {frame}: {error}") from None
    return ObjectTrack(category.strip(), tuple(masks))
