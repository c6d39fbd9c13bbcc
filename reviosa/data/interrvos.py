"""The InterRVOS layout: the native form of data in this project.

``ROOT/JPEGImages/<video>/<frame>.jpg``, ``ROOT/meta_expressions.json`` and ``ROOT/mask_dict.json``
(or ``new_`` before the last two, as some releases name them); a synthetic set adds ``world.json``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reviosa.data.expression_dataset import ExpressionDataset, find_file, read_json, says
from reviosa.data.records import CAPTION_TYPES, Expression

__all__ = ["InterRVOSDataset"]


class InterRVOSDataset(ExpressionDataset):
    """A data set in the InterRVOS layout; masks and frames are decoded when asked for."""

    layout = "interrvos"
    files = "meta_expressions.json with caption types, mask_dict.json, JPEGImages"

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        world = self.root / "world.json"
        if world.is_file():
            self.world = read_json(world, world.read_bytes())

    @classmethod
    def found(cls, root: Path) -> bool:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        return root.is_dir() and bool(says(root, '"caption_type"', '"subject/object"'))

    def _meta_path(self) -> Path:
        return find_file(self.root, "meta_expressions.json", self.layout)

    def _mask_path(self, records: Mapping[str, Any]) -> Path:
        return find_file(self.root, "mask_dict.json", self.layout)

    def _read_expression(
        self, video_id: str, exp_id: str, text: str, entry: Mapping[str, Any]
    ) -> Expression | None:
        where = f"{video_id}/{exp_id}"
        caption_type = entry.get("caption_type", "single")
        if caption_type not in CAPTION_TYPES:
            self._log.tell(
                where,
                f"got caption_type {caption_type!r}, expected one of "
                f"{', '.join(CAPTION_TYPES)}; repair {self._meta_name}",
            )
        block = entry.get("subject/object")
        roles = block.get("anno_id") if isinstance(block, Mapping) else None
        roles = roles if isinstance(roles, Mapping) else {}
        # The evaluators read the first, the training loader the second (REVIOSA.md 2.2).
        actors = self._ids(where, entry.get("anno_id"))
        if actors == ():
            actors = self._ids(where, roles.get("subject"))
        self._require_ids(where, actors)
        acts = caption_type == "unidirectional"
        targets = self._ids(where, roles.get("object")) if acts else ()
        if acts and targets == ():
            self._log.tell(
                where,
                "got an interaction without a target, expected ids in "
                '"subject/object".anno_id.object; add them or change the caption_type',
            )
        return Expression(video_id, exp_id, text, caption_type, actors or (), targets or ())
