"""Altair charts of the lens and of linear probes: results in, frame and chart out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from reports.style import ROLE_COLORS, ROLE_TITLES
from workbench.pages._marks import stroke_legend, whole_steps

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.lens import LensResults
    from probes.linear.accuracy import TaskAccuracy

__all__ = ["FORK", "depth_chart", "fork_frame", "task_chart", "task_frame", "token_frame"]

FORK = {"goes_on": "answers with a target", "ends": "answers without"}
_ENDS = "#888888"
_READ = {
    "accuracy": "accuracy", "unsaid": "where the words do not tell it", "control": "control labels",
}  # fmt: skip
_READ_COLORS = {"accuracy": "#0072B2", "unsaid": "#D55E00", "control": "#888888"}


def _row(estimate: "Estimate", scale: float = 1) -> dict[str, float | int]:
    low, high = estimate.ci or (np.nan, np.nan)
    return {
        "value": np.nan if estimate.value is None else scale * estimate.value,
        "low": scale * low, "high": scale * high, "n": estimate.n,
    }  # fmt: skip


def token_frame(results: "LensResults") -> pd.DataFrame:
    """Probability of each role token before it is written, a row a depth and role."""
    return pd.DataFrame(
        [
            {"depth": point.depth, "of": ROLE_TITLES[role], **_row(point.probability)}
            for role in ("actor", "target")
            for point in results.series[role].points
        ],
        columns=["depth", "of", "value", "low", "high", "n"],
    )


def fork_frame(results: "LensResults") -> pd.DataFrame:
    """Log-odds behind the actor's token that a target follows, a row a depth and kind of answer."""
    return pd.DataFrame(
        [
            {"depth": point.depth, "of": title, **_row(point.over_end)}
            for name, title in FORK.items()
            for point in results.series[name].points
        ],
        columns=["depth", "of", "value", "low", "high", "n"],
    )


def depth_chart(data: pd.DataFrame, y: str) -> alt.LayerChart:
    """Two lines with bands over the layers that were run."""
    known = {
        ROLE_TITLES["actor"]: ROLE_COLORS["actor"], ROLE_TITLES["target"]: ROLE_COLORS["target"],
        FORK["goes_on"]: ROLE_COLORS["target"], FORK["ends"]: _ENDS,
    }  # fmt: skip
    names = list(dict.fromkeys(data.of))
    colors = {name: known[name] for name in names}
    return _bands(data, "depth:Q", "layers run (0 is the embedding)", y, colors).properties(
        height=280
    )


def task_frame(task: "TaskAccuracy", layers: Sequence[str]) -> pd.DataFrame:
    """Accuracy of one label in per cent and its controls, a row a layer and measure."""
    rows = []
    for what, title in _READ.items():
        estimates = [getattr(layer, what) for layer in task.layers]
        if what == "unsaid" and estimates and estimates[0].n in (0, task.n):
            continue  # no such sample, or the same line again
        rows += [
            {"place": place, "layer": name, "of": title, **_row(estimate, 100)}
            for place, (name, estimate) in enumerate(zip(layers, estimates, strict=True))
        ]
    return pd.DataFrame(rows, columns=["place", "layer", "of", "value", "low", "high", "n"])


def task_chart(data: pd.DataFrame) -> alt.LayerChart:
    """Accuracy by layer with bands, beside its control labels."""
    colors = {_READ[what]: color for what, color in _READ_COLORS.items()}
    names = set(data.of)
    kept = {name: color for name, color in colors.items() if name in names}
    x = "layers run (0 is the embedding)"
    return _bands(data, "place:Q", x, "balanced accuracy, %", kept).properties(height=260)


def _bands(
    data: pd.DataFrame, x: str, x_title: str, y_title: str, colors: Mapping[str, str]
) -> alt.LayerChart:
    names = list(colors)
    dashes = [[1, 0], [6, 3], [2, 2]][: len(names)]
    legend = stroke_legend(220)
    base = alt.Chart(data).encode(
        x=whole_steps(x, x_title),
        color=alt.Color(
            "of:N",
            title=None,
            scale=alt.Scale(domain=names, range=list(colors.values())),
            legend=legend,
        ),
    )
    y = alt.Y("value:Q", title=y_title)
    return alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title=y_title), y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=2).encode(
            y=y,
            strokeDash=alt.StrokeDash(
                "of:N",
                title=None,
                scale=alt.Scale(domain=names, range=dashes),
                legend=legend,
            ),
        ),
        base.mark_point(filled=True, size=40, opacity=1).encode(
            y=y,
            tooltip=[
                alt.Tooltip("of:N"),
                alt.Tooltip(x),
                *(alt.Tooltip(f"{n}:Q", format=".2f") for n in ("value", "low", "high")),
                alt.Tooltip("n:Q"),
            ],
        ),
    )  # fmt: skip
