"""Figures of a study: arms of a sweep side by side, and attention as training goes."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel
from reports.style import (
    PROTOCOL_TITLES,
    ROLE_COLORS,
    ROLE_TITLES,
    ROLE_TOKENS,
    count,
    number,
    with_interval,
)

if TYPE_CHECKING:
    from probes.comparison import SeedMean
    from probes.study import SweepResults

__all__ = ["SCORE_TITLES", "arm_scores", "attention_over_training"]

SCORE_TITLES = {**PROTOCOL_TITLES, "target_by_prompt": "Target, asked for in words"}
_SCORE_COLORS = {
    "actor": ROLE_COLORS["actor"],
    "target": ROLE_COLORS["target"],
    "rvos": ROLE_COLORS["both"],
    "target_by_prompt": ROLE_COLORS["target"],
}


def arm_scores(sweep: "SweepResults") -> Figure:
    """J&F of every arm with its interval, and every seed as a dot."""
    shown = [s for s in SCORE_TITLES if any(s in arm.scores for arm in sweep.arms)]
    with drawing(len(shown), 0.9 + 0.42 * len(sweep.arms)) as (plot, panels):
        for score, axes in zip(shown, panels, strict=True):
            axes.set_title(SCORE_TITLES[score].replace(", ", ",\n"), color=_SCORE_COLORS[score])
            for place, arm in enumerate(sweep.arms):
                if (found := arm.scores.get(score)) is None:
                    continue
                color = _SCORE_COLORS[score]
                if found.ci is not None:
                    axes.plot(found.ci, [place, place], color=color, linewidth=1.6)
                axes.plot(found.value, place, "o", color=color, markersize=6)
                seeds = list(found.seeds.values())
                axes.plot(
                    seeds, [place + 0.22] * len(seeds), "|", color=color, markersize=6, alpha=0.8
                )
            axes.set_ylim(len(sweep.arms) - 0.5, -0.5)
            axes.set_yticks(range(len(sweep.arms)))
            first = axes is panels[0]
            axes.set_yticklabels([arm.title if first else "" for arm in sweep.arms])
            axes.set_xlabel("J&F, per cent")
    return Figure(
        name=f"{sweep.name}-scores",
        title=f"Sweep {sweep.name}: J&F of each arm",
        caption=(
            "Dot: mean over seeds and expressions. Line: 95 % interval over videos and seeds. "
            f"Strokes: each seed. n = {_n_words(sweep)}. Arms are compared pair by pair in the "
            "table: these intervals hold what all arms share, such as hard videos."
        ),
        alt="; ".join(
            f"{arm.title}: "
            + ", ".join(f"{SCORE_TITLES[s]} {_words(m)}" for s, m in arm.scores.items())
            for arm in sweep.arms
        ),
        plot=plot,
    )


def attention_over_training(sweep: "SweepResults") -> Figure:
    """Mask share of the watched pairs and of all others over the steps, one line an arm."""
    titles = {arm.arm: arm.title for arm in sweep.arms}
    styles = {arm.arm: style for arm, style in zip(sweep.arms, cycle(_STYLES), strict=False)}
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
        panels[0].set_ylabel("mask share")
        handles, labels = panels[0].get_legend_handles_labels()
        if handles:
            plot.legend(handles, labels, loc="outside lower center", ncols=min(4, len(handles)))
    return Figure(
        name=f"{sweep.name}-attention",
        title=f"Sweep {sweep.name}: attention as training goes",
        caption=(
            "Mask share (share of the attention on vision tokens that lies on the true object), "
            "mean over the pairs that the arm's loss pulls (of an arm without AML: the pairs that "
            "any arm pulls), and over the pairs that no arm pulls; on fixed clips of the selection "
            "split. Line: mean over seeds; band: lowest to highest seed. On supervised pairs a "
            "rise is the training target, not evidence."
        ),
        alt="; ".join(
            f"{titles[c.arm]}, {ROLE_TITLES[c.role]}, {c.group}: "
            f"{number(c.mean[0], 2)} to {number(c.mean[-1], 2)}"
            for c in sweep.curves
        ),
        plot=plot,
    )


_STYLES = (
    ("#000000", "-"),
    ("#009E73", "--"),
    ("#CC79A7", "-."),
    ("#56B4E9", ":"),
    ("#E69F00", (0, (6, 1))),
    ("#0072B2", (0, (1, 1))),
)
"""Okabe and Ito's colours, each with a stroke of its own for grey print."""


def _numbers(values: "Sequence[float | None]") -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _n_words(sweep: "SweepResults") -> str:
    scores = [score for arm in sweep.arms for score in arm.scores.values()]
    if not scores:
        return "0"
    most = max(scores, key=lambda score: score.n)
    seeds = max(len(score.seeds) for score in scores)
    return (
        f"{count(most.n, 'expression')} of {count(most.n_videos, 'video')}, {count(seeds, 'seed')}"
    )


def _words(mean: "SeedMean") -> str:
    return with_interval(mean.value, mean.ci, 1)
