"""What the figures of causes share: their words, and the effects that they draw."""

from typing import TYPE_CHECKING

from reports.style import count, number, per_cent

if TYPE_CHECKING:
    from probes.causal import AblationEffect, AblationResults

__all__ = ["ROLES", "WHAT", "change_words", "effects_of", "in_points", "whole_words"]

ROLES = ("actor", "target")
WHAT = {
    "mean": "write their mean over the same role's tokens of other videos",
    "resample": "write what they wrote in an expression of another video",
    "zero": "write nothing",
    "blind": "do not see the patches",
    "object-blind": "do not see the patches of their role's true object",
    "role-swap": "write what they wrote in the twin that names the same objects in exchanged roles",
}
"""What heads do that are silenced."""


def effects_of(results: "AblationResults", role: str, group: str) -> list["AblationEffect"]:
    """Effects of one group that have a value, fewest heads first."""
    found = [
        effect
        for effect in results.effects
        if (effect.role, effect.group) == (role, group) and effect.change.value is not None
    ]
    return sorted(found, key=lambda effect: (effect.k, effect.pairs))


def change_words(results: "AblationResults") -> str:
    """What is measured, at the start of a title."""
    if results.kind == "role-swap":
        return "How far masks move onto the other role's object"
    return "Change of J&F"


def whole_words(results: "AblationResults") -> str:
    """``actor 70.0 whole, 20 expressions of 8 videos`` of each role that was named."""
    said = [
        f"{role} {per_cent(whole.value)} whole, {count(whole.n, 'expression')} of "
        f"{count(whole.n_videos, 'video')}"
        for role in ROLES
        if (whole := results.whole[role]).value is not None
    ]
    return "; ".join(said) if said else "no role was named"


def in_points(value: float | None) -> str:
    """A share in points with one decimal."""
    return number(None if value is None else 100 * value, 1)
