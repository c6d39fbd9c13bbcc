"""Predictions as palette pictures, in which a pixel's value is the object it belongs to.

DAVIS: ``<video>/<frame>.png``, and the expression's id is the object's. Ref-DAVIS: four such trees
``anno_0`` to ``anno_3``, one for each annotator, whose object ``k`` is what that annotator's k-th
expression of the video was answered with; expression ids are 4 (k - 1) + annotator.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from reviosa.data.records import ROLES
from reviosa.data.rle import encode
from reviosa.errors import DataError
from reviosa.evaluation.readers.pictures import entries, missing_frames, read_indices
from reviosa.evaluation.source import Found

__all__ = ["PaletteFolders", "annotator_folders"]

ANNOTATORS: Final = 4


class PaletteFolders:
    """Objects of each video in one picture a frame.

    Args:
        trees: the folder of the videos by annotator, or a single one under None.
    """

    roles: tuple[str, ...] = ROLES[:1]

    def __init__(self, trees: Mapping[int | None, Path]) -> None:
        self._trees = dict(trees)
        self._last: tuple[object, dict[int, list[list[dict]]] | str] | None = None

    @property
    def form(self) -> str:
        """Name of the form: davis or, by annotator, ref-davis."""
        return "davis" if None in self._trees else "ref-davis"

    @property
    def faults(self) -> tuple[str, ...]:
        """Annotators without a folder."""
        if None in self._trees:
            return ()
        missing = [f"anno_{index}" for index in range(ANNOTATORS) if index not in self._trees]
        return tuple(f"got no folder {name}, expected one for each annotator" for name in missing)

    def ids(self) -> Iterator[tuple[str, str]]:
        """Video and expression of every object that is seen in some frame."""
        for annotator, root in self._trees.items():
            for video in entries(root):
                for value in sorted(_values(video)):
                    yield video.name, _exp_id(annotator, value)

    def find(
        self,
        video_id: str,
        exp_id: str,
        role: str,
        frames: Sequence[str],
        size: tuple[int, int],
        indices: Sequence[int],
    ) -> Found:
        """Masks of a role; see :class:`~reviosa.evaluation.source.PredictionSource`."""
        annotator, value = self._place(exp_id)
        root = self._trees.get(annotator)
        if role not in self.roles or value is None or root is None:
            return Found(None)
        folder = root / video_id
        if not folder.is_dir():
            return Found(None)
        names = [frames[index] for index in indices]
        key = (folder, tuple(names), size)
        last = self._last
        if last is None or last[0] != key:
            # All objects of a video are read in one go: its other expressions come next.
            last = self._last = (key, _read(folder, names, size))
        objects = last[1]
        if isinstance(objects, str):
            return Found(None, (objects,))
        return Found(objects.get(value) or [[] for _ in names])

    def _place(self, exp_id: str) -> tuple[int | None, int | None]:
        """Annotator and value of an expression; the value is None where its id is no number."""
        if not re.fullmatch(r"\d+", exp_id):
            return None, None
        number = int(exp_id)
        if None in self._trees:
            return None, number or None
        return number % ANNOTATORS, number // ANNOTATORS + 1


def annotator_folders(root: Path) -> dict[int | None, Path]:
    """The folders ``anno_0`` to ``anno_3`` of ``root`` by annotator; none of others."""
    return {
        index: root / f"anno_{index}"
        for index in range(ANNOTATORS)
        if (root / f"anno_{index}").is_dir()
    }


def _exp_id(annotator: int | None, value: int) -> str:
    return str(value if annotator is None else ANNOTATORS * (value - 1) + annotator)


def _read(
    folder: Path, names: list[str], size: tuple[int, int]
) -> dict[int, list[list[dict]]] | str:
    """Masks of each object on each frame, or a sentence on why they cannot be read."""
    missing = missing_frames(folder, names)
    if missing:
        return missing
    objects: dict[int, list[list[dict]]] = {}
    for row, name in enumerate(names):
        try:
            values = read_indices(folder / f"{name}.png", size)
        except DataError as error:
            return str(error).rpartition("; ")[0]
        for value in np.flatnonzero(np.bincount(values.ravel())[1:]) + 1:
            masks = objects.setdefault(int(value), [[] for _ in names])
            masks[row] = [encode(values == value)]
    return objects


def _values(video: Path) -> set[int]:
    """Objects of a video's pictures; damaged ones are told where their masks are asked for."""
    values: set[int] = set()
    for path in entries(video):
        if path.suffix != ".png":
            continue
        try:
            with Image.open(path) as image:
                size = (image.height, image.width)
            values.update(np.flatnonzero(np.bincount(read_indices(path, size).ravel())).tolist())
        except (DataError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    return values - {0}
