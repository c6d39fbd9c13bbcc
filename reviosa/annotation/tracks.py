"""Mask tracks of the objects of a video or clip: ``{id: {"category", "mask": [RLE or null]}}``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from reviosa.data.rle import decode, rle_size
from reviosa.errors import DataError
from reviosa.io import write_json

__all__ = ["ObjectTrack", "Tracks", "box_tracks", "load_tracks", "read_tracks", "write_tracks"]


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


def read_tracks(
    path: str | Path, num_frames: int | None = None, size: tuple[int, int] | None = None
) -> Tracks:
    """Read mask tracks that somebody else wrote, and check every mask.

    Args:
        path: the JSON file.
        num_frames: frames of the video; as many as the first object has masks without it.
        size: its height and width in pixels; that of the first mask without it.

    Raises:
        DataError: the file is missing or broken; an object has no whole number as id, no category,
            or not one mask a frame; a mask is damaged or of another size; there is no mask at all.
    """
    path = Path(path)
    record = _parsed(path)
    for key, entry in record.items():
        _id(path, key)
        masks = _entry_masks(path, key, entry)
        num_frames = len(masks) if num_frames is None else num_frames
        if len(masks) != num_frames:
            raise DataError(
                f"{path}, object {key}: got {len(masks)} masks, expected {num_frames}, one a frame "
                "(null where it is absent); repair the file"
            )
        for frame, rle in enumerate(masks):
            try:
                size = size or (None if rle is None else rle_size(rle))
                if rle is not None:
                    decode(rle, size)
            except DataError as error:
                raise DataError(f"{path}, object {key}, frame {frame}: {error}") from None
    if size is None or not record:
        raise DataError(f"{path}: got no mask at all, expected at least one; write it again")
    return _tracks(record, size)


def load_tracks(path: Path, size: tuple[int, int]) -> Tracks:
    """Read what :func:`write_tracks` wrote; the same clip is asked for several times in a row.

    Raises:
        DataError: the file is missing or broken.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return _loaded(path, size, (found.st_mtime_ns, found.st_ino))


@lru_cache(maxsize=4)
def _loaded(path: Path, size: tuple[int, int], mark: tuple[int, int]) -> Tracks:
    """``mark`` changes with the file: a dashboard outlives the run that wrote it."""
    return _tracks(_parsed(path), size)


def write_tracks(path: str | Path, tracks: Tracks) -> None:
    """Write what :func:`read_tracks` reads, whole or not at all."""
    record = {
        str(key): {"category": track.category, "mask": list(track.masks)}
        for key, track in tracks.objects.items()
    }
    write_json(path, record, indent=None)


def box_tracks(
    categories: Mapping[int, str], boxes: Mapping[int, np.ndarray], size: tuple[int, int]
) -> Tracks:
    """Filled boxes in the place of masks, for an estimate that runs no segmenter.

    Args:
        categories: object id -> class.
        boxes: object id -> xmin, ymin, xmax, ymax, [frame, 4]; NaN where it is absent.
        size: height and width in pixels.
    """
    objects = {}
    for key, track in boxes.items():
        there = np.isfinite(track).all(axis=1)
        masks: list[Any] = [None] * len(track)
        wide = np.concatenate([track[there, :2], track[there, 2:] - track[there, :2]], axis=1)
        found: Any = coco.frPyObjects(wide, *size) if len(wide) else []
        for frame, rle in zip(np.flatnonzero(there), found, strict=True):
            masks[frame] = {"size": list(size), "counts": rle["counts"].decode("ascii")}
        objects[key] = ObjectTrack(categories[key], tuple(masks))
    return Tracks(objects, size)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        raise DataError(
            f"{path}: got broken JSON ({error}), expected mask tracks; write it again"
        ) from None
    if not isinstance(record, dict):
        raise DataError(
            f'{path}: got a JSON {type(record).__name__}, expected {{id: {{"category": ..., '
            '"mask": [...]}}; write it again'
        )
    return record


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: got {error.strerror!r}, expected mask tracks; check the path")


def _tracks(record: Mapping[str, Any], size: tuple[int, int]) -> Tracks:
    return Tracks(
        {
            int(key): ObjectTrack(entry["category"].strip(), tuple(entry["mask"]))
            for key, entry in record.items()
        },
        size,
    )


def _entry_masks(path: Path, key: str, entry: Any) -> list[Any]:
    category = entry.get("category") if isinstance(entry, dict) else None
    masks = entry.get("mask") if isinstance(entry, dict) else None
    if not isinstance(category, str) or not category.strip() or not isinstance(masks, list):
        raise DataError(
            f'{path}, object {key}: got {str(entry)[:60]!r}, expected {{"category": words, '
            '"mask": [...]}; repair the file'
        )
    return masks


def _id(path: Path, key: str) -> None:
    if not key.isascii() or not key.isdigit():
        raise DataError(
            f"{path}: got the object id {key!r}, expected a whole number; rename the object"
        )
