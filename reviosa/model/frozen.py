"""How image encoders run that training leaves as they are."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["one_by_one"]


def one_by_one(
    encode: Callable[[Tensor], Sequence[Tensor]], encoder: nn.Module, frames: Tensor
) -> list[Tensor]:
    """Encode frame by frame, without a graph, unless the encoder is training.

    Kernels are chosen by the size of a batch and by how it lies in memory, and some round
    differently: only so are a frame's features the same bits whatever frames stand beside it, which
    is what lets them be kept.

    Args:
        encode: from frames [frame, ...] to tensors [frame, ...].
        encoder: whose parameters tell whether anything trains.
        frames: [frame, 3, height, width].

    Returns:
        the tensors of ``encode``, [frame, ...] each.
    """
    trains = frames.requires_grad or any(p.requires_grad for p in encoder.parameters())
    if trains and torch.is_grad_enabled():
        return list(encode(frames))
    with torch.no_grad():
        found = [encode(frame.contiguous()[None]) for frame in frames]
    return [torch.cat(parts) for parts in zip(*found, strict=True)]
