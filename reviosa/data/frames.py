"""A folder of frames as a video."""

import itertools
import re
from pathlib import Path

from reviosa.data.records import Video
from reviosa.errors import DataError

__all__ = ["FRAME_SUFFIXES", "read_frame_folder"]

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")


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
