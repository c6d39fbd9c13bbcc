"""From axes to arms: every combination that means a training of its own, with a name."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from probes.criteria import CRITERIA
from workbench.sources import KeyedError, Loc
from workbench.sweeps.axes import NONE, TRAIN_AXES, Axes
from workbench.sweeps.config import Arm
from workbench.sweeps.rules import HeadsRule, fields_read

__all__ = ["Grid", "expand"]

_MOST: Final = 10_000
"""Arms of a grid; more are a slip of the pen."""
_Point = dict[str, Any]
"""Axis -> value, of the axes that the point's strategy reads."""


class Grid(NamedTuple):
    """The arms of a grid, and where in the sweep file each of their values stands."""

    arms: dict[str, Arm]
    origins: dict[Loc, Loc]
    """Keys of an arm -> keys of the axis value that it was made of."""


def expand(axes: Axes, exclude: Sequence[Mapping[str, Any]], num_layers: int) -> Grid:
    """Make the arms of a grid, in the order of the axes, the last one turning fastest.

    A strategy is combined with the axes it reads and no others. A point is dropped when an exclude
    names nothing but values that it has.

    Args:
        axes: what varies.
        exclude: partial points, each axis with a value or a list of values.
        num_layers: of the model, for ``layer: all``.

    Raises:
        KeyedError: too many points, an exclude that is of no axis or matches nothing, a
            matched-random arm without the arm that it is a control of, two arms of one name.
    """
    values = {n: range(num_layers) if v == "all" else v for n, v in axes.given.items()}
    points = _points(axes, values)
    excluded = {_key(point) for point in _excluded(points, exclude, values)}
    kept = [point for point in points if _key(point) not in excluded]
    several = {name for name, choices in values.items() if len(choices) > 1}
    names = {_key(point): _name(point, several) for point in kept}
    arms: dict[str, Arm] = {}
    origins: dict[Loc, Loc] = {}
    for point in kept:
        name = names[_key(point)]
        if name in arms:
            raise KeyedError(
                ("axes",), f"two points of the grid are called {name}; rename a file, or give arms"
            )
        where = {axis: _where(axis, value, axes) for axis, value in point.items()}
        arms[name], places = _arm(point, where, names, several)
        origins[("arms", name)] = where["strategy"]
        origins |= {("arms", name, *loc): origin for loc, origin in places.items()}
    return Grid(arms, origins)


def _points(axes: Axes, values: Mapping[str, Sequence[Any]]) -> list[_Point]:
    points: dict[str, _Point] = {}
    total = 0
    for strategy in values["strategy"]:
        names = axes.read_by(strategy)
        total += math.prod(len(values[name]) for name in names)
        if total > _MOST:
            raise KeyedError(("axes",), f"the grid has more than {_MOST:,} points; give it fewer")
        for combination in product(*(values[name] for name in names)):
            point = {"strategy": strategy, **dict(zip(names, combination, strict=True))}
            # What is read may hang on the values themselves: all heads need no criterion.
            reads = _reads(point)
            point = {name: value for name, value in point.items() if name in reads}
            points.setdefault(_key(point), point)
    return list(points.values())


def _reads(point: _Point) -> set[str]:
    strategy, training = point["strategy"], set(point) - set(HeadsRule.model_fields)
    if strategy == NONE:
        return {"strategy", *training}
    names = fields_read(strategy, point.get("k", 4))
    if strategy == "matched-random":
        names = (*names, *fields_read(point["like"], point.get("k", 4)))
    return {"strategy", *names, *training}


def _excluded(
    points: Sequence[_Point],
    exclude: Sequence[Mapping[str, Any]],
    values: Mapping[str, Sequence[Any]],
) -> list[_Point]:
    dropped: list[_Point] = []
    for place, partial in enumerate(exclude):
        wanted = {}
        for axis, given in partial.items():
            loc = ("exclude", place, axis)
            if axis not in values:
                raise KeyedError(
                    loc, f"the grid has no such axis; its axes are {', '.join(values)}"
                )
            wanted[axis] = given if isinstance(given, list | tuple) else [given]
            known = [_comparable(value) for value in values[axis]]
            for value in wanted[axis]:
                if _comparable(value) not in known:
                    raise KeyedError(loc, f"got {value!r}, which is no value of axes.{axis}")
        matched = [point for point in points if _matches(point, wanted)]
        if not matched:
            raise KeyedError(("exclude", place), "matches no point of the grid; mend or drop it")
        dropped += matched
    return dropped


def _matches(point: _Point, wanted: Mapping[str, Sequence[Any]]) -> bool:
    return all(
        axis in point and _comparable(point[axis]) in [_comparable(v) for v in choices]
        for axis, choices in wanted.items()
    )


def _comparable(value: Any) -> Any:
    """Files are told apart by their names, as arms are."""
    return Path(value).name if isinstance(value, Path) or _is_file(value) else value


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith(".json")


def _key(point: _Point) -> str:
    return json.dumps(point, sort_keys=True, default=str)


def _where(axis: str, value: Any, axes: Axes) -> Loc:
    given = axes.given[axis]
    return ("axes", axis) if given == "all" else ("axes", axis, list(given).index(value))


def _arm(
    point: _Point, where: Mapping[str, Loc], names: Mapping[str, str], several: set[str]
) -> tuple[Arm, dict[Loc, Loc]]:
    places: dict[Loc, Loc] = {}
    settings = {}
    for axis, value in point.items():
        if axis not in HeadsRule.model_fields:
            key = TRAIN_AXES.get(axis, axis)
            settings[key] = value
            places["set", key] = where[axis]
    rule = None
    if point["strategy"] != NONE:
        fields = {axis: point[axis] for axis in fields_read(point["strategy"], point.get("k", 4))
                  if axis in point}  # fmt: skip
        if point["strategy"] == "matched-random":
            ranked = {n: v for n, v in point.items() if n != "like"} | {"strategy": point["like"]}
            if _key(ranked) not in names:
                raise KeyedError(
                    where["like"],
                    f"{_name(point, several)} is a control of {_name(ranked, several)}, which is "
                    "excluded; exclude the control as well",
                )
            fields["like"] = names[_key(ranked)]
        rule = HeadsRule(strategy=point["strategy"], **fields)
        places["heads",] = where["strategy"]
        places |= {("heads", axis): where[axis] for axis in ("strategy", *fields)}
    return Arm(title=_title(point, several), set=settings, heads=rule), places


def _name(point: _Point, several: set[str]) -> str:
    """Such as ``top-pairs-mask_share-k4``: the strategy, and each axis that has several values."""
    strategy = point["strategy"]
    pieces = [f"layer{point['layer']}" if strategy == "layer" else strategy]
    for axis, value in point.items():
        if axis in several and axis != "strategy" and not (axis == "layer" == strategy):
            pieces.append(_piece(axis, value))
    return re.sub(r"[^a-z0-9+_.-]+", "-", "-".join(pieces).lower())


def _piece(axis: str, value: Any) -> str:
    if axis in ("criterion", "like", "preset", "aml_reduction"):
        return str(value)
    if axis == "heads":
        return Path(value).stem
    if value == "all":
        return "all"
    name = {"data_fraction": "data"}.get(axis, axis)
    return f"{name}{_text(value)}" if _is_number(value) else f"{name}-{_text(value)}"


def _title(point: _Point, several: set[str]) -> str:
    strategy = point["strategy"]
    plain = {NONE: "no AML", "layer": f"layer {point.get('layer')}"}
    pieces = [plain.get(strategy) or strategy.replace("-", " ")]
    for axis, value in point.items():
        if axis not in several or axis == "strategy" or (axis == "layer" == strategy):
            continue
        if axis == "criterion":
            title = CRITERIA[value].title
            pieces.append(f"by {title if title.isupper() else title[0].lower() + title[1:]}")
        elif axis == "heads":
            pieces.append(Path(value).stem)
        elif value == "all":
            pieces.append("all heads")
        elif axis == "like":
            pieces.append(f"like {value.replace('-', ' ')}")
        else:
            pieces.append(f"{axis.replace('_', ' ')} {_text(value)}")
    return ", ".join(pieces)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).rsplit("/", 1)[-1].lower()  # of a folder, its name
