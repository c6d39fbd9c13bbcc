"""Rows of the attention matrix, computed beside the kernel that computes the output.

Attention maps of a whole model do not fit in memory, and asking for them switches fused attention
off. Where a few queries are of interest, ``softmax(q[rows] K^T * scale + mask)`` of those rows is
one small matrix product a layer. It is computed in fp32 and is differentiable.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reviosa.errors import ReviosaError
from reviosa.model.attention_functions import AttentionCall

__all__ = ["Rows", "rows_of_call", "softmax_rows"]

# Arguments by which a layer changes its scores in a way that is not followed here.
_FOREIGN = ("position_bias", "indices", "block_indices", "sinks")


@dataclass(frozen=True)
class Rows:
    """Queries of one forward pass whose rows are wanted."""

    sample: Tensor
    """Sequence of the batch, int64 [row]."""
    query: Tensor
    """Index into this pass's queries, int64 [row]."""
    position: Tensor
    """The same token's position in the sequence, int64 [row]."""


def softmax_rows(
    query: Tensor,
    key: Tensor,
    mask: Tensor,
    scaling: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Softmax rows of chosen queries over all keys, in fp32.

    Args:
        query: [row, head, head_dim], the queries of the rows.
        key: [row, key_head, key, head_dim]; ``head`` is a multiple of ``key_head`` (GQA).
        mask: [row, 1 or head, key]: bool, True where a key is seen, or added to the scores.
        scaling: factor on the scores.
        softcap: bound c of the scores, ``c tanh(score / c)`` (Gemma 2, arXiv 2408.00118).
        sinks: a further score of each head that takes part in the softmax and belongs to no key,
            [head] (gpt-oss, arXiv 2508.10925).

    Returns:
        float32 [row, head, key]; each row sums to one, to less with sinks.
    """
    heads, key_heads = query.shape[1], key.shape[1]
    with torch.autocast(query.device.type, enabled=False):
        grouped = query.float().unflatten(1, (key_heads, heads // key_heads))
        scores = (grouped @ key.float().transpose(-1, -2)).flatten(1, 2) * scaling
        if softcap is not None:
            scores = (scores / softcap).tanh() * softcap
        if mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask, float("-inf"))
        else:
            scores = scores + mask.float()
        if sinks is None:
            return scores.softmax(dim=-1)
        further = sinks.float().view(1, -1, 1).expand(len(scores), -1, -1)
        return torch.cat([scores, further], dim=-1).softmax(dim=-1)[..., :-1]


def rows_of_call(call: AttentionCall, rows: Rows, keys: int) -> Tensor:
    """The rows of one layer.

    Args:
        call: what the layer handed to its attention function.
        rows: which rows.
        keys: length of the sequence up to the end of this pass. A layer with a sliding window may
            hold the last of these keys only, a static cache has room for more.

    Returns:
        float32 [row, head, keys], zero where the layer no longer holds a key.

    Raises:
        ReviosaError: the layer's scores depend on something that is not followed here.
    """
    _check(call)
    dropped = max(keys - call.key.shape[2], 0)
    found = softmax_rows(
        call.query[rows.sample, :, rows.query],
        call.key[rows.sample],
        _mask(call, rows, dropped),
        call.scaling,
        call.options.get("softcap"),
        call.options.get("s_aux"),
    )
    return torch.nn.functional.pad(found, (dropped, 0))[..., :keys]


def _mask(call: AttentionCall, rows: Rows, dropped: int) -> Tensor:
    """The rows of whatever mask the attention function was handed, [row, 1 or head, key]."""
    mask, sample = call.mask, rows.sample
    if mask is not None and mask.dim() == 4:
        query = rows.query if mask.shape[2] > 1 else torch.zeros_like(rows.query)
        return mask[sample if mask.shape[0] > 1 else torch.zeros_like(sample), :, query]
    # Causality and window are the function's own affair: flash attention is handed the padding
    # alone, and SDPA nothing where nothing is padded.
    key = torch.arange(call.key.shape[2], device=call.key.device)
    own = (rows.position - dropped)[:, None]
    causal, window = call.options.get("is_causal"), call.options.get("sliding_window")
    if causal is None:
        causal = getattr(call.module, "is_causal", True)
    seen = key <= own if causal else torch.ones_like(key <= own)
    if window is not None:
        seen = seen & (key > own - window)
    if mask is not None:
        seen = seen & mask.bool()[sample]
    return seen[:, None]


def _check(call: AttentionCall) -> None:
    foreign = [name for name in _FOREIGN if call.options.get(name) is not None]
    if foreign:
        raise ReviosaError(
            f"{type(call.module).__name__} of layer {call.module.layer_idx} changes its scores by "
            f"{', '.join(foreign)}, which cannot be followed; record models or layers without it"
        )
    if call.mask is not None and not isinstance(call.mask, Tensor):
        raise ReviosaError(
            f"got a {type(call.mask).__name__} for an attention mask, expected a tensor; load the "
            'model with attn_implementation="sdpa"'
        )
    if _is_packed(call):
        raise ReviosaError(
            "the sequences are packed into one, which only the kernel knows; "
            "record them as a padded batch with its attention_mask"
        )


def _is_packed(call: AttentionCall) -> bool:
    """Whether flash attention will find several sequences in one row by their positions."""
    if call.options.get("cu_seq_lens_q") is not None:
        return True
    places = call.options.get("position_ids")
    flash = "flash" in str(call.module.config._attn_implementation)
    if not flash or call.mask is not None or places is None or places.dim() != 2:
        return False
    return bool((places.diff(dim=1) != 1).any())
