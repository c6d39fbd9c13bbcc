"""What a run will ask and cost, before anything is sent."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reviosa.annotation.appearance import Appearance, appearance_task
from reviosa.annotation.clip_record import Clip
from reviosa.annotation.interactions import Interaction, Sentence, interactions_task
from reviosa.annotation.llm import Desk, Estimate, Request
from reviosa.annotation.marks import blank
from reviosa.annotation.phrases import phrases_task
from reviosa.annotation.prepare import plan
from reviosa.annotation.referring import merging_task, referring_task
from reviosa.annotation.settings import AnnotationConfig, MarkSettings
from reviosa.annotation.sources import Dropped, find_sources, no_clip
from reviosa.annotation.tasks import Task
from reviosa.annotation.tracks import Tracks
from reviosa.errors import DataError

__all__ = ["ASSUMPTIONS", "estimate_run"]

_SENTENCE: Final = "A large brown object with a white stripe, moving slowly from left to right."
ASSUMPTIONS: Final = (
    "every request is answered the first time, and no object is dropped for its answers",
    f"stage 1 writes two sentences of {len(_SENTENCE)} characters about each object",
    "stage 3 finds one unidirectional interaction of two objects in each clip that has two",
    "boxes stand for the masks that are not made yet, and grey pictures for the marked frames",
    "answers are expected to take a quarter of max_tokens; the most is with all of it",
)
"""What later stages depend on and an estimate cannot know."""


def estimate_run(videos: str | Path, config: AnnotationConfig) -> dict[str, Any]:
    """Requests, tokens and dollars of a run over ``videos`` that starts from nothing.

    No video is opened, no model runs, nothing is sent or written.

    Returns:
        ``clips``, ``objects``, ``dropped`` (videos and objects that are not spoken of: stage, item
        and reason of each), ``stages``
        (name -> requests, tokens_in, tokens_out, tokens_out_most, dollars, dollars_most), ``total``
        (the same, summed) and ``assumptions``.

    Raises:
        DataError: the folder has no usable video, or none of them has a clip with an object.
    """
    sources, lost = find_sources(videos)
    clips: list[Clip] = []
    for source in sources:
        try:
            planned, dropped = plan(source, config)
        except DataError as error:
            lost.append(Dropped("tracks", source.name, str(error)))
            continue
        lost += dropped
        clips += [_Planned.of(clip, tracks) for clip, tracks in planned]
    if not clips:
        raise no_clip(len(sources), lost)
    # No folder of a run: what earlier runs cost does not count.
    with tempfile.TemporaryDirectory() as nowhere:
        desk = Desk(Path(nowhere), config.stages.by_name())
        stages = {
            name: desk.estimate(_requests(name, clips, config.marks))
            for name in config.stages.by_name()
        }
    return {
        "clips": len(clips),
        "objects": sum(len(clip.objects) for clip in clips),
        "dropped": [item._asdict() for item in lost],
        "stages": {name: _plain(found) for name, found in stages.items()},
        "total": _plain(sum(stages.values(), Estimate())),
        "assumptions": list(ASSUMPTIONS),
    }


class _Planned(Clip):
    """A clip whose masks are in memory, for there is no run folder yet."""

    planned: Tracks

    @classmethod
    def of(cls, clip: Clip, tracks: Tracks) -> "_Planned":
        """The clip with these tracks."""
        made = cls(**{name: getattr(clip, name) for name in Clip.__dataclass_fields__})
        object.__setattr__(made, "planned", tracks)
        return made

    def tracks(self, keys: Sequence[int] | None = None) -> Tracks:
        return self.planned.only(sorted(self.objects if keys is None else keys))


def _requests(name: str, clips: Sequence[Clip], marks: MarkSettings) -> Iterator[Request]:
    pictures: dict[tuple[int, int], bytes] = {}
    for clip in clips:
        for task in _tasks(name, clip, marks):
            if task.size is None:
                yield task.request()
            else:
                if task.size not in pictures:
                    pictures[task.size] = blank(task.size, marks)
                picture = pictures[task.size]
                request = task.request(lambda task=task, x=picture: [x] * len(task.names))
                # Equal grey pictures are different ones in truth: the item's name tells them apart.
                yield replace(request, parts=(*request.parts, task.item))


def _tasks(name: str, clip: Clip, marks: MarkSettings) -> Iterator[Task]:
    seen = dict.fromkeys(sorted(clip.objects), Appearance(appearance=_SENTENCE, motion=_SENTENCE))
    if name == "appearance":
        yield from (appearance_task(clip, key, marks) for key in seen)
    elif name == "referring":
        for key, look in seen.items():
            task = referring_task(clip, key, look)
            yield replace(task, text=f"{task.text}\n{task.item}")
        if merging := merging_task(clip, seen):
            yield replace(merging, text=f"{merging.text}\n{merging.item}")
    elif name == "interactions":
        if task := interactions_task(clip, list(seen), marks):
            yield task
    elif len(seen) > 1:
        yield from (
            replace(task, text=f"{task.text}\n{task.item}") for task in _phrases(clip, seen)
        )


def _phrases(clip: Clip, seen: Mapping[int, Appearance]) -> Iterator[Task]:
    one, two = list(seen)[:2]
    found = Interaction(
        objects=[one, two],
        kind="unidirectional",
        sentences=[
            Sentence(subject=one, text=f"[{one}] pushes [{two}] slowly along the ground."),
            Sentence(subject=two, text=f"[{two}] is pushed slowly along the ground by [{one}]."),
        ],
    )
    yield from (phrases_task(clip, found, (0, place), seen) for place in (0, 1))


def _plain(found: Estimate) -> dict[str, float]:
    return {
        "requests": found.requests,
        "tokens_in": found.tokens_in,
        "tokens_out": found.tokens_out,
        "tokens_out_most": found.tokens_out_most,
        "dollars": round(found.dollars, 6),
        "dollars_most": round(found.dollars_most, 6),
    }
