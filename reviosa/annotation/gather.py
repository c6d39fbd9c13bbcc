"""The answers about a clip become expressions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reviosa.annotation.candidates import Candidate, candidate_id
from reviosa.annotation.clip_record import Clip
from reviosa.annotation.interactions import interactions_item
from reviosa.annotation.phrases import phrases_item, roles
from reviosa.annotation.referring import merging_item, referring_item

__all__ = ["gather"]

_LEVELS = ("class", "appearance")


def gather(clip: Clip, answers: Mapping[str, Any]) -> list[Candidate]:
    """All expressions of a clip, in the order of the stages.

    Args:
        clip: the clip.
        answers: of stages 2 to 4, by item; what is missing gives no expression.
    """
    return [
        *_singles(clip, answers),
        *_merged(clip, answers),
        *_interactions(clip, answers),
    ]


def _singles(clip: Clip, answers: Mapping[str, Any]) -> list[Candidate]:
    found = []
    for key in sorted(clip.objects):
        phrases = answers.get(referring_item(clip.clip_id, key))
        if phrases is None:
            continue
        for name in ("all", "motion", "appearance"):
            text = _clean(getattr(phrases, name))
            exp_id = candidate_id(f"referring-{key}-{name}", text)
            found.append(Candidate(exp_id, text, "single", (key,), (), "referring"))
    return found


def _merged(clip: Clip, answers: Mapping[str, Any]) -> list[Candidate]:
    merging = answers.get(merging_item(clip.clip_id))
    if merging is None or not merging.merge:
        return []
    text, keys = _clean(merging.phrase), tuple(sorted(set(merging.objects)))
    exp_id = candidate_id(f"merging-{'-'.join(map(str, keys))}", text)
    return [Candidate(exp_id, text, "multi", keys, (), "merging")]


def _interactions(clip: Clip, answers: Mapping[str, Any]) -> list[Candidate]:
    found = []
    known = answers.get(interactions_item(clip.clip_id))
    for number, interaction in enumerate(known.interactions if known else ()):
        sides: list[dict[str, Candidate]] = []
        for place in range(len(interaction.sentences)):
            phrases = answers.get(phrases_item(clip.clip_id, number, place))
            actors, targets = roles(interaction, place)
            side = {}
            for level in _LEVELS if phrases else ():
                text = _clean(getattr(phrases, f"{level}_level"))
                exp_id = candidate_id(f"phrases-{number}-{place}-{level}", text)
                side[level] = Candidate(exp_id, text, interaction.kind, actors, targets, "phrases")
            sides.append(side)
        # With three objects or more there is no one other side.
        if len(sides) == 2:
            sides = [
                {
                    level: replace(item, twin=other[level].exp_id if level in other else None)
                    for level, item in side.items()
                }
                for side, other in (sides, sides[::-1])
            ]
        found += [side[level] for side in sides for level in _LEVELS if level in side]
    return found


def _clean(text: str) -> str:
    """One line without a final full stop or quotation marks around it."""
    return " ".join(text.split()).strip("\"'\u201c\u201d").rstrip(". ")
