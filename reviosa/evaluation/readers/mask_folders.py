"""Predictions as a folder of masks for each expression or object: ``<video>/<id>/<frame>.png``.

So servers of referring benchmarks take them (0 and 255, below ``Annotations``), and so the SA-V
benchmark keeps the objects of a video. The form has one mask track an expression: the actor's.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from reviosa.data.records import ROLES
from reviosa.data.rle import encode
from reviosa.errors import DataError
from reviosa.evaluation.readers.pictures import entries, missing_frames, read_mask
from reviosa.evaluation.source import Found

__all__ = ["MaskFolders"]


class MaskFolders:
    """Masks of each expression in a folder of its own.

    Args:
        root: the folder of the videos.
    """

    form: str = "png"
    roles: tuple[str, ...] = ROLES[:1]
    faults: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        self._root = root

    def ids(self) -> Iterator[tuple[str, str]]:
        """Video and expression of every folder of masks."""
        for video in entries(self._root):
            for expression in entries(video):
                if expression.is_dir():
                    yield video.name, expression.name

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
        folder = self._root / video_id / exp_id
        if role not in self.roles or not folder.is_dir():
            return Found(None)
        names = [frames[index] for index in indices]
        missing = missing_frames(folder, names)
        if missing:
            return Found(None, (missing,))
        try:
            # Compressed at once: a long video's masks would fill the memory.
            masks = [[encode(read_mask(folder / f"{name}.png", size))] for name in names]
        except DataError as error:
            return Found(None, (str(error).rpartition("; ")[0],))
        return Found(masks)
