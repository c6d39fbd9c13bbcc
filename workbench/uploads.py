"""A video from a stranger's disk: decoded within limits, or refused in one line."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from PIL import Image

from reports.overlay import encode_jpeg
from reviosa.data.clip_video import decoding_errors
from reviosa.errors import DataError

__all__ = ["MAX_FRAMES", "MAX_MB", "MAX_SECONDS", "MAX_SIDE", "KeptFrames", "read_upload"]

MAX_MB: Final = 200
"""As ``server.maxUploadSize`` in ``.streamlit/config.toml``."""
MAX_FRAMES: Final = 600
MAX_SECONDS: Final = 60
MAX_SIDE: Final = 4096
"""Pixels of a side; more would take gigabytes while it is decoded."""
KEPT_SIDE: Final = 720
"""Pixels of the longer side that frames are brought to; smaller ones stay as they are."""

_FORMATS: Final = "mov,mp4,m4a,3gp,matroska,webm,avi,gif,mpeg,mpegts,ogg,flv,asf"
"""Demuxers that read one stream of bytes. A playlist would send FFmpeg to other files and hosts."""
_LIMITS: Final = (
    f"expected a video of at most {MAX_FRAMES} frames and {MAX_SECONDS} seconds; cut it first "
    "(ffmpeg -i IN -t 10 OUT.mp4)"
)


class KeptFrames:
    """Frames in memory as JPEG, a hundredth of their size as arrays.

    Args:
        files: one JPEG a frame, all of one size.
    """

    def __init__(self, files: Sequence[bytes]) -> None:
        self.files = tuple(files)

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self.files)

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Decode frames, uint8 [frame, height, width, 3] RGB."""
        return np.stack([np.asarray(Image.open(io.BytesIO(self.files[i]))) for i in indices])


def read_upload(name: str, data: bytes) -> KeptFrames:
    """Decode an uploaded video, upright as players show it; nothing is written to disk.

    Frames count by their order, whatever their time stamps say.

    Args:
        name: of the file, for messages.
        data: its content.

    Raises:
        DataError: it is no video, is damaged, or is larger or longer than the limits.
        ConfigError: PyAV is not installed.
    """
    name = " ".join(name.split())[:80]
    if not data:
        raise DataError(f"{name}: got an empty file, expected a video; choose another")
    if len(data) > MAX_MB * 2**20:
        raise DataError(
            f"{name}: got {len(data) / 2**20:.0f} MB, expected at most {MAX_MB}; cut it first "
            "(ffmpeg -i IN -t 10 OUT.mp4)"
        )
    files: list[bytes] = []
    shapes = set()
    with _explained(name):
        for frame in _frames(name, data):
            if len(files) == MAX_FRAMES:
                raise DataError(f"{name}: got more than {MAX_FRAMES} frames, {_LIMITS}")
            if frame.time is not None and frame.time > MAX_SECONDS:
                raise DataError(f"{name}: got more than {MAX_SECONDS} seconds, {_LIMITS}")
            picture = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            shapes.add(picture.shape)
            if len(shapes) > 1:
                raise DataError(
                    f"{name}: got frames of different sizes, expected one; write the video again "
                    "(ffmpeg -i IN OUT.mp4)"
                )
            files.append(encode_jpeg(_small(picture), quality=95))
    if not files:
        raise DataError(f"{name}: got a video without frames, expected at least one; check it")
    return KeptFrames(files)


def _frames(name: str, data: bytes) -> Iterator[Any]:
    import av

    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
    with av.open(io.BytesIO(data), options=options) as opened:
        container: Any = opened  # its type says it may be one that is written
        if not container.streams.video:
            raise DataError(f"{name}: got a file without pictures, expected a video; check it")
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        if max(width, height) > MAX_SIDE:
            raise DataError(
                f"{name}: got frames of {width} x {height} pixels, expected at most {MAX_SIDE} a "
                "side; make them smaller (ffmpeg -i IN -vf scale=720:-2 OUT.mp4)"
            )
        yield from container.decode(stream)


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = KEPT_SIDE / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    unreadable = decoding_errors("a video file", "choose a sample of the data set")
    try:
        yield
    except unreadable as error:
        raise DataError(
            f"{name}: got no readable video ({_reason(error)}), expected one that FFmpeg decodes, "
            "such as MP4, MOV, WebM or GIF; write it again (ffmpeg -i IN OUT.mp4)"
        ) from error


def _reason(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    return " ".join(str(words).split())[:120] or type(error).__name__
