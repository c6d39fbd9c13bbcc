"""Altair charts of one training."""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from reports.answer_words import SHORT_TITLES
from reports.style import MAP_COLORS, number, pair_label, with_interval
from workbench.pages._marks import tips
from workbench.pages._sweep_charts import SCORE_COLORS

__all__ = ["LOSS_TITLES", "attention_chart", "evaluation_chart", "final_map_chart", "loss_chart"]

LOSS_TITLES: Final = {
    "loss": "sum",
    "loss_text": "text",
    "loss_bce": "mask, cross-entropy",
    "loss_dice": "mask, Dice",
    "loss_aml": "attention mask loss",
}
_OTHERS: Final = "mean of all others"
_GREY: Final = "#8A8A8A"
# Okabe and Ito, without black: seen on white and on black.
_PAIR_COLORS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#A6761D",
)  # fmt: skip


def loss_chart(losses: pd.DataFrame, name: str, last: int | None, height: int) -> alt.LayerChart:
    """One loss over the steps; the axis goes to the last step that is to be done."""
    # Under a name of ours: one from a file might be read as an expression.
    data = losses[["step", name]].dropna().rename(columns={name: "value"})
    base = alt.Chart(data).encode(
        x=_step(last),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=4)),
        tooltip=[alt.Tooltip("step:Q"), alt.Tooltip("value:Q", title="loss", format=".4f")],
    )
    color = _PAIR_COLORS[0]
    return alt.layer(
        base.mark_line(color=color, strokeWidth=2),
        base.mark_point(color=color, filled=True),
        height=height,
    )


def evaluation_chart(scores: pd.DataFrame) -> alt.LayerChart:
    """J&F: dot and interval, a row a score, split and, where there are several, step."""
    names = [name for name in SHORT_TITLES if (scores.score == name).any()]
    several = scores.step.nunique() > 1

    def place(row: Any) -> str:
        step = f", step {row.step:,}" if several else ""
        return f"{SHORT_TITLES[row.score]}, {row.split}{step}"

    ordered = scores.assign(rank=[names.index(name) for name in scores.score])
    ordered = ordered.sort_values(["rank", "split", "step"], kind="stable")
    rows = list(ordered.itertuples())
    data = ordered.assign(
        shown=[SHORT_TITLES[row.score] for row in rows],
        place=[place(row) for row in rows],
        words=[with_interval(row.jf, _ci(row.low, row.high), 1) for row in rows],
    )
    base = alt.Chart(data).encode(
        y=alt.Y("place:N", title=None, axis=alt.Axis(labelLimit=300),
                sort=list(dict.fromkeys(data.place))),
        color=alt.Color("shown:N", legend=None,
                        scale=alt.Scale(domain=[SHORT_TITLES[n] for n in names],
                                        range=[SCORE_COLORS[n] for n in names])),
    )  # fmt: skip
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(
            x=alt.X("low:Q", title="J&F, per cent"), x2=alt.X2("high:Q")
        ),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=alt.X("jf:Q", title="J&F, per cent", scale=alt.Scale(zero=False)),
            tooltip=[*tips("shown:N", "split:N", "step:Q"), alt.Tooltip("words:N", title="J&F"),
                     *tips("expressions:Q", "videos:Q")],
        ),
        height=100 + 28 * data.place.nunique(),
    )  # fmt: skip


def attention_chart(
    frame: pd.DataFrame,
    pairs: Sequence[tuple[int, int]],
    supervised: Sequence[tuple[int, int]],
    ends: tuple[float, float],
    last: int | None,
) -> alt.LayerChart:
    """One role's values of chosen pairs over the steps, beside the mean of all other pairs.

    Args:
        frame: of one role, as :func:`workbench.pages._trainings.attention_frame` has it.
        pairs: to draw, (layer, head).
        supervised: those that the training pulled; drawn through, the others dashed.
        ends: of the axis, so that roles side by side have the same.
        last: step at which the axis ends.
    """
    keys = list(zip(frame.layer, frame["head"], strict=True))
    chosen = set(pairs)
    lines = [
        frame[[key == pair for key in keys]].assign(
            pair=pair_label(*pair), pulled="yes" if pair in supervised else "no"
        )
        for pair in pairs
    ]
    others = frame[[key not in chosen for key in keys]]
    mean = others.groupby("step", as_index=False)["value"].mean()
    data = pd.concat([*lines, mean.assign(pair=_OTHERS, pulled="others")], ignore_index=True)
    names = [pair_label(*pair) for pair in pairs]
    base = alt.Chart(data.dropna(subset=["value"])).encode(
        x=_step(last),
        y=alt.Y("value:Q", title=None,
                scale=alt.Scale(domain=list(ends))),
        color=alt.Color("pair:N", title=None, sort=[*names, _OTHERS],
                        scale=alt.Scale(domain=[*names, _OTHERS],
                                        range=[*_PAIR_COLORS[: len(names)], _GREY]),
                        legend=alt.Legend(orient="bottom", columns=3, symbolType="stroke")),
        tooltip=[*tips("pair:N", "step:Q"), alt.Tooltip("value:Q", format=".3f"),
                 alt.Tooltip("pulled:N", title="supervised")],
    )  # fmt: skip
    dash = alt.StrokeDash(
        "pulled:N",
        legend=None,
        scale=alt.Scale(domain=["yes", "no", "others"], range=[[1, 0], [6, 4], [1, 0]]),
    )
    return alt.layer(
        base.mark_line(strokeWidth=2).encode(strokeDash=dash),
        base.mark_point(filled=True, size=30),
        height=330,
    )


def final_map_chart(
    frame: pd.DataFrame,
    supervised: Sequence[tuple[int, int]],
    ends: tuple[float, float],
) -> alt.LayerChart:
    """One role's values of every pair at the last look; supervised pairs have a white outline."""
    data = frame[frame.step == frame.step.max()].copy()
    data["pair"] = [pair_label(r.layer, r.head) for r in data.itertuples()]
    data["label"] = [number(v, 2) if np.isfinite(v) else "" for v in data.value]
    pulled = [(r.layer, r.head) in set(supervised) for r in data.itertuples()]
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0))
    y = alt.Y("head:O", title="head")
    pick = alt.selection_point("picked", fields=["layer", "head"], on="click", empty=False)
    base = alt.Chart(data).encode(x=x, y=y)
    cells = base.transform_filter("isValid(datum.value)").mark_rect().encode(
        color=alt.Color(
            "value:Q", title=None,
            scale=alt.Scale(scheme=MAP_COLORS, domain=list(ends), nice=False),
            legend=alt.Legend(orient="bottom", gradientLength=200),
        ),
        tooltip=[alt.Tooltip("pair:N"), alt.Tooltip("value:Q", format=".3f")],
    ).add_params(pick)  # fmt: skip
    missing = base.transform_filter("!isValid(datum.value)")
    layers = [
        missing.mark_rect(color="#DDDDDD"),
        missing.mark_text(text="\N{MULTIPLICATION SIGN}", color="#777777"),
        cells,
    ]
    if any(pulled):
        outline = alt.Chart(data[pulled]).mark_rect(
            fill=None, fillOpacity=0, stroke="white", strokeWidth=2.5
        )
        layers.append(outline.encode(x=x, y=y))
    heads = data["head"].nunique()
    return alt.layer(*layers, height=130 + int(np.clip(26 * heads, 120, 420)))


def _step(last: int | None) -> alt.X:
    domain = {} if last is None else {"domain": [0, last]}
    return alt.X(
        "step:Q",
        title="optimiser step",
        scale=alt.Scale(nice=False, **domain),
        axis=alt.Axis(format="d", tickMinStep=1, tickCount=5, grid=False),
    )


def _ci(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None or np.isnan(low) else (low, high)
