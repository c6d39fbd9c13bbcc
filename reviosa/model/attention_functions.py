"""Attention functions that look at, or change, what one of transformers' own computes.

transformers looks the attention function up by name in a registry at every call. For the length of
a block each entry is replaced by one that calls it and then what was asked for. The model and its
configuration are not touched, so that masks, and code that goes by the function's name, are the
same inside the block as outside.
"""

import contextlib
import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface

__all__ = ["AttentionCall", "around_attention", "goes_through_interface"]

_REGISTRY, _EAGER = "ALL_ATTENTION_FUNCTIONS", "eager_attention_forward"


@dataclass(frozen=True)
class AttentionCall:
    """What a layer handed to its attention function."""

    module: nn.Module
    query: Tensor
    """[batch, head, query, head_dim]"""
    key: Tensor
    """[batch, key_head, key, head_dim]"""
    value: Tensor
    """[batch, key_head, key, head_dim]"""
    mask: Any
    """Whatever the implementation in use takes for a mask."""
    scaling: float
    """Factor on the scores."""
    options: dict[str, Any]
    """All other arguments, by name."""


Around = Callable[[AttentionCall, Tensor], Tensor]
"""From a call and its output [batch, query, head, head_dim] to the output that is used."""

# The registry is global to transformers; this map makes what is asked for act on some modules only.
_AROUND: "weakref.WeakKeyDictionary[nn.Module, tuple[Around, ...]]" = weakref.WeakKeyDictionary()


@dataclass
class _Replaced:
    """A registry whose entries are replaced at present."""

    before: dict[str, Callable | None]
    blocks: int = 0


_REPLACED: dict[int, _Replaced] = {}


@contextlib.contextmanager
def around_attention(modules: Iterable[nn.Module], around: Around) -> Iterator[None]:
    """Call ``around`` after each attention of ``modules`` during the block.

    Args:
        modules: attention modules for which :func:`goes_through_interface` holds.
        around: is handed the call and its output.
    """
    modules = list(modules)
    registries = {id(registry): registry for registry in map(_registry, modules)}
    with contextlib.ExitStack() as stack:
        for registry in registries.values():
            stack.enter_context(_replaced(registry))
        for module in modules:
            _AROUND[module] = (*_AROUND.get(module, ()), around)
        try:
            yield
        finally:
            for module in modules:
                _AROUND[module] = tuple(a for a in _AROUND[module] if a is not around)


def goes_through_interface(module: nn.Module) -> bool:
    """Whether the module looks its attention function up in transformers' registry."""
    return bool(_names(type(module))) and hasattr(module, "config")


@functools.cache
def _names(kind: type[nn.Module]) -> dict[str, Any]:
    """Global names of the method that looks the attention function up; empty without such."""
    for base in kind.__mro__:
        if base is nn.Module:
            break
        for method in filter(inspect.isfunction, vars(base).values()):
            inner = inspect.unwrap(method)
            if _REGISTRY in inner.__code__.co_names:
                return inner.__globals__
    return {}


def _registry(module: nn.Module) -> AttentionInterface:
    return _names(type(module))[_REGISTRY]


@contextlib.contextmanager
def _replaced(registry: AttentionInterface) -> Iterator[None]:
    """Replace the entries until the last block that needs it ends, in whatever order they end."""
    if id(registry) not in _REPLACED:
        # Eager attention is not in the registry, yet an entry of that name is used if there is one.
        before = {name: registry.get(name) for name in (*registry, "eager")}
        _REPLACED[id(registry)] = _Replaced(before)
        for name, function in before.items():
            registry[name] = _with_around(function)
    replaced = _REPLACED[id(registry)]
    replaced.blocks += 1
    try:
        yield
    finally:
        replaced.blocks -= 1
        if not replaced.blocks:
            del _REPLACED[id(registry)]
            for name, function in replaced.before.items():
                # What was set lies over the entry that all registries share, if there is one.
                del registry[name]
                if registry.get(name) is not function:
                    registry[name] = function


def _with_around(before: Callable | None) -> Callable:
    def attention(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        # Each modeling file has an eager attention of its own.
        function = before or _names(type(module))[_EAGER]
        output, weights = function(module, query, key, value, attention_mask, **options)
        arounds = _AROUND.get(module, ())
        if arounds:
            given = options.get("scaling")
            scaling = query.shape[-1] ** -0.5 if given is None else given
            call = AttentionCall(module, query, key, value, attention_mask, scaling, options)
            for around in arounds:
                output = around(call, output)
        return output, weights

    return attention
