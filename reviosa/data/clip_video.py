"""A video whose frames lie in one clip file (mp4), read by number."""

import io
import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reviosa.data.dataset import Fault
from reviosa.data.records import Expression, Video
from reviosa.errors import ConfigError, DataError, first_line

__all__ = ["ClipVideo", "decoding_errors"]

_OPEN_CLIPS = 4
"""Clips that a thread keeps open, so that frames asked for in order are each decoded once."""
_KEPT_FRAMES = 8
"""Frames of a clip that are kept as PNG, because several readers ask for the same one."""


class ClipVideo(Video):
    """Frames of a clip file, decoded by PyAV when they are asked for, upright as players show them.

    The file is opened at the first question for a frame or for how many there are, so that a data
    set of many thousand clips opens at once. A frame is named by its number in the clip, from 0,
    counted in the order in which frames are shown.

    Args:
        video_id: name of the video.
        clip: the file.
        expressions: what is said about it.
        annotated: indices of the frames that have truth, where not all have.
        step: every how many-th frame of the clip is a frame of the video.
        names: names of the frames, each ending in a number in the clip, instead of ``step``.
    """

    clip: Path
    """The file."""
    _step: int
    _names: tuple[str, ...] | None

    def __init__(
        self,
        video_id: str,
        clip: str | Path,
        expressions: tuple[Expression, ...] = (),
        annotated: tuple[int, ...] | None = None,
        *,
        step: int = 1,
        names: tuple[str, ...] | None = None,
    ) -> None:
        # A frozen dataclass is the parent: its fields are set past its lock, and the frames' names
        # and paths are not set at all, because their number is not known yet.
        vars(self).update(
            video_id=video_id,
            clip=Path(clip),
            expressions=expressions,
            annotated=annotated,
            _step=step,
            _names=names,
        )

    def __repr__(self) -> str:
        return f"ClipVideo({self.video_id!r}, {str(self.clip)!r})"

    @cached_property
    def frame_names(self) -> tuple[str, ...]:
        """Names of the frames.

        Raises:
            DataError: the clip is missing or FFmpeg cannot read it.
            ConfigError: PyAV is not installed.
        """
        if self._names is not None:
            return self._names
        count = len(_open(self.clip).stamps)
        return tuple(f"{number:05d}" for number in range(0, count, self._step))

    @cached_property
    def frame_paths(self) -> tuple[Path, ...]:
        """The clip with the frame's name behind it, to name a frame in a message."""
        return tuple(self.clip / name for name in self.frame_names)

    def read_file(self, index: int) -> bytes:
        """A frame as a PNG.

        Raises:
            DataError: the clip is missing, damaged, or has no such frame.
            ConfigError: PyAV is not installed.
        """
        return _open(self.clip).png(self._number(index))

    def frame_size(self, index: int) -> tuple[int, int]:
        """Height and width of a frame in pixels; it is decoded, a clip has no header for each.

        Raises:
            DataError: the clip is missing, damaged, or has no such frame.
            ConfigError: PyAV is not installed.
        """
        height, width, _ = _open(self.clip).pixels(self._number(index)).shape
        return height, width

    def read_frames(self, indices: Sequence[int] | None = None) -> np.ndarray:
        """Decode frames, uint8 [frame, height, width, 3] RGB; all of them without ``indices``.

        Raises:
            DataError: the clip is missing, damaged, has no such frame, or changes its size.
            ConfigError: PyAV is not installed.
        """
        chosen = range(self.num_frames) if indices is None else indices
        frames = [_open(self.clip).pixels(self._number(index)) for index in chosen]
        if len({frame.shape for frame in frames}) != 1:
            raise DataError(
                f"{self.clip}: got {'frames of several sizes' if frames else 'no frame to read'}, "
                "expected at least one, all of one size; write the clip again or choose others"
            )
        return np.stack(frames)

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the clip, found by decoding all of the frames once."""
        size: tuple[int, ...] | None = None
        try:
            for index in range(self.num_frames):
                found = _open(self.clip).pixels(self._number(index)).shape
                size = size or found
                if found != size:
                    yield Fault(
                        str(self.frame_paths[index]),
                        f"got a frame of {found[1]}x{found[0]} pixels, expected {size[1]}x"
                        f"{size[0]} like the first of its video; write the clip again",
                    )
        except DataError as error:
            # What comes after damage is damaged too.
            yield Fault.of(error)
            return
        try:
            self.check_annotated()
        except DataError as error:
            yield Fault.of(error)

    def check_annotated(self) -> None:
        """Raise DataError if the clip ends before the last frame that has truth."""
        if self.annotated and max(self.annotated) >= self.num_frames:
            raise DataError(
                f"{self.clip}: got a clip of {self.num_frames} frames, expected frame "
                f"{max(self.annotated)} too, which has masks (they count from 0); fetch the clip "
                "again"
            )

    def _number(self, index: int) -> int:
        if self._names is None:
            return index * self._step
        name = self._names[index]
        digits = name[len(name.rstrip("0123456789")) :]
        if not digits:
            raise DataError(
                f"{self.clip / name}: got a frame's name without a number, expected its number in "
                "the clip; repair the list of frames"
            )
        return int(digits)


class _Clip:
    """An open clip file that knows which frame it stands before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise DataError(
                f"{path}: got no file, expected a video clip; restore it or take the video off "
                "the lists"
            )
        with self._explained():
            stamps, keys = self._look_through()
            self._rewind()
        self.stamps = stamps
        """Time stamps of the frames, in the order in which they are shown."""
        self._key_stamps = keys
        self._ordered = None not in stamps and len(set(stamps)) == len(stamps)
        self._pictures: OrderedDict[int, bytes] = OrderedDict()

    def png(self, number: int) -> bytes:
        """Frame ``number`` as a PNG."""
        if number not in self._pictures:
            buffer = io.BytesIO()
            # The picture is read again at once: speed counts here, size does not.
            Image.fromarray(self.pixels(number)).save(buffer, "PNG", compress_level=1)
            self._pictures[number] = buffer.getvalue()
            if len(self._pictures) > _KEPT_FRAMES:
                self._pictures.popitem(last=False)
        return self._pictures[number]

    def pixels(self, number: int) -> np.ndarray:
        """Frame ``number``, uint8 [height, width, 3] RGB."""
        if not 0 <= number < len(self.stamps):
            raise DataError(
                f"{self._path}: got a clip of {len(self.stamps)} frames, expected frame {number} "
                "too (they count from 0); fetch the clip again or repair the list of frames"
            )
        with self._explained():
            frame = self._by_stamp(number) if self._ordered else self._by_order(number)
            if frame is None:
                raise DataError(
                    f"{self._path}: got no frame {number} from the decoder, expected one by the "
                    f"clip's list of {len(self.stamps)}; the clip is damaged, fetch it again"
                )
            picture = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))

    def _by_stamp(self, number: int) -> Any:
        """The frame with its time stamp, from where the file stands or from a key frame near it."""
        wanted = self.stamps[number]
        place = bisect_right(self._key_stamps, wanted)
        start = self._key_stamps[place - 1] if place else self.stamps[0]
        if not start <= self._next <= wanted:
            self._container.seek(start, stream=self._stream)
            self._frames = self._container.decode(self._stream)
        frame = self._until(wanted)
        if frame is None:
            # Some files cannot be entered in the middle.
            self._rewind()
            frame = self._until(wanted)
        return frame

    def _until(self, wanted: int) -> Any:
        for frame in self._frames:
            if frame.pts is None or frame.pts < wanted:
                continue
            self._next = frame.pts + 1
            if frame.pts == wanted:
                return frame
            break
        self._next = float("inf")  # unknown: go to a key frame next time
        return None

    def _by_order(self, number: int) -> Any:
        """The frame by counting, for files without time stamps or with the same one twice."""
        if number < self._counted:
            self._rewind()
        for frame in self._frames:
            self._counted += 1
            if self._counted > number:
                return frame
        return None

    def _look_through(self) -> tuple[list[Any], list[int]]:
        """Time stamps of all frames and of the key frames, sorted, without decoding any."""
        import av

        stamps: list[Any] = []
        keys: list[int] = []
        with av.open(str(self._path)) as container:
            for packet in container.demux(container.streams.video[0]):
                # An edit list hides frames from the viewer; the last packet holds nothing.
                if packet.size and not packet.is_discard:
                    stamps.append(packet.pts)
                    if packet.is_keyframe and packet.pts is not None:
                        keys.append(packet.pts)
        if not stamps:
            raise DataError(
                f"{self._path}: got a clip without frames, expected at least one; fetch it again"
            )
        return (stamps if None in stamps else sorted(stamps)), sorted(keys)

    def _rewind(self) -> None:
        import av

        self._container = av.open(str(self._path))
        self._stream = self._container.streams.video[0]
        self._frames: Iterator[Any] = self._container.decode(self._stream)
        # Frames from this time stamp on, and from this number on, come next; which stamp that is
        # shows with the first frame.
        self._next: float = -float("inf")
        self._counted = 0

    @contextmanager
    def _explained(self) -> Iterator[None]:
        unreadable = decoding_errors(f"the clip {self._path}", "write its frames to a folder")
        try:
            yield
        except DataError:
            raise
        except unreadable as error:
            raise DataError(
                f"{self._path}: got an unreadable clip ({first_line(error)}), expected one that "
                "FFmpeg decodes; fetch it again"
            ) from error


def decoding_errors(what: str, instead: str) -> tuple[type[Exception], ...]:
    """What reading a video by PyAV raises where it cannot be read.

    Args:
        what: is read.
        instead: what to do without PyAV.

    Raises:
        ConfigError: PyAV is not installed.
    """
    try:
        from av import error as of_ffmpeg
    except ImportError:
        raise ConfigError(
            f"reading {what} needs PyAV, which is not installed; "
            f"pip install 'reviosa-workbench[video]', or {instead}"
        ) from None
    return of_ffmpeg.FFmpegError, OSError, ValueError, IndexError


_HERE = threading.local()


def _open(path: Path) -> _Clip:
    """The open clip of this thread; another thread or process would move it under our hands."""
    if getattr(_HERE, "process", None) != os.getpid():
        _HERE.process, _HERE.clips = os.getpid(), OrderedDict()
    clips: OrderedDict[tuple[Any, ...], _Clip] = _HERE.clips
    try:
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
    except OSError:
        key = (path,)
    if key not in clips:
        clips[key] = _Clip(path)
        if len(clips) > _OPEN_CLIPS:
            clips.popitem(last=False)
    clips.move_to_end(key)
    return clips[key]
