"""J-HMDB-Sentences (Gavrilyuk et al., CVPR 2018) as published.

``ROOT/jhmdb_annotation.txt`` (``video_id,query``),
``ROOT/Rename_Images/<action>/<video>/00001.png`` and
``ROOT/puppet_mask/<action>/<video>/puppet_mask.mat`` (MATLAB 5, ``part_mask`` [height, width,
frame]).

One person a video is spoken of. Masks may end before the frames do. The published evaluations
score three drawn frames a video, by a list that MTTR (Botach et al., CVPR 2022) made and others
took over; where it lies in ``ROOT`` as ``jhmdb_sentences_samples_metadata.json``, its frames are
the ones with truth, otherwise all that have a mask.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.dataset import Fault
from reviosa.data.object_dataset import ObjectDataset, identity_of, read_bytes, read_rows
from reviosa.data.records import Expression, Video
from reviosa.errors import DataError, first_line

__all__ = ["JHMDBSentencesDataset"]

_TEXTS = "jhmdb_annotation.txt"
_DRAWN = "jhmdb_sentences_samples_metadata.json"
_FIELD = "part_mask"
_PERSON = 0
"""The only object of a video."""


class JHMDBSentencesDataset(ObjectDataset):
    """All of J-HMDB-Sentences; see :class:`~reviosa.data.dataset.VideoDataset`."""

    layout = "jhmdb-sentences"
    files = f"{_TEXTS}, Rename_Images/, puppet_mask/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the sentences are there."""
        return (root / _TEXTS).is_file()

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        path = self.root / _TEXTS
        if not path.is_file():
            raise DataError(
                f"{self.root}: got no {_TEXTS}, expected the sentences of J-HMDB; choose the "
                "folder that holds it"
            )
        self._frames = _by_video(self.root / "Rename_Images")
        self._puppets = _by_video(self.root / "puppet_mask")
        self._last: tuple[Path, np.ndarray] | None = None
        drawn = self.root / _DRAWN
        self._drawn = _drawn_frames(drawn) if drawn.is_file() else None
        self.identity = identity_of(read_bytes(x) for x in (path, drawn) if x.is_file())
        spoken: dict[str, list[str]] = {}
        for count, row in enumerate(read_rows(path)[1:], 2):
            if len(row) == 2:
                spoken.setdefault(row[0], []).append(row[1])
            else:
                self._log.tell(
                    f"{path}, row {count}",
                    f"got {','.join(row)[:60]!r}, expected: video_id,query; repair it",
                )
        if not spoken:
            raise DataError(f"{path}: got no sentence, expected some; fetch the file again")
        read = [self._read_video(*item) for item in list(spoken.items())[:limit]]
        self.videos = tuple(video for video in read if video is not None)

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray | None:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        path = self._puppets[video.video_id] / "puppet_mask.mat"
        last = self._last
        if last is None or last[0] != path:
            last = self._last = (path, _read_masks(path))
        return last[1][:, :, index]

    def _read_video(self, video_id: str, texts: list[str]) -> Video | None:
        folder = self._frames.get(video_id)
        puppet = self._puppets.get(video_id)
        for found, place in ((folder, "Rename_Images"), (puppet, "puppet_mask")):
            if found is None:
                self._log.tell(
                    video_id,
                    f"got no folder {self.root / place}/<action>/{video_id}, expected one; "
                    "restore it",
                )
        if folder is None or puppet is None:
            return None
        frames = self.all_frames(folder)
        try:
            masked = _length(puppet / "puppet_mask.mat")
        except DataError as error:
            self._log.take(Fault.of(error))
            return None
        if not frames:
            return None
        read: list[Expression | None] = [
            self.expression(video_id, str(count), " ".join(text.split()), _PERSON)
            for count, text in enumerate(texts)
        ]
        expressions = tuple(x for x in read if x is not None)
        annotated = self._annotated(video_id, tuple(frames), masked)
        return Video(video_id, tuple(frames), tuple(frames.values()), expressions, annotated)

    def _annotated(
        self, video_id: str, names: tuple[str, ...], masked: int
    ) -> tuple[int, ...] | None:
        """Indices of the frames with truth; None for all."""
        if self._drawn is None:
            return None if masked >= len(names) else tuple(range(masked))
        drawn = self._drawn.get(video_id, [])
        known = tuple(sorted(names.index(x) for x in set(drawn) if x in names[:masked]))
        if len(known) < len(set(drawn)) or not known:
            self._log.tell(
                f"{_DRAWN}, {video_id}",
                f"got the frames {', '.join(drawn) or 'none'}, expected some of the {masked} that "
                "have a mask; fetch the list again, or remove it to score them all",
            )
        return known


def _by_video(folder: Path) -> dict[str, Path]:
    """Folders of the videos in ``folder/<action>/<video>``."""
    return {path.name: path for path in sorted(folder.glob("*/*")) if path.is_dir()}


def _drawn_frames(path: Path) -> dict[str, list[str]]:
    """Names of the drawn frames of each video."""
    try:
        rows = json.loads(read_bytes(path))
        drawn: dict[str, list[str]] = {}
        for row in rows:
            drawn.setdefault(row[0], []).append(Path(row[1]).stem)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DataError(
            f"{path}: got an unreadable list ({first_line(error)}), expected rows of video, frame, "
            "masks, length and text; fetch it again, or remove it to score all frames"
        ) from None
    return drawn


def _length(path: Path) -> int:
    """How many masks a file holds, by its header."""
    from scipy.io import whosmat

    shapes = {name: shape for name, shape, _ in _explained(path, whosmat)}
    return _three_axes(path, shapes.get(_FIELD, ()))[2]


def _read_masks(path: Path) -> np.ndarray:
    """Masks of a video, bool [height, width, frame]."""
    from scipy.io import loadmat

    masks = _explained(path, lambda x: loadmat(x, variable_names=[_FIELD])).get(_FIELD)
    shape = () if masks is None else masks.shape
    return np.asarray(masks).reshape(_three_axes(path, shape)) != 0


def _three_axes(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    # MATLAB drops the axis of a single frame.
    shape = (*shape, 1) if len(shape) == 2 else shape
    if len(shape) != 3:
        raise DataError(
            f'{path}: got "{_FIELD}" of the shape {shape}, expected [height, width, frame]; fetch '
            "the file again"
        )
    return shape[0], shape[1], shape[2]


def _explained(path: Path, read: Any) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: got no file, expected the masks of a video; restore it")
    try:
        return read(str(path))
    # scipy and zlib raise many kinds on damaged files, NotImplementedError on a newer format.
    except Exception as error:
        raise DataError(
            f"{path}: got an unreadable file ({first_line(error)}), expected MATLAB 5 with "
            f'"{_FIELD}"; fetch it again'
        ) from None
