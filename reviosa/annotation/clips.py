"""Which parts of a video are annotated, and which of the objects in them (REVIOSA.md 5)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from reviosa.annotation.settings import ClipSettings, MarkSettings, ObjectSettings

__all__ = ["Span", "choose_clips", "choose_objects", "sampled", "visible_span"]


class Span(NamedTuple):
    """Some consecutive frames of a video."""

    number: int
    """Of the bin they were cut from, from 0: it names the clip."""
    start: int
    stop: int
    """One past the last."""


def choose_clips(num_frames: int, settings: ClipSettings) -> tuple[Span, ...]:
    """The clips of a video: the beginnings of its first and last bin that are long enough.

    None of a video that is too short; one where a single bin is long enough.
    """
    size = settings.bin_frames
    bins = [
        Span(number, start, min(start + size, num_frames))
        for number, start in enumerate(range(0, num_frames, size))
    ]
    kept = [x for x in bins if x.stop - x.start >= settings.least_frames]
    ends = dict.fromkeys((kept[0], kept[-1])) if kept else ()
    return tuple(x._replace(stop=min(x.stop, x.start + settings.most_frames)) for x in ends)


def sampled(first: int, last: int, count: int) -> tuple[int, ...]:
    """Frames ``first`` to ``last``: the middles of ``count`` equal parts; all if there are fewer.

    ``sampled(0, 15, 4)`` is ``(2, 6, 10, 14)``.
    """
    length = last - first + 1
    if length <= count:
        return tuple(range(first, last + 1))
    return tuple(first + (2 * i + 1) * length // (2 * count) for i in range(count))


def visible_span(areas: np.ndarray) -> tuple[int, int] | None:
    """First and last frame with a mask, by its areas [frame]; None if there is none."""
    there = np.flatnonzero(areas)
    return (int(there[0]), int(there[-1])) if there.size else None


def choose_objects(
    areas: Mapping[int, np.ndarray], objects: ObjectSettings, marks: MarkSettings
) -> dict[int, str]:
    """Objects that are not spoken of, and why.

    Args:
        areas: object id -> share of the picture its mask covers, float [frame].
        objects: the rules.
        marks: how many frames of the clip a vision model is shown.

    Returns:
        object id -> a sentence about it; objects that are not named are kept.
    """
    dropped: dict[int, str] = {}
    for key, area in areas.items():
        span = visible_span(area)
        if span is None:
            dropped[key] = "it has no mask on any frame"
        elif span[1] - span[0] <= objects.longest_glimpse:
            dropped[key] = (
                f"its last visible frame comes {span[1] - span[0]} after its first, more than "
                f"{objects.longest_glimpse} are needed"
            )
    spans = [visible_span(area) for area in areas.values()]
    # An object of another part of the video is no part of this clip's crowd.
    known = [span for span in spans if span is not None]
    if len(known) <= objects.crowd:
        return dropped
    # The frames on which all objects are marked together.
    shown = list(sampled(min(s[0] for s in known), max(s[1] for s in known), marks.frames))
    for key, area in areas.items():
        seen = int(np.count_nonzero(area[shown]))
        if key in dropped:
            continue
        if area.max() <= objects.small_area:
            dropped[key] = (
                f"it covers {area.max():.2%} of the picture at most, more than "
                f"{objects.small_area:.2%} is needed where there are {len(known)} objects"
            )
        elif seen <= objects.rare_frames:
            dropped[key] = (
                f"it is visible in {seen} of {len(shown)} sampled frames, more than "
                f"{objects.rare_frames} are needed where there are {len(known)} objects"
            )
    return dropped
