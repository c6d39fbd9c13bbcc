"""The InterRVOS layout: the native form of data in this project.

``ROOT/JPEGImages/<video>/<frame>.jpg``, ``ROOT/meta_expressions.json`` and ``ROOT/mask_dict.json``
(or ``new_`` before the last two, as some releases name them); a synthetic set adds ``world.json``.
Everything but the pixels is checked on opening, so that a long run does not fail in its middle.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reviosa.data.dataset import Fault, VideoDataset, frame_faults
from reviosa.data.frames import FRAME_SUFFIXES
from reviosa.data.prompts import has_words
from reviosa.data.records import CAPTION_TYPES, Expression, Video
from reviosa.data.rle import decode, rle_size
from reviosa.errors import DataError

__all__ = ["InterRVOSDataset"]


class InterRVOSDataset(VideoDataset):
    """A data set in the InterRVOS layout; masks and frames are decoded when asked for.

    Args:
        root: the folder that holds the JSON files and ``JPEGImages``.
        limit: read the first ``limit`` videos only.

    Raises:
        DataError: the folder, a JSON file, a frame, an expression or a mask is not as promised.
    """

    layout = "interrvos"
    files = "meta_expressions.json with caption types, mask_dict.json, JPEGImages/"

    @classmethod
    def found(cls, root: Path) -> bool:
        """Whether the folder has ``meta_expressions.json``, by either name."""
        return any((root / f"{x}meta_expressions.json").is_file() for x in ("", "new_"))

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: got no folder there, expected an InterRVOS data set; check the path"
            )
        if limit is not None and limit < 1:
            raise DataError(f"got limit {limit}, expected at least 1 video; raise the limit")
        meta_path = _find(self.root, "meta_expressions.json")
        mask_path = _find(self.root, "mask_dict.json")
        meta_bytes, mask_bytes = meta_path.read_bytes(), mask_path.read_bytes()
        self.identity: str = hashlib.sha256(meta_bytes + mask_bytes).hexdigest()[:16]
        """First 16 hexadecimal digits of the SHA-256 over both JSON files."""
        self._annotations = _parse(mask_path, mask_bytes)
        videos = _parse(meta_path, meta_bytes).get("videos")
        if not isinstance(videos, dict) or not videos:
            raise DataError(
                f'{meta_path}: got no "videos", expected {{"videos": {{id: ...}}}}; '
                "check that this is an InterRVOS file"
            )
        self._sizes: dict[str, tuple[int, int]] = {}
        self.videos: tuple[Video, ...] = tuple(
            self._read_video(video_id, record) for video_id, record in list(videos.items())[:limit]
        )
        world = self.root / "world.json"
        self.world: dict[str, Any] | None = (
            _parse(world, world.read_bytes()) if world.is_file() else None
        )

    def annotation_masks(
        self, video: Video, anno_id: int, indices: Sequence[int]
    ) -> Iterator[np.ndarray | None]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        track = self._annotations[str(anno_id)]
        for index in indices:
            if track[index] is None:
                yield None
                continue
            try:
                yield decode(track[index], self.size(video.video_id))
            except DataError as error:
                where = f"{video.video_id}, annotation {anno_id}, frame {index}"
                raise DataError(f"{where}: {error}") from None

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        chosen = range(self._by_id[video_id].num_frames) if indices is None else indices
        tracks = [self._annotations[str(anno_id)] for anno_id in anno_ids]
        return [[t[i] for t in tracks if t[i] is not None] for i in chosen]

    def faults(self) -> Iterator[Fault]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        for video in self.videos:
            yield from frame_faults(video)

    def size(self, video_id: str) -> tuple[int, int]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        return self._sizes[video_id]

    def _read_video(self, video_id: str, record: Any) -> Video:
        names = record.get("frames") if isinstance(record, dict) else None
        expressions = record.get("expressions") if isinstance(record, dict) else None
        if not isinstance(names, list) or not names or not isinstance(expressions, dict):
            raise DataError(
                f'{video_id}: got a record without "frames" or "expressions", expected both; '
                "repair meta_expressions.json"
            )
        paths = self._frame_paths(video_id, names)
        self._sizes[video_id] = _image_size(paths[0])
        checked: set[int] = set()
        read = []
        for exp_id, entry in expressions.items():
            expression = _read_expression(video_id, exp_id, entry)
            for anno_id in expression.actor_ids + expression.target_ids:
                if anno_id not in checked:
                    self._check_track(video_id, exp_id, anno_id, len(names))
                    checked.add(anno_id)
            read.append(expression)
        return Video(video_id, tuple(map(str, names)), paths, tuple(read))

    def _frame_paths(self, video_id: str, names: Sequence[Any]) -> tuple[Path, ...]:
        folder = self.root / "JPEGImages" / video_id
        if not folder.is_dir():
            raise DataError(
                f"{video_id}: got no folder {folder}, expected its frames there; "
                "restore it or take the video out of meta_expressions.json"
            )
        # One listing a video: asking the disk for each of 500 frames is slow on network drives.
        present = {
            entry.stem: entry
            for entry in folder.iterdir()
            if entry.suffix.lower() in FRAME_SUFFIXES
        }
        missing = [str(name) for name in names if str(name) not in present]
        if missing:
            raise DataError(
                f"{video_id}: got no file for {len(missing)} of {len(names)} frames (first: "
                f"{missing[0]}), expected them in {folder}; restore them"
            )
        return tuple(present[str(name)] for name in names)

    def _check_track(self, video_id: str, exp_id: str, anno_id: int, length: int) -> None:
        where = f"{video_id}/{exp_id}, annotation {anno_id}"
        track = self._annotations.get(str(anno_id))
        if track is None:
            raise DataError(
                f"{where}: got no masks of that annotation, expected them in mask_dict.json; "
                "repair the ids or add the masks"
            )
        if not isinstance(track, list) or len(track) != length:
            got = len(track) if isinstance(track, list) else type(track).__name__
            raise DataError(
                f"{where}: got a mask list of length {got}, expected {length}, one a frame; "
                "repair mask_dict.json"
            )
        height, width = self._sizes[video_id]
        for index, rle in enumerate(track):
            if rle is None:
                continue
            try:
                size = rle_size(rle)
            except DataError as error:
                raise DataError(f"{where}, frame {index}: {error}") from None
            if size != (height, width):
                raise DataError(
                    f"{where}, frame {index}: got an RLE of {size[0]}x{size[1]} pixels, expected "
                    f"{height}x{width} like the frames; write the masks at the frames' size"
                )


def _find(root: Path, name: str) -> Path:
    for candidate in (root / name, root / f"new_{name}"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{root}: got neither {name} nor new_{name}, expected one of them; "
        "choose the folder of the split (for example .../InterRVOS/val)"
    )


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise DataError(
            f"{path}: got broken JSON ({error}), expected a JSON object; fetch the file again"
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"{path}: got a JSON {type(value).__name__}, expected an object; fetch the file again"
        )
    return value


def _image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header of an image."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"{path}: got an unreadable frame ({error}), expected a JPEG or PNG; "
            "replace the file or remove the video"
        ) from None


def _read_expression(video_id: str, exp_id: str, entry: Any) -> Expression:
    where = f"{video_id}/{exp_id}"
    if not isinstance(entry, dict):
        raise DataError(
            f"{where}: got {type(entry).__name__} as expression, expected an object; "
            "repair meta_expressions.json"
        )
    text = entry.get("exp")
    if not isinstance(text, str) or not has_words(text):
        raise DataError(
            f'{where}: got the expression {text!r}, expected words in "exp"; fill it or remove it'
        )
    caption_type = entry.get("caption_type", "single")
    if caption_type not in CAPTION_TYPES:
        raise DataError(
            f"{where}: got caption_type {caption_type!r}, expected one of "
            f"{', '.join(CAPTION_TYPES)}; repair meta_expressions.json"
        )
    block = entry.get("subject/object")
    roles = block.get("anno_id") if isinstance(block, Mapping) else None
    roles = roles if isinstance(roles, Mapping) else {}
    # The evaluators read the first, the training loader the second (REVIOSA.md 2.2).
    actors = _ids(where, entry.get("anno_id")) or _ids(where, roles.get("subject"))
    targets = _ids(where, roles.get("object")) if caption_type == "unidirectional" else ()
    if not actors:
        raise DataError(
            f'{where}: got no annotation id, expected at least one in "anno_id"; '
            "choose a split that has masks or add the ids"
        )
    if caption_type == "unidirectional" and not targets:
        raise DataError(
            f"{where}: got an interaction without a target, expected ids in "
            '"subject/object".anno_id.object; add them or change the caption_type'
        )
    return Expression(video_id, exp_id, text, caption_type, actors, targets)


def _ids(where: str, value: Any) -> tuple[int, ...]:
    """Annotation ids; null and absent are none. Some files write them as strings."""
    if value is None:
        return ()
    try:
        return tuple(int(item) for item in (value if isinstance(value, list) else [value]))
    except (TypeError, ValueError):
        raise DataError(
            f"{where}: got the annotation ids {value!r}, expected a list of integers; "
            "repair meta_expressions.json"
        ) from None
