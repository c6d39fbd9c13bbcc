"""Maps of what each head costs: silenced by itself, and among random losses of others."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, diverging_map, drawing, empty_panel, redrawable
from reports.causal_words import ROLES, WHAT, change_words, effects_of, in_points, whole_words
from reports.style import (
    ROLE_COLORS,
    ROLE_TITLES,
    ROLE_TOKENS,
    count,
    number,
    pair_label,
    per_cent,
    with_interval,
)

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import AblationResults, SubsetRegression

__all__ = ["effect_map", "subset_map"]

Pair = tuple[int, int]
_MARKED = (
    "Bold, or a dot where numbers do not fit: the 95 % interval leaves out 0, not corrected for "
    "the number of heads."
)
"""Purple below zero, orange above: told apart with any colour vision."""


@redrawable
def effect_map(results: "AblationResults") -> Figure | None:
    """Change by each single pair, both roles on one scale; None where not all pairs were tried."""
    singles = {role: effects_of(results, role, "single") for role in ROLES}
    pairs = {effect.pairs[0] for effects in singles.values() for effect in effects}
    if not pairs:
        return None
    layers, heads = (1 + max(pair[axis] for pair in pairs) for axis in (0, 1))
    if len(pairs) < layers * heads or layers * heads == 1:
        return None
    values = {
        role: {effect.pairs[0]: effect.change for effect in effects}
        for role, effects in singles.items()
    }
    return Figure(
        name=f"effects-{results.kind}",
        title=f"{change_words(results)} by each single pair ({results.kind})",
        caption=(
            f"One pair at a time: at the role tokens, heads {WHAT[results.kind]}. Mean change in "
            f"points; {whole_words(results)}. A single head's effect is the least that it does: "
            f"others take over. {_MARKED}"
        ),
        alt="; ".join(_most_words(role, values[role]) for role in ROLES),
        plot=_maps(values, {role: "this role was never named" for role in ROLES}),
    )


@redrawable
def subset_map(results: "AblationResults") -> Figure | None:
    """Effect of each head beside random losses of others; None without random subsets."""
    models = {model.role: model for model in results.subsets}
    if not models:
        return None
    values: dict[str, dict[Pair, Estimate]] = {role: {} for role in ROLES}
    empty = {role: "this role was never named" for role in ROLES}
    for role, model in models.items():
        r2 = model.r2.value
        if r2 is None or r2 <= 0:
            # Colours would be read as effects.
            empty[role] = "the model predicts no other subset: no effects"
        else:
            values[role] = {(e.layer, e.head): e.effect for e in model.effects}
    first = next(iter(models.values()))
    notes = "".join(
        f" {ROLE_TITLES[role]}: {model.note}." for role, model in models.items() if model.note
    )
    return Figure(
        name=f"subsets-{results.kind}",
        title=f"{change_words(results)} by each head while others are lost, too ({results.kind})",
        caption=(
            f"{count(first.n_subsets, 'random subset')} of all heads (seed {results.plan_seed}), "
            f"{per_cent(first.rate, 0)} % silenced in each: at the role tokens, heads "
            f"{WHAT[results.kind]}. In points: ridge "
            "regression of the change on who was silenced, so that a head counts although another "
            f"one can stand in for it (arXiv 2509.17588). {_fit_words(models)}.{notes} "
            f"{_MARKED} {whole_words(results).capitalize()}."
        ),
        alt="; ".join(
            f"{_most_words(role, values[role])}, {_r2_words(models[role])}"
            if role in models
            else f"{ROLE_TITLES[role]}: no value"
            for role in ROLES
        ),
        plot=_maps(values, empty, {role: _r2_words(model) for role, model in models.items()}),
    )


def _maps(
    values: "dict[str, dict[Pair, Estimate]]",
    empty: dict[str, str],
    said: dict[str, str] | None = None,
) -> Plot:
    """Shares by pair as two maps in points on one scale; the reason where a role has none."""
    pairs = [pair for by_pair in values.values() for pair in by_pair]
    layers, heads = (1 + max((pair[axis] for pair in pairs), default=0) for axis in (0, 1))
    maps = {role: np.full((layers, heads), np.nan) for role in values}
    for role, by_pair in values.items():
        for pair, estimate in by_pair.items():
            if estimate.value is not None:
                maps[role][pair] = 100 * estimate.value
    known = np.concatenate([grid[np.isfinite(grid)] for grid in maps.values()])
    # Without any effect the scale would have no length.
    reach = max(float(np.abs(known).max(initial=0.0)), 1e-6)
    height = float(np.clip(0.9 + 4.1 * heads / layers, 1.9, 3.4))
    image: AxesImage | None = None
    with drawing(2, height) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            if said and role in said:
                axes.set_title(said[role], loc="right", fontsize=8, fontweight="normal")
            if not values[role]:
                empty_panel(axes, empty[role])
                continue
            image = _draw(axes, maps[role], reach, _away_from_0(values[role]))
        if image is not None:
            bar = plot.colorbar(image, ax=panels, aspect=18, pad=0.015, shrink=0.92)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=8)
    return plot


def _away_from_0(values: "dict[Pair, Estimate]") -> set[Pair]:
    return {pair for pair, e in values.items() if e.ci is not None and (e.ci[0] > 0 or e.ci[1] < 0)}


def _draw(axes: Axes, values: np.ndarray, reach: float, bold: set[Pair]) -> AxesImage:
    image = diverging_map(axes, values, reach)
    axes.set_xlabel("layer")
    axes.set_ylabel("head")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=13))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    numbered = values.size <= 64
    for (layer, head), value in np.ndenumerate(values):
        if np.isfinite(value) and (numbered or (layer, head) in bold):
            axes.text(
                layer,
                head,
                number(value, 1) if numbered else "\N{BULLET}",
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold" if (layer, head) in bold else "normal",
                color="white" if abs(value) > 0.6 * reach else "black",
            )
    return image


def _most_words(role: str, values: "dict[Pair, Estimate]") -> str:
    known = {pair: e.value for pair, e in values.items() if e.value is not None}
    if not known:
        return f"{ROLE_TITLES[role]}: no value"
    pair = max(known, key=lambda pair: abs(known[pair]))
    return (
        f"{ROLE_TITLES[role]}: {pair_label(*pair)} changes most ({in_points(known[pair])} points)"
    )


def _r2_words(model: "SubsetRegression") -> str:
    if model.r2.value is None:
        return model.r2.reason or "R\N{SUPERSCRIPT TWO} undefined"
    r2 = with_interval(model.r2.value, model.r2.ci, 2)
    return f"R\N{SUPERSCRIPT TWO} on subsets left out: {r2}"


def _fit_words(models: "dict[str, SubsetRegression]") -> str:
    said = [
        f"{role} {in_points(model.mean.value)} by the mean subset, the penalty leaves "
        f"{number(model.kept, 2)} of an effect"
        for role, model in models.items()
    ]
    return "; ".join(said).capitalize()
