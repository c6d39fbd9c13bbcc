"""Frames of a folder or a video file in; masks, overlays and an overlay film out."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reports.overlay import compose_frame, encode_jpeg
from reviosa import ROLES
from reviosa.data.clip_video import decoding_errors
from reviosa.data.frames import read_frame_folder
from reviosa.data.records import Video
from reviosa.data.rle import decode
from reviosa.errors import DataError
from reviosa.inference.results import SegmentationResult
from reviosa.io import atomic_directory, write_json

__all__ = ["VideoFile", "open_video", "write_segmentation"]

_FOLDER_RATE = Fraction(10)


class VideoFile:
    """A video file as a source of frames, upright as players show them.

    Frames are decoded when they are asked for. The file stays open, so that frames asked for in
    order are each decoded once; frames count by their order, whatever their time stamps say.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: FFmpeg cannot decode the file, or it holds no frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._explained():
            self._rewind()
            self.rate = Fraction(self._stream.average_rate or _FOLDER_RATE)
            # Decoded once to know how many frames there really are, and where one can start.
            stamps, keys = [], []
            for index, frame in enumerate(self._frames):
                stamps.append(frame.pts)
                if frame.key_frame and frame.pts is not None:
                    keys.append((index, frame.pts))
            self._next = self.num_frames = len(stamps)
        if not self.num_frames:
            raise DataError(
                f"{self.path}: got a video without frames, expected at least one; check the file"
            )
        times = Counter(stamps)
        # Index and time stamp of the frames that can be jumped to.
        self._starts = [(index, stamp) for index, stamp in keys if times[stamp] == 1]

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Their numbers."""
        return tuple(f"{index:05d}" for index in range(self.num_frames))

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Decode frames, uint8 [frame, height, width, 3] RGB.

        Raises:
            DataError: the file has changed since it was opened, or changes its size midway.
        IndexError: there is no such frame, or none was asked for.
        """
        found: dict[int, np.ndarray] = {}
        wanted = sorted(set(indices))
        if not wanted or not 0 <= wanted[0] <= wanted[-1] < self.num_frames:
            raise IndexError(
                f"got the frames {wanted}, expected some of 0 to {self.num_frames - 1}"
            )
        for index in wanted:
            with self._explained():
                frame = self._decoded(index)
            if frame is None:
                raise DataError(
                    f"{self.path}: frame {index} cannot be found again; the file has changed since "
                    "it was opened, open it again"
                )
            picture = frame.to_ndarray(format="rgb24")
            found[index] = np.rot90(picture, round(frame.rotation / 90))
        if len({x.shape for x in found.values()}) > 1:
            raise DataError(
                f"{self.path}: got frames of different sizes, expected one; "
                "write the video again (ffmpeg -i IN OUT.mp4)"
            )
        return np.stack([found[index] for index in indices])

    def _decoded(self, index: int) -> Any:
        """Frame ``index``, from where the file stands or from a key frame nearer to it."""
        place = bisect(self._starts, index, key=lambda start: start[0])
        start, stamp = self._starts[place - 1] if place else (0, None)
        if not start <= self._next <= index:
            self._jump(start, stamp)
        for frame in self._frames:
            self._next += 1
            if self._next > index:
                return frame
        return None

    def _jump(self, start: int, stamp: int | None) -> None:
        """Let the next frame be frame ``start``."""
        if start and stamp is not None:
            self._container.seek(stamp, stream=self._stream)
            frames = self._container.decode(self._stream)
            # Frames that lean on what came before the key frame may be decoded first.
            for frame in frames:
                if frame.pts == stamp:
                    self._frames, self._next = chain([frame], frames), start
                    return
        self._rewind()

    def _rewind(self) -> None:
        import av

        self._container = av.open(str(self.path))
        self._stream = self._container.streams.video[0]
        self._frames: Iterator[Any] = self._container.decode(self._stream)
        self._next = 0

    @contextmanager
    def _explained(self) -> Iterator[None]:
        unreadable = decoding_errors(f"the video file {self.path}", "give a folder of frames")
        try:
            yield
        except unreadable as error:
            raise DataError(
                f"{self.path}: got no readable video ({error}), expected one that FFmpeg decodes; "
                "check the file"
            ) from error


def open_video(path: str | Path) -> Video | VideoFile:
    """Open a folder of frames, or a video file with the ``video`` extra.

    Raises:
        DataError: nothing there, no frames, or frames that cannot be decoded.
        ConfigError: a video file, and PyAV is not installed.
    """
    path = Path(path)
    return VideoFile(path) if path.is_file() else read_frame_folder(path)


def write_segmentation(
    out: str | Path, video: Video | VideoFile, expression: str, result: SegmentationResult
) -> dict[str, Any]:
    """Write ``<role>/<frame>.png`` (0 or 255), ``overlay/<frame>.jpg`` and ``result.json``.

    With PyAV installed the overlays are also joined to ``overlay.mp4``. Frames are read and written
    one by one. The folder appears whole or not at all.

    Args:
        out: the folder to make.
        video: what was segmented.
        expression: what was asked.
        result: what the model made of it.

    Returns:
        ``{"expression", "text", "babble", "frames", "actor", "target"}``; ``babble`` is what the
        model had said by itself where that named no role, else None; a role is None where the model
        named none, else ``{"frames_with_mask", "mean_area"}``, the area as a share of the picture.

    Raises:
        FileExistsError: ``out`` exists.
    """
    tracks = {
        role: track for role, track in zip(ROLES, result.tracks, strict=True) if track is not None
    }
    areas: dict[str, list[float]] = {role: [] for role in tracks}
    with atomic_directory(out) as folder:
        for name in (*tracks, "overlay"):
            (folder / name).mkdir()
        with _film(folder / "overlay.mp4", getattr(video, "rate", _FOLDER_RATE)) as add:
            for index, name in enumerate(video.frame_names):
                frame = video.read_frames([index])[0]
                masks = {role: decode(track[index]) for role, track in tracks.items()}
                for role, mask in masks.items():
                    areas[role].append(float(mask.mean()))
                    picture = Image.fromarray(mask.astype(np.uint8) * 255)
                    picture.save(folder / role / f"{name}.png")
                painted = compose_frame(frame, predicted=masks)
                (folder / "overlay" / f"{name}.jpg").write_bytes(encode_jpeg(painted, quality=90))
                add(painted)
        summary: dict[str, Any] = {
            "expression": expression,
            "text": result.text,
            "babble": result.babble,
            "frames": video.num_frames,
            **{role: _summary(areas.get(role)) for role in ROLES},
        }
        rles = {role: tracks.get(role) for role in ROLES}
        record = {**summary, "frames": list(video.frame_names), **rles}
        write_json(folder / "result.json", record, indent=None)
    return summary


@contextmanager
def _film(path: Path, rate: Fraction) -> Iterator[Any]:
    """Give a function that adds a picture to a film; it does nothing without PyAV."""
    try:
        import av
    except ImportError:
        yield lambda picture: None
        return
    with av.open(str(path), "w") as container:
        stream: Any = None

        def add(picture: np.ndarray) -> None:
            nonlocal stream
            # The usual chroma format wants even sides; a row or column at the edge is repeated.
            height, width = picture.shape[:2]
            even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width, stream.pix_fmt = *even.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            container.mux(stream.encode(frame))

        yield add
        if stream is not None:
            container.mux(stream.encode(None))


def _summary(areas: Sequence[float] | None) -> dict[str, Any] | None:
    if areas is None:
        return None
    return {
        "frames_with_mask": sum(area > 0 for area in areas),
        "mean_area": float(np.mean(areas)),
    }
