"""The videos that are annotated, and what is known of their objects.

``DIR/videos`` holds folders of frames and video files, in subfolders if need be. For a video
``DIR/videos/a/b.mp4`` (or the folder ``DIR/videos/a/b``) there is ``DIR/tracks/a/b.json`` with mask
tracks, or ``DIR/boxes/a/b.json``, a VidOR annotation. So VidOR's own folders fit as they are:
``videos`` is a link to its videos, ``boxes`` one to its annotations.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from reviosa.data.frames import FRAME_SUFFIXES
from reviosa.errors import DataError

__all__ = ["Dropped", "Source", "find_sources", "identity_of", "no_clip"]

VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v")


class Dropped(NamedTuple):
    """Something that a stage could not use."""

    stage: str
    item: str
    why: str


@dataclass(frozen=True)
class Source:
    """A video and the file about its objects."""

    name: str
    """Its folder's or file's name without suffix."""
    path: Path
    truth: Path
    """Mask tracks or boxes."""
    boxes: bool
    """Whether ``truth`` is a VidOR annotation."""


def find_sources(root: str | Path) -> tuple[list[Source], list[Dropped]]:
    """The videos below a folder, by name, and those about whose objects nothing is known.

    Raises:
        DataError: there is no folder ``videos``, no video that can be used, or two of one name.
    """
    root = Path(root)
    base = root / "videos"
    if not base.is_dir():
        raise DataError(
            f"{root}: got no folder videos in it, expected videos/ and, beside it, tracks/ or "
            "boxes/ with a JSON file for each video; see docs/annotation.md"
        )
    sources: dict[str, Source] = {}
    dropped: list[Dropped] = []
    for path in _videos(base):
        name, about = (path.name, path) if path.is_dir() else (path.stem, path.with_suffix(""))
        place = about.relative_to(base)
        files = [root / folder / f"{place}.json" for folder in ("tracks", "boxes")]
        known = [file for file in files if file.is_file()]
        if name in sources:
            raise DataError(
                f"{path}: got a second video called {name} (the other is {sources[name].path}), "
                "expected each name once; rename one"
            )
        if not known:
            dropped.append(Dropped("tracks", name, f"there is neither {files[0]} nor {files[1]}"))
            continue
        sources[name] = Source(name, path, known[0], known[0] == files[1])
    if not sources:
        raise DataError(
            f"{root}: got {len(dropped)} videos, none of them with a file in tracks/ or boxes/, "
            "expected at least one; see docs/annotation.md"
        )
    return [sources[name] for name in sorted(sources)], dropped


def identity_of(sources: list[Source]) -> str:
    """16 hexadecimal digits that change with the names of the videos and what is known of them."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.name}\0{source.boxes}\0".encode())
        digest.update(hashlib.sha256(source.truth.read_bytes()).digest())
    return digest.hexdigest()[:16]


def no_clip(videos: int, dropped: Sequence[Dropped]) -> DataError:
    """What is said where nothing is left to annotate."""
    first = dropped[0]
    return DataError(
        f"got no clip with an object from {videos} videos, expected at least one; the first that "
        f"was dropped is {first.item}: {first.why}"
    )


def _videos(folder: Path) -> Iterator[Path]:
    """Video files and folders with frames, in the order of their names."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_file():
            if entry.suffix.lower() in VIDEO_SUFFIXES:
                yield entry
        elif any(x.suffix.lower() in FRAME_SUFFIXES for x in entry.iterdir()):
            yield entry
        else:
            yield from _videos(entry)
