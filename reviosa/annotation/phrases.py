"""Stage 4: a text model writes interaction phrases, by class and by appearance."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from reviosa.annotation.appearance import Appearance
from reviosa.annotation.clip_record import Clip
from reviosa.annotation.interactions import Interaction
from reviosa.annotation.tasks import Task
from reviosa.annotation.words import class_name, leak, list_labels, refusal, word_count

__all__ = ["InteractionPhrases", "phrases_item", "phrases_task", "roles"]

STAGE: Final = "phrases"
_MOST_WORDS: Final = 60

_SYSTEM = """\
You turn a sentence about an interaction in a video into two referring phrases. In the sentence \
the objects are called by numbers in brackets; you are told the class and the look of each.
- class_level: names every object by its class alone: "a dog chasing a cat". An adult may be \
called man or woman, a child boy or girl, as its look says.
- appearance_level: names every object by its class and by what sets its look apart: "a small \
brown dog chasing a black cat with a white tail". Use only looks that are told, as few words of \
them as are needed.

Both phrases begin with the subject of the sentence, keep its voice (a passive sentence becomes \
"a cat being chased by a dog", never the active), name every object of it, and are noun phrases, \
no sentences. An article stands before each object. No number, no bracket, no full stop.
- subject: the numbers of the objects that are the grammatical subject of the phrases.
- object: the numbers of all other objects of the sentence; empty where all of them are the \
subject because they act on each other."""


class InteractionPhrases(BaseModel):
    """An interaction in two noun phrases, and who is who in them."""

    class_level: str
    appearance_level: str
    subject: list[int]
    object: list[int]


def phrases_item(clip_id: str, interaction: int, sentence: int) -> str:
    """Name of the question about a sentence of an interaction; both count from 0."""
    return f"{STAGE}/{clip_id}/{interaction}/{sentence}"


def roles(found: Interaction, sentence: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Actors and targets of a sentence of an interaction.

    Of a bidirectional one all objects are actors; else the subject is, and all others are targets.
    """
    labels = list_labels(found.sentences[sentence].text)
    if found.kind == "bidirectional":
        return tuple(labels), ()
    return tuple(labels[:1]), tuple(labels[1:])


def phrases_task(
    clip: Clip,
    found: Interaction,
    place: tuple[int, int],
    seen: Mapping[int, Appearance],
) -> Task:
    """The question about one sentence.

    Args:
        clip: the clip.
        found: the interaction.
        place: its number among those of the clip, and the number of its sentence, from 0.
        seen: object id -> what stage 1 saw of it.
    """
    actors, targets = roles(found, place[1])
    lines = [f"Sentence: {found.sentences[place[1]].text}", f"Interaction: {found.kind}"]
    lines += [
        f"[{key}] class: {class_name(clip.objects[key])}; look: {seen[key].appearance}"
        for key in sorted((*actors, *targets))
    ]
    return Task(
        item=phrases_item(clip.clip_id, *place),
        stage=STAGE,
        system=_SYSTEM,
        text="\n".join(lines),
        answer=InteractionPhrases,
        check=lambda answer: check_phrases(answer, actors, targets),
    )


def check_phrases(
    answer: InteractionPhrases, actors: Sequence[int], targets: Sequence[int]
) -> str | None:
    """What is wrong with phrases of a sentence in which these are subject and object."""
    for name in ("class_level", "appearance_level"):
        text = getattr(answer, name)
        words = word_count(text)
        if words < 2 or words > _MOST_WORDS:
            return f"{name} has {words} words, it must have 2 to {_MOST_WORDS}"
        if found := refusal(text):
            return f"{name} refuses ({found!r}); write the phrase"
        if found := leak(text):
            return f"{name} says {found!r}; it must not hold numbers or speak of markings"
    if set(answer.subject) != set(actors) or set(answer.object) != set(targets):
        return (
            f"subject is {answer.subject} and object {answer.object}, by the sentence they are "
            f"{list(actors)} and {list(targets)}"
        )
    return None
