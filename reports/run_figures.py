"""Figures that set captures side by side."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel, legend_below, redrawable
from reports.figures import bootstrap_words, sample_words
from reports.style import ROLE_COLORS, ROLE_TITLES, ROLE_TOKENS, SERIES_STYLES, number

if TYPE_CHECKING:
    from probes.results import AnalysisResults

__all__ = ["profiles"]

ROLES = ("actor", "target")


@redrawable
def profiles(captures: "Sequence[AnalysisResults]") -> Figure:
    """Vision attention by layer (the paper's Fig. 6b), one line a run, one panel a role."""
    styles = [style for style, _ in zip(cycle(SERIES_STYLES), captures, strict=False)]
    layers = max((results.num_layers for results in captures), default=1)
    with drawing(2, 3.3) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            if not any(results.layer_profile[role] for results in captures):
                empty_panel(axes, "no sample with this role")
                continue
            for results, (color, stroke) in zip(captures, styles, strict=True):
                points = results.layer_profile[role]
                estimates = [point.vision for point in points]
                at = [point.layer for point in points]
                value = [np.nan if e.value is None else e.value for e in estimates]
                low = [np.nan if e.ci is None else e.ci[0] for e in estimates]
                high = [np.nan if e.ci is None else e.ci[1] for e in estimates]
                axes.plot(
                    at, value, color=color, linestyle=stroke, marker="o", markersize=3.5,
                    linewidth=1.4, label=results.name,
                )  # fmt: skip
                axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
            axes.set_xlim(-0.5, layers - 0.5)
            axes.set_ylim(0, 1)
            axes.set_xlabel("layer")
            axes.set_ylabel("share of attention on vision tokens")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        found = (axes.get_legend_handles_labels() for axes in panels)
        handles, labels = next((x for x in found if x[0]), ([], []))
        if handles:
            legend_below(plot, handles, labels)
    intervals = "; ".join(dict.fromkeys(bootstrap_words(results) for results in captures))
    counts = "; ".join(
        f"{results.name}: {', '.join(sample_words(results, role) for role in ROLES)}"
        for results in captures
    )
    return Figure(
        name="runs-layer-profile",
        title="Attention on vision tokens by layer, run by run",
        caption=(
            "Share of the role token's attention that falls on vision tokens, mean over heads and "
            f"samples, as in the paper's Fig. 6b. Bands: {intervals}. {counts}."
        ),
        alt="; ".join(_words(results, role) for results in captures for role in ROLES),
        plot=plot,
    )


def _words(results: "AnalysisResults", role: str) -> str:
    layer = results.top_layer[role]
    if layer is None:
        return f"{results.name}, {role}: no sample"
    value = results.layer_profile[role][layer].vision.value
    return f"{results.name}, {role}: highest in layer {layer} ({number(value, 2)})"
