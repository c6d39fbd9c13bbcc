"""How long the hidden states are that enter each layer: what sink patches are told by."""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from reviosa.model import ReviosaModel

__all__ = ["record_hidden_norms"]


@contextlib.contextmanager
def record_hidden_norms(model: ReviosaModel) -> Iterator[list[Tensor]]:
    """Record the lengths of the hidden states of the last pass through the language model.

    Yields:
        a list that holds, after a forward pass, float32 [batch, token] for each layer.
    """
    # torch types every submodule as a tensor or a module.
    layers: Any = model.language_model.layers
    norms: list[Tensor] = []

    def hook(index: int) -> Any:
        def record(module: Any, args: tuple, kwargs: dict) -> None:
            states = args[0] if args else kwargs["hidden_states"]
            if index == 0:
                norms.clear()
            norms.append(states.detach().float().norm(dim=-1))

        return record

    handles = [
        layer.register_forward_pre_hook(hook(index), with_kwargs=True)
        for index, layer in enumerate(layers)
    ]
    try:
        yield norms
    finally:
        for handle in handles:
            handle.remove()
