"""What every data set is once it is read: videos, expressions, and masks on demand."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from reviosa.data.records import Expression, Video, VideoSample
from reviosa.errors import DataError

__all__ = ["Fault", "FaultLog", "VideoDataset", "expression_ids", "frame_faults"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set."""

    where: str
    """The video, expression, annotation, frame or file."""
    what: str
    """What was got, what was expected and what to do."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class FaultLog:
    """What opening finds wrong: raised at once if ``strict``, else kept."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.faults: list[Fault] = []

    def tell(self, where: str, what: str) -> None:
        """Take note of a fault.

        Raises:
            DataError: the log is strict.
        """
        fault = Fault(where, what)
        if self.strict:
            raise DataError(str(fault))
        self.faults.append(fault)


class VideoDataset(ABC):
    """Videos with expressions about them; frames and masks are decoded when asked for.

    A reader sets the attributes below and gives the masks of one annotation; all else is shared.

    Args:
        root: the folder of the split.
        limit: read the first ``limit`` videos only.
        strict: raise the first fault that opening finds. Otherwise all that can be kept is kept:
            a video or expression that cannot be read is left out, a frame that is missing keeps
            the path where it was looked for, and :meth:`faults` names these and all other faults.

    Raises:
        DataError: the files of the layout are missing or unreadable as a whole; and, if strict,
            any fault that opening finds.
    """

    layout: ClassVar[str]
    """Name of the layout."""
    files: ClassVar[str] = "its published files"
    """What its folder holds, in words, for the message that nothing was found."""
    root: Path
    """The folder it was read from."""
    identity: str
    """16 hexadecimal digits that change with what the annotation files say."""
    videos: tuple[Video, ...]
    has_truth: bool = True
    """Whether there are masks; splits whose truth a server keeps have none."""
    world: dict[str, Any] | None = None
    """What the synthetic world knows of its objects; None for other data."""

    @abstractmethod
    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None: ...

    @classmethod
    @abstractmethod
    def found(cls, root: Path) -> bool:
        """Whether this folder holds a data set in this layout, by its files and a look into one."""

    @abstractmethod
    def annotation_masks(
        self, video: Video, anno_id: int, indices: Sequence[int]
    ) -> Iterator[np.ndarray | None]:
        """Mask of an annotation on each of these frames, bool [height, width].

        None where the object is not there.

        Raises:
            DataError: a mask is missing or damaged, or has another size than the frames.
        """

    @abstractmethod
    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong with the data set, in one pass over all of it.

        Of a data set that was opened with ``strict=False``, also what opening found.
        """

    @property
    def samples(self) -> tuple[VideoSample, ...]:
        """All expressions, in the order of the file."""
        return self._samples

    @cached_property
    def _samples(self) -> tuple[VideoSample, ...]:
        return tuple(
            VideoSample(video, expression, self)
            for video in self.videos
            for expression in video.expressions
        )

    @cached_property
    def interactions(self) -> tuple[VideoSample, ...]:
        """The samples in which one object acts on another."""
        return tuple(sample for sample in self.samples if sample.expression.is_interaction)

    @cached_property
    def _by_id(self) -> dict[str, Video]:
        return {video.video_id: video for video in self.videos}

    @property
    def provenance(self) -> dict[str, str]:
        """Where it lies and what it is, as a run's header says it."""
        return {"path": str(self.root.resolve()), "identity": self.identity}

    @property
    def summary(self) -> dict[str, Any]:
        """Its identity, and how many videos, expressions and interactions it holds."""
        return {
            "identity": self.identity,
            "videos": len(self.videos),
            "expressions": len(self.samples),
            "interactions": len(self.interactions),
        }

    def size(self, video_id: str) -> tuple[int, int]:
        """Height and width of a video in pixels, by the header of its first frame.

        Raises:
            DataError: the frame is missing or unreadable.
        """
        video = self._by_id[video_id]
        return video.frame_size(0)

    def masks(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> np.ndarray:
        """United masks of the annotations, bool [frame, height, width].

        Args:
            video_id: the video the annotations belong to.
            anno_ids: annotation ids; none gives empty masks.
            indices: frame indices, all frames without them.

        Raises:
            DataError: a mask is damaged, or the split has none.
        """
        self.require_truth()
        video = self._by_id[video_id]
        chosen = range(video.num_frames) if indices is None else indices
        union = np.zeros((len(chosen), *self.size(video_id)), dtype=bool)
        for anno_id in anno_ids:
            for row, mask in enumerate(self.annotation_masks(video, anno_id, chosen)):
                if mask is not None:
                    union[row] |= mask
        return union

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """The compressed masks to unite on each frame, for layouts that keep COCO RLE, else None.

        What is given is as it stands in the file, not checked.
        """
        return None

    def check_frames(self) -> None:
        """Read the header of every frame, so that a run does not fail on the last video.

        Raises:
            DataError: a frame is no image, or has another size than the first of its video; or no
                video has an expression.
        """
        if not self.samples:
            raise DataError(f"{self.root}: got no expression at all, expected at least one")
        for video in self.videos:
            for fault in frame_faults(video):
                raise DataError(str(fault))

    def require_truth(self) -> None:
        """Raise DataError if the split has no masks to score or train with."""
        if not self.has_truth:
            raise DataError(
                f"{self.root}: got a split without masks, expected one with truth; choose another "
                "split, or predict it and hand the masks to the benchmark's server"
            )

    def require_targets(self) -> None:
        """Raise DataError if no expression is an interaction, so that Target has no truth."""
        if not self.interactions:
            raise DataError(
                f"{self.root}: got {len(self.samples)} expressions of which none is an interaction "
                '(caption_type "unidirectional"), expected at least one for Target; '
                "choose another data set or leave Target out"
            )


def frame_faults(video: Video, known: Collection[int] = ()) -> Iterator[Fault]:
    """Frames of a video that are missing, no image, or of another size than its first one.

    Args:
        video: the video.
        known: indices of frames that are not looked at: their fault is told already.
    """
    first: tuple[int, int] | None = None
    for index, path in enumerate(video.frame_paths):
        if index in known:
            continue
        try:
            found = video.frame_size(index)
        except DataError as error:
            where, _, what = str(error).partition(": ")
            yield Fault(where, what)
            continue
        first = first or found
        if found != first:
            yield Fault(
                str(path),
                f"got a frame of {found[1]}x{found[0]} pixels, expected {first[1]}x{first[0]} like "
                "the first of its video; replace it",
            )


def expression_ids(expressions: Sequence[Expression]) -> list[int]:
    """The annotation ids that expressions speak of, each once, in order."""
    return list(dict.fromkeys(x for e in expressions for x in (*e.actor_ids, *e.target_ids)))
