"""How figures are written on the page of scale."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.scaling.sums import Split

__all__ = ["LONGEST", "SHORTEST", "between_ends", "ends", "hours", "size", "table"]

SHORTEST, LONGEST = 200, 500
"""Frames of a clip that the release's annotation pipeline lets through (REVIOSA.md 5)."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def hours(seconds: float) -> str:
    """Seconds as hours of two or more figures."""
    count = seconds / 3600
    return f"{count:,.0f}" if count >= 10 else f"{count:.2g}"


def size(count: float) -> str:
    """Bytes with a unit."""
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6)):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return f"{count / 1000:.3g} kB"


def ends(split: Split, of: Callable[[Split], float], show: Callable[[float], str]) -> str:
    """A figure with the shortest clips and with the longest."""
    low, high = (show(of(replace(split, frames=n))) for n in (SHORTEST, LONGEST))
    return low if low == high else f"{low} to {high}"


def between_ends(cost: Callable[[int], float]) -> str:
    """Hours with the shortest clips and with the longest, of seconds by frames a clip."""
    low, high = (hours(cost(frames)) for frames in (SHORTEST, LONGEST))
    return low if low == high else f"{low} to {high}"
