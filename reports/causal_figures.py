"""What silenced heads cost: a map of all pairs, and curves over the number of heads."""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel
from reports.style import ROLE_COLORS, ROLE_TITLES, ROLE_TOKENS, count, number, pair_label, per_cent

if TYPE_CHECKING:
    from probes.causal import AblationEffect, AblationResults

__all__ = ["dose_curve", "effect_map"]

_COLORS = "PuOr_r"
"""Purple below zero, orange above: told apart with any colour vision."""
_WHAT = {
    "mean": "write their mean over the same role's tokens of other videos",
    "resample": "write what they wrote in an expression of another video",
    "zero": "write nothing",
    "blind": "do not see the patches",
    "object-blind": "do not see the patches of their role's true object",
    "role-swap": "write what they wrote in the twin that names the same objects in exchanged roles",
}
_ROLES = ("actor", "target")


def effect_map(results: "AblationResults") -> Figure | None:
    """Change by each single pair, both roles on one scale; None where not all pairs were tried."""
    singles = {role: _of(results, role, "single") for role in _ROLES}
    pairs = {effect.pairs[0] for effects in singles.values() for effect in effects}
    if not pairs:
        return None
    layers, heads = (1 + max(pair[axis] for pair in pairs) for axis in (0, 1))
    if len(pairs) < layers * heads or layers * heads == 1:
        return None
    maps = {role: _grid(effects, layers, heads) for role, effects in singles.items()}
    known = np.concatenate([values[np.isfinite(values)] for values in maps.values()])
    reach = float(np.abs(known).max()) if known.size else 1.0
    height = float(np.clip(0.9 + 4.1 * heads / layers, 1.9, 3.4))
    image: AxesImage | None = None
    with drawing(2, height) as (plot, panels):
        for role, axes in zip(_ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            if not singles[role]:
                empty_panel(axes, "this role was never named")
                continue
            image = _draw(axes, maps[role], reach)
        if image is not None:
            bar = plot.colorbar(image, ax=panels, aspect=18, pad=0.015, shrink=0.92)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=8)
    return Figure(
        name=f"effects-{results.kind}",
        title=f"{_change(results)} by each single pair ({results.kind})",
        caption=(
            f"One pair at a time: at the role tokens, heads {_WHAT[results.kind]}. Mean change in "
            f"points; {_whole_words(results)}. A single head's effect is the least that it does: "
            "others take over."
        ),
        alt="; ".join(_words(role, singles[role]) for role in _ROLES),
        plot=plot,
    )


def dose_curve(results: "AblationResults") -> Figure | None:
    """Change by the first k chosen pairs against random sets of the same layers; None without."""
    if not any(effect.group == "chosen" for effect in results.effects):
        return None
    with drawing(2, 2.7) as (plot, panels):
        for role, axes in zip(_ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            drawn = [
                _curve(axes, _of(results, role, group), color, label, dashes)
                for group, color, label, dashes in (
                    ("chosen", ROLE_COLORS[role], "chosen pairs", "-"),
                    ("least", "#888888", "from the other end", ":"),
                    ("random", "#444444", "random, same layers", "--"),
                )
            ]
            if not any(drawn):
                empty_panel(axes, "this role was never named")
                continue
            axes.axhline(0, color="#999999", linewidth=0.8)
            axes.set_xlabel("heads silenced together")
            axes.set_ylabel("points")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="best")
    last = [effects[-1] for role in _ROLES if (effects := _of(results, role, "chosen"))]
    return Figure(
        name=f"dose-{results.kind}",
        title=f"{_change(results)} by the first k pairs ({results.kind})",
        caption=(
            f"At the role tokens, heads {_WHAT[results.kind]}. Lines: mean over expressions; "
            f"bands: 95 % cluster bootstrap over videos; {_whole_words(results)}. Random: mean "
            "over sets with as many heads of the same layers."
        ),
        alt="; ".join(
            f"{ROLE_TITLES[e.role]}: {count(e.k, 'head')} change it by {_points(e)} points"
            for e in last
        ),
        plot=plot,
    )


def _of(results: "AblationResults", role: str, group: str) -> list["AblationEffect"]:
    found = [
        effect
        for effect in results.effects
        if (effect.role, effect.group) == (role, group) and effect.change.value is not None
    ]
    return sorted(found, key=lambda effect: (effect.k, effect.pairs))


def _grid(effects: list["AblationEffect"], layers: int, heads: int) -> np.ndarray:
    values = np.full((layers, heads), np.nan)
    for effect in effects:
        if effect.change.value is not None:
            values[effect.pairs[0]] = 100 * effect.change.value
    return values


def _draw(axes: Axes, values: np.ndarray, reach: float) -> AxesImage:
    axes.grid(False)
    image = axes.imshow(
        np.ma.masked_invalid(values.T),
        cmap=sns.color_palette(_COLORS, as_cmap=True),
        vmin=-reach,
        vmax=reach,
        interpolation="none",  # keeps one pixel a cell in the file
        aspect="auto",
    )
    axes.set_xlabel("layer")
    axes.set_ylabel("head")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=13))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    if values.size <= 64:
        for (layer, head), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "white" if abs(value) > 0.6 * reach else "black"
                axes.text(
                    layer, head, number(value, 1), ha="center", va="center", fontsize=7, color=color
                )
    return image


def _curve(
    axes: Axes, effects: list["AblationEffect"], color: str, label: str, dashes: str
) -> bool:
    if not effects:
        return False
    sizes = [effect.k for effect in effects]
    values = [100 * (effect.change.value or 0.0) for effect in effects]
    axes.plot(sizes, values, dashes, color=color, label=label, marker="o", markersize=3.5)
    if all(effect.change.ci is not None for effect in effects):
        low, high = zip(*(effect.change.ci for effect in effects if effect.change.ci), strict=True)
        axes.fill_between(
            sizes, 100 * np.array(low), 100 * np.array(high), color=color, alpha=0.15, linewidth=0
        )
    return True


def _change(results: "AblationResults") -> str:
    if results.kind == "role-swap":
        return "How far masks move onto the other role's object"
    return "Change of J&F"


def _whole_words(results: "AblationResults") -> str:
    said = [
        f"{role} {per_cent(whole.value)} whole, {count(whole.n, 'expression')} of "
        f"{count(whole.n_videos, 'video')}"
        for role in _ROLES
        if (whole := results.whole[role]).value is not None
    ]
    return "; ".join(said) if said else "no role was named"


def _words(role: str, effects: list["AblationEffect"]) -> str:
    if not effects:
        return f"{ROLE_TITLES[role]}: no value"
    most = max(effects, key=lambda effect: abs(effect.change.value or 0.0))
    return (
        f"{ROLE_TITLES[role]}: {pair_label(*most.pairs[0])} changes most ({_points(most)} points)"
    )


def _points(effect: "AblationEffect") -> str:
    value = effect.change.value
    return number(None if value is None else 100 * value, 1)
