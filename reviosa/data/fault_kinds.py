"""Faults of a data set put together by kind: a thousand missing frames are one thing to mend."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from reviosa.data.dataset import Fault

__all__ = ["FaultKind", "group_faults"]

# What differs between faults of one kind: texts in quotes, paths, then numbers.
_OWN = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"(?<!\S)[^\s,;:()]*/[^\s,;:()]*"), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"-?\d[\d.,]*(?:x\d+)?"), "N"),
)


@dataclass
class FaultKind:
    """Faults that read alike but for names and numbers."""

    what: str
    """The words of the first of them."""
    count: int = 0
    faults: list[Fault] = field(default_factory=list)
    """As many as were asked to be kept, the first ones."""


def group_faults(faults: Iterable[Fault], keep: int | None = None) -> list[FaultKind]:
    """Faults by kind, the most frequent first; kinds of one size in the order they came in.

    Args:
        faults: read once, and not held.
        keep: how many of a kind are kept; all without it.
    """
    kinds: dict[str, FaultKind] = {}
    for fault in faults:
        key = fault.what
        for pattern, shown in _OWN:
            key = pattern.sub(shown, key)
        kind = kinds.setdefault(key, FaultKind(fault.what))
        kind.count += 1
        if keep is None or len(kind.faults) < keep:
            kind.faults.append(fault)
    return sorted(kinds.values(), key=lambda kind: -kind.count)
