"""Descriptions of objects and events: their words, and what in a scene they fit.

A description is kept only if it fits what it should and nothing else might be meant. "Might"
covers what a lenient viewer could see in a scene: a pusher also approaches, for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reviosa.data.synthetic.lexicon import (
    COUNTS,
    MOTION_CLAUSES,
    MUTUAL_PHRASES,
    PLURALS,
    VERB_PHRASES,
)
from reviosa.data.synthetic.scene import Event, SceneObject

__all__ = ["Description", "NounPhrase", "Reference", "needs_looking", "resolve", "say"]

# Seen in passing, an event of the listed kinds could be taken for one of the key's kind.
_CONFUSABLE = {
    "push": {"hit"},
    "pull": set(),
    "chase": {"pull", "pass"},
    "hit": {"push", "bump"},
    "carry": set(),
    "orbit": {"revolve"},
    "approach": {"push", "hit", "chase"},
    "jump": set(),
    "pass": set(),
    "together": {"carry", "push", "pull", "chase"},
    "apart": {"hit"},
    "bump": {"hit"},
    "revolve": {"orbit"},
}


@dataclass(frozen=True)
class NounPhrase:
    """Attributes that are said; None is not said. Without a shape the noun is "object"."""

    size: str | None = None
    color: str | None = None
    texture: str | None = None
    shape: str | None = None
    motion: str | None = None

    def looks_like(self, item: SceneObject) -> bool:
        """Whether the appearance that is said is the object's; motion does not count."""
        return (
            self.size in (None, item.size)
            and self.color in (None, item.color)
            and self.texture in (None, item.texture)
            and self.shape in (None, item.shape)
        )


@dataclass(frozen=True)
class Description:
    """The meaning of an expression."""

    kind: str
    """One of CAPTION_TYPES."""
    subject: NounPhrase
    """Of a mutual event, either party; all of a group."""
    verb: str | None = None
    passive: bool = False
    """The subject is what the verb is done to."""
    other: NounPhrase | None = None
    """The other party; None where it is left vague or there is none."""
    vague: str | None = None
    """Words for a vague other party: "another object" or "something"."""


@dataclass(frozen=True)
class Reference:
    """Object indices that a description means."""

    actors: tuple[int, ...]
    """The grammatical subject, or everything a sentence without a target speaks of."""
    targets: tuple[int, ...] = ()


def say(description: Description, count: int = 1) -> str:
    """The words of a description; ``count`` is the size of the group it means."""
    subject, verb = description.subject, description.verb
    if description.kind == "single":
        return f"the {_noun(subject)}"
    if description.kind == "multi":
        number = f"the {COUNTS[count]}" if count in COUNTS and subject.motion else "all the"
        return f"{number} {_noun(subject, plural=True)}"
    assert verb is not None
    if description.kind == "bidirectional":
        phrase = MUTUAL_PHRASES[verb]
        if description.other is None:
            return f"the two {_noun(subject, plural=True)} {phrase}"
        return f"the {_noun(subject)} and the {_noun(description.other)} {phrase}"
    phrase = VERB_PHRASES[verb][int(description.passive)]
    other = description.vague
    if description.other is not None:
        other = f"the {_noun(description.other)}"
    return f"the {_noun(subject)} {phrase} {other}"


def resolve(
    description: Description, objects: Sequence[SceneObject], events: Sequence[Event]
) -> Reference | None:
    """What a description means in a scene, or None where it fits nothing or could mean two things.

    Pure: the same for any order of objects but for the indices.
    """
    if description.kind in ("single", "multi"):
        sure = [i for i, item in enumerate(objects) if _fits(description.subject, item, False)]
        maybe = [i for i, item in enumerate(objects) if _fits(description.subject, item, True)]
        enough = len(sure) == 1 if description.kind == "single" else len(sure) >= 2
        return Reference(tuple(sure)) if enough and sure == maybe else None
    assert description.verb is not None
    found: list[Reference] = []
    for event in events:
        same = event.verb == description.verb
        if not same and event.verb not in _CONFUSABLE[description.verb]:
            continue
        ordered = (event.first, event.second)
        orders = [ordered, ordered[::-1]]
        if same and not event.mutual:
            orders = [ordered[::-1] if description.passive else ordered]
        fitting = [order for order in orders if _both_look_like(description, objects, order)]
        if not fitting:
            continue
        if not same:
            return None
        if description.kind == "bidirectional":
            found.append(Reference(tuple(sorted(ordered))))
        else:
            found.append(Reference((fitting[0][0],), (fitting[0][1],)))
    return found[0] if len(found) == 1 else None


def needs_looking(
    description: Description, reference: Reference, objects: Sequence[SceneObject]
) -> bool:
    """Whether a list of the objects' looks is not enough to know which are meant."""

    def alike(phrase: NounPhrase) -> set[int]:
        return {i for i, item in enumerate(objects) if phrase.looks_like(item)}

    if description.kind in ("single", "multi"):
        return alike(description.subject) != set(reference.actors)
    if description.other is None:
        if description.kind == "bidirectional":
            return alike(description.subject) != set(reference.actors)
        return True
    return len(alike(description.subject)) > 1 or len(alike(description.other)) > 1


def _noun(phrase: NounPhrase, plural: bool = False) -> str:
    noun = phrase.shape or "object"
    words = [phrase.size, phrase.color, phrase.texture, PLURALS[noun] if plural else noun]
    if phrase.motion is not None:
        words.append(MOTION_CLAUSES[phrase.motion][int(plural)])
    return " ".join(word for word in words if word)


def _fits(phrase: NounPhrase, item: SceneObject, lenient: bool) -> bool:
    if not phrase.looks_like(item):
        return False
    if phrase.motion is None:
        return True
    return phrase.motion in item.maybe if lenient else phrase.motion == item.motion


def _both_look_like(
    description: Description, objects: Sequence[SceneObject], order: tuple[int, ...]
) -> bool:
    subject, other = objects[order[0]], objects[order[1]]
    if not description.subject.looks_like(subject):
        return False
    if description.other is not None:
        return description.other.looks_like(other)
    # "the two stars moving together": the one phrase is said of both.
    return description.kind != "bidirectional" or description.subject.looks_like(other)
