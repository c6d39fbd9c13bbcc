"""The residual stream at chosen tokens, from the embedding to the state that prompts SAM2."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from reviosa.model import ReviosaModel

__all__ = ["record_residuals", "residual_names"]


def residual_names(num_layers: int) -> tuple[str, ...]:
    """Names of what :func:`record_residuals` records, in its order: ``num_layers + 2`` of them.

    ``embedding`` is what enters layer 0; ``L00`` to the last layer the residual stream behind that
    layer; ``norm`` the last of them after the final norm, which MLP_seg turns into SAM2's prompt
    (paper, equation 4).
    """
    return ("embedding", *(f"L{layer:02d}" for layer in range(num_layers)), "norm")


@contextlib.contextmanager
def record_residuals(model: ReviosaModel, tokens: Tensor) -> Iterator[list[Tensor]]:
    """Record hidden states at some tokens of the last forward pass.

    Args:
        model: the model; outside the block it is as it was.
        tokens: int64 [row, place], positions in the sequences of that pass, counted without what
            lies in a KV cache.

    Yields:
        a list that holds, after the pass, float32 [row, place, hidden] for each name of
        :func:`residual_names`.
    """
    # torch types every submodule as a tensor or a module.
    language: Any = model.language_model
    rows = torch.arange(len(tokens))[:, None]
    found: list[Tensor] = []

    def keep(states: Tensor) -> None:
        found.append(states[rows.to(states.device), tokens.to(states.device)].detach().float())

    def enters(module: Any, args: tuple, kwargs: dict) -> None:
        found.clear()
        keep(args[0] if args else kwargs["hidden_states"])

    def leaves(module: Any, args: tuple, output: Any) -> None:
        keep(output)

    handles = [
        language.layers[0].register_forward_pre_hook(enters, with_kwargs=True),
        *(layer.register_forward_hook(leaves) for layer in language.layers),
        language.norm.register_forward_hook(leaves),
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
