"""Records to plain JSON and back, by the types their fields declare."""

import base64
import binascii
import dataclasses
import json
import math
import types
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reviosa.errors import RunError

__all__ = ["plain", "read_json", "read_versioned", "record"]


def read_json(path: Path, what: str, remedy: str = "run the sweep again") -> Any:
    """Read a JSON file.

    Args:
        path: of the file.
        what: it holds, for the message.
        remedy: what to do where it cannot be read.

    Raises:
        RunError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{path}: cannot read {what}: {reason}; {remedy}") from None


def read_versioned(
    path: Path, schema: int, what: str, remedy: str = "run the sweep again"
) -> dict[str, Any]:
    """As :func:`read_json`, of an object that says its ``schema``.

    Raises:
        RunError: the file cannot be read, or is of another schema.
    """
    value = read_json(path, what, remedy)
    got = value.get("schema") if isinstance(value, dict) else type(value).__name__
    if got != schema:
        raise RunError(f"{path}: got schema {got!r}, expected {schema}; {remedy}")
    return value


def plain(value: Any) -> Any:
    """Dataclasses, tuples, numpy numbers and paths as JSON values.

    NaN and infinity become None, bytes base64.
    """
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
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
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
    if kind is bytes:
        return _bytes(value, where)
    _expect(isinstance(value, kind), where, kind.__name__, value)
    return value


def _bytes(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        _expect(False, where, "base64", value)
        raise


def _key(kind: Any, key: str, where: str) -> Any:
    """JSON has text for keys; a record may have numbers."""
    if kind is not int:
        return key
    _expect(key.removeprefix("-").isdecimal(), where, "whole numbers for keys", key)
    return int(key)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object", value)
    hints, required = _declared(kind)
    for name in value:
        _expect(name in hints, where, f"no key {name!r}", value)
    for name in required:
        _expect(name in value, where, f"a key {name!r}", value)
    return kind(
        **{n: record(hint, value[n], f"{where}.{n}") for n, hint in hints.items() if n in value}
    )


@lru_cache
def _declared(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Types of a record's fields, and those that must be given; a report asks 20,000 times."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    required = tuple(
        f.name
        for f in fields
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    return {f.name: hints[f.name] for f in fields}, required


def _expect(holds: bool, where: str, expected: str, value: Any) -> None:
    if not holds:
        got = repr(value)
        got = got if len(got) <= 60 else got[:57] + "..."
        raise RunError(
            f"analysis results: {where} should be {expected}, got {got}; run the analysis again"
        )
