"""Ref-YouTube-VOS (Seo et al., ECCV 2020) as the competition publishes it.

``ROOT/meta_expressions/<split>/meta_expressions.json``, ``ROOT/<split>/JPEGImages/<video>/*.jpg``
and, where the truth is public, ``ROOT/<split>/Annotations/<video>/*.png`` (palette) with
``ROOT/<split>/meta.json`` (categories). The folder to open is that of the split, ``ROOT/train`` or
``ROOT/valid``; one that holds ``meta_expressions.json`` itself will do as well.

The published texts of ``valid`` hold those of the test videos too. Where
``ROOT/meta_expressions/test`` tells which these are, they are left out, as all published
evaluations do: 202 videos of 507 remain.

A data set that was converted to this layout (Ref-DAVIS by ReferFormer's script) is read the same
way: a split has truth when its expressions name objects. The annotators of a converted Ref-DAVIS
are the groups of its expressions.
"""

from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.annotators import with_annotators
from reviosa.data.expression_dataset import integer, read_json
from reviosa.data.object_dataset import ObjectDataset, identity_of, read_bytes
from reviosa.data.palette import IndexMaps
from reviosa.data.records import Expression, Video
from reviosa.errors import DataError

__all__ = ["RefYouTubeVOSDataset"]

_NAME = "meta_expressions.json"


class RefYouTubeVOSDataset(ObjectDataset):
    """A split of Ref-YouTube-VOS; see :class:`~reviosa.data.dataset.VideoDataset`."""

    layout = "ref-youtube-vos"
    files = "../meta_expressions/<name of the folder>/meta_expressions.json, JPEGImages/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the expressions lie beside the folder, or palettes lie in it with them."""
        if _beside(root).is_file():
            return True
        own, masks = root / _NAME, root / "mask_dict.json"
        return own.is_file() and (root / "Annotations").is_dir() and not masks.is_file()

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        path = next((x for x in (self.root / _NAME, _beside(self.root)) if x.is_file()), None)
        if path is None:
            raise DataError(
                f"{self.root}: got neither {_NAME} in the folder nor "
                f"../meta_expressions/{self.root.name}/{_NAME} beside it, expected one of them; "
                "choose the folder of the split (.../train or .../valid)"
            )
        content = read_bytes(path)
        records = read_json(path, content).get("videos")
        if not isinstance(records, dict) or not records:
            raise DataError(
                f'{path}: got no "videos", expected {{"videos": {{id: ...}}}}; fetch the file again'
            )
        test = _beside(self.root.resolve().with_name("test"))
        hidden = b""
        if self.root.resolve().name == "valid" and test.is_file():
            hidden = read_bytes(test)
            of_test = read_json(test, hidden).get("videos")
            records = {x: records[x] for x in records if x not in (of_test or ())}
            if not records:
                raise DataError(
                    f"{path}: got the videos of {test} alone, expected others too; fetch both "
                    "files again"
                )
        meta = self.root / "meta.json"
        known = read_bytes(meta) if meta.is_file() else b""
        self.identity = identity_of((content, known, hidden))
        self._known = read_json(meta, known).get("videos") if known else None
        self._maps = IndexMaps()
        self.has_truth = any(
            isinstance(entry, dict) and "obj_id" in entry
            for record in records.values()
            if isinstance(record, dict) and isinstance(record.get("expressions"), dict)
            for entry in record["expressions"].values()
        )
        read = (self._read_video(vid, record) for vid, record in list(records.items())[:limit])
        videos = tuple(video for video in read if video is not None)
        named = with_annotators(videos, lambda x: x.actor_ids) if self.has_truth else None
        self.videos = named or videos

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        folder = self.root / "Annotations" / video.video_id
        return self._maps.read(folder / f"{video.frame_names[index]}.png") == name

    def _read_video(self, video_id: str, record: Any) -> Video | None:
        names = record.get("frames") if isinstance(record, dict) else None
        entries = record.get("expressions") if isinstance(record, dict) else None
        if not isinstance(names, list) or not names or not isinstance(entries, dict):
            self._log.tell(
                video_id,
                f'got a record without "frames" or "expressions", expected both; repair {_NAME}',
            )
            return None
        names = tuple(map(str, names))
        paths = self.named_frames(video_id, self.root / "JPEGImages" / video_id, names)
        read = (self._read_expression(video_id, exp_id, x) for exp_id, x in entries.items())
        if self.has_truth:
            self.require_mask_files(self.root / "Annotations" / video_id, names)
        return Video(video_id, names, paths, tuple(x for x in read if x is not None))

    def _read_expression(self, video_id: str, exp_id: str, entry: Any) -> Expression | None:
        entry = entry if isinstance(entry, dict) else {}
        name: int | None = None
        if self.has_truth:
            try:
                name = integer(entry.get("obj_id"))
            except ValueError:
                self._log.tell(
                    f"{video_id}/{exp_id}",
                    f"got the object {entry.get('obj_id')!r}, expected its number in "
                    f'"obj_id"; repair {_NAME}',
                )
                return None
            if not self._is_known(video_id, name):
                self._log.tell(
                    f"{video_id}/{exp_id}",
                    f"got the object {name}, expected one of the video's objects in meta.json; "
                    "repair the number",
                )
                return None
        return self.expression(video_id, exp_id, entry.get("exp"), name)

    def _is_known(self, video_id: str, name: int) -> bool:
        if not isinstance(self._known, dict):
            return name > 0
        record = self._known.get(video_id)
        objects = record.get("objects") if isinstance(record, dict) else None
        return isinstance(objects, dict) and str(name) in objects


def _beside(root: Path) -> Path:
    root = root.resolve()
    return root.parent / "meta_expressions" / root.name / _NAME
