"""Attention as the trainings of a sweep go on."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel, in_first_column, legend_below, redrawable
from reports.style import ROLE_COLORS, ROLE_TITLES, ROLE_TOKENS, SERIES_STYLES, count, number

if TYPE_CHECKING:
    from probes.study import SweepResults

__all__ = ["attention_over_training"]


@redrawable
def attention_over_training(sweep: "SweepResults") -> Figure:
    """Mask share of the watched pairs and of all others over the steps, one line an arm."""
    name = sweep.answer.name
    titles = {arm.arm: arm.title for arm in sweep.answer.arms if arm.trials}
    seeds = max((len(arm.trials) for arm in sweep.answer.arms), default=0)
    styles = dict(zip(titles, cycle(SERIES_STYLES), strict=False))
    with drawing(4, 3.4) as (plot, panels):
        places = [
            (role, group) for role in ("actor", "target") for group in ("supervised", "others")
        ]
        top = max((max(filter(None, c.high), default=0) for c in sweep.curves), default=1)
        for (role, group), axes in zip(places, panels, strict=True):
            words = "supervised pairs" if group == "supervised" else "never supervised"
            axes.set_title(f"{ROLE_TOKENS[role]}\n{words}", color=ROLE_COLORS[role])
            curves = [c for c in sweep.curves if (c.role, c.group) == (role, group)]
            if not curves:
                empty_panel(axes, "not recorded")
                continue
            for curve in curves:
                color, stroke = styles[curve.arm]
                mean, low, high = (_numbers(x) for x in (curve.mean, curve.low, curve.high))
                axes.plot(
                    curve.steps, mean, label=titles[curve.arm], linewidth=1.5, color=color,
                    linestyle=stroke,
                )  # fmt: skip
                axes.fill_between(curve.steps, low, high, color=color, alpha=0.15, linewidth=0)
            axes.set_ylim(0, 1.05 * top)
            axes.set_xlabel("optimiser step")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        for axes in panels:
            if in_first_column(axes):
                axes.set_ylabel("mask share")
        handles, labels = panels[0].get_legend_handles_labels()
        if handles:
            legend_below(plot, handles, labels)
    return Figure(
        name=f"{name}-attention",
        title=f"Sweep {name}: attention as training goes",
        caption=(
            "Mask share (share of the attention on vision tokens that lies on the true object), "
            "mean over the pairs that the arm's loss pulls (of an arm without AML: the pairs that "
            "any arm pulls), and over the pairs that no arm pulls; on fixed clips of the selection "
            f"split, n = {count(seeds, 'seed')}. Line: mean over seeds; band: lowest to highest "
            "seed. On supervised pairs a rise is the training target, not evidence."
        ),
        alt="; ".join(
            f"{titles[c.arm]}, {ROLE_TITLES[c.role]}, {c.group}: "
            f"{number(c.mean[0], 2)} to {number(c.mean[-1], 2)}"
            for c in sweep.curves
        ),
        plot=plot,
    )


def _numbers(values: "Sequence[float | None]") -> list[float]:
    return [float("nan") if value is None else value for value in values]
