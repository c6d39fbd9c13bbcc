"""A folder of frames as a video."""

from pathlib import Path

from reviosa.data.records import Video
from reviosa.errors import DataError

__all__ = ["FRAME_SUFFIXES", "read_frame_folder"]

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")


def read_frame_folder(path: str | Path) -> Video:
    """The frames of a folder, sorted by name, as a :class:`Video` without expressions.

    Raises:
        DataError: the folder is missing or holds no JPEG or PNG.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: got no folder there, expected one with frames (.jpg or .png); "
            "check the path"
        )
    # Hidden files are leftovers of copying tools ("._00000.jpg"), never frames.
    frames = sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in FRAME_SUFFIXES and not entry.name.startswith(".")
    )
    if not frames:
        raise DataError(
            f"{folder}: got a folder without frames, expected .jpg or .png files; "
            "choose the folder that holds them"
        )
    return Video(
        video_id=folder.resolve().name,
        frame_names=tuple(frame.stem for frame in frames),
        frame_paths=tuple(frames),
    )
