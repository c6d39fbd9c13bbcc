"""A mask or an index map in a PNG file."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reviosa.errors import DataError, first_line

__all__ = ["entries", "missing_frames", "read_indices", "read_mask"]

_MODES = ("1", "L", "P")
# What Pillow raises on files that are damaged or no pictures.
_DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


def read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that are not 0, bool [height, width].

    Raises:
        DataError: the file is no picture, has colours, other than ``size`` (height, width), or
            holds more than one value besides 0, as a picture that was scaled or blurred does.
    """
    values = read_indices(path, size)
    mask = values != 0
    if mask.any() and (values[mask] != values.max()).any():
        raise DataError(
            f"{path.name}: got several values besides 0, expected one (a mask of 0 and 255); "
            "threshold the masks"
        )
    return mask


def read_indices(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The values of a grey picture or the indices of a palette picture, uint8 [height, width].

    Raises:
        DataError: the file is no picture, has colours, or other than ``size`` (height, width).
    """
    try:
        with Image.open(path) as image:
            found = (image.height, image.width)
            mode = image.mode
            values = np.asarray(image, dtype=np.uint8) if mode in _MODES and found == size else None
    except _DAMAGED as error:
        raise DataError(
            f"{path.name}: got an unreadable picture ({first_line(error)}), expected a PNG; "
            "write it again"
        ) from None
    if found != size:
        raise DataError(
            f"{path.name}: got a mask of {found[0]}x{found[1]} pixels, expected "
            f"{size[0]}x{size[1]} like the frames; write the masks at the frames' size"
        )
    if values is None:
        raise DataError(
            f"{path.name}: got a picture in mode {mode}, expected grey values or a palette; "
            "write masks of 0 and 255"
        )
    return values


def missing_frames(folder: Path, names: list[str]) -> str | None:
    """A sentence on the frames without a file, None where all are there."""
    # One listing a folder: asking the disk for each of 500 frames is slow on network drives.
    present = {path.name for path in entries(folder)}
    missing = [name for name in names if f"{name}.png" not in present]
    if not missing:
        return None
    return f"got no mask for {len(missing)} of {len(names)} frames (first: {missing[0]})"


def entries(folder: Path) -> Iterator[Path]:
    """What lies in a folder, sorted, without hidden files; nothing where it is no folder."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))
