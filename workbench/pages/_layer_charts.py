"""Charts of layers, each with the frame it draws: results in, chart out, nothing computed."""

from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt
import pandas as pd

from probes.bootstrap import Estimate
from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from reports.style import ROLE_TITLES, in_text
from workbench.pages._marks import numbers, role_color

__all__ = [
    "association_chart",
    "association_frame",
    "curves_chart",
    "curves_frame",
    "differences_chart",
    "differences_frame",
    "profile_chart",
    "profile_frame",
]

KINDS: Final = {"vision": "vision tokens", "text": "all other tokens"}

Curves = Mapping[str, Sequence[Estimate]]
"""Role to the estimate of each layer."""


def _cells(estimate: Estimate) -> dict[str, float | int | None]:
    low, high = estimate.ci or (None, None)
    return {
        "value": estimate.value, "low": low, "high": high, "samples": estimate.n,
        "videos": estimate.n_videos,
    }  # fmt: skip


def profile_frame(results: AnalysisResults, roles: Sequence[str]) -> pd.DataFrame:
    """One row a role, kind of token and layer: share of attention, interval, n."""
    rows = [
        {"role": ROLE_TITLES[role], "tokens": KINDS[kind], "layer": point.layer} | _cells(estimate)
        for role in roles
        for point in results.layer_profile[role]
        for kind in KINDS
        for estimate in (getattr(point, kind),)
    ]
    columns = ["role", "tokens", "layer", "value", "low", "high", "samples", "videos"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"value": "share"})


def profile_chart(
    data: pd.DataFrame, layers: int, roles: Sequence[str], layer: int | None
) -> alt.LayerChart:
    """Vision and text attention by layer, with bands; a click on a point chooses its layer."""
    y = alt.Y("share:Q", title="share of attention", scale=alt.Scale(domain=[0, 1]))
    tokens = {
        "title": None,
        "sort": list(KINDS.values()),
        "legend": alt.Legend(orient="top", symbolFillColor="#888888", symbolStrokeWidth=0),
    }
    base = alt.Chart(data).encode(
        x=_layer(layers), color=role_color(roles), detail=alt.Detail("tokens:N")
    )
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y("low:Q", title="share of attention"), y2=alt.Y2("high:Q")
    )
    line = base.mark_line(strokeWidth=2).encode(
        y=y, strokeDash=alt.StrokeDash("tokens:N", **tokens)
    )
    pick = alt.selection_point("picked", fields=["layer"], on="click", nearest=True, empty=False)
    points = (
        base.mark_point(filled=True, size=70, opacity=1)
        .encode(
            y=y,
            shape=alt.Shape("tokens:N", **tokens),
            tooltip=[
                alt.Tooltip("role:N"),
                alt.Tooltip("tokens:N"),
                alt.Tooltip("layer:Q"),
                *numbers(["share", "low", "high"]),
            ],
        )
        .add_params(pick)
    )
    drawn = [band, line, points]
    if layer is not None:
        rule = alt.Chart(pd.DataFrame({"layer": [layer]})).mark_rule(
            color="#888888", strokeWidth=16, opacity=0.18
        )
        drawn.insert(0, rule.encode(x=alt.X("layer:Q")))
    return alt.layer(*drawn, height=360)


def curves_frame(runs: Mapping[str, Curves]) -> pd.DataFrame:
    """One row a run, role and layer: mean over heads and samples, interval, n, relative depth."""
    rows = [
        {
            "run": run, "role": ROLE_TITLES[role], "layer": layer,
            "depth": layer / max(1, len(estimates) - 1),
        } | _cells(estimate)
        for run, curves in runs.items()
        for role, estimates in curves.items()
        for layer, estimate in enumerate(estimates)
    ]  # fmt: skip
    columns = ["run", "role", "layer", "depth", "value", "low", "high", "samples", "videos"]
    return pd.DataFrame(rows, columns=columns)


def curves_chart(
    data: pd.DataFrame, criterion: str, layers: int | None, roles: Sequence[str]
) -> alt.LayerChart:
    """A criterion by layer, a line a role and run; over relative depth where ``layers`` is None."""
    title = in_text(CRITERIA[criterion].title)
    x = _layer(layers) if layers is not None else alt.X(
        "depth:Q", title="relative depth: 0 the first layer, 1 the last",
 axis=alt.Axis(grid=False, tickCount=5)
    )  # fmt: skip
    base = alt.Chart(data.dropna(subset=["value"])).encode(
        x=x, color=role_color(roles), detail=alt.Detail("run:N")
    )
    runs = list(dict.fromkeys(data.run))
    dash = alt.StrokeDash(
        "run:N",
        title=None,
        scale=alt.Scale(domain=runs, range=[[1, 0], [6, 4]][: len(runs)]),
        legend=alt.Legend(orient="top", labelLimit=360, symbolType="stroke", symbolSize=500)
        if len(runs) > 1
        else None,
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False))
    return alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title=title), y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=2).encode(y=y, strokeDash=dash),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            y=y,
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("role:N"),
                alt.Tooltip("layer:Q"),
                *numbers(["value", "low", "high"]),
                alt.Tooltip("samples:Q"),
            ],
        ),
        height=340,
    )


def differences_frame(curves: Curves) -> pd.DataFrame:
    """One row a role and layer: this run less the other, interval, n."""
    rows = [
        {"role": ROLE_TITLES[role], "layer": layer} | _cells(estimate)
        for role, estimates in curves.items()
        for layer, estimate in enumerate(estimates)
    ]
    columns = ["role", "layer", "value", "low", "high", "samples", "videos"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"value": "difference"})


def differences_chart(data: pd.DataFrame, roles: Sequence[str], title: str) -> alt.LayerChart:
    """Differences by layer as points with intervals, about a line at 0."""
    return _points(data, "difference", roles, title)


def association_frame(results: AnalysisResults, roles: Sequence[str]) -> pd.DataFrame:
    """One row a role and layer: rank correlation of mask share with J&F given area, interval, n."""
    rows = [
        {"role": ROLE_TITLES[role], "layer": item.layer} | _cells(item.partial)
        for role in roles
        for item in results.correlations[role].layers
    ]
    columns = ["role", "layer", "value", "low", "high", "samples", "videos"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"value": "correlation"})


def association_chart(data: pd.DataFrame, roles: Sequence[str]) -> alt.LayerChart:
    """Rank correlation of each layer's mask share with J&F, given mask area, with intervals."""
    return _points(data, "correlation", roles, "rank correlation, given area", (-1, 1))


def _points(
    data: pd.DataFrame,
    name: str,
    roles: Sequence[str],
    title: str,
    ends: tuple[float, float] | None = None,
) -> alt.LayerChart:
    titles = [ROLE_TITLES[role] for role in roles]
    base = alt.Chart(data.dropna(subset=[name])).encode(
        x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("role:N", sort=titles),
        color=role_color(roles),
    )
    scale = alt.Scale(domain=list(ends)) if ends else alt.Scale()
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color="#888888").encode(y=alt.Y("y:Q"))
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            y=alt.Y("low:Q", title=title), y2=alt.Y2("high:Q")
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=alt.Y(f"{name}:Q", title=title, scale=scale),
            tooltip=[
                alt.Tooltip("role:N"),
                alt.Tooltip("layer:O"),
                *numbers([name, "low", "high"]),
                alt.Tooltip("samples:Q"),
            ],
        ),
        height=330,
    )


def _layer(layers: int) -> alt.X:
    return alt.X(
        "layer:Q",
        title="layer",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(domain=[-0.4, layers - 0.6], nice=False),
    )
