"""Figures of where the role tokens look: by layer, by head, and in order.

Every function takes the results record and draws what stands in it; nothing is computed here.
Figures about attention and accuracy are in :mod:`reports.outcome_figures`.
"""

from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from probes.criteria import CRITERIA
from reports.canvas import Figure, drawing, empty_panel, redrawable
from reports.style import (
    MAP_COLORS,
    ROLE_COLORS,
    ROLE_TITLES,
    ROLE_TOKENS,
    count,
    in_text,
    number,
    pair_label,
)

if TYPE_CHECKING:
    from probes.ranking import Ranking
    from probes.results import AnalysisResults, LayerPoint

__all__ = ["bootstrap_words", "head_map", "layer_profile", "ranking_plot", "sample_words"]

LABELLED_CELLS = 80
"""A map with more cells than this shows colours only; the numbers would not be readable."""


def bootstrap_words(results: "AnalysisResults") -> str:
    """What every interval of these results is, as half a sentence."""
    level = f"{100 * results.confidence:.0f} %"
    return (
        f"{level} percentile intervals of a bootstrap over videos ({results.resamples:,} resamples)"
    )


def sample_words(results: "AnalysisResults", role: str) -> str:
    """``actor: 120 expressions of 40 videos`` for the rows that a role's attention comes from."""
    points = results.layer_profile[role]
    if not points:
        return f"{ROLE_TITLES[role].lower()}: no sample"
    estimate = points[0].vision
    return (
        f"{ROLE_TITLES[role].lower()}: n = {count(estimate.n, 'expression')} "
        f"of {count(estimate.n_videos, 'video')}"
    )


@redrawable
def layer_profile(results: "AnalysisResults") -> Figure:
    """Vision and text attention by layer and role (the paper's Fig. 6b)."""
    supervised = sorted({layer for layer, _ in results.supervised_pairs})
    with drawing(2, 2.9) as (plot, panels):
        for role, axes in zip(("actor", "target"), panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            points = results.layer_profile[role]
            if not points:
                empty_panel(axes, "no sample with this role")
                continue
            for layer in supervised:
                axes.axvspan(layer - 0.5, layer + 0.5, color="#EFEFEF", zorder=0)
            _profile_line(axes, points, "vision", ROLE_COLORS[role], "-", "o")
            _profile_line(axes, points, "text", "#777777", "--", "s")
            axes.set_xlim(-0.5, results.num_layers - 0.5)
            axes.set_ylim(0, 1)
            axes.set_xlabel("layer")
            axes.set_ylabel("share of attention")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(axes.lines, ["vision tokens", "all other tokens"], loc="best")
    shaded = "Shaded: layers with a supervised pair. " if supervised else ""
    return Figure(
        name="layer-profile",
        title="Attention on vision and on text tokens, by layer",
        caption=(
            "Share of the role token's attention that falls on vision tokens and on all other "
            "tokens, mean over heads and samples, as in the paper's Fig. 6b. Bands: "
            f"{bootstrap_words(results)}. {shaded}{_both_roles(results)}."
        ),
        alt="; ".join(_profile_words(results, role) for role in ("actor", "target")),
        plot=plot,
    )


def _profile_line(
    axes: Axes, points: "tuple[LayerPoint, ...]", kind: str, color: str, style: str, marker: str
) -> None:
    layers = [point.layer for point in points]
    estimates = [getattr(point, kind) for point in points]
    values = [np.nan if e.value is None else e.value for e in estimates]
    axes.plot(layers, values, style, color=color, marker=marker, markersize=3.5, linewidth=1.4)
    low = [np.nan if e.ci is None else e.ci[0] for e in estimates]
    high = [np.nan if e.ci is None else e.ci[1] for e in estimates]
    axes.fill_between(layers, low, high, color=color, alpha=0.18, linewidth=0)


def _profile_words(results: "AnalysisResults", role: str) -> str:
    layer = results.top_layer[role]
    if layer is None:
        return f"{ROLE_TITLES[role]}: no sample"
    value = results.layer_profile[role][layer].vision.value
    return (
        f"{ROLE_TITLES[role]}: attention on vision tokens is highest in layer {layer} "
        f"({number(value, 2)})"
    )


def _both_roles(results: "AnalysisResults") -> str:
    return "; ".join(sample_words(results, role) for role in ("actor", "target")).capitalize()


@redrawable
def head_map(results: "AnalysisResults", criterion: str) -> Figure:
    """One criterion for every pair and both roles, on one colour scale."""
    maps = {
        role: np.array(results.maps[criterion][role], dtype=float).reshape(
            results.num_layers, results.num_heads
        )
        for role in ("actor", "target")
    }
    known = np.concatenate([values[np.isfinite(values)] for values in maps.values()])
    limits = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    # One cell of a small model is not blown up to a poster, nor is a big one squeezed.
    height = float(np.clip(0.9 + 4.1 * results.num_heads / max(results.num_layers, 1), 1.9, 3.4))
    image = None
    with drawing(2, height) as (plot, panels):
        for role, axes in zip(("actor", "target"), panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            if not maps[role].size:
                empty_panel(axes, "no sample with this role")
                continue
            image = _draw_map(axes, maps[role], limits)
            _outline(axes, results.supervised_pairs)
        if image is not None and known.size:
            bar = plot.colorbar(image, ax=panels, aspect=18, pad=0.015, shrink=0.92)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=8)
            if criterion == "lift" and limits[0] < 1 < limits[1]:
                bar.ax.axhline(1, color="white", linewidth=1.6)
    entry = CRITERIA[criterion]
    missing = any(np.isnan(values).any() for values in maps.values())
    return Figure(
        name=f"map-{criterion.replace('_', '-')}",
        title=f"{entry.title} of every layer-head pair",
        caption=(
            f"{_sentence(entry.description)}. Unit: {entry.unit}. Mean over samples; one colour "
            "scale for both roles."
            + (" White line on the scale: 1, no preference." if criterion == "lift" else "")
            + (" Outlined: pairs that AML supervised." if results.supervised_pairs else "")
            + (" Hatched: undefined." if missing else "")
            + f" {_both_roles(results)}. Intervals are in the ranking and in rankings.csv."
        ),
        alt="; ".join(_map_words(role, values) for role, values in maps.items()),
        plot=plot,
    )


def _draw_map(axes: Axes, values: np.ndarray, limits: tuple[float, float]) -> AxesImage:
    layers, heads = values.shape
    axes.grid(False)
    axes.add_patch(  # shows through where there is no value
        Rectangle(
            (-0.5, -0.5), layers, heads, facecolor="#F4F4F4", edgecolor="#AAAAAA", hatch="//////",
            linewidth=0, zorder=0,
        )
    )  # fmt: skip
    image = axes.imshow(
        np.ma.masked_invalid(values.T),
        cmap=sns.color_palette(MAP_COLORS, as_cmap=True),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="none",  # keeps one pixel a cell in the file
        aspect="auto",
        zorder=1,
    )
    axes.set_xlabel("layer")
    axes.set_ylabel("head")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=13))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    if values.size <= LABELLED_CELLS:
        middle = (limits[0] + limits[1]) / 2
        for (layer, head), value in np.ndenumerate(values):
            if np.isfinite(value):
                color = "black" if value > middle else "white"
                axes.text(
                    layer, head, number(value, 2), ha="center", va="center", fontsize=7, color=color
                )
    return image


def _outline(axes: Axes, pairs: tuple[tuple[int, int], ...]) -> None:
    for layer, head in pairs:
        for color, width in (("white", 3.4), ("black", 1.4)):
            axes.add_patch(
                Rectangle(
                    (layer - 0.46, head - 0.46), 0.92, 0.92, fill=False, edgecolor=color,
                    linewidth=width, zorder=3,
                )
            )  # fmt: skip


def _map_words(role: str, values: np.ndarray) -> str:
    if not np.isfinite(values).any():
        return f"{ROLE_TITLES[role]}: no value"
    layer, head = np.unravel_index(np.nanargmax(values), values.shape)
    return (
        f"{ROLE_TITLES[role]}: highest in {pair_label(int(layer), int(head))} "
        f"({number(float(values[layer, head]), 2)})"
    )


@redrawable
def ranking_plot(
    results: "AnalysisResults", criterion: str, role: str = "both", top: int = 12
) -> Figure:
    """The best pairs with the interval of their score and of their rank."""
    ranking = results.rankings[criterion][role]
    dotted = "" if ranking.uniform is None else " Dotted: a head that looks everywhere alike."
    best = [pair for pair in ranking.pairs if pair.score is not None][:top]
    color = ROLE_COLORS[role]
    with drawing(2, 0.9 + 0.22 * max(len(best), 4), widths=[1.5, 1]) as (plot, panels):
        for axes, title in zip(panels, ("score", "rank"), strict=True):
            axes.set_title(title)
            if not best:
                empty_panel(axes, ranking.reason or "no pair with a defined score")
                continue
            axes.set_ylim(len(best) - 0.4, -0.6)
            axes.set_yticks(range(len(best)), [pair_label(p.layer, p.head) for p in best])
            axes.grid(axis="y", visible=False)
        if best:
            _intervals(panels[0], [(p.score, p.ci) for p in best], color)
            _reference_lines(panels[0], ranking)
            _intervals(panels[1], [(p.rank, p.rank_ci) for p in best], color)
            panels[0].set_xlabel(CRITERIA[criterion].unit)
            panels[1].set_xlabel(f"rank among {len(ranking.pairs)} pairs")
            panels[1].set_xlim(left=0)
            panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return Figure(
        name=f"ranking-{criterion.replace('_', '-')}-{role}",
        title=f"The {len(best)} pairs with the highest {in_text(CRITERIA[criterion].title)}",
        caption=(
            f"{ROLE_TITLES[role]}, n = {count(ranking.n_samples, 'sample')} of "
            f"{count(ranking.n_videos, 'video')}. Dots: mean over samples, and the rank it gives. "
            f"Lines: {bootstrap_words(results)}. Dashed: mean of all pairs, what a pair drawn "
            f"blindly scores.{dotted}"
            + (f" No intervals: {ranking.reason}." if ranking.reason else "")
        ),
        alt=(
            f"Highest is {pair_label(best[0].layer, best[0].head)} with {number(best[0].score)}"
            if best
            else "No pair has a defined score"
        ),
        plot=plot,
    )


def _intervals(
    axes: Axes, rows: list[tuple[float | None, tuple[float, float] | None]], color: str
) -> None:
    for place, (value, ci) in enumerate(rows):
        if ci is not None:
            axes.plot(ci, [place, place], color=color, linewidth=2.2, alpha=0.45)
        if value is not None:
            axes.plot(value, place, "o", color=color, markersize=5)


def _reference_lines(axes: Axes, ranking: "Ranking") -> None:
    if ranking.baseline.value is not None:
        axes.axvline(ranking.baseline.value, color="#444444", linestyle="--", linewidth=1)
    if ranking.uniform is not None:
        axes.axvline(ranking.uniform, color="#444444", linestyle=":", linewidth=1.3)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
