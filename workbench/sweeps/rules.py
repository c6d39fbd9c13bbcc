"""How the pairs of an arm are chosen, and what each strategy reads of that."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

from probes.criteria import CRITERIA
from probes.selection import STRATEGIES
from reviosa.heads import PUBLISHED
from workbench.sources import KeyedError

__all__ = [
    "READS", "Config", "Criterion", "FilePath", "HeadsRule", "K", "OneOf", "Preset", "RoleName",
    "Strategy", "fields_read",
]  # fmt: skip

READS: Final[dict[str, tuple[str, ...]]] = {
    "top-layer": ("criterion", "role", "k"),
    "top-layers": ("criterion", "role", "k", "layers"),
    "bottom-layers": ("criterion", "role", "k", "layers"),
    "layer": ("layer", "criterion", "role", "k"),
    "top-pairs": ("criterion", "role", "k"),
    "bottom-pairs": ("criterion", "role", "k"),
    "random": ("k",),
    "matched-random": ("like",),
    "published": ("preset",),
    "file": ("heads",),
}
"""Strategy -> what it goes by. The others are those of :func:`probes.selection.select`; ``file``
takes the pairs of a heads file as they are."""


class Config(BaseModel):
    """Frozen, strict, with no unknown key; what stands below a field describes it in the schema."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


@dataclass(frozen=True)
class OneOf:
    """Annotation of a text that must be one of ``names``; they are read from a registry."""

    names: tuple[str, ...]

    def check(self, value: str) -> str:
        """Return the value, or raise ValueError with all names and the nearest one."""
        if value in self.names:
            return value
        near = difflib.get_close_matches(value, self.names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"got {value!r}, expected one of {', '.join(self.names)}{hint}")

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names)}


def _check_k(value: Any) -> Any:
    if value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f"got {value!r}, expected a whole number from 1, or all")


# A path arrives as text from a file, while every other value must have its type already.
FilePath = Annotated[Path, Field(strict=False)]
Strategy = Annotated[str, OneOf(tuple(READS))]
Criterion = Annotated[str, OneOf(tuple(CRITERIA))]
Preset = Annotated[str, OneOf(tuple(PUBLISHED))]
RoleName = Literal["act", "tar", "both"]
K = Annotated[
    int | str,
    PlainValidator(_check_k),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]}),
]


def fields_read(strategy: str, k: int | str) -> tuple[str, ...]:
    """What a strategy goes by; with all heads of a layer there is nothing to rank."""
    if strategy == "layer" and k == "all":
        return ("layer", "k")
    return READS[strategy]


class HeadsRule(Config):
    """How the pairs of an arm are chosen, on the selection split alone."""

    strategy: Strategy
    """How pairs are chosen; random ones are drawn anew with every seed."""
    criterion: Criterion = "visual_mass"
    """Score that pairs are ranked by; docs/criteria.md has them all."""
    role: RoleName = "both"
    """Role token whose attention is scored."""
    k: K = 4
    """Pairs, of each layer where there are several; ``all`` heads of the layer for ``layer``."""
    layers: Annotated[int, Field(ge=1)] = 3
    """How many, for top-layers and bottom-layers."""
    layer: Annotated[int, Field(ge=0)] | None = None
    """Which one, counted from 0, for layer."""
    like: str | None = None
    """The arm that matched-random is a control of."""
    preset: Preset | None = None
    """Whose pairs, for published."""
    heads: FilePath | None = None
    """Heads file, for file."""

    @model_validator(mode="after")
    def _check(self) -> "HeadsRule":
        for field, strategy in (("like", "matched-random"), ("layer", "layer"),
                                ("preset", "published"), ("heads", "file")):  # fmt: skip
            given = getattr(self, field) is not None
            if self.strategy == strategy and not given:
                raise KeyedError(("strategy",), f"{strategy} needs {field}; add it")
            if self.strategy != strategy and given:
                raise KeyedError((field,), f"{field} is for the strategy {strategy}; drop it")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that decide the pairs."""
        return fields_read(self.strategy, self.k)

    @property
    def needs_scores(self) -> bool:
        """Whether a capture is needed to choose."""
        return "criterion" in self.reads

    @property
    def needs_gradients(self) -> bool:
        """Whether that capture must take gradients."""
        return self.needs_scores and CRITERIA[self.criterion].needs_gradients


# A strategy that is added to those that exist must be given what it reads.
assert {*STRATEGIES, "file"} == set(READS)
