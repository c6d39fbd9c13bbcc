"""Frames of a folder or a video file in; masks, overlays and an overlay film out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reports.overlay import compose_frame, encode_jpeg
from reviosa import ROLES
from reviosa.data.frames import read_frame_folder
from reviosa.data.records import Video
from reviosa.data.rle import decode
from reviosa.errors import ConfigError, DataError
from reviosa.inference.results import SegmentationResult
from reviosa.io import atomic_directory, write_json

__all__ = ["VideoFile", "open_video", "write_segmentation"]

_FOLDER_RATE = Fraction(10)


class VideoFile:
    """A video file as a source of frames; no more of them are decoded at once than are asked for.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: FFmpeg cannot decode the file, or it holds no frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._opened() as container:
            stream = container.streams.video[0]
            self.rate = Fraction(stream.average_rate or _FOLDER_RATE)
            # Decoded once to know how many frames there really are, and when.
            self._times = [frame.pts for frame in container.decode(stream)]
        if not self._times:
            raise DataError(
                f"{self.path}: got a video without frames, expected at least one; check the file"
            )
        if None in self._times:
            raise DataError(
                f"{self.path}: got frames without time stamps, by which they are found; "
                "write the video again (ffmpeg -i IN OUT.mp4)"
            )

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self._times)

    @property
    def frame_names(self) -> tuple[str, ...]:
        """Their numbers."""
        return tuple(f"{index:05d}" for index in range(self.num_frames))

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Decode frames, uint8 [frame, height, width, 3] RGB.

        Raises:
            DataError: the file has changed since it was opened.
        """
        places = {self._times[index]: index for index in indices}
        found: dict[int, np.ndarray] = {}
        with self._opened() as container:
            stream = container.streams.video[0]
            # To the last key frame at or before the first one that is asked for.
            container.seek(min(places), stream=stream)
            for frame in container.decode(stream):
                if frame.pts in places:
                    found[places[frame.pts]] = frame.to_ndarray(format="rgb24")
                    if len(found) == len(places):
                        break
        if len(found) < len(places):
            raise DataError(
                f"{self.path}: {len(places) - len(found)} frames cannot be found again; "
                "the file has changed or cannot be searched, write it again (ffmpeg -i IN OUT.mp4)"
            )
        return np.stack([found[index] for index in indices])

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import av
        except ImportError:
            raise ConfigError(
                f"reading the video file {self.path} needs PyAV, which is not installed; "
                "pip install 'reviosa-workbench[video]', or give a folder of frames"
            ) from None
        try:
            with av.open(str(self.path)) as container:
                yield container
        except (OSError, ValueError, IndexError) as error:  # PyAV's derive from the first two
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
