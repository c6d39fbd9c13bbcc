"""What the layouts share that list expressions in JSON and keep masks as RLE by annotation id."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.data.dataset import Fault, FaultLog, VideoDataset, frame_faults, require_limit
from reviosa.data.frames import FolderPaths, find_frames
from reviosa.data.prompts import has_words
from reviosa.data.records import Expression, Video, image_size
from reviosa.data.rle import decode, rle_runs, rle_size
from reviosa.data.rle_tracks import RleTracks
from reviosa.errors import DataError

__all__ = ["ExpressionDataset", "find_file", "integer", "read_json", "run_faults", "says"]


class ExpressionDataset(VideoDataset):
    """A data set of ``{"videos": {id: {"frames": [...], "expressions": {id: {...}}}}}``.

    Frames are ``JPEGImages/<video>/<frame>.jpg``; masks are ``{annotation id: [RLE or null per
    frame]}``. A reader says which files to read and what an expression's record means. Opening
    checks all but the pixels and the runs of the masks, so that a long run does not fail midway.
    """

    def __init__(self, root: str | Path, limit: int | None = None, strict: bool = True) -> None:
        self.root = Path(root)
        require_limit(limit)
        self._log = FaultLog(strict)
        meta_path = self._meta_path()
        self._folder, self._meta_name = meta_path.parent, meta_path.name
        content = meta_path.read_bytes()
        digest = hashlib.sha256(content)
        records = read_json(meta_path, content).get("videos")
        if not isinstance(records, dict) or not records:
            raise DataError(
                f'{meta_path}: got no "videos", expected {{"videos": {{id: ...}}}}; '
                f"check that this is a file of the layout {self.layout}"
            )
        del content  # a large one is not to lie beside the masks
        mask_path = self._mask_path(records)
        self.has_truth = mask_path is not None
        self._tracks = None if mask_path is None else RleTracks(mask_path, digest)
        self.identity = digest.hexdigest()[:16]
        self._sizes: dict[str, tuple[int, int]] = {}
        self._declared: dict[str, tuple[Any, Any]] = {}
        self._bad_frames: dict[str, set[int]] = {}
        self._known: dict[str, list[int]] = {}
        videos = (self._read_video(*item) for item in list(records.items())[:limit])
        self.videos = tuple(video for video in videos if video is not None)

    @abstractmethod
    def _meta_path(self) -> Path:
        """The file of expressions.

        Raises:
            DataError: there is none.
        """

    @abstractmethod
    def _mask_path(self, records: Mapping[str, Any]) -> Path | None:
        """The file of masks; None for a split whose truth is kept back.

        Raises:
            DataError: there is none although the expressions speak of annotations.
        """

    @abstractmethod
    def _read_expression(
        self, video_id: str, exp_id: str, text: str, entry: Mapping[str, Any]
    ) -> Expression | None:
        """The expression of a record that has words, its faults told to ``self._log``.

        None where it cannot be kept, or is no part of the data set.
        """

    def annotation_masks(
        self, video: Video, anno_id: int, indices: Sequence[int]
    ) -> Iterator[np.ndarray | None]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        track = self._track(anno_id)
        size = self.size(video.video_id)
        for index in indices:
            try:
                yield None if track[index] is None else decode(track[index], size)
            except DataError as error:
                where = f"{video.video_id}, annotation {anno_id}, frame {index}"
                raise DataError(f"{where}: {error}") from None

    def rles(
        self, video_id: str, anno_ids: Sequence[int], indices: Sequence[int] | None = None
    ) -> list[list[Any]] | None:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        chosen = range(self._by_id[video_id].num_frames) if indices is None else indices
        tracks = [self._track(anno_id) for anno_id in anno_ids]
        return [[track[i] for track in tracks if track[i] is not None] for i in chosen]

    def faults(self) -> Iterator[Fault]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        yield from self._log.faults
        for video in self.videos:
            yield from frame_faults(video, self._bad_frames[video.video_id])
            size = self._sizes.get(video.video_id)
            declared = self._declared.get(video.video_id)
            if size is not None and declared not in (None, size):
                yield Fault(
                    video.video_id,
                    f"got height and width {declared}, expected {size} like the frames; repair "
                    f"{self._meta_name}",
                )
            for anno_id in self._known[video.video_id]:
                where = f"{video.video_id}, annotation {anno_id}"
                try:
                    track = self._track(anno_id)
                except DataError as error:
                    yield Fault(where, str(error))
                    continue
                yield from run_faults(where, track)

    def size(self, video_id: str) -> tuple[int, int]:
        """See :class:`~reviosa.data.dataset.VideoDataset`."""
        return self._sizes.get(video_id) or super().size(video_id)

    def _track(self, anno_id: int) -> Any:
        self.require_truth()
        assert self._tracks is not None
        return self._tracks[str(anno_id)]

    def _read_video(self, video_id: str, record: Any) -> Video | None:
        names = record.get("frames") if isinstance(record, dict) else None
        expressions = record.get("expressions") if isinstance(record, dict) else None
        if not isinstance(names, list) or not names or not isinstance(expressions, dict):
            self._log.tell(
                video_id,
                'got a record without "frames" or "expressions", expected both; '
                f"repair {self._meta_name}",
            )
            return None
        names = tuple(map(str, names))
        paths = self._frames(video_id, names)
        self._measure(video_id, paths, record)
        self._known[video_id] = []
        sound: dict[int, bool] = {}
        read = []
        for exp_id, entry in expressions.items():
            before = len(self._log.faults)
            expression = self._checked(video_id, exp_id, entry)
            if expression is None:
                continue
            for anno_id in expression.actor_ids + expression.target_ids:
                if anno_id not in sound:
                    sound[anno_id] = self._check_track(video_id, exp_id, anno_id, len(names))
                if not sound[anno_id]:
                    break
            else:
                if len(self._log.faults) == before:
                    read.append(expression)
        return Video(video_id, names, paths, tuple(read))

    def _frames(self, video_id: str, names: tuple[str, ...]) -> FolderPaths:
        folder = self._folder / "JPEGImages" / video_id
        paths, missing = find_frames(folder, names)
        self._bad_frames[video_id] = set(missing)
        if missing and not folder.is_dir():
            self._log.tell(
                video_id,
                f"got no folder {folder}, expected its frames there; restore it or take the "
                f"video out of {self._meta_name}",
            )
        elif missing:
            self._log.tell(
                video_id,
                f"got no file for {len(missing)} of {len(names)} frames (first: "
                f"{names[missing[0]]}), expected them in {folder}; restore them",
            )
        return paths

    def _measure(self, video_id: str, paths: FolderPaths, record: Mapping[str, Any]) -> None:
        """Take down the size of a video, by the header of the first frame that has one."""
        bad = self._bad_frames[video_id]
        for index, path in enumerate(paths):
            if index in bad:
                continue
            try:
                self._sizes[video_id] = image_size(None, path)
                break
            except DataError as error:
                self._log.take(Fault.of(error))
                bad.add(index)
        declared = record.get("height"), record.get("width")
        if declared != (None, None):
            self._declared[video_id] = declared

    def _checked(self, video_id: str, exp_id: str, entry: Any) -> Expression | None:
        where = f"{video_id}/{exp_id}"
        if not isinstance(entry, dict):
            self._log.tell(
                where,
                f"got {type(entry).__name__} as expression, expected an object; "
                f"repair {self._meta_name}",
            )
            return None
        text = entry.get("exp")
        if not isinstance(text, str) or not has_words(text):
            self._log.tell(
                where,
                f'got the expression {text!r}, expected words in "exp"; fill it or remove it',
            )
        return self._read_expression(video_id, exp_id, str(text), entry)

    def _ids(self, where: str, value: Any) -> tuple[int, ...] | None:
        """Annotation ids; null and absent are none. Some files write them as strings.

        None where they are no ids, which is told.
        """
        if value is None:
            return ()
        try:
            return tuple(map(integer, value if isinstance(value, list) else [value]))
        except ValueError:
            self._log.tell(
                where,
                f"got the annotation ids {value!r}, expected a list of integers; "
                f"repair {self._meta_name}",
            )
            return None

    def _require_ids(self, where: str, ids: tuple[int, ...] | None) -> bool:
        """Whether an expression speaks of any annotation; tells if it does not."""
        if ids == ():
            self._log.tell(
                where,
                'got no annotation id, expected at least one in "anno_id"; '
                "choose a split that has masks or add the ids",
            )
        return bool(ids)

    def _check_track(self, video_id: str, exp_id: str, anno_id: int, length: int) -> bool:
        """Whether an annotation has a mask or null for each frame, of the frames' size."""
        assert self._tracks is not None
        where = f"{video_id}/{exp_id}, annotation {anno_id}"
        if str(anno_id) not in self._tracks:
            self._log.tell(
                where,
                f"got no masks of that annotation, expected them in {self._tracks.path.name}; "
                "repair the ids or add the masks",
            )
            return False
        self._known[video_id].append(anno_id)
        before = len(self._log.faults)
        size = self._sizes.get(video_id)
        for place, what in self._tracks.shape_faults(str(anno_id), length, size):
            self._log.tell(f"{where}{place}", what)
        return len(self._log.faults) == before


def integer(value: Any) -> int:
    """An id, which some files write as a string.

    Raises:
        ValueError: it is no integer; ``int`` alone would cut 1.5 down to 1.
    """
    if type(value) is int or isinstance(value, str):
        return int(value)
    raise ValueError(f"got {value!r}, expected an integer")


def find_file(root: Path, name: str, layout: str) -> Path:
    """The file of this name in a folder, with or without ``new_`` before it.

    Raises:
        DataError: there is no such folder or file.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: got no folder there, expected a data set in the layout {layout}; "
            "check the path"
        )
    for candidate in (root / name, root / f"new_{name}"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{root}: got neither {name} nor new_{name}, expected one of them; "
        "choose the folder of the split (for example .../InterRVOS/val)"
    )


def says(root: Path, *words: str) -> bool | None:
    """Whether one of these words stands in a folder's file of expressions; None without one."""
    for name in ("meta_expressions.json", "new_meta_expressions.json"):
        path = root if root.is_file() else root / name
        if path.is_file():
            break
    else:
        return None
    longest = max(map(len, words))
    before = b""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            # A word may lie across two pieces.
            text = before + piece
            if any(word.encode() in text for word in words):
                return True
            before = text[-longest:]
    return False


def read_json(path: Path, content: bytes) -> dict[str, Any]:
    """The JSON object in a file's bytes.

    Raises:
        DataError: they are no JSON object.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: got broken JSON ({error}), expected a JSON object; fetch the file again"
        ) from None
    if not isinstance(value, dict):
        raise DataError(
            f"{path}: got a JSON {type(value).__name__}, expected an object; fetch the file again"
        )
    return value


def run_faults(where: str, track: Any) -> Iterator[Fault]:
    """Masks of an annotation whose runs do not fill them; other faults of theirs are told before.

    Args:
        where: name of the annotation.
        track: its value in the file.
    """
    for index, rle in enumerate(track if isinstance(track, list) else ()):
        try:
            rle_size(rle)
        except DataError:
            continue
        try:
            rle_runs(rle)
        except DataError as error:
            yield Fault(f"{where}, frame {index}", str(error))
