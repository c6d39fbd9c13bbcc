"""Ref-DAVIS 2017 (Khoreva et al., ACCV 2018) as published: texts of four annotators over DAVIS.

``ROOT/davis_text_annotations/Davis17_annot{1,2}{,_full_video}.txt`` and in ``ROOT/DAVIS`` (or in
``ROOT``) ``JPEGImages/480p``, ``Annotations_unsupervised/480p`` or ``Annotations/480p``, and
``ImageSets/2017/{train,val}.txt``. Open ``ROOT`` or ``ROOT/val`` for the validation videos,
``ROOT/train`` for the others.

The published evaluations read the unsupervised masks, so these come first where both are there.
Expressions are numbered 4 x (object - 1) + annotator, as the converted sets do.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.annotators import ANNOTATORS
from reviosa.data.dataset import Fault
from reviosa.data.object_dataset import ObjectDataset, choose_split, identity_of, read_text
from reviosa.data.palette import IndexMaps
from reviosa.data.records import Expression, Video
from reviosa.errors import DataError

__all__ = ["RefDAVISDataset"]

_TEXTS = "davis_text_annotations"
_FILES = (
    ("Davis17_annot1.txt", "utf-8"),
    ("Davis17_annot1_full_video.txt", "utf-8"),
    ("Davis17_annot2.txt", "latin-1"),
    ("Davis17_annot2_full_video.txt", "latin-1"),
)
"""Files of the annotators, in the order in which the converted sets count them.

Each of two people described what the first frame shows, and then what the whole video shows.
"""
_REPAIRED = {"clasic-car": "classic-car", "dog-scale": "dogs-scale", "motor-bike": "motorbike"}
_LINE = re.compile(r'(\S+)\s+(\d+)\s+"?(.*?)"?\s*')


class RefDAVISDataset(ObjectDataset):
    """A split of Ref-DAVIS; the annotator of an expression is its group."""

    layout = "ref-davis"
    files = "davis_text_annotations/Davis17_annot1.txt, DAVIS/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the texts are there."""
        return _split(root) is not None

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        super().__init__(root, limit, strict)
        split = _split(self.root)
        if split is None:
            raise DataError(
                f"{self.root}: got no {_TEXTS}/{_FILES[0][0]}, expected the texts of "
                "Ref-DAVIS; choose the folder that holds them and DAVIS/"
            )
        base, name = split
        self._davis = base / "DAVIS" if (base / "DAVIS").is_dir() else base
        folders = [self._davis / x / "480p" for x in ("Annotations_unsupervised", "Annotations")]
        self._masks = next((folder for folder in folders if folder.is_dir()), folders[-1])
        self._maps = IndexMaps()
        texts = [read_text(base / _TEXTS / file, encoding) for file, encoding in _FILES]
        lists = {
            x: read_text(self._davis / "ImageSets" / "2017" / f"{x}.txt") for x in ("train", "val")
        }
        self.identity = identity_of(x.encode() for x in (*texts, lists[name]))
        everywhere = {video for text in lists.values() for video in text.split()}
        spoken = self._read_texts(texts, everywhere)
        videos = list(dict.fromkeys(lists[name].split()))[:limit]
        read = (self._read_video(video, spoken.get(video, {})) for video in videos)
        self.videos = tuple(video for video in read if video is not None)

    def object_mask(self, video: Video, name: Any, index: int) -> np.ndarray:
        """See :class:`~reviosa.data.object_dataset.ObjectDataset`."""
        path = self._masks / video.video_id / f"{video.frame_names[index]}.png"
        return self._maps.read(path) == name

    def _read_texts(
        self, texts: list[str], known: set[str]
    ) -> dict[str, dict[tuple[int, int], str]]:
        """Texts of each video by object and annotator."""
        spoken: dict[str, dict[tuple[int, int], str]] = {}
        for annotator, text in enumerate(texts):
            # Not splitlines(): in latin-1 it breaks at bytes that are part of a sentence.
            for count, line in enumerate(text.split("\n"), 1):
                if not line.strip():
                    continue
                where = f"{_FILES[annotator][0]}, line {count}"
                match = _LINE.fullmatch(line)
                if match is None:
                    self._log.tell(
                        where,
                        f'got {line[:60]!r}, expected: video object "expression"; repair the line',
                    )
                    continue
                video, item = _REPAIRED.get(match[1], match[1]), int(match[2])
                if video not in known or item < 1:
                    self._log.tell(
                        where,
                        f"got the object {item} of {video!r}, expected an object from 1 of a video "
                        "in ImageSets/2017/train.txt or val.txt; repair the line",
                    )
                    continue
                if (item, annotator) in spoken.setdefault(video, {}):
                    self._log.tell(
                        where,
                        f"got object {item} of {video} again, expected one line for each object; "
                        "remove one of them",
                    )
                    continue
                spoken[video][item, annotator] = match[3]
        return spoken

    def _read_video(self, video_id: str, spoken: dict[tuple[int, int], str]) -> Video | None:
        frames = self.all_frames(self._davis / "JPEGImages" / "480p" / video_id)
        if not frames:
            return None
        items = sorted({item for item, _ in spoken})
        read: list[Expression | None] = []
        for item in items or [1]:
            for annotator in range(ANNOTATORS):
                if (item, annotator) not in spoken:
                    # No reason to refuse the set: it lacks a question, not a truth.
                    self._log.faults.append(
                        Fault(
                            f"{video_id}, object {item}",
                            f"got no line in {_FILES[annotator][0]}, expected one; add it",
                        )
                    )
                    continue
                exp_id = str(ANNOTATORS * (item - 1) + annotator)
                text, group = spoken[item, annotator], f"annotator {annotator}"
                read.append(self.expression(video_id, exp_id, text, item, group))
        self.require_mask_files(self._masks / video_id, frames)
        found = tuple(expression for expression in read if expression is not None)
        return Video(video_id, tuple(frames), tuple(frames.values()), found)


def _split(root: Path) -> tuple[Path, str] | None:
    return choose_split(root, ("train", "val"), "val", f"{_TEXTS}/{_FILES[0][0]}")
