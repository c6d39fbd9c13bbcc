"""The one record type that every data set is read into."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from reviosa.errors import DataError

__all__ = [
    "CAPTION_TYPES",
    "ROLES",
    "Expression",
    "MaskSource",
    "Video",
    "VideoSample",
    "decode_image",
    "image_size",
]

ROLES = ("actor", "target")
CAPTION_TYPES = ("single", "multi", "bidirectional", "unidirectional")


@dataclass(frozen=True)
class Expression:
    """One sentence about a video and the annotations it speaks of."""

    video_id: str
    exp_id: str
    text: str
    caption_type: str
    """One of :data:`CAPTION_TYPES`."""
    actor_ids: tuple[int, ...]
    """Annotation ids of the grammatical subject; their masks are united."""
    target_ids: tuple[int, ...]
    """Annotation ids of what is acted on; empty unless the sentence is an interaction."""
    group: str = ""
    """What its data set averages apart: "referring" or "reasoning" in ReVOS; else empty."""

    @property
    def is_interaction(self) -> bool:
        """Whether one object acts on another: only then there is a target."""
        return self.caption_type == "unidirectional"

    @property
    def sample_id(self) -> str:
        """``video_id/exp_id``, unique in its data set."""
        return f"{self.video_id}/{self.exp_id}"


@dataclass(frozen=True)
class Video:
    """The frames of a video, still on disk, and the expressions about it."""

    video_id: str
    frame_names: tuple[str, ...]
    frame_paths: Sequence[Path] = field(repr=False)
    expressions: tuple[Expression, ...] = ()
    annotated: tuple[int, ...] | None = None
    """Indices of the frames that have truth, where not all have: only these are trained and scored
    on."""

    @property
    def truth_frames(self) -> Sequence[int]:
        """Indices of the frames that have truth."""
        return range(self.num_frames) if self.annotated is None else self.annotated

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self.frame_paths)

    def read_file(self, index: int) -> bytes:
        """The file of a frame as it is, not decoded.

        Raises:
            DataError: it is missing or cannot be read.
        """
        path = self.frame_paths[index]
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise _missing(path) from None
        except OSError as error:
            raise _unreadable(path, error) from None

    def frame_size(self, index: int) -> tuple[int, int]:
        """Height and width of a frame in pixels, read off its header.

        Raises:
            DataError: it is missing or no picture.
        """
        # A kind of video that reads frames in its own way has no file for each of them.
        own = type(self).read_file is not Video.read_file
        return image_size(self.read_file(index) if own else None, self.frame_paths[index])

    def read_frames(self, indices: Sequence[int] | None = None) -> np.ndarray:
        """Decode frames, uint8 [frame, height, width, 3] RGB; all of them without ``indices``.

        Raises:
            DataError: a frame is missing, unreadable, or differs in size from the first one read.
        """
        chosen = range(len(self.frame_paths)) if indices is None else indices
        frames: list[np.ndarray] = []
        for index in chosen:
            path = self.frame_paths[index]
            frame = decode_image(self.read_file(index), path)
            if frames and frame.shape != frames[0].shape:
                raise DataError(
                    f"{path}: got a frame of {frame.shape[0]}x{frame.shape[1]} pixels, expected "
                    f"{frames[0].shape[0]}x{frames[0].shape[1]} like the other frames of "
                    f"{self.video_id}; resize or remove it"
                )
            frames.append(frame)
        if not frames:
            raise DataError(
                f"{self.video_id}: got no frame to read, expected at least one; "
                "choose frame indices or remove the video"
            )
        return np.stack(frames)


class MaskSource(Protocol):
    """What a :class:`VideoSample` needs of its data set."""

    def masks(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> np.ndarray:
        """United masks of the annotations, bool [frame, height, width]."""
        ...


@dataclass(frozen=True)
class VideoSample:
    """A video with one of its expressions: what the model is asked and scored on."""

    video: Video
    expression: Expression
    dataset: MaskSource = field(repr=False, compare=False)

    def masks(self, role: int, indices: Sequence[int] | None = None) -> np.ndarray:
        """Truth of a role (index into :data:`ROLES`), bool [frame, height, width].

        Several annotations are united; a frame without annotation is empty; the target of an
        expression that is no interaction is empty everywhere.
        """
        if role not in (0, 1):
            raise ValueError(f"role is 0 (actor) or 1 (target), got {role}")
        interaction = self.expression.is_interaction
        ids = self.expression.actor_ids if role == 0 else self.expression.target_ids
        return self.dataset.masks(
            self.video.video_id, ids if role == 0 or interaction else (), indices
        )


def decode_image(data: bytes, path: Path) -> np.ndarray:
    """The picture in a file's bytes, uint8 [height, width, 3] RGB; ``path`` is for messages.

    Raises:
        DataError: the bytes are no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("RGB"))
    except _NO_PICTURE as error:
        raise _unreadable(path, error) from None


def image_size(data: bytes | None, path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file's bytes, read off its header.

    Without ``data`` no more of the file at ``path`` is read than the header.

    Raises:
        DataError: the bytes are no picture.
    """
    try:
        with Image.open(path if data is None else io.BytesIO(data)) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise _missing(path) from None
    except _NO_PICTURE as error:
        raise _unreadable(path, error) from None


# Pillow raises each of these on truncated or foreign files.
_NO_PICTURE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def _missing(path: Path) -> DataError:
    return DataError(
        f"{path}: got no file, expected a frame; restore it or take it off the list of frames"
    )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: got an unreadable frame ({error}), expected a JPEG or PNG; "
        "replace the file or remove the video"
    )
