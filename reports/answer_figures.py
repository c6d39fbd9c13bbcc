"""The figure that a sweep ends with: J&F of every arm, by role."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from reports.answer_words import SCORE_TITLES, halving_words, n_words, state_words
from reports.canvas import Figure, drawing, in_first_column, redrawable
from reports.style import ROLE_COLORS, with_interval

if TYPE_CHECKING:
    from probes.answer import ArmAnswer, SweepAnswer

__all__ = ["strategies"]

_SCORE_COLORS = {
    "actor": ROLE_COLORS["actor"],
    "target": ROLE_COLORS["target"],
    "rvos": ROLE_COLORS["both"],
    "target_by_prompt": ROLE_COLORS["target"],
}
_MANY = 12
"""With more arms than this they stand in the order of their score, closer together."""
_TITLE_WIDTH = 38
"""Characters of a title before it goes on in the next line."""
_STAR = "\N{BLACK STAR}"
_GREY = "#666666"


@redrawable
def strategies(answer: "SweepAnswer") -> Figure | None:
    """J&F of every arm with its interval, every seed as a stroke, and the baseline as a line.

    None where no trial is finished. Arms that were cut or have no finished trial keep their row.
    """
    shown = [score for score in SCORE_TITLES if score in answer.metrics]
    if not shown:
        return None
    many = len(answer.arms) > _MANY
    arms = _ranked(answer) if many else list(answer.arms)
    labels = [_label(answer, arm) for arm in arms]
    lines = max(label.count("\n") + 1 for label in labels)
    row = max(0.24 if many else 0.42, 0.06 + 0.14 * lines)
    with drawing(len(shown), 0.9 + row * len(arms)) as (plot, panels):
        for score, axes in zip(shown, panels, strict=True):
            axes.set_title(SCORE_TITLES[score].replace(", ", ",\n"), color=_SCORE_COLORS[score])
            base = answer.arm(answer.baseline).scores.get(score)
            if base is not None:
                axes.axvline(base.value, color=_GREY, linewidth=1, linestyle="--", zorder=1)
            for place, arm in enumerate(arms):
                _draw_arm(axes, arm, score, place, 4.5 if many else 6)
            axes.set_ylim(len(arms) - 0.5, -0.5)
            axes.set_yticks(range(len(arms)))
            axes.set_yticklabels(labels if in_first_column(axes) else [""] * len(arms))
            axes.set_xlabel("J&F, per cent")
        for place, arm in enumerate(arms):
            if not arm.scores:
                panels[0].text(
                    0.02, place, state_words(arm, answer), color=_GREY, fontsize=8, va="center",
                    transform=panels[0].get_yaxis_transform(),
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )  # fmt: skip
    return Figure(
        name=f"{answer.name}-strategies",
        title=f"Sweep {answer.name}: J&F of each arm",
        caption=_caption(answer, many),
        alt="; ".join(_words(answer, arm) for arm in arms),
        plot=plot,
    )


def _draw_arm(axes: Axes, arm: "ArmAnswer", score: str, place: int, size: float) -> None:
    if (found := arm.scores.get(score)) is None:
        return
    color = _SCORE_COLORS[score]
    if found.ci is not None:
        axes.plot(found.ci, [place, place], color=color, linewidth=1.6)
    face = color if arm.status == "whole" else "white"
    axes.plot(found.value, place, "o", color=color, markerfacecolor=face, markersize=size)
    seeds = list(found.seeds.values())
    axes.plot(seeds, [place + 0.24] * len(seeds), "|", color=color, markersize=size, alpha=0.8)


def _ranked(answer: "SweepAnswer") -> "Sequence[ArmAnswer]":
    """Best first by the score to choose by; arms without it last."""

    def key(arm: "ArmAnswer") -> tuple[bool, float]:
        found = arm.scores.get(answer.choose)
        return found is None, -(found.value if found else arm.cut_score or 0.0)

    return sorted(answer.arms, key=key)


def _label(answer: "SweepAnswer", arm: "ArmAnswer") -> str:
    text = f"{arm.title} ({state_words(arm, answer)})" if arm.status == "partial" else arm.title
    if answer.best and arm.arm == answer.best.arm:
        text = f"{_STAR} {text}"
    lines = textwrap.wrap(text, _TITLE_WIDTH)
    # As many lines as it takes, of about the same length: no single word in the last.
    narrow = (textwrap.wrap(text, width) for width in range(8, _TITLE_WIDTH))
    lines = next((found for found in narrow if len(found) == len(lines)), lines)
    return "\n".join(lines) or arm.arm


def _caption(answer: "SweepAnswer", many: bool) -> str:
    base = answer.arm(answer.baseline)
    parts = [
        "Dot: mean over seeds and expressions; hollow where seeds are missing. Line: 95 % interval "
        "over videos and seeds. Strokes: each seed.",
        f"Dashed: “{base.title}”." if base.scores else "",
        f"In the order of {SCORE_TITLES[answer.choose]}." if many else "",
        f"{_STAR}: the best on the selection split." if answer.best else "",
        f"n = {n_words(answer)}.",
        halving_words(answer),
        "Arms are compared pair by pair in the table: these intervals hold what all arms share, "
        "such as hard videos.",
    ]
    return " ".join(part for part in parts if part)


def _words(answer: "SweepAnswer", arm: "ArmAnswer") -> str:
    scores = ", ".join(
        f"{SCORE_TITLES[s]} {with_interval(m.value, m.ci, 1)}" for s, m in arm.scores.items()
    )
    return f"{arm.title}: {scores or state_words(arm, answer)}"
