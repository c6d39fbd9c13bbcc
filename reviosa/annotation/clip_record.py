"""A clip that is annotated: its frames, its objects, and where its masks lie."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reviosa.annotation.tracks import Tracks, load_tracks
from reviosa.data.records import Video
from reviosa.errors import RunError
from reviosa.io import write_json

__all__ = ["Clip", "clips_path", "read_clips", "tracks_path", "write_clips"]


@dataclass(frozen=True)
class Clip:
    """One clip of a run; its frames and masks stay on disk until they are asked for."""

    run: Path
    """The run folder."""
    clip_id: str
    """``<video>_clip<nnn>``, as InterRVOS names clips."""
    source: str
    """Name of the video."""
    start: int
    """Its first frame in the video."""
    size: tuple[int, int]
    """Height and width in pixels."""
    folder: str
    """Where the frames are: absolute, or within the run folder."""
    files: tuple[str, ...]
    """Names of the frames' files."""
    objects: Mapping[int, str]
    """Object id -> class, of those that are spoken of."""

    @cached_property
    def video(self) -> Video:
        """The frames, without expressions."""
        paths = tuple(self.run / self.folder / name for name in self.files)
        return Video(self.clip_id, tuple(path.stem for path in paths), paths)

    def tracks(self, keys: Sequence[int] | None = None) -> Tracks:
        """Mask tracks of the objects that are spoken of, or of ``keys``.

        Raises:
            DataError: the file of the tracks is missing or damaged.
        """
        tracks = load_tracks(tracks_path(self.run, self.clip_id), self.size)
        return tracks.only(sorted(self.objects if keys is None else keys))

    def to_json(self) -> dict[str, Any]:
        """What ``clips.json`` says of it."""
        return {
            "video": self.source,
            "start": self.start,
            "size": list(self.size),
            "folder": self.folder,
            "files": list(self.files),
            "objects": {str(key): category for key, category in self.objects.items()},
        }

    @classmethod
    def from_json(cls, run: Path, clip_id: str, record: Mapping[str, Any]) -> "Clip":
        """The clip that :meth:`to_json` wrote."""
        return cls(
            run=Path(run),
            clip_id=clip_id,
            source=record["video"],
            start=record["start"],
            size=(record["size"][0], record["size"][1]),
            folder=record["folder"],
            files=tuple(record["files"]),
            objects={int(key): category for key, category in record["objects"].items()},
        )


def clips_path(run: Path) -> Path:
    """The file that lists the clips of a run."""
    return Path(run) / "clips.json"


def tracks_path(run: Path, clip_id: str) -> Path:
    """The file with the masks of a clip."""
    return Path(run) / "tracks" / f"{clip_id}.json"


def write_clips(run: Path, clips: Sequence[Clip]) -> None:
    """Write ``clips.json``: ``{"schema": 1, "clips": {clip: record}}``."""
    write_json(
        clips_path(run), {"schema": 1, "clips": {clip.clip_id: clip.to_json() for clip in clips}}
    )


def read_clips(run: Path) -> dict[str, Clip]:
    """The clips of a run by id.

    Raises:
        RunError: the run has no list of clips, or a broken one.
    """
    path = clips_path(run)
    try:
        records = json.loads(path.read_bytes())["clips"]
        return {key: Clip.from_json(Path(run), key, record) for key, record in records.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: got no list of clips ({error}), expected one written by reviosa annotate; "
            "go on with the run (--resume) to have it written"
        ) from None
