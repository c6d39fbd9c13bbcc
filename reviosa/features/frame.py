"""A frame that is read when it is needed, and known by its content before."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reviosa.data.records import Video, decode_image, image_size
from reviosa.errors import DataError

if TYPE_CHECKING:
    from reviosa.inference.frames import FrameSource

__all__ = ["Frame", "frames_of", "require_size"]


class Frame:
    """One frame of a video: a file that is read when asked for, or pixels.

    Args:
        video: where the file is; None where there are pixels.
        index: of the frame in the video.
        pixels: uint8 [height, width, 3].

    Raises:
        DataError: the file is missing or no picture; when it is read.
    """

    def __init__(
        self, video: Video | None = None, index: int = 0, pixels: np.ndarray | None = None
    ) -> None:
        self._video, self._index = video, index
        if pixels is not None:
            self.pixels = pixels

    @cached_property
    def _file(self) -> bytes:
        # One reading serves both the content's name and the pixels, so they are of one file.
        assert self._video is not None
        return self._video.read_file(self._index)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the file's bytes, or of the pixels and their shape."""
        if self._video is None:
            shape = "x".join(map(str, self.pixels.shape))
            return hashlib.sha256(shape.encode() + np.ascontiguousarray(self.pixels).data).digest()
        return hashlib.sha256(b"file" + self._file).digest()

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 [height, width, 3] RGB."""
        return decode_image(self._file, self._path)

    @property
    def name(self) -> str:
        """What to call it in a message: its file, or its number."""
        return f"frame {self._index}" if self._video is None else str(self._path)

    @property
    def _path(self) -> Path:
        assert self._video is not None
        return self._video.frame_paths[self._index]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; of a file, what its header says."""
        if self._video is None or "pixels" in self.__dict__:
            return self.pixels.shape[0], self.pixels.shape[1]
        return image_size(self._file, self._path)


def frames_of(source: "FrameSource", indices: Sequence[int]) -> list[Frame]:
    """Frames of a video by index; those of a :class:`Video` are not read yet."""
    if isinstance(source, Video):
        return [Frame(source, index) for index in indices]
    return [
        Frame(index=index, pixels=pixels)
        for index, pixels in zip(indices, source.read_frames(indices), strict=True)
    ]


def require_size(frames: Sequence[Frame], size: tuple[int, int]) -> None:
    """Refuse frames of another height and width.

    Raises:
        DataError: a frame has another size, or is no picture.
    """
    for frame in frames:
        if frame.size != size:
            raise DataError(
                f"{frame.name}: got a frame of {frame.size[0]}x{frame.size[1]} pixels, expected "
                f"{size[0]}x{size[1]} like the first of its video; resize or remove it"
            )
