"""Stage 1: a vision model tells what one marked object looks like and what it does."""

from typing import Final

from pydantic import BaseModel

from reviosa.annotation.clip_record import Clip
from reviosa.annotation.marks import frames_of_one, mark_one
from reviosa.annotation.settings import MarkSettings
from reviosa.annotation.tasks import Task
from reviosa.annotation.words import class_name, leak, refusal, word_count

__all__ = ["Appearance", "appearance_item", "appearance_task"]

STAGE: Final = "appearance"
_MOST_WORDS: Final = 60

_SYSTEM = """\
You describe one object in a video for people who have to find it there. You are shown frames of \
the video in the order of time. A thin red line runs around the object on every frame on which it \
can be seen; on one frame a red tint and a small number lie over it as well. Line, tint and \
number were added for you: no reader will ever see them.

Write two sentences, each about this object alone and each complete without the other:
- appearance: what it looks like - kind, colours, pattern, size, clothes, parts that set it apart \
from other objects of its kind.
- motion: what it does over the frames - where it goes, how, in which posture, what it handles. \
If it does nothing, say that it stays still.

Name the object by the class that you are told; a more exact word may stand beside it ("a \
terrier dog"). Call an adult "man" or "woman", a child "boy" or "girl". Tell only what can be \
seen. Other objects may be named where the motion needs them, never described. Do not speak of \
frames, images, lines, colours or numbers that were added."""


class Appearance(BaseModel):
    """How an object looks and moves, a sentence each."""

    appearance: str
    motion: str


def appearance_item(clip_id: str, key: int) -> str:
    """Name of the question about an object."""
    return f"{STAGE}/{clip_id}/{key}"


def appearance_task(clip: Clip, key: int, settings: MarkSettings) -> Task:
    """The question about one object of a clip.

    Raises:
        DataError: the masks of the clip cannot be read.
    """
    frames = frames_of_one(clip.tracks([key]), key, settings)
    return Task(
        item=appearance_item(clip.clip_id, key),
        stage=STAGE,
        system=_SYSTEM,
        text=f"Class of the object: {class_name(clip.objects[key])}.",
        answer=Appearance,
        check=check_appearance,
        shown=[clip.clip_id, [key], list(frames), settings.model_dump()],
        names=tuple(f"Frame {place} of {len(frames)}:" for place in range(1, len(frames) + 1)),
        draw=lambda: mark_one(clip.video, clip.tracks([key]), key, settings),
        size=clip.size,
    )


def check_appearance(answer: Appearance) -> str | None:
    """What is wrong with an answer: empty, too long, a refusal, or it speaks of the marking."""
    for name, text in (("appearance", answer.appearance), ("motion", answer.motion)):
        words = word_count(text)
        if words < 3 or words > _MOST_WORDS:
            return f"{name} has {words} words, it must be one sentence of 3 to {_MOST_WORDS}"
        if found := refusal(text):
            return f"{name} refuses ({found!r}); describe what can be seen"
        if found := leak(text):
            return f"{name} says {found!r}; it must not speak of what was added to the frames"
    return None
