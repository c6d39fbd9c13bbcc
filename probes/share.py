"""Which items of a run one of several parts does."""

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Shard", "share"]

Item = TypeVar("Item")
Shard = tuple[int, int]
"""Which part, from 0, and how many there are."""


def share(items: Sequence[Item], shard: Shard | None) -> Sequence[Item]:
    """The items of one part: neighbours, so that the parts in order are the whole.

    Args:
        items: all of them.
        shard: which part; all when None.
    """
    if shard is None:
        return items
    index, count = shard
    return items[len(items) * index // count : len(items) * (index + 1) // count]
