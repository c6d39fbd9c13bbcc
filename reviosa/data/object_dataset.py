"""What readers share whose masks lie in files by object and frame, not in one list of RLEs."""

import csv
import hashlib
import io
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.clip_video import ClipVideo
from reviosa.data.dataset import (
    Fault,
    FaultLog,
    VideoDataset,
    expression_ids,
    frame_faults,
    require_limit,
)
from reviosa.data.frames import FRAME_SUFFIXES, FolderPaths, find_frames
from reviosa.data.prompts import has_words
from reviosa.data.records import Expression, Video
from reviosa.errors import DataError

__all__ = [
    "ObjectDataset",
    "choose_split",
    "files_by_name",
    "identity_of",
    "read_bytes",
    "read_rows",
    "read_text",
]


class ObjectDataset(VideoDataset):
    """A data set whose expressions each speak of one object that has a name within its video.

    Annotation ids count the objects through the whole data set, so that no two videos share one.
    A reader gives the mask of an object on a frame that has truth as its files hold it; sizes are
    checked here, and other frames have no mask.
    """

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        self.root = Path(root)
        require_limit(limit)
        self._log = FaultLog(strict)
        self._numbers: dict[tuple[str, Any], int] = {}
        self._objects: list[tuple[str, Any]] = []
        self._sizes: dict[str, tuple[int, int]] = {}

    @abstractmethod
    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray | None:
        """Mask of an object on a frame with truth, bool [height, width]; None without the object.

        Raises:
            DataError: the mask is missing or damaged.
        """

    def annotation_masks(
        self, video: Video, anno_id: int, indices: Sequence[int]
    ) -> Iterator[np.ndarray | None]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        size = self.size(video.video_id)
        name = self._objects[anno_id][1]
        truth = set(video.truth_frames)
        for index in indices:
            mask = self.object_mask(video, name, index) if index in truth else None
            if mask is not None and mask.shape != size:
                raise DataError(f"{_place(video, name, index)}: {_other_size(mask.shape, size)}")
            yield mask

    def faults(self) -> Iterator[Fault]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        yield from self._log.faults
        for video in self.videos:
            yield from video.faults() if isinstance(video, ClipVideo) else frame_faults(video)
            if self.has_truth:
                # A file that holds the masks of many frames is named once.
                yield from dict.fromkeys(self._mask_faults(video))

    def check_video(self, video: Video) -> None:
        """See :class:`~reviosa.data.dataset.VideoDataset`; of a clip, its first frame alone."""
        if isinstance(video, ClipVideo):
            # Decoding all of it would take as long as the run that follows.
            self.size(video.video_id)
            video.check_annotated()
        else:
            super().check_video(video)

    def size(self, video_id: str) -> tuple[int, int]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        if video_id not in self._sizes:
            self._sizes[video_id] = super().size(video_id)
        return self._sizes[video_id]

    def number(self, video_id: str, name: Any) -> int:
        """The annotation id of an object."""
        key = (video_id, name)
        if key not in self._numbers:
            self._numbers[key] = len(self._objects)
            self._objects.append(key)
        return self._numbers[key]

    def expression(
        self, video_id: str, exp_id: str, text: Any, name: Any | None, group: str = ""
    ) -> Expression | None:
        """An expression about one object, or about one that is not told; None without words."""
        if not isinstance(text, str) or not has_words(text):
            self._log.tell(
                f"{video_id}/{exp_id}",
                f"got the expression {text!r}, expected words; fill it or remove it",
            )
            return None
        actors = () if name is None else (self.number(video_id, name),)
        return Expression(video_id, exp_id, text, "single", actors, (), group)

    def named_frames(self, video_id: str, folder: Path, names: tuple[str, ...]) -> FolderPaths:
        """Files of the named frames; where one is missing, the path at which it was looked for."""
        paths, missing = find_frames(folder, names)
        # Of a set that is opened nevertheless, each missing frame is named by the pass over them.
        if missing and self._log.strict:
            self._log.tell(
                video_id,
                f"got no file for {len(missing)} of {len(names)} frames (first: "
                f"{names[missing[0]]}), expected them in {folder}; restore them",
            )
        return paths

    def require_mask_files(self, folder: Path, names: Iterable[str]) -> None:
        """Tell if a folder lacks the mask (PNG) of a named frame."""
        # Of a set that is opened nevertheless, each missing mask is named by the pass over them.
        if not self._log.strict:
            return
        present = files_by_name(folder, (".png",))
        missing = [name for name in names if name not in present]
        if missing:
            self._log.tell(
                str(folder),
                f"got no mask of {len(missing)} frames (first: {missing[0]}), expected a PNG of "
                "each; restore them",
            )

    def all_frames(self, folder: Path) -> dict[str, Path]:
        """The frames of a folder by name, in order; a folder without any is a fault."""
        present = files_by_name(folder)
        if not present:
            self._log.tell(
                str(folder),
                f"got {'a folder without frames' if folder.is_dir() else 'no folder there'}, "
                "expected the frames of a video (.jpg or .png); restore them",
            )
        return dict(sorted(present.items()))

    def _mask_faults(self, video: Video) -> Iterator[Fault]:
        # Frames that cannot be read have faults of their own, and masks are looked at without them.
        size: tuple[int, int] | None = None
        with suppress(DataError):
            size = self.size(video.video_id)
        truth: Sequence[int] = video.annotated or ()
        with suppress(DataError):
            truth = [index for index in video.truth_frames if index < video.num_frames]
        # Of these objects nothing has been seen yet, not even damage.
        unseen = [self._objects[x][1] for x in expression_ids(video.expressions)]
        names = tuple(unseen)
        for index in truth:
            for name in names:
                try:
                    mask = self.object_mask(video, name, index)
                except DataError as error:
                    yield Fault.of(error)
                else:
                    if mask is None:
                        continue
                    if size is not None and mask.shape != size:
                        yield Fault(_place(video, name, index), _other_size(mask.shape, size))
                    elif not mask.any():
                        continue
                if name in unseen:
                    unseen.remove(name)
        for name in unseen:
            yield Fault(
                f"{video.video_id}, object {name}",
                f"got no pixel on any of {len(truth)} frames, expected a mask on one at least; "
                "check the object's number",
            )


def _place(video: Video, name: Any, index: int) -> str:
    return f"{video.video_id}, object {name}, frame {video.frame_names[index]}"


def _other_size(got: tuple[int, ...], size: tuple[int, int]) -> str:
    return (
        f"got a mask of {'x'.join(map(str, got))} pixels, expected {size[0]}x{size[1]} like the "
        "frames; write the masks at the frames' size"
    )


def files_by_name(folder: Path, suffixes: Sequence[str] = FRAME_SUFFIXES) -> dict[str, Path]:
    """The files of a folder by their names without suffix; none where there is no folder."""
    if not folder.is_dir():
        return {}
    # One listing a video: asking the disk for each frame is slow on network drives. Hidden files
    # are leftovers of copying tools.
    return {
        entry.stem: entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
    }


def choose_split(
    root: Path, splits: Sequence[str], default: str, marker: str
) -> tuple[Path, str] | None:
    """The folder of a data set whose splits share it, and the split that the path names.

    ``ROOT`` is the default split, ``ROOT/<split>`` the split of that name; there need not be such a
    folder.

    Args:
        root: the path that was given.
        splits: names of the splits.
        default: the split that ``ROOT`` alone means.
        marker: a file or folder that every such data set has, relative to ``ROOT``.

    Returns:
        None if there is no such data set.
    """
    if (root / marker).exists():
        return root, default
    if root.name in splits and (root.parent / marker).exists():
        return root.parent, root.name
    return None


def identity_of(contents: Iterable[bytes]) -> str:
    """First 16 hexadecimal digits of the SHA-256 over these contents."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()[:16]


def read_bytes(path: Path) -> bytes:
    """A file of annotations as it is.

    Raises:
        DataError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: got no readable file ({error.strerror}), expected one of the data set's "
            "annotations; restore it"
        ) from None


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """A text file.

    Raises:
        DataError: it is missing or in another encoding.
    """
    try:
        return read_bytes(path).decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: got bytes that are no {encoding} ({error.reason} at byte {error.start}), "
            "expected the published text; fetch the file again"
        ) from None


def read_rows(path: Path) -> list[list[str]]:
    """Rows of a file of comma-separated values, without empty lines.

    Raises:
        DataError: it is missing or no such file.
    """
    try:
        return [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
    except csv.Error as error:
        raise DataError(
            f"{path}: got a broken table ({error}), expected comma-separated values; fetch the "
            "file again"
        ) from None
