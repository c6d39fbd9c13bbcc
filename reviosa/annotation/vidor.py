"""Annotation files of VidOR: a box of each object on each frame.

Their relations are left alone: what the objects do is told by models that see the video.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.errors import DataError

__all__ = ["VidorVideo", "read_vidor"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VidorVideo:
    """What VidOR says of a video."""

    num_frames: int
    size: tuple[int, int]
    """Height and width in pixels."""
    categories: Mapping[int, str]
    """Object id -> its class."""
    boxes: Mapping[int, np.ndarray]
    """Object id -> xmin, ymin, xmax, ymax in pixels, float64 [frame, 4]; NaN where it is absent."""


def read_vidor(path: str | Path) -> VidorVideo:
    """Read an annotation file.

    Raises:
        DataError: the file is missing, no JSON, or not of VidOR's form; the message names the
            frame or the object.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: got {error.strerror!r}, expected a VidOR file; check the path"
        ) from None
    except ValueError as error:
        raise DataError(
            f"{path}: got broken JSON ({error}), expected a VidOR annotation; fetch it again"
        ) from None
    try:
        return _read(path, record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        what = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: got {what}, expected VidOR's form (frame_count, width, height, "
            "subject/objects, trajectories); repair the file"
        ) from None


def _read(path: Path, record: dict[str, Any]) -> VidorVideo:
    count = int(record["frame_count"])
    size = int(record["height"]), int(record["width"])
    categories = {int(x["tid"]): str(x["category"]) for x in record["subject/objects"]}
    trajectories = record["trajectories"]
    if len(trajectories) != count or count < 1:
        raise DataError(
            f"{path}: got trajectories of {len(trajectories)} frames, expected frame_count = "
            f"{count}, at least 1; repair the file"
        )
    boxes = {tid: np.full((count, 4), np.nan) for tid in categories}
    for index, frame in enumerate(trajectories):
        for entry in frame:
            tid, box = int(entry["tid"]), [float(entry["bbox"][side]) for side in _SIDES]
            if tid not in boxes:
                raise DataError(
                    f"{path}, frame {index}: got a box of object {tid}, expected one of "
                    f"{sorted(boxes)} as in subject/objects; repair the file"
                )
            if not (box[0] <= box[2] and box[1] <= box[3]):
                raise DataError(
                    f"{path}, frame {index}, object {tid}: got the box {box}, expected xmin <= "
                    "xmax and ymin <= ymax; repair the file"
                )
            boxes[tid][index] = box
    return VidorVideo(count, size, categories, boxes)
