"""Stage 2: a text model writes phrases that single objects out, and groups those that act alike."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from reviosa.annotation.appearance import Appearance
from reviosa.annotation.clip_record import Clip
from reviosa.annotation.tasks import Task
from reviosa.annotation.words import class_name, leak, refusal, word_count

__all__ = [
    "Merging",
    "ReferringPhrases",
    "merging_item",
    "merging_task",
    "referring_item",
    "referring_task",
]

STAGE: Final = "referring"
_MOST_WORDS: Final = 40

_PHRASES = """\
You turn a description of one object in a video into three referring phrases: noun phrases by \
which a viewer picks out this object and no other.
- all: names its look and its motion.
- motion: names what it does and nothing of its look.
- appearance: names its look and nothing of what it does.

Every phrase starts with the object ("the ...", "a ..."), names its class (a person by the \
description's word: man, woman, boy, girl), and is no sentence: "the brown dog running across \
the lawn", not "the dog runs". Use only what the description says. If it says that the object \
stays still, the motion is that it stays still. No full stop, no quotation marks, nothing about \
videos or frames."""

_MERGING = """\
You decide whether some objects of a video are best spoken of together. You get each object's \
number, class and motion.

Merge objects only if all of this holds: they are of the same class, each of them actively moves, \
and they move in a similar way at the same time (walking side by side, running in the same \
direction, dancing). Objects that stand, sit, lie or stay still are never merged, however alike \
they are. If in doubt do not merge. At most one group is named: the one whose motions are most \
alike.

- merge: whether there is such a group.
- objects: the numbers of the group; empty if there is none.
- phrase: one plural noun phrase that says their class and their shared motion and holds for all \
of the group ("the two dogs chasing along the fence"), without any number in brackets; empty if \
there is none."""


class ReferringPhrases(BaseModel):
    """Three noun phrases that mean one object."""

    all: str
    motion: str
    appearance: str


class Merging(BaseModel):
    """The objects that are spoken of together, if any."""

    merge: bool
    objects: list[int]
    phrase: str


def referring_item(clip_id: str, key: int) -> str:
    """Name of the question about an object's phrases."""
    return f"{STAGE}/{clip_id}/{key}"


def merging_item(clip_id: str) -> str:
    """Name of the question about objects that act alike."""
    return f"merging/{clip_id}"


def referring_task(clip: Clip, key: int, seen: Appearance) -> Task:
    """The question for an object's phrases, by what stage 1 saw."""
    return Task(
        item=referring_item(clip.clip_id, key),
        stage=STAGE,
        system=_PHRASES,
        text=(
            f"Class: {class_name(clip.objects[key])}\n"
            f"Appearance: {seen.appearance}\nMotion: {seen.motion}"
        ),
        answer=ReferringPhrases,
        check=check_phrases,
    )


def merging_task(clip: Clip, seen: Mapping[int, Appearance]) -> Task | None:
    """The question which objects act alike; None where no class has two objects.

    Args:
        clip: the clip.
        seen: object id -> what stage 1 saw of it.
    """
    classes = Counter(clip.objects[key] for key in seen)
    if max(classes.values(), default=0) < 2:
        return None
    lines = [
        f"[{key}] class: {class_name(clip.objects[key])}; motion: {seen[key].motion}"
        for key in sorted(seen)
    ]

    def check(answer: Merging) -> str | None:
        return _check_merging(answer, {key: clip.objects[key] for key in seen})

    return Task(
        item=merging_item(clip.clip_id),
        stage=STAGE,
        system=_MERGING,
        text="\n".join(lines),
        answer=Merging,
        check=check,
    )


def check_phrases(answer: ReferringPhrases) -> str | None:
    """What is wrong with three phrases: empty, too long, a refusal, or words of the marking."""
    for name in ("all", "motion", "appearance"):
        if wrong := _wrong_phrase(getattr(answer, name)):
            return f"{name} {wrong}"
    return None


def _check_merging(answer: Merging, classes: Mapping[int, str]) -> str | None:
    if not answer.merge:
        return None
    unknown = sorted(set(answer.objects) - set(classes))
    if unknown:
        return f"objects has {unknown[0]}, it must hold some of {sorted(classes)}"
    if len(set(answer.objects)) < 2:
        return f"objects has {len(set(answer.objects))} objects, a group has at least 2"
    if len({classes[key] for key in answer.objects}) > 1:
        return "objects are of different classes, a group is of one"
    wrong = _wrong_phrase(answer.phrase)
    return f"phrase {wrong}" if wrong else None


def _wrong_phrase(text: str) -> str | None:
    words = word_count(text)
    if words < 2 or words > _MOST_WORDS:
        return f"has {words} words, it must have 2 to {_MOST_WORDS}"
    if found := refusal(text):
        return f"refuses ({found!r}); write the phrase"
    if found := leak(text):
        return f"says {found!r}; it must not speak of frames, numbers or markings"
    return None
