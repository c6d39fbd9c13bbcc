"""Records to plain JSON and back, by the types their fields declare."""

import base64
import binascii
import dataclasses
import itertools
import json
import math
import types
import typing
from collections.abc import Callable
from functools import cache
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
    try:
        return _reader(kind)(value)
    except _Misfit as misfit:
        got = repr(misfit.value)
        got = got if len(got) <= 60 else got[:57] + "..."
        raise RunError(
            f"analysis results: {where}{misfit.place} should be {misfit.expected}, got {got}; run "
            "the analysis again"
        ) from None


class _Misfit(Exception):
    """A value that is not what was declared; every level above adds its part of the place."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(expected)
        self.expected, self.value, self.place = expected, value, ""

    def within(self, place: str) -> "_Misfit":
        self.place = place + self.place
        return self


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What reads a value of a type. Made once for each: a large analysis has 40,000 records."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: value
    if origin in (typing.Union, types.UnionType):
        (inner,) = (_reader(arg) for arg in args if arg is not type(None))
        return lambda value: None if value is None else inner(value)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if origin is tuple:
        return _tuple_reader(args)
    if origin is dict:
        return _dict_reader(args[0], _reader(args[1]))
    if kind is float:
        return _float
    if kind is int:
        return _int
    if kind is bytes:
        return _bytes

    def other(value: Any) -> Any:
        _expect(isinstance(value, kind), kind.__name__, value)
        return value

    return other


def _float(value: Any) -> float:
    if type(value) is float:  # nearly all of a large analysis
        return value
    _expect(isinstance(value, int | float) and not isinstance(value, bool), "a number", value)
    return float(value)


def _int(value: Any) -> int:
    _expect(isinstance(value, int) and not isinstance(value, bool), "an integer", value)
    return value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise _Misfit("base64", value) from None


def _tuple_reader(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    same = args[-1] is Ellipsis
    readers = [_reader(arg) for arg in args if arg is not Ellipsis]

    def read(value: Any) -> Any:
        _expect(isinstance(value, list), "a list", value)
        if not same:
            _expect(len(value) == len(readers), f"{len(readers)} values", value)
        inner = itertools.repeat(readers[0]) if same else readers
        items: list[Any] = []
        try:
            for reader, item in zip(inner, value, strict=False):
                items.append(reader(item))
        except _Misfit as misfit:
            raise misfit.within(f"[{len(items)}]") from None
        return tuple(items)

    return read


def _dict_reader(key_kind: Any, reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        _expect(isinstance(value, dict), "an object", value)
        items, key = {}, ""
        for key, item in value.items():
            try:
                items[_key(key_kind, key)] = reader(item)
            except _Misfit as misfit:
                raise misfit.within(f".{key}" if misfit.value is not key else "") from None
        return items

    return read


def _key(kind: Any, key: str) -> Any:
    """JSON has text for keys; a record may have numbers."""
    if kind is not int:
        return key
    _expect(key.removeprefix("-").isdecimal(), "whole numbers for keys", key)
    return int(key)


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    readers: dict[str, Callable[[Any], Any]] = {}
    required = [
        f.name
        for f in fields
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]

    def read(value: Any) -> Any:
        if not readers:  # not before: a record may hold records of its own kind
            readers.update((f.name, _reader(hints[f.name])) for f in fields)
        _expect(isinstance(value, dict), "an object", value)
        if value.keys() != readers.keys():
            for name in value:
                _expect(name in readers, f"no key {name!r}", value)
            for name in required:
                _expect(name in value, f"a key {name!r}", value)
        items, name = {}, ""
        try:
            for name, item in value.items():
                items[name] = readers[name](item)
        except _Misfit as misfit:
            raise misfit.within(f".{name}") from None
        return kind(**items)

    return read


def _expect(holds: bool, expected: str, value: Any) -> None:
    if not holds:
        raise _Misfit(expected, value)
