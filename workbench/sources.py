"""Where every value of a configuration comes from: file and line, or the option that gave it.

A configuration is laid together from layers (a file, the file it extends, options, overrides). Each
layer brings the place of each of its values along, so that an error about a value, found while the
configuration is read or later, points to the line to mend.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from reviosa.errors import ConfigError

__all__ = ["KeyedError", "Layer", "Loc", "Mark", "Sources", "dotted", "marks_of"]

Loc = tuple[str | int, ...]
"""Path of keys and list places, such as ``("axes", "k", 2)``."""


class Mark(NamedTuple):
    """Where one value was written."""

    place: str
    """``FILE:LINE`` or ``--set``; empty where it is not known."""
    key: str
    """Its keys there, dotted."""


class KeyedError(ConfigError):
    """A value that cannot work, and the keys under which it stands.

    Raised by checks that know keys but no lines; :meth:`Sources.located` adds the line. A validator
    of pydantic may raise it with keys below its own model.
    """

    def __init__(self, loc: Sequence[str | int], message: str) -> None:
        self.loc: Loc = tuple(loc)
        self.message = message
        super().__init__(": ".join(filter(None, (dotted(loc), message))))


@dataclass(frozen=True)
class Sources:
    """The places of all values of one configuration."""

    marks: Mapping[Loc, Mark] = field(default_factory=dict)

    def mark(self, loc: Sequence[str | int]) -> Mark:
        """Where ``loc`` was written; of a value that was not, where the nearest one around it was.

        pydantic's paths may end in names of types, which stand nowhere in the file.
        """
        for end in range(len(loc), -1, -1):
            found = self.marks.get(tuple(loc[:end]))
            if found is not None:
                return found if found.key else Mark(found.place, dotted(loc))
        return Mark("", dotted(loc))

    def located(self, error: KeyedError) -> ConfigError:
        """The same error with its place."""
        mark = self.mark(error.loc)
        return ConfigError(": ".join(filter(None, (*mark, error.message))))

    def aliased(self, origins: Mapping[Loc, Loc]) -> "Sources":
        """Also know values that were made of written ones: made -> written."""
        made = {loc: self.mark(origin) for loc, origin in origins.items()}
        return Sources({**self.marks, **made})


class Layer(NamedTuple):
    """Values of one source, and where each of them stands."""

    data: dict[str, Any]
    marks: Mapping[Loc, Mark]

    def under(self, above: "Layer") -> "Layer":
        """Lay another over this one, key by key; whatever is no mapping replaces what was there."""
        replaced = {loc for loc in above.marks if not isinstance(_at(above.data, loc), Mapping)}
        kept = {
            loc: mark
            for loc, mark in self.marks.items()
            if not any(loc[:end] in replaced for end in range(1, len(loc) + 1))
        }
        return Layer(_merge(self.data, above.data), {**kept, **above.marks})

    @classmethod
    def of(cls, data: dict[str, Any], place: str) -> "Layer":
        """Values that all come from one place, such as an option."""
        return cls(data, {loc: Mark(place, dotted(loc)) for loc in _locs(data) if loc})


def marks_of(root: yaml.Node, file: str) -> dict[Loc, Mark]:
    """Every key and list item of a YAML document -> its file and line."""
    found: dict[Loc, Mark] = {(): Mark(file, "")}

    def walk(node: yaml.Node, loc: Loc, above: tuple[yaml.Node, ...]) -> None:
        if node in above:
            return  # an alias to what it stands in
        if isinstance(node, yaml.MappingNode):
            children = [(key.value, key, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [(place, item, item) for place, item in enumerate(node.value)]
        else:
            return
        for name, marked, child in children:
            # A key that is itself a mapping has no name; no model takes one.
            if isinstance(name, str | int):
                own = (*loc, name)
                found[own] = Mark(f"{file}:{marked.start_mark.line + 1}", dotted(own))
                walk(child, own, (*above, node))

    walk(root, (), ())
    return found


def dotted(loc: Sequence[str | int]) -> str:
    """``a.b.0``."""
    return ".".join(map(str, loc))


def _locs(value: Any, loc: Loc = ()) -> Iterator[Loc]:
    yield loc
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _locs(item, (*loc, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _locs(item, (*loc, place))


def _at(value: Any, loc: Loc) -> Any:
    for name in loc:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and isinstance(name, int):
            value = value[name]
        else:
            return None
    return value


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merge(old, value)
        merged[key] = value
    return merged
