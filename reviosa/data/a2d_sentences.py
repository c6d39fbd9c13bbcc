"""A2D-Sentences (Gavrilyuk et al., CVPR 2018) as published.

``ROOT/Release/videoset.csv`` (no header: video first, split last, 0 train, 1 test),
``ROOT/Release/clips320H/<video>.mp4`` and, in ``ROOT/text_annotations``, ``a2d_annotation.txt``
(``video_id,instance_id,query``), ``a2d_missed_videos.txt`` and
``a2d_annotation_with_instances/<video>/<frame>.h5``. Open ``ROOT`` or ``ROOT/test`` for the test
videos, ``ROOT/train`` for the others.

Three to five frames of a video have masks; the number in a file's name counts frames from 1. An
object need not be on each of them: an empty mask then, and the benchmark does not score that frame.
"""

from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.clip_video import ClipVideo
from reviosa.data.object_dataset import (
    ObjectDataset,
    choose_split,
    files_by_name,
    identity_of,
    read_bytes,
    read_rows,
    read_text,
)
from reviosa.data.records import Expression, Video
from reviosa.errors import ConfigError, DataError, first_line

__all__ = ["A2DSentencesDataset"]

_SPLITS = {"train": "0", "test": "1"}
_TABLE = "Release/videoset.csv"
_TEXTS = "text_annotations/a2d_annotation.txt"
_MISSED = "text_annotations/a2d_missed_videos.txt"
_MASKS = "text_annotations/a2d_annotation_with_instances"
# The one known slip of the published file (video T6bNPuKV-wY): a line that repeats instance 1.
_SLIP = "1 (copy)"


class A2DSentencesDataset(ObjectDataset):
    """A split of A2D-Sentences; see :class:`~reviosa.data.dataset.VideoDataset`.

    Raises:
        ConfigError: h5py is not installed.
    """

    layout = "a2d-sentences"
    files = f"{_TABLE}, {_TEXTS}"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the sentences are there."""
        return _split(root) is not None

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        split = _split(self.root)
        if split is None:
            raise DataError(
                f"{self.root}: got no {_TEXTS}, expected the sentences of A2D; choose the folder "
                "that holds Release/ and text_annotations/"
            )
        _h5py()
        self._base, name = split
        table = [(row[0], row[-1].strip()) for row in read_rows(self._base / _TABLE)]
        missed = set(read_text(self._base / _MISSED).split())
        everywhere = {video for video, _ in table}
        chosen = {video for video, x in table if x == _SPLITS[name] and video not in missed}
        self.identity = identity_of(read_bytes(self._base / x) for x in (_TABLE, _TEXTS, _MISSED))
        spoken: dict[str, list[tuple[int, str]]] = {}
        for count, row in enumerate(read_rows(self._base / _TEXTS)[1:], 2):
            if len(row) == 3 and row[1] == _SLIP:
                continue
            if len(row) != 3 or not row[1].strip().isdecimal():
                self._log.tell(
                    f"{_TEXTS}, row {count}",
                    f"got {','.join(row)[:60]!r}, expected: video_id,instance_id,query; repair it",
                )
            elif row[0] not in everywhere:
                self._log.tell(
                    f"{_TEXTS}, row {count}",
                    f"got the video {row[0]!r}, expected one of {_TABLE}; repair it",
                )
            elif row[0] in chosen:
                spoken.setdefault(row[0], []).append((int(row[1]), row[2]))
        if not spoken:
            raise DataError(
                f"{self._base}: got no sentence about a video of the split {name}, expected some; "
                f"fetch {_TABLE} and {_TEXTS} again"
            )
        read = [self._read_video(*item) for item in list(spoken.items())[:limit]]
        self.videos = tuple(video for video in read if video is not None)

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray | None:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        path = self._base / _MASKS / video.video_id / f"{index + 1:05d}.h5"
        instances, masks = _read_masks(path)
        return masks[instances.index(name)] if name in instances else None

    def _read_video(self, video_id: str, spoken: list[tuple[int, str]]) -> Video | None:
        clip = self._base / "Release" / "clips320H" / f"{video_id}.mp4"
        folder = self._base / _MASKS / video_id
        numbers = sorted(int(x) for x in files_by_name(folder, (".h5",)) if x.isdecimal())
        if not clip.is_file():
            self._log.tell(str(clip), "got no file, expected a video clip; restore it")
            return None
        if not numbers or numbers[0] < 1:
            self._log.tell(
                str(folder),
                "got no masks there, expected files like 00001.h5 (from 1); restore them",
            )
            return None
        read: list[Expression | None] = [
            self.expression(video_id, str(count), " ".join(text.split()), instance)
            for count, (instance, text) in enumerate(spoken)
        ]
        annotated = tuple(number - 1 for number in numbers)
        return ClipVideo(video_id, clip, tuple(x for x in read if x is not None), annotated)


def _split(root: Path) -> tuple[Path, str] | None:
    return choose_split(root, tuple(_SPLITS), "test", _TEXTS)


def _read_masks(path: Path) -> tuple[list[int], np.ndarray]:
    """The instances of a frame, and their masks, bool [instance, height, width]."""
    h5py = _h5py()
    if not path.is_file():
        raise DataError(f"{path}: got no file, expected the masks of a frame; restore it")
    try:
        with h5py.File(path, "r") as file:
            instances = [int(x) for x in np.asarray(file["instance"]).reshape(-1)]
            masks = np.asarray(file["reMask"])
    # What h5py raises on foreign and truncated files, and on missing or odd fields.
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(
            f"{path}: got an unreadable file ({first_line(error)}), expected HDF5 with "
            '"instance" and "reMask"; fetch it again'
        ) from None
    # MATLAB wrote them: sides are swapped, and a single mask has no axis of instances.
    masks = masks[np.newaxis] if masks.ndim == 2 else masks
    # Two published files have a mask too many, at the end.
    if masks.ndim != 3 or len(masks) < len(instances):
        raise DataError(
            f"{path}: got masks of the shape {masks.shape} for {len(instances)} instances, "
            "expected one of each [instance, width, height]; fetch it again"
        )
    return instances, masks.transpose(0, 2, 1) != 0


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ConfigError(
            "reading A2D-Sentences needs h5py, which is not installed; "
            "pip install 'reviosa-workbench[hdf5]'"
        ) from None
    return h5py
