"""Ref-DAVIS in MeViS's form, as Sa2VA, VISA and InterRVOS evaluate on it.

``ROOT/JPEGImages``, ``ROOT/meta_expressions.json`` with ``exp`` and ``obj_id``, and
``ROOT/mask_dict.json``. Expressions are numbered 4 x object + annotator; each has an annotation of
its own, so that the mask of an object is there four times.

Where an expression has no ``anno_id``, its annotation is its place among all expressions, video by
video in the order of the file, and in a video by the expressions' ids sorted *as strings*: 0, 1,
10, 11, 2, ... So Sa2VA and VISA count, and so their masks are numbered.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reviosa.data.annotators import are_in_fours, with_annotators
from reviosa.data.expression_dataset import read_json
from reviosa.data.mevis import MevisDataset
from reviosa.data.records import Expression, Video
from reviosa.errors import DataError

__all__ = ["ConvertedRefDAVISDataset"]

_META, _MASKS = "meta_expressions.json", "mask_dict.json"
_LARGEST = 4 << 20
"""Bytes of the text of a Ref-DAVIS, several times over: larger files are not looked into."""


class ConvertedRefDAVISDataset(MevisDataset):
    """A converted split of Ref-DAVIS; the annotator of an expression is its group."""

    layout = "ref-davis"
    files = f"{_META} with four expressions an object, {_MASKS}, JPEGImages/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether there are four expressions in a row about each object, and masks."""
        path = root / _META
        if not path.is_file() or not (root / _MASKS).is_file() or path.stat().st_size > _LARGEST:
            return False
        try:
            records = read_json(path, path.read_bytes()).get("videos")
        except DataError:
            return False
        return isinstance(records, dict) and bool(records) and all(map(_in_fours, records.values()))

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        self._places: dict[tuple[str, str], int] = {}
        self._spoken: dict[str, object] = {}
        super().__init__(root, limit, strict)
        named = with_annotators(self.videos, lambda x: self._spoken[x.sample_id])
        self.videos = named or self.videos

    def object_ids(self, video: Video) -> list[int]:
        """See :class:`~reviosa.data.dataset.VideoDataset`; the first of an object's annotations."""
        objects: dict[object, int] = {}
        for expression in video.expressions:
            objects.setdefault(self._spoken[expression.sample_id], expression.actor_ids[0])
        return list(objects.values())

    def _mask_path(self, records: Mapping[str, Any]) -> Path | None:
        path = self.root / _MASKS
        if not path.is_file():
            raise DataError(f"{self.root}: got no {_MASKS}, expected the masks; restore them")
        for video_id, record in records.items():
            expressions = record.get("expressions") if isinstance(record, dict) else None
            for exp_id in sorted(expressions if isinstance(expressions, dict) else ()):
                self._places[video_id, exp_id] = len(self._places)
        return path

    def _read_expression(
        self, video_id: str, exp_id: str, text: str, entry: Mapping[str, Any]
    ) -> Expression | None:
        self._spoken[f"{video_id}/{exp_id}"] = str(entry.get("obj_id"))
        if "anno_id" not in entry:
            entry = {**entry, "anno_id": self._places[video_id, exp_id]}
        return super()._read_expression(video_id, exp_id, text, entry)


def _in_fours(record: Any) -> bool:
    entries = record.get("expressions") if isinstance(record, dict) else None
    if not isinstance(entries, dict):
        return False
    named = all(isinstance(entry, dict) and "obj_id" in entry for entry in entries.values())
    return named and are_in_fours({key: str(entry["obj_id"]) for key, entry in entries.items()})
