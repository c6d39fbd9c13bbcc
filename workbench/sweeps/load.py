"""From a sweep file to a sweep that is known to run: every error is found here, with its line."""

import json
from collections.abc import Sequence
from pathlib import Path

from reviosa.errors import ReviosaError
from reviosa.heads import PUBLISHED, HeadSelection
from reviosa.training.config import TrainConfig
from workbench.config import load_located
from workbench.sources import KeyedError, Loc, Sources
from workbench.sweeps.config import SweepConfig
from workbench.sweeps.grid import Grid, expand
from workbench.sweeps.plan import arm_settings, base_configs, base_layer, model_shape
from workbench.sweeps.rules import HeadsRule

__all__ = ["load_sweep"]


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read a sweep file, make arms of its grid, and check all of it against the model.

    Args:
        path: the sweep file.
        overrides: ``key.path=value`` texts.

    Returns:
        The sweep with all its arms listed, and no grid any more.

    Raises:
        ConfigError: something in the file cannot work; the message begins with file and line.
    """
    sweep, sources = load_located(SweepConfig, path, overrides)
    try:
        if sweep.axes is not None:
            grid = _grid(sweep)
            sources = sources.aliased(grid.origins)
            sweep = sweep.model_copy(
                update={"axes": None, "exclude": (), "arms": {**grid.arms, **sweep.arms}}
            )
            sweep.check_names()
        _check_arms(sweep, sources)
    except KeyedError as error:
        raise sources.located(error) from None
    return sweep


def _grid(sweep: SweepConfig) -> Grid:
    assert sweep.axes is not None
    # Only `layer: all` asks for the model, which arms may set anew; all must be of one shape.
    layers = _shape(str(base_layer(sweep).data.get("model")), ("train",))[0] \
        if sweep.axes.layer == "all" else 0  # fmt: skip
    grid = expand(sweep.axes, sweep.exclude, layers)
    if not grid.arms and not sweep.arms:
        raise KeyedError(("exclude",), "every point of the grid is excluded; expected one arm")
    for name in sweep.arms:
        if name in grid.arms:
            raise KeyedError(("arms", name), "a point of the grid has this name; choose another")
    return grid


def _check_arms(sweep: SweepConfig, sources: Sources) -> None:
    """Check every arm as far as can be known without a capture."""
    bases = base_configs(sweep, sources)
    shapes = {
        model: _shape(model, ("arms", name, "set", "model"))
        for name, model in {n: base.model for n, base in bases.items()}.items()
    }
    chosen_from = shapes[bases[sweep.baseline].model]
    seen: dict[str, str] = {}
    for name, arm in sweep.arms.items():
        base = bases[name]
        if arm.heads is not None:
            if shapes[base.model] != chosen_from:
                raise KeyedError(
                    ("arms", name, "set", "model"),
                    "got a model of {} layers of {} heads, expected {} of {} like the baseline's, "
                    "on which pairs are chosen".format(*shapes[base.model], *chosen_from),
                )
            _check_rule(sweep, arm.heads, *chosen_from, ("arms", name, "heads"))
        _check_rungs(sweep, name, base)
        key = json.dumps(arm_settings(sweep, name, base, base.model), sort_keys=True)
        if key in seen:
            raise KeyedError(
                ("arms", name),
                f"arms {seen[key]} and {name} are the same trial; drop one of them",
            )
        seen[key] = name


def _shape(model: str, loc: Loc) -> tuple[int, int]:
    try:
        return model_shape(model)
    except ReviosaError as error:
        raise KeyedError(loc, str(error)) from None


def _check_rungs(sweep: SweepConfig, name: str, base: TrainConfig) -> None:
    for place, rung in enumerate(sweep.halving.rungs if sweep.halving else ()):
        if rung >= base.steps:
            raise KeyedError(
                ("halving", "rungs", place),
                f"got step {rung}, expected one before the last of arm {name}, {base.steps}",
            )


def _check_rule(sweep: SweepConfig, rule: HeadsRule, layers: int, heads: int, loc: Loc) -> None:
    """Refuse a rule that asks for what a model of that shape does not have."""
    if rule.k == "all" and "k" in rule.reads and rule.strategy != "layer":
        raise KeyedError((*loc, "k"), f"got all, expected a number of pairs for {rule.strategy}")
    if "k" in rule.reads and rule.k != "all":
        whole = rule.strategy in ("top-pairs", "bottom-pairs", "random")
        most, what = (layers * heads, "pairs") if whole else (heads, "heads in a layer")
        _at_most(int(rule.k), most, what, (*loc, "k"))
    if "layers" in rule.reads:
        _at_most(rule.layers, layers, "layers", (*loc, "layers"))
    if rule.layer is not None and rule.layer >= layers:
        raise KeyedError(
            (*loc, "layer"),
            f"layer {rule.layer} does not exist: the model has layers 0 to {layers - 1}",
        )
    _known_pairs(rule, layers, heads, loc)
    like = sweep.arms[rule.like].heads if rule.like is not None else None
    if like is not None:
        _check_others(like, layers, heads, loc)


def _at_most(got: int, most: int, what: str, loc: Loc) -> None:
    if got > most:
        raise KeyedError(loc, f"got {got}, but the model has only {most} {what}")


def _known_pairs(rule: HeadsRule, layers: int, heads: int, loc: Loc) -> HeadSelection | None:
    """The pairs of a rule that names them, checked; None where a capture decides."""
    field = {"file": "heads", "published": "preset"}.get(rule.strategy)
    if field is None:
        return None
    try:
        found = HeadSelection.load(rule.heads) if rule.heads else PUBLISHED[str(rule.preset)]
        return found.validate(layers, heads)
    except ReviosaError as error:
        raise KeyedError((*loc, field), str(error)) from None


def _check_others(like: HeadsRule, layers: int, heads: int, loc: Loc) -> None:
    """Refuse a layer-matched control where its layers cannot have as many other heads."""
    pairs = _known_pairs(like, layers, heads, loc)
    if pairs is not None:
        taken = max(sum(pair[0] == layer for pair in pairs.pairs) for layer in pairs.layers)
    elif like.strategy in ("top-pairs", "bottom-pairs", "random"):
        # At best they spread evenly; how they lie is known when they are chosen.
        taken = -(-int(like.k) // layers)
    else:
        taken = heads if like.k == "all" else int(like.k)
    if 2 * taken > heads:
        raise KeyedError(
            (*loc, "like"),
            f"it has {taken} heads of one layer, which leaves {heads - taken} of {heads} for a "
            "control of as many others; choose a smaller k",
        )
