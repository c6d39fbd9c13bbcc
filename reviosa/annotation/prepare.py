"""Stage 0: clips of a video with the mask tracks of their objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from reviosa.annotation.clip_record import Clip, tracks_path
from reviosa.annotation.clips import Span, choose_clips, choose_objects
from reviosa.annotation.settings import AnnotationConfig
from reviosa.annotation.sources import Dropped, Source
from reviosa.annotation.tracks import ObjectTrack, Tracks, box_tracks, read_tracks, write_tracks
from reviosa.annotation.vidor import VidorVideo, read_vidor
from reviosa.data.records import Video
from reviosa.errors import DataError
from reviosa.io import atomic_directory

__all__ = ["OpenVideo", "Prepared", "TrackBoxes", "plan", "prepare"]

STAGE = "tracks"
_JPEG_QUALITY = 95


class VideoSource(Protocol):
    """An opened video, in whatever form it is kept."""

    @property
    def num_frames(self) -> int: ...

    def read_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Frames, uint8 [frame, height, width, 3] RGB."""
        ...


OpenVideo = Callable[[Path], VideoSource]
"""Opens a folder of frames or a video file."""

TrackBoxes = Callable[[Video, Mapping[int, np.ndarray]], dict[int, list[Any]]]
"""Turns boxes, object id -> float [frame, 4], into one RLE or None for each frame of the video."""


class Prepared(NamedTuple):
    """What came of a video."""

    clips: list[Clip]
    dropped: list[Dropped]


def prepare(
    source: Source,
    run: Path,
    config: AnnotationConfig,
    open_video: OpenVideo,
    track: TrackBoxes | None,
) -> Prepared:
    """Choose the clips of a video, and write the masks of all their objects to the run folder.

    Frames of a video file are written there too; those of a folder are used where they are.

    Args:
        source: the video.
        run: the run folder.
        config: all settings.
        open_video: opens the video.
        track: makes masks of boxes; not needed where masks are given.

    Raises:
        DataError: the video or the file about its objects is broken, or they do not fit together.
    """
    video = open_video(source.path)
    size = _size(video)
    known = _Known.of(source, size, video.num_frames)
    num_frames = min(video.num_frames, known.num_frames)
    spans = choose_clips(num_frames, config.clips)
    clips, dropped = [], _too_short(source, num_frames, spans, config)
    for span in spans:
        clip_id = clip_name(source, span)
        folder, files = _frames(video, run, clip_id, span)
        clip = Clip(run, clip_id, source.name, span.start, size, folder, files, {})
        tracks = known.tracks(clip.video, span, track)
        clip, lost = _with_objects(clip, tracks, config)
        dropped += lost
        if clip is not None:
            write_tracks(tracks_path(run, clip_id), tracks)
            clips.append(clip)
    return Prepared(clips, dropped)


def plan(
    source: Source, config: AnnotationConfig
) -> tuple[list[tuple[Clip, Tracks]], list[Dropped]]:
    """The clips and objects that :func:`prepare` will find, as far as can be told without it.

    No video is opened and no segmenter runs: where there are boxes they stand for the masks.

    Returns:
        the clips with their tracks, and what is dropped.

    Raises:
        DataError: the file about the video's objects is broken.
    """
    known = _Known.of(source, None, None)
    spans = choose_clips(known.num_frames, config.clips)
    found, lost = [], _too_short(source, known.num_frames, spans, config)
    for span in spans:
        names = tuple(f"{index:05d}.jpg" for index in range(span.start, span.stop))
        clip = Clip(Path(), clip_name(source, span), source.name, span.start, known.size, "", names,
                    {})  # fmt: skip
        tracks = known.planned(span)
        kept, dropped = _with_objects(clip, tracks, config)
        lost += dropped
        if kept is not None:
            found.append((kept, tracks.only(sorted(kept.objects))))
    return found, lost


def clip_name(source: Source, span: Span) -> str:
    """As InterRVOS names clips."""
    return f"{source.name}_clip{span.number:03d}"


class _Known:
    """What the file about a video's objects says: masks, or boxes."""

    def __init__(self, whole: Tracks | VidorVideo, num_frames: int) -> None:
        self._whole, self.num_frames = whole, num_frames
        self.size = whole.size

    @classmethod
    def of(cls, source: Source, size: tuple[int, int] | None, num_frames: int | None) -> "_Known":
        """Read the file; size and number of frames are checked against it where they are known."""
        if not source.boxes:
            tracks = read_tracks(source.truth, num_frames, size)
            count = len(next(iter(tracks.objects.values())).masks)
            return cls(tracks, count)
        boxes = read_vidor(source.truth)
        if size is not None and boxes.size != size:
            raise DataError(
                f"{source.truth}: got boxes for {boxes.size[0]}x{boxes.size[1]} pixels, expected "
                f"{size[0]}x{size[1]} like {source.path}; take the file of this video"
            )
        # Players and VidOR's authors do not agree on the last frames of some videos.
        return cls(boxes, boxes.num_frames)

    def tracks(self, video: Video, span: Span, track: TrackBoxes | None) -> Tracks:
        if isinstance(self._whole, Tracks):
            return self._whole.part(span.start, span.stop)
        boxes = self._boxes(span)
        assert track is not None, "boxes need a tracker"
        masks = track(video, boxes)
        categories = self._whole.categories
        return Tracks(
            {key: ObjectTrack(categories[key], tuple(masks[key])) for key in boxes}, self.size
        )

    def planned(self, span: Span) -> Tracks:
        if isinstance(self._whole, Tracks):
            return self._whole.part(span.start, span.stop)
        return box_tracks(self._whole.categories, self._boxes(span), self.size)

    def _boxes(self, span: Span) -> dict[int, np.ndarray]:
        """Of the objects that are there at all."""
        assert isinstance(self._whole, VidorVideo)
        cut = {key: track[span.start : span.stop] for key, track in self._whole.boxes.items()}
        return {key: track for key, track in cut.items() if np.isfinite(track).any()}


def _with_objects(
    clip: Clip, tracks: Tracks, config: AnnotationConfig
) -> tuple[Clip | None, list[Dropped]]:
    """The clip with the objects that are spoken of; None where there are none."""
    areas = {key: tracks.areas(key) for key in tracks.objects}
    lost = choose_objects(areas, config.objects, config.marks)
    dropped = [Dropped(STAGE, f"{clip.clip_id}/{key}", why) for key, why in lost.items()]
    kept = {key: name for key, name in tracks.categories.items() if key not in lost}
    if not kept:
        dropped.append(Dropped(STAGE, clip.clip_id, "none of its objects is left"))
        return None, dropped
    return replace(clip, objects=kept), dropped


def _too_short(
    source: Source, num_frames: int, spans: Sequence[Span], config: AnnotationConfig
) -> list[Dropped]:
    if spans:
        return []
    least = config.clips.least_frames
    why = f"it has {num_frames} frames, a clip needs {least} (clips.least_frames)"
    return [Dropped(STAGE, source.name, why)]


def _size(video: VideoSource) -> tuple[int, int]:
    height, width = video.read_frames([0]).shape[1:3]
    return height, width


def _frames(video: VideoSource, run: Path, clip_id: str, span: Span) -> tuple[str, tuple[str, ...]]:
    """Where the frames of a clip are, and their names."""
    if isinstance(video, Video):
        paths = video.frame_paths[span.start : span.stop]
        return str(paths[0].parent.resolve()), tuple(path.name for path in paths)
    folder = f"frames/{clip_id}"
    names = tuple(f"{index:05d}.jpg" for index in range(span.start, span.stop))
    if not (run / folder).is_dir():
        with atomic_directory(run / folder) as temporary:
            for index, name in zip(range(span.start, span.stop), names, strict=True):
                image = Image.fromarray(video.read_frames([index])[0])
                image.save(temporary / name, quality=_JPEG_QUALITY, subsampling=0)
    return folder, names
