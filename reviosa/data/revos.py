"""The ReVOS layout: expressions that name an object, and such that take reasoning to find it.

``ROOT/JPEGImages/<video>/<frame>.jpg``, ``ROOT/meta_expressions_train_.json`` and
``ROOT/meta_expressions_valid_.json`` (MeViS's form, with the ``height`` and ``width`` of a video
and the ``type_id`` of an expression), ``ROOT/mask_dict.json`` and
``ROOT/mask_dict_foreground.json``. Source: https://github.com/cilinyan/ReVOS-api.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.dataset import Fault
from reviosa.data.expression_dataset import ExpressionDataset, find_file, run_faults, says
from reviosa.data.records import Expression
from reviosa.data.rle import decode
from reviosa.data.rle_tracks import RleTracks
from reviosa.errors import DataError

__all__ = ["GROUPS", "RevosDataset"]

GROUPS = {0: "referring", 1: "reasoning"}
"""Groups of expressions by ``type_id``."""
_LEFT_OUT = 2  # the authors' own evaluation averages types 0 and 1 only
_SPLITS = ("meta_expressions_valid_.json", "meta_expressions_train_.json", "meta_expressions.json")


class RevosDataset(ExpressionDataset):
    """A split of ReVOS.

    Args:
        root: the file of the split's expressions; or the folder, if only one split lies there.
        limit: read the first ``limit`` videos only.
        strict: see :class:`~reviosa.data.dataset.VideoDataset`.
    """

    layout = "revos"
    files = "meta_expressions_valid_.json or meta_expressions_train_.json, mask_dict.json"

    @classmethod
    def found(cls, root: Path) -> bool:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        if root.is_file():
            return root.suffix == ".json" and bool(says(root, '"type_id"'))
        return any((root / name).is_file() for name in _SPLITS[:2]) or bool(says(root, '"type_id"'))

    def foreground(self, video_id: str, indices: Sequence[int] | None = None) -> np.ndarray:
        """All that any expression of a video speaks of, bool [frame, height, width].

        Raises:
            DataError: ``mask_dict_foreground.json`` is not there or damaged, or lacks the video.
        """
        track = self._foreground_track(video_id)
        chosen = range(self._by_id[video_id].num_frames) if indices is None else indices
        size = self.size(video_id)
        masks = np.zeros((len(chosen), *size), dtype=bool)
        for row, index in enumerate(chosen):
            try:
                if index >= len(track):
                    raise DataError(f"got {len(track)} masks, expected one a frame; fetch it again")
                if track[index] is not None:
                    masks[row] = decode(track[index], size)
            except DataError as error:
                raise DataError(f"{video_id}, foreground, frame {index}: {error}") from None
        return masks

    def faults(self) -> Iterator[Fault]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        yield from super().faults()
        if not (self._folder / "mask_dict_foreground.json").is_file():
            return
        for video in self.videos:
            try:
                track = self._foreground_track(video.video_id)
            except DataError as error:
                yield Fault.of(error)
                continue
            if len(track) != video.num_frames:
                yield Fault(
                    f"{video.video_id}, foreground",
                    f"got a mask list of length {len(track)}, expected {video.num_frames}, one a "
                    "frame; repair mask_dict_foreground.json",
                )
            yield from run_faults(f"{video.video_id}, foreground", track)

    @cached_property
    def _foregrounds(self) -> RleTracks:
        return RleTracks(find_file(self._folder, "mask_dict_foreground.json", self.layout))

    def _foreground_track(self, video_id: str) -> list[Any]:
        record = self._foregrounds.get(video_id)
        track = record.get("masks_rle") if isinstance(record, dict) else None
        if not isinstance(track, list):
            raise DataError(
                f'{video_id}, foreground: got no "masks_rle", expected a list in '
                f"{self._foregrounds.path.name}; fetch the file again"
            )
        return track

    def _meta_path(self) -> Path:
        if self.root.is_file():
            return self.root
        here = [path for name in _SPLITS if (path := self.root / name).is_file()]
        if len(here) > 1:
            raise DataError(
                f"{self.root}: got {len(here)} splits, expected one; give its file, for example "
                f"{here[0]}"
            )
        return here[0] if here else find_file(self.root, _SPLITS[0], self.layout)

    def _mask_path(self, records: Mapping[str, Any]) -> Path:
        return find_file(self._folder, "mask_dict.json", self.layout)

    def _read_expression(
        self, video_id: str, exp_id: str, text: str, entry: Mapping[str, Any]
    ) -> Expression | None:
        where = f"{video_id}/{exp_id}"
        kind = entry.get("type_id")
        if kind == _LEFT_OUT:
            return None
        if not isinstance(kind, int) or kind not in GROUPS:
            self._log.tell(
                where,
                f"got type_id {kind!r}, expected 0 (referring), 1 (reasoning) or 2 (left out); "
                f"repair {self._meta_name}",
            )
            return None
        actors = self._ids(where, entry.get("anno_id"))
        self._require_ids(where, actors)
        number = "single" if len(actors or ()) < 2 else "multi"
        return Expression(video_id, exp_id, text, number, actors or (), (), GROUPS[kind])
