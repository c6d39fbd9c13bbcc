"""Automatic verification: what can be known to be wrong with an expression without a person."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from reviosa.annotation.candidates import Candidate
from reviosa.annotation.settings import VerificationSettings
from reviosa.annotation.words import class_name, class_place, leak, normalised, refusal, word_count
from reviosa.data.prompts import question
from reviosa.errors import DataError

__all__ = ["verify"]

_FEWEST = {"single": 1, "multi": 2, "bidirectional": 2, "unidirectional": 1}


def verify(
    candidates: Sequence[Candidate],
    classes: Mapping[int, str],
    visible: Collection[int],
    settings: VerificationSettings,
) -> dict[str, list[str]]:
    """What is wrong with each expression of a clip.

    Args:
        candidates: all expressions of the clip.
        classes: object id -> class, of the objects that are spoken of.
        visible: ids of the objects that have a mask on some frame.
        settings: the bounds.

    Returns:
        expression id -> reasons, as sentences; empty for one that passes.
    """
    reasons = {
        item.exp_id: [
            *_wrong_words(item, settings),
            *_wrong_ids(item, classes, visible),
            *_wrong_classes(item, classes),
        ]
        for item in candidates
    }
    for found in (_wrong_twins(candidates), _said_twice(candidates)):
        for exp_id, reason in found:
            reasons[exp_id].append(reason)
    return reasons


def _wrong_words(item: Candidate, settings: VerificationSettings) -> list[str]:
    count = word_count(item.text)
    if not count:
        return ["it is empty"]
    found = []
    if not settings.least_words <= count <= settings.most_words:
        found.append(
            f"it has {count} words, {settings.least_words} to {settings.most_words} are allowed"
        )
    if words := leak(item.text):
        found.append(f"it speaks of the marking: {words!r}")
    if words := refusal(item.text):
        found.append(f"it is a refusal: {words!r}")
    try:
        question(item.text)
    except DataError as error:
        found.append(str(error))
    return found


def _wrong_ids(item: Candidate, classes: Mapping[int, str], visible: Collection[int]) -> list[str]:
    found = []
    for key in dict.fromkeys((*item.actor_ids, *item.target_ids)):
        if key not in classes:
            found.append(f"object {key} is none of the clip's")
        elif key not in visible:
            found.append(f"object {key} is visible on no frame")
    actors, targets = set(item.actor_ids), set(item.target_ids)
    fewest = _FEWEST[item.caption_type]
    if len(actors) < fewest or (item.caption_type == "single" and len(actors) > 1):
        found.append(f"{item.caption_type} with {len(actors)} objects as subject")
    if item.caption_type == "unidirectional" and not targets:
        found.append("an interaction without a target")
    if item.caption_type != "unidirectional" and targets:
        found.append(f"{item.caption_type} with a target")
    if actors & targets:
        found.append(f"object {min(actors & targets)} is both actor and target")
    return found


def _wrong_classes(item: Candidate, classes: Mapping[int, str]) -> list[str]:
    """Each object's class is named, and the subject's first."""
    places = {
        key: class_place(item.text, classes[key])
        for key in (*item.actor_ids, *item.target_ids)
        if key in classes
    }
    unnamed = dict.fromkeys(class_name(classes[key]) for key, place in places.items()
                            if place is None)  # fmt: skip
    found = [f"it does not name the class {name!r}" for name in unnamed]
    named = {key: place for key, place in places.items() if place is not None}
    subjects = [named[key] for key in item.actor_ids if key in named]
    others = [named[key] for key in item.target_ids if key in named]
    # Words such as "person" may mean either of an adult and a child: then the places are equal.
    if subjects and others and min(others) < min(subjects):
        found.append("it names what is acted on, not its subject, first")
    return found


def _wrong_twins(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    by_id = {item.exp_id: item for item in candidates}
    found = []
    for item in candidates:
        if item.twin is None:
            continue
        twin = by_id.get(item.twin)
        if twin is None:
            found.append((item.exp_id, f"its twin {item.twin} is missing"))
        elif (set(item.actor_ids), set(item.target_ids)) != (
            set(twin.target_ids),
            set(twin.actor_ids),
        ):
            found.append((item.exp_id, "its twin does not exchange the roles"))
        elif normalised(item.text) == normalised(twin.text):
            found.append((item.exp_id, "its twin has the same words"))
    return found


def _said_twice(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Of equal expressions that mean the same the first is kept; of others none is clear."""
    groups: defaultdict[str, list[Candidate]] = defaultdict(list)
    for item in candidates:
        groups[normalised(item.text)].append(item)
    found = []
    for items in groups.values():
        meanings = {(frozenset(x.actor_ids), frozenset(x.target_ids)) for x in items}
        if len(meanings) > 1:
            found += [(x.exp_id, "the same words mean other objects too") for x in items]
        else:
            found += [(x.exp_id, f"it says the same as {items[0].exp_id}") for x in items[1:]]
    return found
