"""Tokens whose attention is asked for."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

__all__ = ["Queries", "find_tokens"]


@dataclass(frozen=True)
class Queries:
    """Query tokens of a batch, in rows."""

    sample: Tensor
    """Which sequence of the batch each row belongs to, int64 [row]."""
    position: Tensor
    """Position of each query token in its sequence, int64 [row, query]; -1 where absent."""

    @property
    def present(self) -> Tensor:
        """Which queries each row has, bool [row, query]."""
        return self.position >= 0

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return replace(self, sample=self.sample.to(device), position=self.position.to(device))


def find_tokens(input_ids: Tensor, token_id: int) -> Tensor:
    """Positions of a token in each sequence, in order.

    Args:
        input_ids: [batch, token].
        token_id: the token.

    Returns:
        int64 [batch, query], -1 after the last of a sequence; ``query`` is the largest count.
    """
    found = input_ids == token_id
    counts = found.sum(dim=1)
    positions = input_ids.new_full((len(found), int(counts.max())), -1, dtype=torch.int64)
    sample, position = found.nonzero(as_tuple=True)
    order = found.cumsum(dim=1)[sample, position] - 1
    positions[sample, order] = position
    return positions
