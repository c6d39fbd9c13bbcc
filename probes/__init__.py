"""Instruments on a ReVIOSa model, or any decoder, and statistics on what they record."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reviosa.model import (
        AttentionRecord,
        RoleAttention,
        find_tokens,
        patch_grid,
        record_attention,
        record_role_attention,
    )

__all__ = [
    "AttentionRecord",
    "RoleAttention",
    "find_tokens",
    "patch_grid",
    "record_attention",
    "record_role_attention",
]


def __getattr__(name: str) -> Any:
    # Reading a store must not wait for torch and transformers.
    if name in __all__:
        return getattr(import_module("reviosa.model"), name)
    raise AttributeError(f"module 'probes' has no attribute {name!r}")
