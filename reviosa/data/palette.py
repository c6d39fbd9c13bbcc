"""PNG files whose pixels are numbers of objects, as DAVIS, YouTube-VOS and SA-V keep masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from reviosa.errors import DataError

__all__ = ["IndexMaps", "read_index_map"]


def read_index_map(path: str | Path) -> np.ndarray:
    """The number of the object at every pixel, uint8 [height, width]; 0 is the background.

    The colours of a palette mean nothing: only the numbers that point into it are read. In a black
    and white file the object is 1, or 255 in a grey one.

    Raises:
        DataError: the file is missing, no picture, or one in colours that are no palette.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            mode, indices = image.mode, np.array(image)
    except FileNotFoundError:
        raise DataError(f"{path}: got no file, expected the masks of a frame; restore it") from None
    # Pillow raises each of these on truncated or foreign files.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: got an unreadable picture ({error}), expected a PNG with the masks of a "
            "frame; replace it"
        ) from None
    if mode not in ("P", "L", "1"):
        raise DataError(
            f"{path}: got a picture in the mode {mode}, expected numbers of objects (a palette, "
            "grey, or black and white); fetch the file again, a tool has turned numbers to colours"
        )
    return indices.astype(np.uint8)


class IndexMaps:
    """Reads index maps; the last one is kept, because objects of a frame are asked for in turn."""

    def __init__(self) -> None:
        self._last: tuple[Path, np.ndarray] | None = None

    def read(self, path: Path) -> np.ndarray:
        """See :func:`read_index_map`; the array is shared and not to be written to."""
        last = self._last
        if last is None or last[0] != path:
            last = self._last = (path, read_index_map(path))
        return last[1]
