"""Ref-SAV (Sa2VA, Yuan et al., 2025): expressions about objects of SA-V, in two published forms.

Training: ``ROOT/Ref-SAV.json`` = ``{video: {"video_path", "anno_path", "objects": {number:
{"formated": long text, "short_caps": [short texts]}}}}``; both paths lead from ``ROOT/sam_v_full``
(or ``ROOT``) to a clip of SA-V and its file of masklets, and the number is the place in the
masklets' rows. Every fourth frame of a clip is a frame of the video, as Sa2VA reads them: these
have masks.

Evaluation: ``ROOT/meta_expressions_valid.json`` and ``ROOT/mask_dict.json`` as MeViS has them
(``type_id`` 0 is a long expression, 1 a short one), with the frames in ``ROOT/videos``: either
``videos/<first 7 letters>/<video>.mp4``, of which a frame's name is its number, or
``videos/<video>/<frame>.jpg``.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.clip_video import ClipVideo
from reviosa.data.expression_dataset import read_json
from reviosa.data.object_dataset import ObjectDataset, identity_of, read_bytes
from reviosa.data.records import Expression, Video
from reviosa.data.rle import decode
from reviosa.data.sa_v import ANNOTATED_EVERY, Masklets
from reviosa.errors import DataError

__all__ = ["RefSAVDataset"]

_TRAIN, _VALID, _MASKS = "Ref-SAV.json", "meta_expressions_valid.json", "mask_dict.json"
_GROUPS = {0: "long", 1: "short", None: ""}
"""Groups by ``type_id``, which need not be there."""


class RefSAVDataset(ObjectDataset):
    """A split of Ref-SAV; the group of an expression is "long" or "short"."""

    layout = "ref-sav"
    files = f"{_TRAIN}, or {_VALID} with {_MASKS} and videos/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the expressions of either form are there."""
        return (root / _TRAIN).is_file() or (
            (root / _VALID).is_file() and (root / "videos").is_dir()
        )

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        self._masklets = Masklets()
        self._places: dict[tuple[str, str], tuple[Path, int]] = {}
        self._annotations: dict[str, Any] = {}
        train = (self.root / _TRAIN).is_file()
        path = self.root / (_TRAIN if train else _VALID)
        if not path.is_file():
            raise DataError(
                f"{self.root}: got neither {_TRAIN} nor {_VALID}, expected one of them; choose "
                "the folder that holds it"
            )
        content = read_bytes(path)
        record = read_json(path, content)
        records = record if train else record.get("videos")
        if not isinstance(records, dict) or not records:
            raise DataError(f"{path}: got no videos, expected at least one; fetch the file again")
        masks = b"" if train else read_bytes(self.root / _MASKS)
        if not train:
            self._annotations = read_json(self.root / _MASKS, masks)
        self.identity = identity_of((content, masks))
        read_video = self._train_video if train else self._valid_video
        read = [read_video(vid, entry) for vid, entry in list(records.items())[:limit]]
        self.videos = tuple(video for video in read if video is not None)

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray | None:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        rle = self._rle(video.video_id, name, index)
        if rle is None:
            return None
        try:
            return decode(rle)
        except DataError as error:
            raise DataError(f"{video.video_id}, object {name}, frame {index}: {error}") from None

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        chosen = range(self._by_id[video_id].num_frames) if indices is None else indices
        names = [self._objects[anno_id][1] for anno_id in anno_ids]
        rows = [[self._rle(video_id, name, index) for name in names] for index in chosen]
        return [[rle for rle in row if rle is not None] for row in rows]

    def _rle(self, video_id: str, name: str, index: int) -> Any:
        place = self._places.get((video_id, name))
        if place is None:
            return self._annotations[name][index]
        path, column = place
        width = len(self._masklets.read(path)["masklet_id"])
        if column >= width:
            raise DataError(
                f"{path}: got {width} masklets, expected number {column} too (they count from 0), "
                f"of which {_TRAIN} speaks; fetch both files again"
            )
        return self._masklets.rle(path, index * ANNOTATED_EVERY, column)

    def _train_video(self, video_id: str, record: Any) -> Video | None:
        record = record if isinstance(record, dict) else {}
        paths = [record.get(key) for key in ("video_path", "anno_path")]
        objects = record.get("objects")
        if not all(isinstance(path, str) for path in paths) or not isinstance(objects, dict):
            self._log.tell(
                video_id,
                'got a record without "video_path", "anno_path" or "objects", expected all three; '
                f"repair {_TRAIN}",
            )
            return None
        full = self.root / "sam_v_full"
        clip, masks = ((full if full.is_dir() else self.root) / str(path) for path in paths)
        missing = next((path for path in (clip, masks) if not path.is_file()), None)
        if missing is not None:
            self._log.tell(str(missing), f"got no file, expected one of {video_id}; restore it")
            return None
        found: list[Expression | None] = []
        for name, entry in objects.items():
            if not name.isdecimal() or not isinstance(entry, dict):
                self._log.tell(
                    f"{video_id}/{name}",
                    f"got {entry!r:.60}, expected the texts of an object by its number; repair "
                    f"{_TRAIN}",
                )
                continue
            self._places[video_id, name] = (masks, int(name))
            found.append(self.expression(video_id, name, entry.get("formated"), name, "long"))
            short = entry.get("short_caps")
            for count, text in enumerate(short if isinstance(short, list) else ()):
                exp_id = f"{name}_short_{count}"
                found.append(self.expression(video_id, exp_id, text, name, "short"))
        return ClipVideo(
            video_id, clip, tuple(x for x in found if x is not None), step=ANNOTATED_EVERY
        )

    def _valid_video(self, video_id: str, record: Any) -> Video | None:
        record = record if isinstance(record, dict) else {}
        frames, entries = record.get("frames"), record.get("expressions")
        if not isinstance(frames, list) or not frames or not isinstance(entries, dict):
            self._log.tell(
                video_id,
                f'got a record without "frames" or "expressions", expected both; repair {_VALID}',
            )
            return None
        names = tuple(map(str, frames))
        found: list[Expression | None] = []
        for exp_id, entry in entries.items():
            entry = entry if isinstance(entry, dict) else {}
            ids = self._known_ids(f"{video_id}/{exp_id}", entry.get("anno_id"), len(names))
            if ids:
                group = self._group(f"{video_id}/{exp_id}", entry.get("type_id"))
                first = self.expression(video_id, exp_id, entry.get("exp"), ids[0], group)
                found.append(first and self._about_all(first, ids))
        expressions = tuple(x for x in found if x is not None)
        videos = self.root / "videos"
        if (videos / video_id).is_dir():
            paths = self.named_frames(video_id, videos / video_id, names)
            return Video(video_id, names, paths, expressions)
        clip = videos / video_id[: len("sav_000")] / f"{video_id}.mp4"
        if not clip.is_file():
            self._log.tell(
                video_id,
                f"got neither a folder {videos / video_id} nor {clip}, expected its frames; "
                "restore one of them",
            )
            return None
        return ClipVideo(video_id, clip, expressions, names=names)

    def _group(self, where: str, kind: Any) -> str:
        if isinstance(kind, int | None) and kind in _GROUPS:
            return _GROUPS[kind]
        self._log.tell(
            where, f"got type_id {kind!r}, expected 0 (long) or 1 (short); repair {_VALID}"
        )
        return ""

    def _about_all(self, expression: Expression, ids: Sequence[str]) -> Expression:
        """The expression, about all of its annotations."""
        numbers = tuple(self.number(expression.video_id, x) for x in ids)
        return replace(expression, actor_ids=numbers, caption_type=_TYPES[len(numbers) > 1])

    def _known_ids(self, where: str, value: Any, length: int) -> list[str]:
        """Annotations of an expression that have masks, by their name in the file of masks."""
        if not isinstance(value, list) or not value:
            self._log.tell(
                where,
                f'got the annotations {value!r}, expected ids in "anno_id"; repair {_VALID}',
            )
            return []
        known = []
        for name in map(str, value):
            track = self._annotations.get(name)
            if isinstance(track, list) and len(track) == length:
                known.append(name)
                continue
            got = f"{len(track)} masks" if isinstance(track, list) else "no list of masks"
            self._log.tell(
                f"{where}, annotation {name}",
                f"got {got}, expected {length}, one a frame; repair {_MASKS}",
            )
        return known


_TYPES = ("single", "multi")
