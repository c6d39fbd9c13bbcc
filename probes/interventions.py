"""Changing what heads write or see at the role tokens, while the rest of the model runs as it is.

A head's output z is the part of the output projection's input that it fills. Replacing z in the
rows of one batch by different values makes every row an experiment of its own: many ablations of
one conversation share a forward pass, and all of them share the frames that were read before.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reviosa.errors import ReviosaError
from reviosa.model import ReviosaModel
from reviosa.model.attention_functions import AttentionCall, around_attention

__all__ = ["cut_attention", "edit_heads", "record_heads"]


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


@dataclass(frozen=True)
class _Cut:
    """What chosen heads must not see."""

    chosen: Tensor
    """bool [row, head] of one layer."""
    roles: Tensor
    """int64 [row or 1, token]"""
    keys: Tensor
    """bool [role, key]"""


@contextlib.contextmanager
def cut_attention(
    model: ReviosaModel, chosen: Tensor, roles: Tensor, keys: Tensor
) -> Iterator[None]:
    """Keep chosen heads from seeing some keys at the role tokens, during the block's passes.

    What they would have looked at goes to the keys that are left, as softmax does it (attention
    knock-out). Other tokens, and other heads at the same token, are not touched.

    Args:
        model: the model; outside the block it is as it was.
        chosen: bool [row, layer, head], which heads are cut in which row of the batch.
        roles: int64 [row or 1, token], 0 at actor tokens, 1 at target tokens and -1 elsewhere.
        keys: bool [role, key], what each role's token must not see; keys count from the start of
            the sequence, those in a KV cache included.

    Raises:
        ReviosaError: in a forward pass: the batch has other numbers of rows, tokens or keys.
    """
    # torch types every submodule as a tensor or a module.
    layers: Any = model.language_model.layers
    cuts = {
        layers[layer].self_attn: _Cut(chosen[:, layer], roles, keys)
        for layer in range(len(layers))
        if bool(chosen[:, layer].any())
    }

    def cut(call: AttentionCall, output: Tensor) -> Tensor:
        return _without_keys(output, cuts[call.module], call)

    with around_attention(cuts, cut):
        yield


def _without_keys(output: Tensor, cut: _Cut, call: AttentionCall) -> Tensor:
    """``output`` [row, token, head, head_dim] with the role tokens' rows of chosen heads redone."""
    query, key, value = call.query, call.key, call.value
    rows, heads, tokens = query.shape[:3]
    keys = key.shape[2]
    if (rows, tokens, keys) != (len(cut.chosen), cut.roles.shape[1], cut.keys.shape[1]):
        raise ReviosaError(
            f"got a batch of {rows} rows, {tokens} tokens and {keys} keys, expected "
            f"{len(cut.chosen)}, {cut.roles.shape[1]} and {cut.keys.shape[1]}; "
            "cut the very batch that is run"
        )
    output = output.clone()
    group = heads // key.shape[1]
    wide_key, wide_value = (x.float().repeat_interleave(group, dim=1) for x in (key, value))
    later = torch.arange(keys, device=query.device)
    for token in (cut.roles >= 0).any(dim=0).nonzero()[:, 0].tolist():
        # One conversation a batch: a token has the same role in all rows.
        role = int(cut.roles[:, token].max())
        scores = (query[:, :, token, None].float() * wide_key).sum(dim=-1) * call.scaling
        # Role tokens are at the end of sequences of one length: what they see is what came before.
        unseen = (later > keys - tokens + token) | cut.keys[role]
        new = scores.masked_fill(unseen, float("-inf")).softmax(dim=-1)[:, :, None] @ wide_value
        old = output[:, token]
        output[:, token] = torch.where(cut.chosen[:, :, None], new[:, :, 0].to(old.dtype), old)
    return output
