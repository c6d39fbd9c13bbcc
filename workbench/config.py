"""Configuration files: YAML, ``extends:``, ``--set key.path=value``, and errors that name the key.

YAML is read as YAML 1.2 does: ``1e-4`` is a number, ``off`` and ``no`` are text, only ``true`` and
``false`` are booleans. Paths in a file are relative to that file, paths in an override to the
working directory.
"""

import difflib
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reviosa.errors import ConfigError
from workbench.sources import KeyedError, Layer, Loc, Sources, dotted, marks_of

__all__ = ["build", "file_layer", "load_config", "load_located", "preset_path", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)

_HERE = Path(__file__).resolve().parent
_CONFIGS = next((p for p in (_HERE / "configs", _HERE.parent / "configs") if p.is_dir()), _HERE)
_LONGEST = 60
"""Characters of a wrong value that are shown."""


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
            value of the wrong type or out of its range, a key that is required and missing. The
            message begins with the file and the line that is wrong.
    """
    return load_located(model_class, path, overrides, values)[0]


def load_located(
    model_class: type[Model],
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
) -> tuple[Model, Sources]:
    """:func:`load_config`, and where each value stands, for checks that come later."""
    layers = [] if path is None else [file_layer(path, model_class)]
    given = {key: value for key, value in (values or {}).items() if value is not None}
    layers.append(Layer.of(given, ""))
    layers += [_override_layer(text) for text in overrides]
    return build(model_class, layers)


def build(model_class: type[Model], layers: Sequence[Layer]) -> tuple[Model, Sources]:
    """Lay ``layers`` over each other, the last on top, and check the whole.

    Raises:
        ConfigError: a key or value that ``model_class`` does not take, with its place.
    """
    whole = Layer({}, {})
    for layer in layers:
        whole = whole.under(layer)
    sources = Sources(whole.marks)
    try:
        return model_class.model_validate(whole.data), sources
    except ValidationError as error:
        raise _explain(error, model_class, sources) from error


def file_layer(path: str | Path, model_class: type[BaseModel]) -> Layer:
    """What a YAML file, and the file it extends, hold for ``model_class``.

    Raises:
        ConfigError: the file is missing or is not YAML, or files extend each other in a circle.
    """
    return _read_extended(str(path), model_class, ())


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
    return _parse(text)[0]


def _parse(text: str) -> tuple[Any, yaml.Node | None]:
    """The value of a document, and its nodes, which know their lines."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    finally:
        loader.dispose()


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


def _read_extended(shown: str, model_class: type[BaseModel], above: tuple[Path, ...]) -> Layer:
    """``shown``: the path as messages give it."""
    path = Path(shown).resolve()
    if path in above:
        chain = " -> ".join(file.name for file in (*above, path))
        raise ConfigError(f"configuration files extend each other in a circle: {chain}")
    try:
        data, node = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {shown}: {error.strerror}; check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown} is not valid YAML: {_one_line(error)}; mend it") from error
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(f"{shown} holds {_kind(data)}, expected keys with values; mend it")
    marks = {} if node is None else marks_of(node, shown)
    parent = data.pop("extends", None)
    where = marks.pop(("extends",), None)
    layer = Layer(_anchor(data, model_class, path.parent), marks)
    if parent is None:
        return layer
    if not isinstance(parent, str):
        place = where.place if where else shown
        raise ConfigError(f"{place}: extends must be one file name, got {parent!r}")
    base = os.path.normpath(os.path.join(os.path.dirname(shown), parent))
    return _read_extended(base, model_class, (*above, path)).under(layer)


def _override_layer(text: str) -> Layer:
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
    layer = Layer.of(parsed, "--set")
    # What only leads to the value was not given here.
    return Layer(parsed, {loc: m for loc, m in layer.marks.items() if len(loc) >= len(names)})


def _anchor(value: Any, annotation: Any, folder: Path, name: str = "") -> Any:
    """Join relative paths in ``value`` to ``folder``, where ``annotation`` has a path."""
    known, parts = annotation not in (None, Any), _flatten(annotation)
    if isinstance(value, dict) and known:
        return {key: _anchor(item, _step(parts, key), folder, key) for key, item in value.items()}
    if isinstance(value, list):
        return [
            _anchor(item, _step(parts, 0), folder, name) if known or isinstance(item, str) else item
            for item in value
        ]
    if not isinstance(value, str):
        return value
    # A model is a name or a folder; only what is written as a folder is one.
    if Path in parts or (name == "model" and value.startswith(("./", "../"))):
        return str(folder / value)
    return value


def _flatten(annotation: Any) -> tuple[Any, ...]:
    """The types inside ``X | None``, ``Annotated[X, ...]`` and their nestings."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flatten(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(part for arg in typing.get_args(annotation) for part in _flatten(arg))
    return (annotation,)


def _step(parts: Sequence[Any], name: str | int) -> Any:
    """The annotation of what stands under ``name`` in a value of one of the types ``parts``."""
    for part in parts:
        if isinstance(part, type) and issubclass(part, BaseModel):
            field = part.model_fields.get(str(name))
            return None if field is None else field.annotation
        arguments = typing.get_args(part)
        if typing.get_origin(part) is dict:
            return arguments[1]
        if typing.get_origin(part) is tuple and isinstance(name, int):
            return arguments[0]
    return None


def _explain(error: ValidationError, model_class: type[BaseModel], sources: Sources) -> ConfigError:
    problems = error.errors(include_url=False)
    # A misspelt key is reported before the required one it was meant to be.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    loc: Loc = first["loc"]
    context = first.get("ctx", {})
    cause = context.get("error")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model_class, loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        hint = (
            f"did you mean {dotted((*loc[:-1], *near))!r}?"
            if near
            else (f"known keys: {', '.join(known)}")
        )
        mark = sources.mark(loc)
        text = ": ".join(filter(None, (mark.place, f"unknown key {mark.key!r}; {hint}")))
        return ConfigError(text + more)
    if first["type"] == "missing":
        place = sources.mark(loc[:-1]).place
        key = dotted(loc)
        message = f"the configuration lacks the key {key!r}; add it or give --set {key}=..."
        return ConfigError(": ".join(filter(None, (place, message))) + more)
    if isinstance(cause, KeyedError):
        return sources.located(KeyedError((*loc, *cause.loc), cause.message + more))
    if first["type"] == "value_error":  # one of our own rules, which says what was got
        message = first["msg"].removeprefix("Value error, ")
    else:
        wanted = first["msg"].replace("Input should be ", "expected ")
        if first["type"] == "too_short":
            wanted = f"expected at least {context['min_length']}"
        shown = "another" if _hides(model_class, loc) else _shortened(first["input"])
        message = f"got {shown}, {wanted}"
    return sources.located(KeyedError(loc, message + more))


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _known_keys(model_class: type[BaseModel], location: Sequence[Any]) -> list[str]:
    models = _models_at(model_class, location)
    return list(models[0].model_fields) if models else []


def _hides(model_class: type[BaseModel], location: Loc) -> bool:
    """Whether a model around a value wants no value of its own repeated: it may be a secret."""
    return any(
        model.model_config.get("hide_input_in_errors", False)
        for end in range(len(location) + 1)
        for model in _models_at(model_class, location[:end])
    )


def _models_at(model_class: type[BaseModel], location: Sequence[Any]) -> list[type[BaseModel]]:
    annotation: Any = model_class
    for name in location:
        annotation = _step(_flatten(annotation), name)
    return [x for x in _flatten(annotation) if isinstance(x, type) and issubclass(x, BaseModel)]


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true/false"}.get(type(value), "a number")
