"""Which layer-head pairs to supervise or to look at: a small JSON file.

The sweep writes it, the trainer reads it, the dashboard edits it. Layers and heads are zero-based.
"""

import dataclasses
import json
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviosa.errors import ConfigError
from reviosa.io import write_json

__all__ = ["PUBLISHED", "PUBLISHED_SHAPES", "HeadSelection"]

SCHEMA = 1


@dataclass(frozen=True)
class HeadSelection:
    """An ordered set of (layer, head) pairs and where it came from.

    Raises:
        ConfigError: no pair, a pair that is not two integers, a negative number, a pair twice.
    """

    pairs: tuple[tuple[int, int], ...]
    """(layer, head), zero-based, best first where the strategy knows an order."""
    strategy: str = "manual"
    """How the pairs were chosen, for example "top-layer"."""
    criterion: str | None = None
    """The score they were chosen by, for example "visual_mass"."""
    run: str | None = None
    """The capture run the scores came from."""
    data: str | None = None
    """Identity of the data set behind that run; choose on train, report on held-out videos."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(_pair(pair) for pair in _items(self.pairs)))
        if not self.pairs:
            raise ConfigError(
                "a head selection holds no pair; give at least one [layer, head], for example "
                '"pairs": [[2, 0]]'
            )
        seen: set[tuple[int, int]] = set()
        for pair in self.pairs:
            if pair in seen:
                raise ConfigError(
                    f"pair {list(pair)} stands twice in the head selection; keep it once"
                )
            seen.add(pair)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that occur, ascending."""
        return tuple(sorted({layer for layer, _ in self.pairs}))

    def validate(self, num_layers: int, num_heads: int) -> "HeadSelection":
        """Return self when every pair exists in a model of that shape.

        Raises:
            ConfigError: a layer or a head the model does not have.
        """
        for layer, head in self.pairs:
            for name, value, count in (("layer", layer, num_layers), ("head", head, num_heads)):
                if value >= count:
                    raise ConfigError(
                        f"{name} {value} does not exist: the model has {count} {name}s "
                        f"(0..{count - 1}); mend the pair [{layer}, {head}] in the heads file or "
                        "select again on a capture of this model"
                    )
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; :meth:`from_json` reads it back."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["pairs"] = [list(pair) for pair in self.pairs]
        return {"schema": SCHEMA, **values}

    @classmethod
    def from_json(cls, value: Any) -> "HeadSelection":
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: not an object, another schema, an unknown key, a value of a wrong type.
        """
        if not isinstance(value, dict):
            raise ConfigError(
                f"a head selection is a JSON object with the key pairs, got {_kind(value)}; "
                "write one with reviosa select"
            )
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(value) - set(known) - {"schema"})
        if unknown:
            raise ConfigError(
                f"unknown key {unknown[0]!r} in the head selection; known are schema, "
                f"{', '.join(known)}"
            )
        schema = value.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise ConfigError(
                f"head selection of schema {schema!r}, expected {SCHEMA}; write it again with "
                "reviosa select"
            )
        if "pairs" not in value:
            raise ConfigError("the head selection has no key 'pairs'; add a list of [layer, head]")
        fields = {name: value[name] for name in known if name in value}
        for name in known[1:]:
            content = fields.get(name)
            if content is not None and not isinstance(content, str):
                raise ConfigError(
                    f"{name!r} in the head selection must be text, got {_kind(content)}"
                )
        if fields.get("strategy", "") is None:
            raise ConfigError("'strategy' in the head selection must be text, got null")
        return cls(**fields)

    @classmethod
    def load(cls, path: str | Path) -> "HeadSelection":
        """Read a heads file.

        Raises:
            ConfigError: the file is missing, not JSON, or not a head selection.
        """
        path = Path(path)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"cannot read the heads file {path}: {error.strerror}; write one with "
                "reviosa select"
            ) from error
        except ValueError as error:  # broken JSON and broken UTF-8 alike
            raise ConfigError(
                f"the heads file {path} is not JSON ({error}); write it again with reviosa select"
            ) from error
        try:
            return cls.from_json(value)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the heads file, whole or not at all."""
        write_json(path, self.to_json())


def _items(pairs: Any) -> Iterable[Any]:
    if isinstance(pairs, str | bytes | dict) or not hasattr(pairs, "__iter__"):
        raise ConfigError(f"pairs must be a list of [layer, head], got {_kind(pairs)}")
    return pairs


def _pair(pair: Any) -> tuple[int, int]:
    try:
        if isinstance(pair, str | bytes | dict):
            raise TypeError
        layer, head = pair
        if isinstance(layer, bool) or isinstance(head, bool):
            raise TypeError
        layer, head = operator.index(layer), operator.index(head)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{pair!r} is not a pair; expected [layer, head], two whole numbers from 0"
        ) from None
    if layer < 0 or head < 0:
        raise ConfigError(f"pair [{layer}, {head}] is negative; layers and heads count from 0")
    return layer, head


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false"}
    return "null" if value is None else names.get(type(value), "a number")


PUBLISHED: dict[str, HeadSelection] = {
    # The release's configs supervise four heads of one layer; the order is theirs.
    "1b": HeadSelection(
        ((22, 5), (22, 7), (22, 10), (22, 11)), "published", "visual_mass", None, "InterRVOS-127K"
    ),
    "4b": HeadSelection(
        ((33, 13), (33, 12), (33, 14), (33, 6)), "published", "visual_mass", None, "InterRVOS-127K"
    ),
}

PUBLISHED_SHAPES: dict[str, tuple[int, int]] = {"1b": (24, 14), "4b": (36, 16)}
"""Layers and heads of the models that the published pairs are of."""
