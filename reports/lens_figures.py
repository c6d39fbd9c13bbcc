"""Where an answer is decided: scores read after each layer, and the parts that wrote them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, diverging_map, drawing, empty_panel, redrawable
from reports.style import ROLE_COLORS, ROLE_TOKENS, count, number, pair_label

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.lens import Attribution, LensResults

__all__ = ["attribution_map", "lens_curves"]

"""Purple below zero, orange above: told apart with any colour vision."""
_ENDS = "#444444"
_WRITTEN = 10
"""Layers up to which there is room for numbers in the cells of MLPs."""
_PANELS = {
    "actor": f"{ROLE_TOKENS['actor']} over next best",
    "target": f"{ROLE_TOKENS['target']} over next best",
    "decision": "a target follows, less none",
}


@redrawable
def lens_curves(results: "LensResults") -> Figure | None:
    """Probability of each role token, and the log-odds that a target follows, after each layer.

    None where no expression was read.
    """
    if not results.n:
        return None
    series = results.series
    with drawing(2, 3.0) as (plot, (left, right)):
        left.set_title("Before a role token: is it next?")
        for role, dashes, marker in (("actor", "-", "o"), ("target", "--", "s")):
            values = [point.probability for point in series[role].points]
            _curve(left, values, ROLE_COLORS[role], ROLE_TOKENS[role], dashes, marker)
        left.set_ylabel("probability of the token")
        left.set_ylim(-0.03, 1.03)
        right.set_title("Behind [SEG_ACT]: does a target follow?")
        for name, color, label, dashes, marker in (
            ("goes_on", ROLE_COLORS["target"], "answers with a target", "-", "o"),
            ("ends", _ENDS, "answers without", "--", "s"),
        ):
            n = series[name].points[0].over_end.n
            values = [point.over_end for point in series[name].points]
            _curve(right, values, color, f"{label} (n = {n})", dashes, marker)
        right.axhline(0, color="#999999", linewidth=0.8)
        right.set_ylabel("log-odds, going on against ending")
        told = results.told_apart.value
        if told is not None:
            right.axvline(told, color="#999999", linewidth=0.8, linestyle=":")
        for axes in (left, right):
            if not axes.lines:
                empty_panel(axes, "no such answer")
                continue
            axes.set_xlabel("layers run (0 is the embedding)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="best")
    return Figure(
        name="lens-curves",
        title="When the answer is decided",
        caption=(
            "The state after each layer, read as if it were the last (logit lens). Left: before "
            "the role token. Right: at [SEG_ACT], the token that leads on to a target against the "
            "one that ends the answer, by what was answered; dotted: mean depth from which an "
            "expression is on its own side of the midpoint. Lines: mean over expressions; bands: "
            f"95 % cluster bootstrap over videos; {count(results.n, 'expression')} of "
            f"{count(results.n_videos, 'video')}. Early layers are not made to be read so: a "
            "decision may be there before the lens sees it."
        ),
        alt="; ".join(
            [
                *(
                    f"{ROLE_TOKENS[role]} is first from depth {_value(series[role].settled)} on"
                    for role in ("actor", "target")
                ),
                f"answers with and without a target are told apart from depth "
                f"{_value(results.told_apart)} on",
            ]
        ),
        plot=plot,
    )


@redrawable
def attribution_map(results: "LensResults") -> Figure | None:
    """What each head and MLP adds to the role tokens' scores; None where nothing was read."""
    if not results.n:
        return None
    image: AxesImage | None = None
    parts = {name: results.attribution[name] for name in _PANELS}
    layers, heads = (len(x) for x in (parts["actor"].heads, parts["actor"].heads[0]))
    height = float(np.clip(1.5 + 4.4 * heads / layers, 2.6, 4.2))
    maps = {name: _grid(found) for name, found in parts.items()}
    # One scale that heads can be told apart on: an MLP, or a head of the first layer, may write ten
    # times as much as all others, and is drawn in full colour with its number in the caption.
    known = np.abs(np.concatenate([values[:, :-1].ravel() for values in maps.values()]))
    known = known[np.isfinite(known)]
    reach = float(known.max()) if known.size else 1.0
    with drawing(3, height) as (plot, panels):
        for axes, (name, title) in zip(panels, _PANELS.items(), strict=True):
            axes.set_title(title, color=ROLE_COLORS.get(name, "black"))
            if parts[name].total.value is None:
                empty_panel(axes, parts[name].total.reason or "no such answer")
                continue
            image = _draw(axes, maps[name], reach, axes is panels[0])
        if image is not None:
            bar = plot.colorbar(image, ax=panels, aspect=18, pad=0.015, shrink=0.92, extend="both")
            bar.set_label("added score (logits)")
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=8)
    return Figure(
        name="lens-attribution",
        title="Which heads write the role tokens",
        caption=(
            "Direct logit attribution: what each head, and below the line each layer's MLP, adds "
            "to the difference of two scores, the final norm's scale held fixed; all parts and the "
            "embedding sum to the whole. Mean over expressions; colours end at the largest head, "
            f"MLPs go beyond. {'; '.join(_sums(name, found) for name, found in parts.items())}. "
            f"{count(results.n, 'expression')} of {count(results.n_videos, 'video')}. What a head "
            "does by way of later layers is not in it."
        ),
        alt="; ".join(_most(name, found) for name, found in parts.items()),
        plot=plot,
    )


def _curve(
    axes: Axes, values: Sequence["Estimate"], color: str, label: str, dashes: str, marker: str
) -> None:
    known = [(depth, e.value, e.ci) for depth, e in enumerate(values) if e.value is not None]
    if not known:
        return
    depths, means, intervals = zip(*known, strict=True)
    axes.plot(depths, means, dashes, color=color, label=label, marker=marker, markersize=3.5)
    if all(ci is not None for ci in intervals):
        low, high = np.array(intervals, dtype=float).T
        axes.fill_between(depths, low, high, color=color, alpha=0.15, linewidth=0)


def _grid(found: "Attribution") -> np.ndarray:
    """Means, [layer, head], with the layer's MLP behind its heads."""
    rows = [
        [e.value for e in (*heads, mlp)] for heads, mlp in zip(found.heads, found.mlps, strict=True)
    ]
    return np.array(rows, dtype=float)


def _draw(axes: Axes, values: np.ndarray, reach: float, labelled: bool) -> AxesImage:
    layers, rows = values.shape
    image = diverging_map(axes, values, reach)
    axes.axhline(rows - 1.5, color="#444444", linewidth=1.2)
    axes.set_xlabel("layer")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    step = 1 if rows <= 9 else 2 if rows <= 18 else 4
    heads = list(range(0, rows - 1, step))
    axes.set_yticks([*heads, rows - 1], [*map(str, heads), "MLP"])
    if layers <= _WRITTEN:
        # MLPs write more than any head: their colours end, their numbers do not.
        for layer, value in enumerate(values[:, -1]):
            if np.isfinite(value):
                color = "white" if abs(value) > 0.6 * reach else "black"
                axes.text(
                    layer, rows - 1, number(value, 1), ha="center", va="center", fontsize=6.5,
                    color=color,
                )  # fmt: skip
    if labelled:
        axes.set_ylabel("head")
    return image


def _sums(name: str, found: "Attribution") -> str:
    if found.total.value is None:
        return f"{_PANELS[name]}: no value"
    heads = sum(e.value or 0.0 for row in found.heads for e in row)
    mlps = sum(e.value or 0.0 for e in found.mlps)
    return (
        f"{_PANELS[name]} {number(found.total.value, 1)}: heads {number(heads, 1)}, "
        f"MLPs {number(mlps, 1)}, embedding {number(found.embedding.value, 1)}"
    )


def _most(name: str, found: "Attribution") -> str:
    pairs = [
        (abs(e.value), pair_label(layer, head), e.value)
        for layer, row in enumerate(found.heads)
        for head, e in enumerate(row)
        if e.value is not None
    ]
    if not pairs:
        return f"{_PANELS[name]}: no value"
    _, label, value = max(pairs)
    return f"{_PANELS[name]}: of the heads {label} adds most ({number(value, 2)})"


def _value(estimate: "Estimate") -> str:
    return number(estimate.value, 1)
