"""A folder of frames as a video."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from reviosa.data.records import Video
from reviosa.errors import DataError

__all__ = ["FRAME_SUFFIXES", "FolderPaths", "find_frames", "read_frame_folder"]

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class FolderPaths(Sequence[Path]):
    """Paths of the frames of a folder, made when asked for: millions of them would fill memory."""

    folder: Path
    names: tuple[str, ...]
    """Without suffix."""
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    """File of a frame by its name, where that is not the name and ``.jpg``."""

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Path, ...]: ...
    def __getitem__(self, index: int | slice) -> Path | tuple[Path, ...]:
        if isinstance(index, slice):
            return tuple(map(self._path, self.names[index]))
        return self._path(self.names[index])

    def _path(self, name: str) -> Path:
        return self.folder / self.files.get(name, f"{name}.jpg")


def find_frames(folder: Path, names: tuple[str, ...]) -> tuple[FolderPaths, tuple[int, ...]]:
    """Paths of named frames, and the indices of those that are not there.

    The path of a missing frame is where a JPEG was looked for.
    """
    # One listing a video: asking the disk for each of 500 frames is slow on network drives.
    listed = set(os.listdir(folder)) if folder.is_dir() else set[str]()
    missing = tuple(i for i, name in enumerate(names) if f"{name}.jpg" not in listed)
    if not missing:
        return FolderPaths(folder, names), ()
    stems = {
        Path(file).stem: file for file in listed if Path(file).suffix.lower() in FRAME_SUFFIXES
    }
    files = {names[i]: stems[names[i]] for i in missing if names[i] in stems}
    return FolderPaths(folder, names, files), tuple(i for i in missing if names[i] not in files)


def read_frame_folder(path: str | Path) -> Video:
    """The frames of a folder, sorted by name (2 before 10), as a Video without expressions.

    Raises:
        DataError: the folder is missing, holds no JPEG or PNG, or two files of one name.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: got no folder there, expected one with frames (.jpg or .png); "
            "check the path"
        )
    # Hidden files are leftovers of copying tools ("._00000.jpg"), never frames.
    frames = sorted(
        (
            entry
            for entry in folder.iterdir()
            if entry.suffix.lower() in FRAME_SUFFIXES and not entry.name.startswith(".")
        ),
        key=_natural,
    )
    if not frames:
        raise DataError(
            f"{folder}: got a folder without frames, expected .jpg or .png files; "
            "choose the folder that holds them"
        )
    for before, after in itertools.pairwise(frames):
        if before.stem == after.stem:
            raise DataError(
                f"{folder}: got both {before.name} and {after.name}, expected one file a frame; "
                "remove one of them"
            )
    return Video(
        video_id=folder.resolve().name,
        frame_names=tuple(frame.stem for frame in frames),
        frame_paths=tuple(frames),
    )


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which runs of digits compare as numbers: many tools number without zeros."""
    parts = re.split(r"(\d+)", path.stem)
    return [(int(x), "") if x.isdigit() else (-1, x) for x in parts], path.suffix
