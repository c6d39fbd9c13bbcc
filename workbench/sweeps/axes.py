"""The axes of a grid: what may vary over a sweep, and which training keys may."""

import difflib
import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from reviosa.training.config import TrainConfig
from workbench.sources import KeyedError
from workbench.sweeps.rules import (
    READS,
    Config,
    Criterion,
    FilePath,
    K,
    OneOf,
    Preset,
    RoleName,
    Strategy,
)

__all__ = ["NONE", "TRAIN_AXES", "Axes", "training_keys"]

NONE: Final = "none"
"""Strategy of a grid that supervises no pair."""
TRAIN_AXES: Final = {
    "roles": "roles",
    "aml": "loss.aml",
    "aml_reduction": "loss.aml_reduction",
    "data_fraction": "data_fraction",
}
"""Axes with names of their own -> the key of the training configuration that they set."""
_OF_AML: Final = ("aml", "aml_reduction")
_OF_SWEEP: Final = ("data", "out", "heads", "seed", "attention_data")
"""Keys of the training configuration that the sweep sets itself."""

GridStrategy = Annotated[str, OneOf((NONE, *READS))]
T = TypeVar("T")
_Some = Annotated[tuple[T, ...], Field(strict=False, min_length=1)]


def _layer_numbers(value: Any) -> Any:
    if value == "all":
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"got {value!r}, expected a list of layers, or all")
    for place, layer in enumerate(value):
        if not isinstance(layer, int) or isinstance(layer, bool) or layer < 0:
            raise KeyedError((place,), f"got {layer!r}, expected a whole number from 0")
    if not value:
        raise ValueError("got [], expected at least 1 layer, or all")
    return tuple(value)


class Axes(Config):
    """Values of each axis; the grid holds every combination that a strategy reads.

    Any other key of the training configuration is an axis too, by its dotted name, such as
    ``learning_rate`` or ``lora.rank``.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Some[Any]]

    strategy: _Some[GridStrategy] = (NONE,)
    """How pairs are chosen; ``none`` trains without attention mask loss."""
    like: _Some[Strategy] = ()
    """Strategies of this grid that matched-random is a control of."""
    criterion: _Some[Criterion] = ()
    """Scores that pairs are ranked by, of docs/criteria.md; visual_mass where not given."""
    role: _Some[RoleName] = ()
    """Role tokens whose attention is scored; both where not given."""
    k: _Some[K] = ()
    """Numbers of pairs, of each layer where there are several; ``all`` heads for ``layer``. 4 where
    not given."""
    layers: _Some[Annotated[int, Field(ge=1)]] = ()
    """Numbers of layers, for top-layers and bottom-layers; 3 where not given."""
    layer: Annotated[
        Any,
        BeforeValidator(_layer_numbers),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
                    {"const": "all"},
                ]
            }
        ),
    ] = ()
    """Layers, from 0, that the strategy layer takes one at a time; ``all`` those of the model."""
    preset: _Some[Preset] = ()
    """Whose published pairs."""
    heads: _Some[FilePath] = ()
    """Heads files, for the strategy file."""
    aml: _Some[Annotated[float, Field(ge=0)]] = ()
    """Weights of attention mask loss."""
    aml_reduction: _Some[Literal["sum", "mean"]] = ()
    """How attention mask loss adds up over roles and pairs."""
    roles: _Some[Literal["both", "actor"]] = ()
    """Two role tokens, or one token for every expression."""
    data_fraction: _Some[Annotated[float, Field(gt=0, le=1)]] = ()
    """Shares of the training videos."""

    @property
    def given(self) -> dict[str, Any]:
        """Axis -> its values, in the order of the fields, ``strategy`` always."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: values
            for name, values in {**own, **(self.model_extra or {})}.items()
            if name in self.model_fields_set or name == "strategy"
        }

    def read_by(self, strategy: str) -> tuple[str, ...]:
        """The axes of this grid that a strategy goes by, without ``strategy`` itself."""
        names = () if strategy == NONE else READS[strategy]
        if strategy == "matched-random":
            names = ("like", *(name for like in self.like for name in READS[like]))
        training = [n for n in (*TRAIN_AXES, *(self.model_extra or {}))
                    if strategy != NONE or n not in _OF_AML]  # fmt: skip
        return tuple(name for name in self.given if name in (*names, *training))

    @model_validator(mode="after")
    def _check(self) -> "Axes":
        if not self.model_fields_set:
            raise ValueError("got no axis, expected at least one, or no axes at all")
        for name in self.model_extra or {}:
            _check_training_axis(name)
        for name, values in self.given.items():
            written = [json.dumps(value, default=str) for value in values]
            for place, text in enumerate(written):
                if values != "all" and text in written[:place]:
                    raise KeyedError((name, place), f"{text} stands twice; keep it once")
        for place, strategy in enumerate(self.strategy):
            for needed in ("like", "layer", "preset", "heads"):
                if strategy != NONE and needed in READS[strategy] and not getattr(self, needed):
                    raise KeyedError(("strategy", place), f"{strategy} needs the axis {needed}")
        for place, like in enumerate(self.like):
            if like == "matched-random" or like not in self.strategy:
                raise KeyedError(
                    ("like", place), f"got {like!r}, expected another strategy of this grid"
                )
        read = {name for strategy in self.strategy for name in self.read_by(strategy)}
        for name in self.given:
            if name != "strategy" and name not in read:
                raise KeyedError(
                    (name,),
                    f"none of the strategies {', '.join(self.strategy)} reads it; drop the axis",
                )
        return self


def training_keys() -> dict[str, Any]:
    """Dotted keys of the training configuration that may be an axis -> their annotation."""
    found = {}
    for name, field in TrainConfig.model_fields.items():
        inner = [part for part in _parts(field.annotation) if _is_model(part)]
        if inner:
            below = {f"{name}.{key}": f for key, f in inner[0].model_fields.items()}
            found |= {key: f.annotation for key, f in below.items()}
        elif name not in _OF_SWEEP:
            found[name] = field.annotation
    return {key: kind for key, kind in found.items() if key not in TRAIN_AXES.values()}


def _check_training_axis(name: str) -> None:
    own = {key: axis for axis, key in TRAIN_AXES.items()}
    if name in own:
        raise KeyedError((name,), f"this axis is called {own[name]}")
    keys = training_keys()
    if name in keys:
        return
    known = [*Axes.model_fields, *keys]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else (f"known are {', '.join(Axes.model_fields)} and keys of the training configuration")
    )
    raise KeyedError((name,), f"unknown axis; {hint}")


def _parts(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)
