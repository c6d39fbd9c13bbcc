"""Records to plain JSON and back, by the types their fields declare."""

import dataclasses
import math
import types
import typing
from typing import Any

import numpy as np

from reviosa.errors import RunError

__all__ = ["plain", "record"]


def plain(value: Any) -> Any:
    """Dataclasses, tuples, numpy numbers and paths as JSON values; NaN and infinity as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def record(kind: Any, value: Any, where: str = "record") -> Any:
    """Build ``kind`` (a dataclass or a field's type) from the JSON that :func:`plain` wrote.

    Raises:
        RunError: a key that is missing or unknown, a value of another type; names the place.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (arg for arg in args if arg is not type(None))
        return record(inner, value, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin is tuple:
        _expect(isinstance(value, list), where, "a list", value)
        if args[-1] is Ellipsis:
            return tuple(record(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        _expect(len(value) == len(args), where, f"{len(args)} values", value)
        return tuple(
            record(arg, item, f"{where}[{i}]")
            for i, (arg, item) in enumerate(zip(args, value, strict=True))
        )
    if origin is dict:
        _expect(isinstance(value, dict), where, "an object", value)
        return {
            _key(args[0], key, where): record(args[1], item, f"{where}.{key}")
            for key, item in value.items()
        }
    if kind is float:
        _expect(
            isinstance(value, int | float) and not isinstance(value, bool), where, "a number", value
        )
        return float(value)
    if kind is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), where, "an integer", value)
        return value
    _expect(isinstance(value, kind), where, kind.__name__, value)
    return value


def _key(kind: Any, key: str, where: str) -> Any:
    """JSON has text for keys; a record may have numbers."""
    if kind is not int:
        return key
    _expect(key.removeprefix("-").isdecimal(), where, "whole numbers for keys", key)
    return int(key)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object", value)
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    for name in value:
        _expect(name in names, where, f"no key {name!r}", value)
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    for name in required:
        _expect(name in value, where, f"a key {name!r}", value)
    return kind(**{n: record(hints[n], value[n], f"{where}.{n}") for n in names if n in value})


def _expect(holds: bool, where: str, expected: str, value: Any) -> None:
    if not holds:
        got = repr(value)
        got = got if len(got) <= 60 else got[:57] + "..."
        raise RunError(
            f"analysis results: {where} should be {expected}, got {got}; run the analysis again"
        )
