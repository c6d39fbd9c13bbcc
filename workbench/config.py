"""Configuration files: YAML, ``extends:``, ``--set key.path=value``, and errors that name the key.

YAML is read as YAML 1.2 does: ``1e-4`` is a number, ``off`` and ``no`` are text, only ``true`` and
``false`` are booleans. Paths in a file are relative to that file, paths in an override to the
working directory.
"""

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reviosa.errors import ConfigError

__all__ = ["load_config", "preset_path", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)

_HERE = Path(__file__).resolve().parent
_CONFIGS = next((p for p in (_HERE / "configs", _HERE.parent / "configs") if p.is_dir()), _HERE)


def load_config(
    model_class: type[Model],
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> Model:
    """Build ``model_class`` from a file, then from ``values``, then from ``key.path=value`` texts.

    Args:
        model_class: what to build; its unknown keys must be forbidden.
        path: a YAML file, which may name another in ``extends``; None starts from nothing.
        overrides: each ``a.b=c``, the value read as YAML.
        values: top-level values of the command line's own options; those that are None are skipped.

    Raises:
        ConfigError: a missing or broken file, an unknown key (the nearest known one is named), a
            value of the wrong type or out of its range, a key that is required and missing.
    """
    data = _read_extended(Path(path), model_class, ()) if path is not None else {}
    data |= {key: value for key, value in (values or {}).items() if value is not None}
    for override in overrides:
        data = _merge(data, _parse_override(override))
    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        sources = [str(path)] * (path is not None) + ["--set"] * bool(overrides)
        raise ConfigError(_explain(error, model_class, " or ".join(sources))) from error


def preset_path(kind: str, name: str) -> Path:
    """The shipped file ``configs/<kind>/<name>.yaml``.

    Raises:
        ConfigError: there is no such preset.
    """
    path = _CONFIGS / kind / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (_CONFIGS / kind).glob("*.yaml"))
        raise ConfigError(
            f"no {kind} preset is called {name!r}; choose one of {', '.join(known) or '(none)'}"
            " or give --config FILE"
        )
    return path


def read_yaml(text: str) -> Any:
    """Parse YAML with the number and truth values of YAML 1.2.

    Raises:
        yaml.YAMLError: the text is not YAML, or a key stands twice.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from SafeLoader


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows ``1e-4`` and refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_REPLACED = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _read_extended(path: Path, model_class: type[BaseModel], above: tuple[Path, ...]) -> dict:
    path = path.resolve()
    if path in above:
        chain = " -> ".join(file.name for file in (*above, path))
        raise ConfigError(f"configuration files extend each other in a circle: {chain}")
    try:
        data = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}; check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {_one_line(error)}; mend it") from error
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds {_kind(data)}, expected keys with values; mend it")
    parent = data.pop("extends", None)
    data = _anchor_paths(data, model_class, path.parent)
    if parent is None:
        return data
    if not isinstance(parent, str):
        raise ConfigError(f"extends in {path} must be one file name, got {parent!r}")
    return _merge(_read_extended(path.parent / parent, model_class, (*above, path)), data)


def _parse_override(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise ConfigError(f"cannot read --set {text!r}; write it as key.path=value")
    try:
        parsed = read_yaml(value)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"the value in --set {text!r} is not YAML: {_one_line(error)}; quote it"
        ) from error
    for name in reversed(names):
        parsed = {name: parsed}
    return parsed


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[key] = value
    return merged


def _anchor_paths(data: dict, model_class: type[BaseModel], folder: Path) -> dict:
    """Join relative paths in ``data`` to ``folder``, where the field is a path."""
    anchored = {}
    for key, value in data.items():
        field = model_class.model_fields.get(str(key))
        parts = _flatten(field.annotation) if field else ()
        inner = next((part for part in parts if _is_model(part)), None)
        if isinstance(value, dict) and inner is not None:
            value = _anchor_paths(value, inner, folder)
        elif isinstance(value, str) and Path in parts:
            value = str(folder / value)
        elif isinstance(value, str) and key == "model" and value.startswith(("./", "../")):
            # A model is a name or a folder; only what is written as a folder is one.
            value = str(folder / value)
        anchored[key] = value
    return anchored


def _flatten(annotation: Any) -> tuple[Any, ...]:
    """The types inside ``X | None``, ``Annotated[X, ...]`` and their nestings."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return tuple(part for arg in typing.get_args(annotation) for part in _flatten(arg))
    return (annotation,)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _explain(error: ValidationError, model_class: type[BaseModel], sources: str) -> str:
    problems = error.errors(include_url=False)
    # A misspelt key is reported before the required one it was meant to be.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    where = f" in {sources}" if sources else ""
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = _known_keys(model_class, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        full = ".".join(map(str, (*first["loc"][:-1], *near)))
        hint = f"did you mean {full!r}?" if near else f"known keys: {', '.join(known)}"
        message = f"unknown key {key!r}{where}; {hint}"
    elif first["type"] == "missing":
        message = f"the configuration{where} lacks the key {key!r}; add it or give --set {key}=..."
    elif first["type"] == "value_error":  # one of our own rules, which says what was got
        rule = first["msg"].removeprefix("Value error, ")
        message = ": ".join(filter(None, (sources, key, rule)))
    else:
        wanted = first["msg"].replace("Input should be ", "expected ")
        message = f"{key}{where}: got {first['input']!r}, {wanted}; mend it"
    more = len(problems) - 1
    return message + (f" (and {more} more)" if more else "")


def _known_keys(model_class: type[BaseModel], location: Sequence[Any]) -> list[str]:
    for name in location:
        field = model_class.model_fields.get(str(name))
        parts = _flatten(field.annotation) if field else ()
        inner = next((part for part in parts if _is_model(part)), None)
        if inner is None:
            return []
        model_class = inner
    return list(model_class.model_fields)


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true/false"}.get(type(value), "a number")
