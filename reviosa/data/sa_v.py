"""SA-V (Ravi et al., 2024) as published; objects are tracked in it, no one speaks of them.

Validation and test: ``ROOT/sav_val.txt`` (or ``sav_test.txt``),
``ROOT/JPEGImages_24fps/<video>/<frame>.jpg`` and
``ROOT/Annotations_6fps/<video>/<object>/<frame>.png``. Training: clips ``<video>.mp4`` with
``<video>_manual.json`` and, of most, ``<video>_auto.json``, in ``ROOT`` or in folders of it
(``sav_000`` ...). All frames are at hand (24 a second); every fourth has truth (6 a second).

So that tracks can be counted and scored like all else, there is one expression an object, which
only names it: "object 000". A model that is asked in words can make nothing of it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.clip_video import ClipVideo
from reviosa.data.dataset import Fault
from reviosa.data.expression_dataset import read_json
from reviosa.data.object_dataset import (
    ObjectDataset,
    files_by_name,
    identity_of,
    read_bytes,
    read_text,
)
from reviosa.data.palette import read_index_map
from reviosa.data.records import Expression, Video
from reviosa.data.rle import decode
from reviosa.errors import DataError

__all__ = ["ANNOTATED_EVERY", "Masklets", "SAVDataset"]

ANNOTATED_EVERY = 4
"""Clips have 24 frames a second and are annotated 6 times a second."""

_LISTS = ("sav_val.txt", "sav_test.txt")
_KINDS = ("manual", "auto")
_KEPT_FILES = 2


class SAVDataset(ObjectDataset):
    """A split of SA-V; see :class:`~reviosa.data.dataset.VideoDataset`.

    The masks of the training set are kept in one file a video and read again when they are asked
    for; opening looks through each of them, so choose a folder of it or a limit.
    """

    layout = "sa-v"
    files = "sav_val.txt or sav_test.txt with JPEGImages_24fps/, or <video>_manual.json with .mp4"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether there is a list of videos with frames, or a file of masklets."""
        return _list(root) is not None or bool(_masklet_files(root, first=True))

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        self._masklets = Masklets()
        listed = _list(self.root)
        if listed is not None:
            read, contents = self._read_frames_split(listed, limit)
        else:
            read, contents = self._read_clips_split(limit)
        self.identity = identity_of(contents)
        self.videos = tuple(video for video in read if video is not None)

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray | None:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        if isinstance(video, ClipVideo):
            rle = self._rle(video, name, index)
            try:
                return None if rle is None else decode(rle)
            except DataError as error:
                where = f"{video.video_id}, object {name}, frame {index}"
                raise DataError(f"{where}: {error}") from None
        folder = self.root / "Annotations_6fps" / video.video_id / name
        # One object a file, because objects may overlap.
        return read_index_map(folder / f"{video.frame_names[index]}.png") > 0

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        video = self._by_id[video_id]
        if not isinstance(video, ClipVideo):
            return None
        chosen = range(video.num_frames) if indices is None else indices
        names = [self._objects[anno_id][1] for anno_id in anno_ids]
        rles = [[self._rle(video, name, index) for name in names] for index in chosen]
        return [[rle for rle in row if rle is not None] for row in rles]

    def _rle(self, video: ClipVideo, name: str, index: int) -> Any:
        kind, position = ("auto", name[5:]) if name.startswith("auto_") else ("manual", name)
        path = video.clip.with_name(f"{video.video_id}_{kind}.json")
        column = self._masklets.read(path).get("masklet_id", []).index(int(position))
        return self._masklets.rle(path, index, column) if not index % ANNOTATED_EVERY else None

    def _read_frames_split(
        self, listed: Path, limit: int | None
    ) -> tuple[list[Video | None], list[bytes]]:
        text = read_text(listed)
        videos = list(dict.fromkeys(text.split()))[:limit]
        if not videos:
            raise DataError(
                f"{listed}: got an empty list, expected names of videos; fetch it again"
            )
        contents = [text.encode()]
        read: list[Video | None] = []
        for video_id in videos:
            frames = self.all_frames(self.root / "JPEGImages_24fps" / video_id)
            folder = self.root / "Annotations_6fps" / video_id
            objects = {
                entry.name: set(files_by_name(entry, (".png",)))
                for entry in (sorted(folder.iterdir()) if folder.is_dir() else ())
                if entry.is_dir()
            }
            contents += [f"{name}{len(files)}".encode() for name, files in objects.items()]
            read.append(self._framed_video(video_id, frames, objects, folder))
        return read, contents

    def _framed_video(
        self, video_id: str, frames: dict[str, Path], objects: dict[str, set[str]], folder: Path
    ) -> Video | None:
        if not frames:
            return None
        if not objects:
            self._log.tell(
                str(folder), "got no object there, expected a folder of each; restore them"
            )
        truth = set[str]().union(*objects.values())
        strange = sorted(truth - frames.keys())
        if strange:
            self._log.tell(
                str(folder),
                f"got masks of {len(strange)} frames that are not there (first: {strange[0]}), "
                "expected frames of their names; restore the frames",
            )
        annotated = tuple(index for index, name in enumerate(frames) if name in truth)
        for name in objects:
            self.require_mask_files(folder / name, sorted(truth))
        read = (self._about(video_id, name) for name in objects)
        found = tuple(expression for expression in read if expression is not None)
        return Video(video_id, tuple(frames), tuple(frames.values()), found, annotated)

    def _read_clips_split(self, limit: int | None) -> tuple[list[Video | None], list[bytes]]:
        files = _masklet_files(self.root)
        if not files:
            raise DataError(
                f"{self.root}: got neither {' nor '.join(_LISTS)} nor <video>_manual.json, "
                "expected a split of SA-V; choose its folder"
            )
        contents: list[bytes] = []
        read = [self._clip_video(path, contents) for path in files[:limit]]
        return read, contents

    def _clip_video(self, manual: Path, contents: list[bytes]) -> Video | None:
        video_id = manual.name.removesuffix("_manual.json")
        clip = manual.with_name(f"{video_id}.mp4")
        if not clip.is_file():
            self._log.tell(
                str(clip), "got no file, expected the clip beside its masklets; restore it"
            )
            return None
        found: list[Expression | None] = []
        length = 0
        for kind in _KINDS:
            path = manual.with_name(f"{video_id}_{kind}.json")
            if not path.is_file():
                continue  # some videos have no automatic masklets
            try:
                content = read_bytes(path)
                record = read_json(path, content)
                rows, ids = masklet_table(path, record)
            except DataError as error:
                self._log.take(Fault.of(error))
                continue
            contents.append(content)
            length = max(length, len(rows))
            prefix = "" if kind == "manual" else "auto_"
            found += [self._about(video_id, f"{prefix}{x:03d}", kind) for x in ids]
        expressions = tuple(x for x in found if x is not None)
        annotated = tuple(range(0, ANNOTATED_EVERY * length, ANNOTATED_EVERY))
        return ClipVideo(video_id, clip, expressions, annotated)

    def _about(self, video_id: str, name: str, group: str = "") -> Expression | None:
        words = f"object {name.removeprefix('auto_')}"
        return self.expression(video_id, name, words, name, group)


class Masklets:
    """Files of masklets, of which the last few are kept: one holds all masks of a video."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, dict[str, Any]] = OrderedDict()

    def read(self, path: Path) -> dict[str, Any]:
        """The record in a file.

        Raises:
            DataError: it is missing, broken, or holds no table of masklets.
        """
        # Threads may share a data set: another may have taken the record out in between.
        record = self._files.get(path)
        if record is None:
            record = read_json(path, read_bytes(path))
            masklet_table(path, record)
            self._files[path] = record
            while len(self._files) > _KEPT_FILES:
                with suppress(KeyError):
                    self._files.popitem(last=False)
        return record

    def rle(self, path: Path, frame: int, column: int) -> Any:
        """The RLE of the masklet ``column`` on a frame of the clip; None past the last."""
        rows = self.read(path)["masklet"]
        row = frame // ANNOTATED_EVERY
        return rows[row][column] if row < len(rows) else None


def masklet_table(path: Path, record: dict[str, Any]) -> tuple[list[list[Any]], list[int]]:
    """Masks by annotated frame and masklet, and the masklets' ids.

    Raises:
        DataError: they are missing, or do not fit together.
    """
    rows, ids = record.get("masklet"), record.get("masklet_id")
    if not isinstance(rows, list) or not isinstance(ids, list):
        raise DataError(
            f'{path}: got no lists "masklet" and "masklet_id", expected both; fetch the file again'
        )
    if not all(type(x) is int for x in ids) or len(set(ids)) < len(ids):
        raise DataError(f"{path}: got the masklet ids {ids!r}, expected integers, each once")
    for count, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(ids):
            got = len(row) if isinstance(row, list) else type(row).__name__
            raise DataError(
                f"{path}: got {got} masks in row {count}, expected {len(ids)}, one of each "
                "masklet; fetch the file again"
            )
    return rows, ids


def _list(root: Path) -> Path | None:
    if not (root / "JPEGImages_24fps").is_dir():
        return None
    return next((root / name for name in _LISTS if (root / name).is_file()), None)


def _masklet_files(root: Path, first: bool = False) -> list[Path]:
    for pattern in ("*_manual.json", "*/*_manual.json"):
        files = root.glob(pattern)
        found = [path for path in [next(files, None)] if path] if first else sorted(files)
        if found:
            return found
    return []
