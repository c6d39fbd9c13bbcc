"""Stage 3: a vision model that sees all objects marked tells who does what to whom."""

from collections.abc import Collection, Sequence
from typing import Final, Literal

from pydantic import BaseModel

from reviosa.annotation.clip_record import Clip
from reviosa.annotation.marks import frames_of_all, mark_all
from reviosa.annotation.settings import MarkSettings
from reviosa.annotation.tasks import Task
from reviosa.annotation.words import class_name, list_labels, refusal, word_count

__all__ = ["Interaction", "Interactions", "Sentence", "interactions_item", "interactions_task"]

STAGE: Final = "interactions"
_MOST_WORDS: Final = 60

_SYSTEM = """\
You find interactions between objects of a video. You are shown frames in the order of time. Each \
object that counts has a coloured tint and its number in brackets, such as [3], at its middle; \
the list of numbers and classes is given. What is not in the list does not count.

An interaction is something that happens between listed objects and can be seen: one touches, \
holds, pushes, follows, watches, feeds, carries another, or they do something with each other. \
That objects are near each other, alike, or move at the same time is no interaction. If you are \
not sure that there is one, leave it out: an empty list is a good answer.

For each interaction give
- objects: the numbers of all that take part, two or more.
- kind: "unidirectional" if one acts on the other (a child pulls a toy), "bidirectional" if all \
do the same to each other and their roles could be exchanged (two people hug).
- sentences: for a bidirectional interaction exactly one sentence with all objects as its \
subject. For a unidirectional one exactly one sentence for each object, in which that object is \
the grammatical subject: first the one that acts, in the active voice ("[0] pulls [2]"), then \
what is acted on, in the passive voice ("[2] is pulled by [0]"). All sentences of an interaction \
tell the same event.

In sentences objects are called by their number in brackets alone: "[0]", never "the child [0]". \
The first number of a sentence is its subject; give that number in "subject" too (the first one \
for a bidirectional interaction). Name every object of the interaction in each sentence. Do not \
speak of frames, colours or tints."""


class Sentence(BaseModel):
    """What happens, told from one object's side."""

    subject: int
    text: str


class Interaction(BaseModel):
    """Something that happens between objects."""

    objects: list[int]
    kind: Literal["unidirectional", "bidirectional"]
    sentences: list[Sentence]


class Interactions(BaseModel):
    """All interactions of a clip; none is an answer too."""

    interactions: list[Interaction]


def interactions_item(clip_id: str) -> str:
    """Name of the question about a clip."""
    return f"{STAGE}/{clip_id}"


def interactions_task(clip: Clip, keys: Sequence[int], settings: MarkSettings) -> Task | None:
    """The question about the objects ``keys`` of a clip; None where there are fewer than two.

    Raises:
        DataError: the masks of the clip cannot be read.
    """
    if len(keys) < 2:
        return None
    frames = frames_of_all(clip.tracks(keys), settings)
    known = frozenset(keys)
    return Task(
        item=interactions_item(clip.clip_id),
        stage=STAGE,
        system=_SYSTEM,
        text="Objects:\n"
        + "\n".join(f"[{key}] {class_name(clip.objects[key])}" for key in sorted(keys)),
        answer=Interactions,
        check=lambda answer: check_interactions(answer, known),
        shown=[clip.clip_id, sorted(keys), list(frames), settings.model_dump()],
        names=tuple(f"Frame {place} of {len(frames)}:" for place in range(1, len(frames) + 1)),
        draw=lambda: mark_all(clip.video, clip.tracks(keys), settings),
        size=clip.size,
    )


def check_interactions(answer: Interactions, known: Collection[int]) -> str | None:
    """What is wrong with the interactions of a clip whose marked objects are ``known``."""
    for number, found in enumerate(answer.interactions, 1):
        if wrong := _wrong(found, known):
            return f"interaction {number}: {wrong}"
    return None


def _wrong(found: Interaction, known: Collection[int]) -> str | None:
    objects = set(found.objects)
    unknown = sorted(objects - set(known))
    if unknown:
        return f"object {unknown[0]} is not listed, take some of {sorted(known)}"
    if len(objects) < 2 or len(objects) != len(found.objects):
        return f"objects are {found.objects}, name two or more, each once"
    subjects = [sentence.subject for sentence in found.sentences]
    if found.kind == "bidirectional" and len(subjects) != 1:
        return f"it is bidirectional and has {len(subjects)} sentences, write exactly one"
    if found.kind == "unidirectional" and sorted(subjects) != sorted(objects):
        return (
            f"its sentences have the subjects {subjects}, write one for each of {sorted(objects)}"
        )
    for sentence in found.sentences:
        labels = list_labels(sentence.text)
        if labels[:1] != [sentence.subject]:
            return f"{sentence.text!r} must begin with its subject [{sentence.subject}]"
        if set(labels) != objects:
            return f"{sentence.text!r} names {labels}, it must name all of {sorted(objects)}"
        if refusal(sentence.text) or not 3 <= word_count(sentence.text) <= _MOST_WORDS:
            return f"{sentence.text!r} must be a sentence of 3 to {_MOST_WORDS} words"
    return None
