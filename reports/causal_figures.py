"""What silenced heads cost: maps of all pairs, curves over the number of heads, and by video."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.canvas import Figure, drawing, empty_panel, redrawable
from reports.causal_maps import effect_map, subset_map
from reports.causal_words import ROLES, WHAT, change_words, effects_of, in_points, whole_words
from reports.style import ROLE_COLORS, ROLE_TITLES, ROLE_TOKENS, count

if TYPE_CHECKING:
    from probes.causal import AblationEffect, AblationResults

__all__ = ["dose_curve", "effect_map", "kept_curve", "paired_changes", "subset_map"]


@redrawable
def dose_curve(results: "AblationResults") -> Figure | None:
    """Change by the first k chosen pairs against random sets of the same layers; None without."""
    lines = (
        ("chosen", "chosen pairs", "-"),
        ("least", "from the other end", ":"),
        ("random", "random, same layers", "--"),
    )
    return _curves(
        results,
        "dose",
        f"{change_words(results)} by the first k pairs ({results.kind})",
        "heads silenced together",
        lines,
        f"At the role tokens, heads {WHAT[results.kind]}.",
        f"{_sets_words(results)} with as many heads of the chosen pairs' layers.",
        "",
    )


@redrawable
def kept_curve(results: "AblationResults") -> Figure | None:
    """Change when the first k chosen pairs alone are kept; None where none were."""
    return _curves(
        results,
        "kept",
        f"{change_words(results)} when the first k pairs alone are kept ({results.kind})",
        "heads kept, all others silenced",
        (("kept", "chosen pairs", "-"), ("random kept", "random, same layers", "--")),
        f"At the role tokens, all other heads of all layers {WHAT[results.kind]}.",
        f"0 points: the whole model. {_sets_words(results)} with as many heads of the chosen "
        "pairs' layers; pairs that keep no more than these explain nothing (arXiv 2410.13032).",
        " kept",
    )


@redrawable
def paired_changes(results: "AblationResults") -> Figure | None:
    """Change of each video by the most chosen pairs, by random sets and from the other end."""
    sizes = {e.k for e in results.effects if e.group == "chosen"}
    sizes &= {e.k for e in results.effects if e.group == "random"}
    if not sizes:
        return None
    k = max(sizes)
    said = []
    with drawing(2, 3.0) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            columns = [
                (effect, label)
                for group, label in (
                    ("least", f"{k} from the other end"),
                    ("random", f"{k} random, mean of sets"),
                    ("chosen", f"{k} chosen"),
                )
                for effect in effects_of(results, role, group)
                if effect.k == k
            ]
            if not columns:
                empty_panel(axes, "this role was never named")
                continue
            _strips(axes, columns, ROLE_COLORS[role])
            changes = [f"{label} {in_points(e.change.value)}" for e, label in columns]
            said.append(f"{ROLE_TITLES[role]}, points: {', '.join(changes)}")
    return Figure(
        name=f"paired-{results.kind}",
        title=f"{change_words(results)} in each video by {count(k, 'pair')} ({results.kind})",
        caption=(
            f"At the role tokens, heads {WHAT[results.kind]}. A grey line a video: the mean "
            "change over its expressions. Black: mean over expressions, with its 95 % cluster "
            f"bootstrap over videos; {whole_words(results)}."
        ),
        alt="; ".join(said) if said else "no role was named",
        plot=plot,
    )


def _curves(
    results: "AblationResults",
    name: str,
    title: str,
    x: str,
    lines: tuple[tuple[str, str, str], ...],
    before: str,
    after: str,
    done: str,
) -> Figure | None:
    """Curves over the number of heads: (group, label, dashes), the chosen pairs' first."""
    own = lines[0][0]
    if not any(effect.group == own for effect in results.effects):
        return None
    colors = {"least": "#888888", "random": "#444444", "random kept": "#444444"}
    with drawing(2, 2.7) as (plot, panels):
        for role, axes in zip(ROLES, panels, strict=True):
            axes.set_title(f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}", color=ROLE_COLORS[role])
            # Keeping nothing is where the random sets start from, too.
            none = [effect for effect in effects_of(results, role, "kept") if effect.k == 0]
            drawn = [
                _curve(
                    axes,
                    (none if group == "random kept" else []) + effects_of(results, role, group),
                    colors.get(group, ROLE_COLORS[role]),
                    label,
                    dashes,
                )
                for group, label, dashes in lines
            ]
            if not any(drawn):
                empty_panel(axes, "this role was never named")
                continue
            axes.axhline(0, color="#999999", linewidth=0.8)
            axes.set_xlabel(x)
            axes.set_ylabel("points")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="best")
    last = [effects[-1] for role in ROLES if (effects := effects_of(results, role, own))]
    return Figure(
        name=f"{name}-{results.kind}",
        title=title,
        caption=(
            f"{before} Lines: mean over expressions; bands: 95 % cluster bootstrap over videos; "
            f"{whole_words(results)}. {after}"
        ),
        alt="; ".join(
            f"{ROLE_TITLES[e.role]}: {count(e.k, 'head')}{done} change it by "
            f"{in_points(e.change.value)} points"
            for e in last
        ),
        plot=plot,
    )


def _sets_words(results: "AblationResults") -> str:
    draws = max((e.n_random for e in results.effects), default=0)
    return f"Random: mean over {count(draws, 'set')}" if draws else "Random: mean over sets"


def _strips(axes: Axes, columns: list[tuple["AblationEffect", str]], color: str) -> None:
    """A line a video through all columns, and each column's mean with its interval beside it."""
    places = np.arange(len(columns))
    by_video = 100 * np.array([effect.by_video for effect, _ in columns])
    many = by_video.shape[1] > 60
    axes.plot(
        places, by_video, color="#999999", linewidth=0.6, alpha=0.15 if many else 0.5, zorder=1
    )
    for place, values in zip(places, by_video, strict=True):
        axes.plot(
            np.full(len(values), place), values, "o", color=color, alpha=0.25 if many else 0.6,
            markersize=3.5, markeredgewidth=0, zorder=2,
        )  # fmt: skip
    for place, (effect, _) in zip(places, columns, strict=True):
        if effect.change.ci is not None:
            low_high = 100 * np.array(effect.change.ci)
            axes.plot([place + 0.13] * 2, low_high, color="black", linewidth=1.5, zorder=3)
        axes.plot(
            place + 0.13, 100 * (effect.change.value or 0.0), "D", color="black", markersize=4.5,
            zorder=4,
        )  # fmt: skip
    axes.axhline(0, color="#999999", linewidth=0.8, zorder=0)
    axes.set_xticks(places, [label for _, label in columns])
    axes.set_xlim(-0.4, len(columns) - 0.5)
    axes.set_ylabel("points")
    axes.grid(False, axis="x")


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
