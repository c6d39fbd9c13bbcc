"""Attention functions that look at, or change, what one of transformers' own computes."""

import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

__all__ = ["register_around"]

Around = Callable[[nn.Module, Tensor, Tensor, Tensor, Any, float, Tensor], Tensor]
"""From module, query, key, value, mask, scaling and output to the output that is used."""


def register_around(prefix: str, base: str, around: Around) -> str:
    """Register, once, the attention function ``base`` with ``around`` after it; return its name.

    Args:
        prefix: of the name; one for each ``around``.
        base: an attention implementation of transformers, or one that was registered here.
        around: is handed what ``base`` was and what it gave.
    """
    name = f"{prefix}{base}"
    if name not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(name, _around(base, around))
        AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[base])
    return name


def _around(base: str, around: Around) -> Callable:
    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if base == "eager":
            # Eager attention is not in the registry: each modeling file has its own.
            function = sys.modules[type(module).__module__].eager_attention_forward
        else:
            function = ALL_ATTENTION_FUNCTIONS[base]
        output, weights = function(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        return around(module, query, key, value, attention_mask, scale, output), weights

    return attention
