"""Figures of attention against accuracy: the paper's Fig. 6a and the layers behind it."""

from typing import TYPE_CHECKING

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel, redrawable
from reports.figures import bootstrap_words
from reports.style import ROLE_COLORS, ROLE_TITLES, ROLE_TOKENS, count, number, with_interval

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.correlation import Correlation
    from probes.results import AnalysisResults

__all__ = ["correlation_by_layer", "share_against_jf"]

MANY_POINTS = 800
"""Above this the points are drawn as pixels: thousands of vector circles make a page slow."""

ROLES = ("actor", "target")


@redrawable
def share_against_jf(results: "AnalysisResults") -> Figure:
    """Mask share against J&F for every sample (the paper's Fig. 6a)."""
    with drawing(2, 3.6) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(
                f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role], pad=30
            )
            if not results.scatter[role]:
                empty_panel(axes, "no sample with this role")
                continue
            _scatter(axes, results, role)
            axes.text(
                0, 1.015, _correlation_words(results.correlations[role]), transform=axes.transAxes,
                fontsize=8, va="bottom", color="#333333", linespacing=1.35,
            )  # fmt: skip
    return Figure(
        name="share-against-jf",
        title="Mask share against J&F",
        caption=(
            "One dot a sample: mean mask share of all heads (share of the attention on vision "
            "tokens that lies on the true object) against J&F of the role's mask, as in the "
            "paper's Fig. 6a. Black: mean J&F in quantile bins of mask share; bars: "
            f"{bootstrap_words(results)}. Given mask area: partial rank correlation, which takes "
            "out that a large object is easier to segment and catches more attention by chance. "
            "Samples without the role's token are not drawn. An association, not a cause."
        ),
        alt="; ".join(
            f"{ROLE_TITLES[role]}: {_correlation_words(results.correlations[role])}"
            for role in ROLES
        ).replace("\n", ", "),
        plot=plot,
    )


def _scatter(axes: Axes, results: "AnalysisResults", role: str) -> None:
    points = results.scatter[role]
    many = len(points) > MANY_POINTS
    sns.scatterplot(
        x=[point.mask_share for point in points],
        y=[point.jf for point in points],
        ax=axes,
        color=ROLE_COLORS[role],
        s=9 if many else 18,
        alpha=0.25 if many else 0.45,
        linewidth=0,
        rasterized=many,
        legend=False,
    )
    centers, means = [], []
    for part in results.bins[role]:
        if part.jf.ci is not None:
            axes.plot([part.center] * 2, part.jf.ci, color="black", linewidth=1.4)
        if part.jf.value is not None:
            centers.append(part.center)
            means.append(part.jf.value)
    axes.plot(
        centers, means, "o-", color="black", markersize=5, linewidth=1, markeredgecolor="white"
    )
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(left=0)
    axes.set_xlabel("mask share, mean of all heads")
    axes.set_ylabel("J&F")


def _correlation_words(correlation: "Correlation") -> str:
    overall = correlation.overall
    return (
        f"Spearman {_estimate(overall.spearman)}, "
        f"n = {count(correlation.n, 'sample')} of {count(correlation.n_videos, 'video')}\n"
        f"given mask area {_estimate(overall.partial)}"
    )


def _estimate(estimate: "Estimate") -> str:
    if estimate.value is None:
        return f"undefined ({estimate.reason})"
    return with_interval(estimate.value, estimate.ci, 2)


@redrawable
def correlation_by_layer(results: "AnalysisResults") -> Figure:
    """Rank correlation of each layer's mask share with J&F, plain and given mask area."""
    with drawing(2, 2.9) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            correlation = results.correlations[role]
            known = [a for a in correlation.layers if a.spearman.value is not None]
            if not known:
                empty_panel(axes, correlation.overall.spearman.reason or "no sample with this role")
                continue
            axes.axhline(0, color="#444444", linewidth=0.9)
            control = correlation.controls["mask_area"].spearman.value
            if control is not None:
                axes.axhline(
                    control, color="#444444", linestyle="--", linewidth=1, label="mask area alone"
                )
            color = ROLE_COLORS[role]
            for shift, kind, face, label in (
                (-0.14, "spearman", color, "Spearman"),
                (0.14, "partial", "white", "given mask area"),
            ):
                pairs = [(a.layer + shift, getattr(a, kind)) for a in known if a.layer is not None]
                _association_points(axes, pairs, color, face, label)
            axes.set_xlim(-0.6, results.num_layers - 0.4)
            axes.set_ylim(-1.02, 1.02)
            axes.set_xlabel("layer")
            axes.set_ylabel("rank correlation with J&F")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="best")
    return Figure(
        name="correlation-by-layer",
        title="Which layer's attention goes with better masks",
        caption=(
            "Rank correlation of a layer's mask share (mean of its heads) with J&F. Filled: "
            "Spearman. Hollow: given the mask area. Lines: "
            f"{bootstrap_words(results)}; not corrected for the number of layers. "
            "Dashed: what the mask area alone, which knows nothing of attention, reaches. "
            + "; ".join(_n_words(results.correlations[role]) for role in ROLES)
            + "."
        ),
        alt="; ".join(_layer_words(results.correlations[role]) for role in ROLES),
        plot=plot,
    )


def _association_points(
    axes: Axes, points: "list[tuple[float, Estimate]]", color: str, face: str, label: str
) -> None:
    for place, estimate in points:
        if estimate.ci is not None:
            axes.plot([place, place], estimate.ci, color=color, linewidth=1.3, alpha=0.6)
    known = [(place, estimate.value) for place, estimate in points if estimate.value is not None]
    axes.plot(
        [place for place, _ in known], [value for _, value in known], "o", color=color,
        markerfacecolor=face, markersize=4.5, label=label, linestyle="none",
    )  # fmt: skip


def _n_words(correlation: "Correlation") -> str:
    return (
        f"{ROLE_TITLES[correlation.role]}: n = {count(correlation.n, 'sample')} of "
        f"{count(correlation.n_videos, 'video')}, {correlation.n_excluded:,} left out without token"
    )


def _layer_words(correlation: "Correlation") -> str:
    known = [a for a in correlation.layers if a.spearman.value is not None]
    if not known:
        return f"{ROLE_TITLES[correlation.role]}: undefined"
    best = max(known, key=lambda a: a.spearman.value or 0.0)
    return (
        f"{ROLE_TITLES[correlation.role]}: highest in layer {best.layer} "
        f"({number(best.spearman.value, 2)})"
    )
