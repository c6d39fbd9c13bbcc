"""Synthetic expressions: each has one meaning, many need the video, words are all known.

The reader of expressions below was written apart from the generator's grammar, so that both would
have to be wrong alike: it splits the text, reads the attributes off the words, and looks for them
in a scene.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from reviosa.data.records import CAPTION_TYPES
from reviosa.data.synthetic import (
    COLORS,
    SHAPES,
    SIZES,
    TEXTURES,
    Event,
    SceneObject,
    SyntheticVideo,
    vocabulary,
)
from reviosa.data.synthetic.expressions import LEAST_VISIBLE
from reviosa.data.synthetic.grammar import Description, NounPhrase, Reference, resolve, say
from reviosa.data.synthetic.lexicon import MOTION_CLAUSES, MUTUAL_PHRASES, VERB_PHRASES
from reviosa.data.synthetic.solo import Track

Videos = tuple[SyntheticVideo, ...]

SINGULAR = {shape + "s": shape for shape in SHAPES} | {"crosses": "cross", "objects": "object"}


@dataclass(frozen=True)
class Parsed:
    """Words of one noun phrase; ``vague`` is "something" and "another object"."""

    attributes: tuple[tuple[str, str], ...]
    motion: str | None = None
    plural: bool = False
    vague: bool = False

    def alike(self, video: SyntheticVideo) -> set[int]:
        """Objects with these looks, whatever they do."""
        return {
            index
            for index, item in enumerate(video.objects)
            if all(getattr(item, name) == value for name, value in self.attributes)
        }

    def fitting(self, video: SyntheticVideo) -> set[int]:
        """Objects with these looks and this motion."""
        return {
            index
            for index in self.alike(video)
            if self.motion in (None, video.objects[index].motion)
        }


def parse_noun(text: str) -> Parsed:
    """Read a noun phrase, with its motion clause if it has one."""
    if text in ("something", "another object"):
        return Parsed((), vague=True)
    motion = None
    for name, clauses in MOTION_CLAUSES.items():
        for clause in clauses:
            if text.endswith(" " + clause):
                motion, text = name, text.removesuffix(" " + clause)
    attributes = []
    plural = False
    for word in text.split():
        plural = plural or word in SINGULAR
        word = SINGULAR.get(word, word)
        kinds = {"size": SIZES, "color": COLORS, "texture": TEXTURES, "shape": SHAPES}
        attributes += [(kind, word) for kind, words in kinds.items() if word in words]
    return Parsed(tuple(attributes), motion, plural)


def split_event(text: str) -> tuple[str, str, str, bool] | None:
    """(verb, subject words, other words, passive) of an interaction, or None."""
    if split_mutual(text):  # "orbiting each other" holds "orbiting"
        return None
    for passive in (True, False):
        for verb, phrases in VERB_PHRASES.items():
            before, found, after = text.partition(f" {phrases[int(passive)]} ")
            if found:
                return verb, before, after, passive
    return None


def split_mutual(text: str) -> tuple[str, str] | None:
    """(verb, words before it) of a mutual event, or None."""
    for verb, phrase in MUTUAL_PHRASES.items():
        if text.endswith(" " + phrase):
            return verb, text.removesuffix(" " + phrase)
    return None


def meanings(text: str, video: SyntheticVideo) -> list[tuple[str, set[int], set[int]]]:
    """All (caption type, actors, targets) that the words could mean in a video."""
    if event := split_event(text):
        verb, *words, passive = event
        subject, other = (parse_noun(part) for part in words)
        found = []
        for happening in video.events:
            pair = (happening.first, happening.second)
            first, second = pair[::-1] if passive else pair
            fits = first in subject.alike(video) and (other.vague or second in other.alike(video))
            if happening.verb == verb and fits:
                found.append(("unidirectional", {first}, {second}))
        return found
    if mutual := split_mutual(text):
        verb, words = mutual
        parts = [parse_noun(part) for part in words.split(" and ")]
        parts = parts * 2 if len(parts) == 1 else parts
        found = []
        for happening in video.events:
            for first, second in (
                (happening.first, happening.second),
                (happening.second, happening.first),
            ):
                fits = first in parts[0].alike(video) and second in parts[1].alike(video)
                meant = ("bidirectional", {first, second}, set())
                if happening.verb == verb and fits and meant not in found:
                    found.append(meant)
        return found
    noun = parse_noun(text)
    fitting = noun.fitting(video)
    if noun.plural:
        return [("multi", fitting, set())] if len(fitting) > 1 else []
    return [("single", {index}, set()) for index in fitting]


def known_from_looks(text: str, video: SyntheticVideo) -> bool:
    """Whether a reader with a list of the objects' looks, but no video, knows who is meant."""
    if event := split_event(text):
        nouns = [parse_noun(part) for part in event[1:3]]
        return all(not noun.vague and len(noun.alike(video)) == 1 for noun in nouns)
    if mutual := split_mutual(text):
        nouns = [parse_noun(part) for part in mutual[1].split(" and ")]
        if len(nouns) == 1:
            return len(nouns[0].alike(video)) == 2
        return all(len(noun.alike(video)) == 1 for noun in nouns)
    noun = parse_noun(text)
    return noun.alike(video) == noun.fitting(video)


def test_every_expression_has_exactly_the_meaning_it_claims(synthetic_videos: Videos) -> None:
    for number, video in enumerate(synthetic_videos):
        for expression in video.expressions:
            claimed = (
                expression.caption_type,
                set(expression.actors),
                set(expression.targets),
            )
            assert meanings(expression.text, video) == [claimed], (number, expression.text)


def test_many_expressions_need_the_video(synthetic_videos: Videos) -> None:
    verdicts = []
    for video in synthetic_videos:
        for expression in video.expressions:
            known = known_from_looks(expression.text, video)
            assert expression.needs_looking == (not known), expression.text
            verdicts.append(not known)
    assert np.mean(verdicts) >= 0.3


def test_all_caption_types_and_several_expressions(synthetic_videos: Videos) -> None:
    counts = Counter(e.caption_type for video in synthetic_videos for e in video.expressions)
    total = sum(counts.values())
    assert set(counts) == set(CAPTION_TYPES)
    # The rarest type must still be met: bidirectional needs a second pair in the scene.
    assert min(counts.values()) / total > 0.02
    assert counts["unidirectional"] / total > 0.25
    numbers = [len(video.expressions) for video in synthetic_videos]
    assert min(numbers) >= 4 and max(numbers) <= 8 and np.mean(numbers) >= 5
    for video in synthetic_videos:
        assert len({e.text for e in video.expressions}) == len(video.expressions)
        assert any(e.caption_type == "unidirectional" for e in video.expressions)


def test_only_interactions_have_a_target(synthetic_videos: Videos) -> None:
    for video in synthetic_videos:
        for expression in video.expressions:
            assert len(expression.actors) >= 1
            one = expression.caption_type == "unidirectional"
            assert len(expression.targets) == int(one)
            assert not set(expression.actors) & set(expression.targets)


def test_passive_twins_swap_the_roles(synthetic_videos: Videos) -> None:
    twins = 0
    for video in synthetic_videos:
        active = {
            (e.description.subject, e.description.verb, e.description.other): e
            for e in video.expressions
            if e.caption_type == "unidirectional" and not e.description.passive
        }
        for passive in video.expressions:
            said = passive.description
            twin = active.get((said.other, said.verb, said.subject)) if said.passive else None
            if twin is None:
                continue
            twins += 1
            assert passive.actors == twin.targets and passive.targets == twin.actors
            assert " being " in passive.text and " being " not in twin.text
    assert twins >= 20


def test_both_voices_of_every_verb_occur(synthetic_videos: Videos) -> None:
    said = {
        (e.description.verb, e.description.passive)
        for video in synthetic_videos
        for e in video.expressions
        if e.caption_type == "unidirectional"
    }
    assert said == {(verb, passive) for verb in VERB_PHRASES for passive in (False, True)}


def test_objects_that_are_named_can_be_seen(synthetic_videos: Videos) -> None:
    for video in synthetic_videos:
        for expression in video.expressions:
            for index in expression.actors + expression.targets:
                present = video.masks[index].any(axis=(1, 2)).mean()
                assert present >= LEAST_VISIBLE, expression.text


def test_vocabulary_covers_all_expressions(synthetic_videos: Videos) -> None:
    words = vocabulary()
    assert list(words) == sorted(set(words))
    said = {w for video in synthetic_videos for e in video.expressions for w in e.text.split()}
    assert said <= set(words)
    # Nearly all words occur in 100 videos; counts above four are rare.
    assert set(words) - said <= {"four", "five", "six"}


def thing(
    shape: str, color: str, motion: str = "still", maybe: tuple[str, ...] = ()
) -> SceneObject:
    track = Track(np.zeros((4, 2)), np.zeros(4))
    seen = frozenset((motion, *maybe))
    return SceneObject(shape, color, "plain", "small", 20.0, motion, seen, track)


STAR, RING, RED_RING = thing("star", "red"), thing("ring", "blue"), thing("ring", "red")


def push(subject: NounPhrase, other: NounPhrase | None, passive: bool = False) -> Description:
    vague = "something" if other is None else None
    return Description("unidirectional", subject, "push", passive, other, vague)


def test_resolve_uses_the_event_where_looks_do_not_suffice() -> None:
    objects, events = [RING, STAR, RED_RING], [Event("push", 1, 2)]
    ring, anything = NounPhrase(shape="ring"), NounPhrase()
    assert resolve(push(anything, None), objects, events) == Reference((1,), (2,))
    assert resolve(push(anything, ring), objects, events) == Reference((1,), (2,))
    assert resolve(push(ring, None, passive=True), objects, events) == Reference((2,), (1,))
    # The ring pushes nothing, and "the ring" alone could be either.
    assert resolve(push(ring, None), objects, events) is None
    assert resolve(Description("single", ring), objects, events) is None
    assert resolve(Description("multi", ring), objects, events) == Reference((0, 2))


def test_resolve_refuses_two_events_and_what_only_looks_alike() -> None:
    objects = [RING, STAR, RED_RING, thing("star", "green")]
    anything = NounPhrase()
    pushes = [Event("push", 1, 2), Event("push", 3, 0)]
    assert resolve(push(anything, None), objects, pushes) is None
    green = push(NounPhrase(color="green"), None)
    assert resolve(green, objects, pushes) == Reference((3,), (0,))
    # A hit elsewhere could be taken for a push.
    mixed = [Event("push", 1, 2), Event("hit", 3, 0)]
    assert resolve(push(anything, None), objects, mixed) is None
    assert resolve(push(NounPhrase(color="red"), None), objects, mixed) == Reference((1,), (2,))


def test_resolve_refuses_a_motion_that_another_might_show() -> None:
    left = Description("single", NounPhrase(motion="left"))
    mover, other = thing("star", "red", "left"), thing("ring", "blue", "other", ("left",))
    assert resolve(left, [mover, RING], []) == Reference((0,))
    assert resolve(left, [mover, other], []) is None
    assert resolve(left, [other, RING], []) is None


def test_mutual_events_need_both_parties() -> None:
    objects, events = [RING, STAR, RED_RING], [Event("together", 0, 1)]
    ring, star = NounPhrase(shape="ring"), NounPhrase(shape="star")
    both = Description("bidirectional", star, "together", other=ring)
    assert resolve(both, objects, events) == Reference((0, 1))
    assert resolve(replace(both, subject=ring), objects, events) is None
    assert resolve(replace(both, subject=NounPhrase(), other=None), objects, events) is not None
    assert resolve(replace(both, subject=ring, other=None), objects, events) is None
    assert resolve(replace(both, verb="apart"), objects, events) is None


@pytest.mark.parametrize(
    ("description", "count", "text"),
    [
        (Description("single", NounPhrase("small", "red", "plain", "star")), 1,
         "the small red plain star"),
        (Description("single", NounPhrase(motion="still")), 1, "the object that stays still"),
        (Description("multi", NounPhrase(color="red")), 2, "all the red objects"),
        (Description("multi", NounPhrase(shape="cross", motion="still")), 2,
         "the two crosses that stay still"),
        (push(NounPhrase(color="red"), None), 1, "the red object pushing something"),
        (push(NounPhrase(shape="ring"), NounPhrase(), True), 1,
         "the ring being pushed by the object"),
        (Description("bidirectional", NounPhrase(), "bump"), 2,
         "the two objects bumping into each other"),
        (Description("bidirectional", NounPhrase(shape="star"), "apart",
                     other=NounPhrase(shape="moon")), 2, "the star and the moon moving apart"),
    ],
)  # fmt: skip
def test_words(description: Description, count: int, text: str) -> None:
    assert say(description, count) == text
