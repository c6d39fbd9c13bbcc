"""Choose what is said about a scene: clear to a viewer, often not to a mere reader."""

from dataclasses import dataclass, fields, replace
from itertools import product

import numpy as np

from reviosa.data.synthetic.grammar import (
    Description,
    NounPhrase,
    Reference,
    needs_looking,
    resolve,
    say,
)
from reviosa.data.synthetic.lexicon import MOTION_CLAUSES
from reviosa.data.synthetic.scene import Event, Scene, SceneObject

__all__ = ["LEAST_VISIBLE", "SyntheticExpression", "write_expressions"]

LEAST_VISIBLE = 0.6
"""An object is spoken of only if this share of it can be seen, in the mean over the frames."""

# Attributes said of a party of an event, and how often; () is "the object".
_STYLES: tuple[tuple[tuple[str, ...], float], ...] = (
    ((), 0.17),
    (("shape",), 0.27),
    (("color",), 0.16),
    (("color", "shape"), 0.18),
    (("texture", "shape"), 0.05),
    (("size", "shape"), 0.05),
    (("texture", "color", "shape"), 0.06),
    (("size", "color", "texture", "shape"), 0.06),
)
_TRIES = 12


@dataclass(frozen=True)
class SyntheticExpression:
    """An expression with its meaning and truth."""

    text: str
    caption_type: str
    actors: tuple[int, ...]
    """Object indices."""
    targets: tuple[int, ...]
    """Object indices; empty unless the caption type is "unidirectional"."""
    description: Description
    needs_looking: bool
    """Whether the looks of all objects do not suffice to know which are meant."""


def write_expressions(
    rng: np.random.Generator, scene: Scene, visible: np.ndarray, most: int
) -> tuple[SyntheticExpression, ...]:
    """Up to ``most`` expressions about a scene, each with exactly one meaning, in random order.

    Args:
        rng: the source of choice.
        scene: the scene.
        visible: mean share of each object that can be seen, [object].
        most: the largest number of expressions.
    """
    writer = _Writer(rng, scene, visible)
    for event in scene.events:
        for _ in range(max(1, most // 8)):
            if event.mutual:
                writer.mutual(event)
            else:
                writer.interaction(event)
    budget = int(rng.integers(min(5, most), most + 1))
    writer.groups()
    writer.singles(max(1, budget - len(writer.written)))
    order = rng.permutation(len(writer.written))[:most]
    return tuple(writer.written[i] for i in order)


class _Writer:
    """Collects valid expressions of one scene."""

    def __init__(self, rng: np.random.Generator, scene: Scene, visible: np.ndarray) -> None:
        self.rng = rng
        self.objects, self.events = scene.objects, scene.events
        self.visible = visible
        self.written: list[SyntheticExpression] = []

    def interaction(self, event: Event) -> None:
        """Active sentences and passive ones, most of them as twins."""
        active = self._draw(event, passive=False)
        if active is not None and self.rng.random() < 0.6:
            self._try(_twin(active, self.objects, event))
        else:
            self._draw(event, passive=True)
        if self.rng.random() < 0.5:
            self._draw(event, passive=bool(self.rng.random() < 0.5))

    def mutual(self, event: Event) -> None:
        """One or two sentences about both, by name or merely as "the two objects"."""
        pair = [self.objects[event.first], self.objects[event.second]]
        wanted = 1 + int(self.rng.random() < 0.5)
        for _ in range(_TRIES):
            if wanted == 0:
                return
            first, second = (pair[i] for i in self.rng.permutation(2))
            subject, other = self._phrase(first), self._phrase(second)
            if subject == other:
                other = None
            elif self.rng.random() < 0.25:
                subject, other = NounPhrase(), None
            wanted -= self._try(Description("bidirectional", subject, event.verb, other=other))

    def groups(self) -> None:
        """One or two plural sentences."""
        wanted = 1 + int(self.rng.random() < 0.25)
        options = {
            replace(phrase, motion=motion)
            for item in self.objects
            for phrase in _phrases(item, most=2)
            for motion in (None, *_motions(item))
            if phrase != NounPhrase() or motion is not None
        }
        self._choose([Description("multi", phrase) for phrase in sorted(options, key=str)], wanted)

    def singles(self, wanted: int) -> None:
        """Sentences about one object, by look or by motion in turn."""
        by_look, by_motion = [], []
        for item in self.objects:
            for phrase in _phrases(item, most=4):
                by_look.append(Description("single", phrase))
                by_motion += [
                    Description("single", replace(phrase, motion=motion))
                    for motion in _motions(item)
                ]
        turns = [by_motion, by_look] * wanted
        before = len(self.written)
        for options in turns:
            if len(self.written) - before < wanted:
                self._choose(options, 1)

    def _draw(self, event: Event, passive: bool) -> Description | None:
        """Write a random valid sentence about an interaction; None if none was found."""
        pair = (self.objects[event.first], self.objects[event.second])
        subject, other = pair[::-1] if passive else pair
        for _ in range(_TRIES):
            vague = None
            if self.rng.random() < 0.22:
                vague = str(self.rng.choice(["another object", "something"]))
            description = Description(
                "unidirectional",
                self._phrase(subject),
                event.verb,
                passive,
                None if vague else self._phrase(other),
                vague,
            )
            if self._try(description):
                return description
        return None

    def _phrase(self, item: SceneObject) -> NounPhrase:
        weights = np.array([weight for _, weight in _STYLES])
        said = _STYLES[int(self.rng.choice(len(_STYLES), p=weights / weights.sum()))][0]
        return NounPhrase(**{name: getattr(item, name) for name in said})

    def _choose(self, options: list[Description], wanted: int) -> None:
        """Write some of the options, those that need looking and those that are short first."""
        options = list(dict.fromkeys(options))
        valid = [
            (option, reference)
            for option in options
            if (reference := resolve(option, self.objects, self.events)) is not None
        ]
        if not valid:
            return
        weights = np.array(
            [
                (2.5 if needs_looking(option, reference, self.objects) else 1.0)
                / (1 + _length(option.subject)) ** 2
                for option, reference in valid
            ]
        )
        order = self.rng.choice(len(valid), len(valid), replace=False, p=weights / weights.sum())
        for index in order:
            if wanted == 0:
                return
            wanted -= self._try(valid[index][0])

    def _try(self, description: Description) -> bool:
        """Write a description if it has one meaning, its objects are visible and it is new."""
        reference = resolve(description, self.objects, self.events)
        if reference is None or not self._seen(reference):
            return False
        text = say(description, len(reference.actors))
        if any(text == expression.text for expression in self.written):
            return False
        self.written.append(
            SyntheticExpression(
                text,
                description.kind,
                reference.actors,
                reference.targets,
                description,
                needs_looking(description, reference, self.objects),
            )
        )
        return True

    def _seen(self, reference: Reference) -> bool:
        meant = reference.actors + reference.targets
        return bool((self.visible[list(meant)] >= LEAST_VISIBLE).all())


def _twin(active: Description, objects: tuple[SceneObject, ...], event: Event) -> Description:
    """The passive sentence about the same event with the same words for both."""
    subject = active.other
    if subject is None:  # "something" is no subject; name it by its shape
        subject = NounPhrase(shape=objects[event.second].shape)
    return replace(active, subject=subject, other=active.subject, passive=True, vague=None)


def _phrases(item: SceneObject, most: int) -> list[NounPhrase]:
    """All ways to say up to ``most`` attributes of an object, also none."""
    names = ("size", "color", "texture", "shape")
    return [
        NounPhrase(
            **{name: getattr(item, name) for name, use in zip(names, said, strict=True) if use}
        )
        for said in product((False, True), repeat=4)
        if sum(said) <= most
    ]


def _motions(item: SceneObject) -> tuple[str, ...]:
    return (item.motion,) if item.motion in MOTION_CLAUSES else ()


def _length(phrase: NounPhrase) -> int:
    """Number of attributes said; motion and shape are free."""
    return sum(
        getattr(phrase, field.name) is not None
        for field in fields(phrase)
        if field.name not in ("motion", "shape")
    )
