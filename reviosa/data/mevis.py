"""The MeViS layout, and other sets in its form.

``ROOT/JPEGImages/<video>/<frame>.jpg``, ``ROOT/meta_expressions.json`` with ``exp``, ``obj_id`` and
``anno_id``, and ``ROOT/mask_dict.json``. Of the split ``valid`` the authors keep the masks and ids
back: its expressions have ``exp`` alone, and their server scores it.
Source: https://github.com/henghuiding/MeViS.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reviosa.data.expression_dataset import ExpressionDataset, find_file, says
from reviosa.data.records import Expression

__all__ = ["MevisDataset"]


class MevisDataset(ExpressionDataset):
    """A split of MeViS: train, valid_u, or valid, which has no truth."""

    layout = "mevis"
    files = "meta_expressions.json, JPEGImages, and mask_dict.json where there is truth"

    @classmethod
    def found(cls, root: Path) -> bool:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        foreign = ('"caption_type"', '"subject/object"', '"type_id"')
        return root.is_dir() and says(root, *foreign) is False

    def _meta_path(self) -> Path:
        return find_file(self.root, "meta_expressions.json", self.layout)

    def _mask_path(self, records: Mapping[str, Any]) -> Path | None:
        if not any("anno_id" in entry for entry in _entries(records)):
            return None
        return find_file(self.root, "mask_dict.json", self.layout)

    def _read_expression(
        self, video_id: str, exp_id: str, text: str, entry: Mapping[str, Any]
    ) -> Expression | None:
        actors = self._ids(f"{video_id}/{exp_id}", entry.get("anno_id"))
        if self.has_truth and not self._require_ids(f"{video_id}/{exp_id}", actors):
            return None
        actors = actors or ()
        kind = "single" if len(actors) < 2 else "multi"
        return Expression(video_id, exp_id, text, kind, actors, ())


def _entries(records: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for record in records.values():
        expressions = record.get("expressions") if isinstance(record, dict) else None
        for entry in expressions.values() if isinstance(expressions, dict) else ():
            if isinstance(entry, dict):
                yield entry
