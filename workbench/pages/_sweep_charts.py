"""Altair charts of a sweep's answer, and the tables they draw."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import altair as alt
import pandas as pd

from probes.answer import ArmAnswer, Contrast, SweepAnswer
from reports.answer_words import SHORT_TITLES, state_words
from reports.style import ROLE_COLORS, number, signed, signed_interval, with_interval

__all__ = [
    "SCORE_COLORS", "arm_labels", "difference_chart", "difference_frame", "rung_frame",
    "score_frame", "strategy_chart",
]  # fmt: skip

SCORE_COLORS: Final = {
    "actor": ROLE_COLORS["actor"],
    "target": ROLE_COLORS["target"],
    # Grey and pink that are seen on white and on black.
    "rvos": "#8A8A8A",
    "target_by_prompt": "#CC79A7",
}
_GREY: Final = "#8A8A8A"
_STAR: Final = "\N{BLACK STAR}"
_MANY: Final = 12
"""With more arms than this they stand in the order of their score, as in the sweep's figure."""


def arm_labels(answer: SweepAnswer) -> dict[str, str]:
    """Arm -> how charts name it, in the order they stand in; no two arms have the same."""
    arms = list(answer.arms)
    if len(arms) > _MANY:
        arms.sort(key=lambda arm: _merit(answer, arm), reverse=True)
    titles = Counter(arm.title for arm in arms)
    best = answer.best.arm if answer.best else None
    return {
        arm.arm: f"{_STAR} " * (arm.arm == best)
        + (arm.title if titles[arm.title] == 1 else f"{arm.title} ({arm.arm})")
        for arm in arms
    }


def _merit(answer: SweepAnswer, arm: ArmAnswer) -> tuple[bool, float]:
    found = arm.scores.get(answer.choose)
    return found is not None, found.value if found else arm.cut_score or 0.0


def score_frame(answer: SweepAnswer, scores: Sequence[str]) -> pd.DataFrame:
    """One row an arm and score, in per cent: value, interval, seeds, n."""
    labels = arm_labels(answer)
    rows = [
        {
            "arm": arm.arm, "title": arm.title, "label": labels[arm.arm], "score": score,
            "shown": SHORT_TITLES[score], "jf": mean.value, "low": low, "high": high,
            "J&F": with_interval(mean.value, mean.ci, 1), "seeds": len(mean.seeds),
            "each_seed": ", ".join(f"{s}: {number(v, 1)}" for s, v in mean.seeds.items()),
            "expressions": mean.n, "videos": mean.n_videos, "status": arm.status,
            "state": state_words(arm, answer) or "all seeds",
        }
        for arm in answer.arms
        for score, mean in arm.scores.items()
        if score in scores
        for low, high in (mean.ci or (None, None),)
    ]  # fmt: skip
    columns = ["arm", "title", "label", "score", "shown", "jf", "low", "high", "J&F", "seeds",
               "each_seed", "expressions", "videos", "status", "state"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def difference_frame(answer: SweepAnswer, scores: Sequence[str]) -> pd.DataFrame:
    """One row a comparison and score, in points: difference, interval, p and corrected p."""
    labels = arm_labels(answer)
    rows = [
        {
            "arm": arm.arm, "title": arm.title, "label": labels[arm.arm], "kind": kind,
            "less": answer.arm(contrast.than).title, "score": score,
            "shown": SHORT_TITLES[score], "difference": contrast.gap.value, "low": low,
            "high": high, "points": _points(contrast), "p": contrast.gap.p,
            "corrected p": contrast.corrected_p, "seeds": len(contrast.gap.seeds),
            "expressions": contrast.gap.n, "videos": contrast.gap.n_videos,
            "clear": contrast.corrected_p is not None and contrast.corrected_p < 0.05,
        }
        for kind in ("baseline", "control")
        for arm in answer.arms
        for score, contrast in (arm.to_baseline if kind == "baseline" else arm.to_control).items()
        if score in scores
        for low, high in (contrast.gap.ci or (None, None),)
    ]  # fmt: skip
    columns = ["arm", "title", "label", "kind", "less", "score", "shown", "difference", "low",
               "high", "points", "p", "corrected p", "seeds", "expressions", "videos",
               "clear"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def rung_frame(answer: SweepAnswer, planned: Sequence[tuple[str, str, int]]) -> pd.DataFrame:
    """One row an arm and decision of halving: step, mean on the selection split, what became."""
    titles = {arm.arm: arm.title for arm in answer.arms}
    rows = []
    for rung in answer.halving.rungs if answer.halving else ():
        for arm in (*rung.kept, *rung.cut):
            found = [rung.scores.get(key) for key, of, _ in planned if of == arm]
            known = [score for score in found if score is not None]
            rows.append(
                {
                    "step": rung.step, "arm": titles.get(arm, arm),
                    "J&F there": sum(known) / len(known) if known else None, "seeds": len(known),
                    "then": "cut" if arm in rung.cut else "trained on",
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["step", "arm", "J&F there", "seeds", "then"])


def strategy_chart(answer: SweepAnswer, scores: Sequence[str]) -> alt.LayerChart:
    """J&F of every arm by role: dot, interval, each seed as a stroke, the baseline as a line."""
    data = score_frame(answer, scores)
    labels = list(arm_labels(answer).values())
    base = alt.Chart(data).encode(**_places(labels, scores), color=_color(scores))
    x = alt.X("jf:Q", title="J&F, per cent", scale=alt.Scale(zero=False, nice=True))
    tooltip = [
        alt.Tooltip("title:N", title="arm"), alt.Tooltip("shown:N", title="score"),
        alt.Tooltip("J&F:N"), alt.Tooltip("each_seed:N", title="by seed"),
        alt.Tooltip("expressions:Q"), alt.Tooltip("videos:Q"), alt.Tooltip("state:N"),
    ]  # fmt: skip
    rules = data[data.arm == answer.baseline]
    seeds = pd.DataFrame(
        [
            {"label": label, "shown": SHORT_TITLES[score], "jf": value}
            for arm, label in arm_labels(answer).items()
            for score, mean in answer.arm(arm).scores.items()
            if score in scores
            for value in mean.seeds.values()
        ],
        columns=["label", "shown", "jf"],
    )
    layers = [
        alt.Chart(rules)
        .mark_rule(strokeDash=[4, 4], strokeWidth=1.5, opacity=0.8)
        .encode(x=x, color=_color(scores)),
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(
            x=alt.X("low:Q", title="J&F, per cent"), x2=alt.X2("high:Q")
        ),
        alt.Chart(seeds)
        .mark_tick(thickness=1.5, size=9, opacity=0.9)
        .encode(**_places(labels, scores), x=x, color=_color(scores)),
    ]
    whole = base.transform_filter("datum.status == 'whole'")
    partial = base.transform_filter("datum.status != 'whole'")
    layers += [
        whole.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip),
        partial.mark_point(filled=False, size=60, opacity=1).encode(x=x, tooltip=tooltip),
    ]
    layers += _stated(answer, [arm for arm in answer.arms if not arm.scores], labels)
    return alt.layer(*layers, height=_height(len(labels), len(scores)))


def difference_chart(answer: SweepAnswer, scores: Sequence[str], kind: str) -> alt.LayerChart:
    """Each arm less the baseline, or less its control; filled where the corrected p says so."""
    data = difference_frame(answer, scores)
    data = data[data.kind == kind]
    present = set(data.label)
    shown = [arm for arm in answer.arms if kind == "baseline" and arm.arm != answer.baseline]
    waiting = [arm for arm in shown if arm_labels(answer)[arm.arm] not in present]
    every = arm_labels(answer)
    listed = present | {every[arm.arm] for arm in waiting}
    labels = [label for label in every.values() if label in listed]
    title = "difference in J&F, points"
    base = alt.Chart(data).encode(**_places(labels, scores), color=_color(scores))
    x = alt.X("difference:Q", title=title)
    tooltip = [
        alt.Tooltip("title:N", title="arm"), alt.Tooltip("less:N"),
        alt.Tooltip("shown:N", title="score"), alt.Tooltip("points:N"),
        alt.Tooltip("p:Q", format=".2g"), alt.Tooltip("corrected p:Q", format=".2g"),
        alt.Tooltip("seeds:Q"), alt.Tooltip("expressions:Q"), alt.Tooltip("videos:Q"),
    ]  # fmt: skip
    clear, open_ = base.transform_filter("datum.clear"), base.transform_filter("!datum.clear")
    layers = [
        alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=_GREY).encode(x=alt.X("x:Q")),
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(
            x=alt.X("low:Q", title=title), x2=alt.X2("high:Q")
        ),
        clear.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip),
        open_.mark_point(filled=False, size=60, opacity=1).encode(x=x, tooltip=tooltip),
        *_stated(answer, waiting, labels),
    ]  # fmt: skip
    return alt.layer(*layers, height=_height(len(labels), len(scores)))


def _points(contrast: Contrast) -> str:
    gap = contrast.gap
    return " ".join((signed(gap.value, 1), signed_interval(gap.ci, 1))).strip()


def _places(labels: Sequence[str], scores: Sequence[str]) -> dict[str, alt.Y | alt.YOffset]:
    titles = [SHORT_TITLES[score] for score in scores]
    return {
        "y": alt.Y(
            "label:N",
            title=None,
            scale=alt.Scale(domain=list(labels)),
            axis=alt.Axis(labelLimit=300, grid=True, tickBand="extent", ticks=False, domain=False),
        ),
        "yOffset": alt.YOffset(
            "shown:N", scale=alt.Scale(domain=titles, paddingOuter=0.35), sort=titles
        ),
    }


def _color(scores: Sequence[str]) -> alt.Color:
    return alt.Color(
        "shown:N",
        title=None,
        scale=alt.Scale(
            domain=[SHORT_TITLES[score] for score in scores],
            range=[SCORE_COLORS[score] for score in scores],
        ),
        legend=alt.Legend(orient="top", symbolOpacity=1, symbolType="circle"),
    )


def _stated(
    answer: SweepAnswer, arms: Sequence[ArmAnswer], labels: Sequence[str]
) -> list[alt.Chart]:
    """Words in the place of numbers that are not there."""
    if not arms:
        return []
    names = arm_labels(answer)
    data = pd.DataFrame(
        {
            "label": [names[arm.arm] for arm in arms],
            "words": [
                state_words(arm, answer)
                if arm.status in ("cut", "missing")
                else "nothing to compare with yet"
                for arm in arms
            ],
        }
    )
    text = alt.Chart(data).mark_text(align="left", color=_GREY, fontStyle="italic")
    y = alt.Y("label:N", scale=alt.Scale(domain=list(labels)), title=None)
    return [text.encode(y=y, x=alt.XValue(6), text=alt.Text("words:N"))]


def _height(arms: int, scores: int) -> int:
    # Legend and axis take about 130 pixels.
    return 130 + arms * max(28, 17 * scores)
