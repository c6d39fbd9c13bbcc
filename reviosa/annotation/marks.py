"""Visual prompts: frames on which objects are outlined, coloured and numbered (REVIOSA.md 5)."""

import io
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reviosa.annotation.clips import sampled, visible_span
from reviosa.annotation.settings import MarkSettings
from reviosa.annotation.tracks import Tracks
from reviosa.data.records import Video
from reviosa.errors import DataError

__all__ = ["Mark", "blank", "draw_marks", "frames_of_all", "frames_of_one", "mark_all", "mark_one"]

RED = (255, 0, 0)
PALETTE = (
    (230, 25, 75), (60, 180, 75), (0, 130, 200), (255, 225, 25), (245, 130, 48), (145, 30, 180),
    (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (170, 110, 40),
    (220, 190, 255), (128, 0, 0), (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128),
)  # fmt: skip
"""Colours that are told apart on any ground; objects beyond the last begin anew."""


_Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two not counted."""


class Mark(NamedTuple):
    """How one object is marked on a frame."""

    mask: np.ndarray
    """bool [height, width]"""
    color: tuple[int, int, int]
    thickness: int
    """Of the contour in pixels, 1 or 2."""
    overlay: float
    """Opacity of the colour over the mask."""
    label: str | None
    """Words at its middle, white on black."""


def frames_of_one(tracks: Tracks, key: int, settings: MarkSettings) -> tuple[int, ...]:
    """The frames on which an object is shown by itself: spread over those where it is visible."""
    span = visible_span(tracks.areas(key))
    return () if span is None else sampled(*span, settings.frames)


def frames_of_all(tracks: Tracks, settings: MarkSettings) -> tuple[int, ...]:
    """The frames on which all objects are shown: spread over those where any is visible."""
    areas = [tracks.areas(key) for key in tracks.objects]
    span = visible_span(np.sum(areas, axis=0)) if areas else None
    return () if span is None else sampled(*span, settings.frames)


def mark_one(video: Video, tracks: Tracks, key: int, settings: MarkSettings) -> Iterator[bytes]:
    """JPEG of each frame of :func:`frames_of_one`, the object in a red contour.

    The first frame on which it is large enough, else the one on which it is largest, also has a
    colour over it and the label ``[0]``.
    """
    frames, areas = frames_of_one(tracks, key, settings), tracks.areas(key)
    large = [frame for frame in frames if areas[frame] > settings.label_area]
    chosen = large[0] if large else max(frames, key=lambda frame: areas[frame], default=None)
    for frame in frames:
        overlay, label = (settings.overlay, "[0]") if frame == chosen else (0.0, None)
        mark = Mark(tracks.mask(key, frame), RED, 2, overlay, label)
        yield _marked(video, frame, [mark], tracks.size, settings)


def mark_all(video: Video, tracks: Tracks, settings: MarkSettings) -> Iterator[bytes]:
    """JPEG of each frame of :func:`frames_of_all`, each object in its own colour with ``[id]``."""
    for frame in frames_of_all(tracks, settings):
        marks = [
            Mark(
                tracks.mask(key, frame),
                PALETTE[place % len(PALETTE)],
                1,
                settings.overlay,
                f"[{key}]",
            )
            for place, key in enumerate(sorted(tracks.objects))
        ]
        yield _marked(video, frame, marks, tracks.size, settings)


def draw_marks(frame: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Draw marks on a frame, uint8 [height, width, 3]; empty masks draw nothing.

    Contours lie over all colours, and labels over all contours.
    """
    picture = frame.astype(np.float32)
    there = [mark for mark in marks if mark.mask.any()]
    for mark in there:
        color = np.array(mark.color, np.float32)
        picture[mark.mask] += mark.overlay * (color - picture[mark.mask])
    for mark in there:
        picture[_contour(mark.mask, mark.thickness)] = mark.color
    image = Image.fromarray(np.rint(picture).astype(np.uint8))
    taken: list[_Box] = []
    for mark in there:
        if mark.label is not None:
            taken.append(_write(image, mark.mask, mark.label, taken))
    return np.array(image)


def blank(size: tuple[int, int], settings: MarkSettings) -> bytes:
    """A grey JPEG of the size that frames of ``size`` (height, width) are shown in."""
    height, width = _shown_size(size, settings)
    return _jpeg(Image.new("RGB", (width, height), (127, 127, 127)), settings)


def _marked(
    video: Video,
    frame: int,
    marks: Sequence[Mark],
    size: tuple[int, int],
    settings: MarkSettings,
) -> bytes:
    pixels = video.read_frames([frame])[0]
    if pixels.shape[:2] != size:
        raise DataError(
            f"{video.frame_paths[frame]}: got a frame of {pixels.shape[0]}x{pixels.shape[1]} "
            f"pixels, expected {size[0]}x{size[1]} like its masks; replace it"
        )
    shown = _shown_size(size, settings)
    if shown[0] < size[0] - 1:
        # Halved first and drawn on then, so that contours keep their width.
        pixels = np.array(
            Image.fromarray(pixels).resize((shown[1], shown[0]), Image.Resampling.BOX)
        )
        marks = [mark._replace(mask=_halved(mark.mask, shown)) for mark in marks]
    else:
        pixels = pixels[: shown[0], : shown[1]]
        marks = [mark._replace(mask=mark.mask[: shown[0], : shown[1]]) for mark in marks]
    return _jpeg(Image.fromarray(draw_marks(pixels, marks)), settings)


def _shown_size(size: tuple[int, int], settings: MarkSettings) -> tuple[int, int]:
    """Height and width of the picture: high portrait frames are halved, sides are even."""
    height, width = size
    if height > width and height >= settings.halve_portrait_from:
        height, width = height // 2, width // 2
    return max(2, height - height % 2), max(2, width - width % 2)


def _halved(mask: np.ndarray, shown: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(mask.astype(np.uint8))
    return np.array(image.resize((shown[1], shown[0]), Image.Resampling.NEAREST)) > 0


def _jpeg(image: Image.Image, settings: MarkSettings) -> bytes:
    buffer = io.BytesIO()
    # Full colour resolution: thin lines lose their colour without it.
    image.save(buffer, "JPEG", quality=settings.quality, subsampling=0)
    return buffer.getvalue()


def _contour(mask: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels of the mask at its edge; with thickness 2 also those just outside it."""
    inner = mask & ~_eroded(mask)
    return inner | (~mask & _dilated(mask)) if thickness == 2 else inner


def _eroded(mask: np.ndarray) -> np.ndarray:
    """What is beyond the picture counts as outside, so that an object at its border is closed."""
    padded = np.pad(mask, 1)
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def _dilated(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    return padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def _write(image: Image.Image, mask: np.ndarray, label: str, taken: Sequence[_Box]) -> _Box:
    """White words on black, centred on the mask's centroid, inside the picture.

    Where that would hide a label of ``taken``, the nearest free place above or below. Returns the
    place.
    """
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(10, min(image.size) // 28))
    left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
    wide, high = math.ceil(right - left) + 4, math.ceil(bottom - top) + 4
    rows, columns = np.nonzero(mask)
    x = int(np.clip(columns.mean() - wide / 2, 0, max(0, image.width - wide)))
    lowest = max(0, image.height - high)
    middle = int(np.clip(rows.mean() - high / 2, 0, lowest))
    free = (
        y
        for y in sorted(range(lowest + 1), key=lambda y: abs(y - middle))
        if all(r <= x or x + wide <= a or b <= y or y + high <= t for a, t, r, b in taken)
    )
    y = next(free, middle)
    draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=(0, 0, 0))
    draw.text((x + 2 - left, y + 2 - top), label, font=font, fill=(255, 255, 255))
    return x, y, x + wide, y + high
