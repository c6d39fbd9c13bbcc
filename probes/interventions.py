"""Changing what heads write at the role tokens, while the rest of the model runs as it is.

A head's output z is the part of the output projection's input that it fills. Replacing z in the
rows of one batch by different values makes every row an experiment of its own: many ablations of
one conversation share a forward pass, and all of them share the frames that were read before.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from reviosa.errors import ReviosaError
from reviosa.model import ReviosaModel

__all__ = ["edit_heads", "record_heads"]


@contextlib.contextmanager
def edit_heads(
    model: ReviosaModel,
    chosen: Tensor,
    roles: Tensor | None = None,
    values: Tensor | None = None,
) -> Iterator[None]:
    """Replace the outputs of chosen heads during the forward passes of the block.

    Args:
        model: the model; outside the block it is as it was.
        chosen: bool [row, layer, head], which heads are replaced in which row of the batch.
        roles: int64 [row or 1, token], 0 at actor tokens, 1 at target tokens and -1 elsewhere:
            nothing is replaced at -1. Every token counts as an actor's when None.
        values: what stands there instead, [role, layer, head, head_dim] or, of each row,
            [row, role, layer, head, head_dim]; zero when None.

    Raises:
        ReviosaError: in a forward pass: the batch has other numbers of rows or tokens.
    """
    # torch types every submodule as a tensor or a module.
    layers: Any = model.language_model.layers
    heads = chosen.shape[2]

    def hook(layer: int) -> Any:
        def replace(module: Any, args: tuple) -> tuple:
            z = args[0].unflatten(-1, (heads, -1))
            if z.shape[0] != len(chosen) or (roles is not None and z.shape[1] != roles.shape[1]):
                raise ReviosaError(
                    f"got a batch of {z.shape[0]} rows and {z.shape[1]} tokens, expected "
                    f"{len(chosen)} rows"
                    + ("" if roles is None else f" and {roles.shape[1]} tokens")
                    + "; edit the very batch that is run"
                )
            mine = chosen[:, layer, None, :, None]
            for role in (0, 1):
                if roles is None:
                    here = mine if role == 0 else None
                else:
                    here = mine & (roles == role)[:, :, None, None]
                if here is None:
                    continue
                new = 0.0 if values is None else _of(values, role, layer).to(z.dtype)
                z = torch.where(here, new, z)
            return (z.flatten(-2), *args[1:])

        return replace

    changed = chosen.flatten(2).any(dim=2).any(dim=0).tolist()
    handles = [
        layers[layer].self_attn.o_proj.register_forward_pre_hook(hook(layer))
        for layer, is_changed in enumerate(changed)
        if is_changed
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of(values: Tensor, role: int, layer: int) -> Tensor:
    """Values of one role and layer, to be laid over [row, token, head, head_dim]."""
    if values.dim() == 4:
        return values[role, layer]
    return values[:, role, layer, None]


@contextlib.contextmanager
def record_heads(model: ReviosaModel, tokens: Sequence[int]) -> Iterator[list[Tensor]]:
    """Record what every head writes at some tokens of the last forward pass.

    Args:
        model: the model.
        tokens: places in the sequence of that pass.

    Yields:
        a list that holds, after the pass, float32 [row, token, head, head_dim] for each layer.
    """
    layers: Any = model.language_model.layers
    heads = model.config.num_heads
    found: list[Tensor] = []
    places = list(tokens)

    def hook(index: int) -> Any:
        def record(module: Any, args: tuple) -> None:
            if index == 0:
                found.clear()
            found.append(args[0][:, places].detach().float().unflatten(-1, (heads, -1)))

        return record

    handles = [
        layer.self_attn.o_proj.register_forward_pre_hook(hook(index))
        for index, layer in enumerate(layers)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
