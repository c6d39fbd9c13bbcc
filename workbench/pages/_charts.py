"""Altair charts of the pages: results in, chart out, nothing computed and nothing fetched."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from reports.style import MAP_COLORS, ROLE_COLORS, ROLE_TITLES, in_text, number, pair_label
from workbench.pages._data import FrameShare

__all__ = [
    "association_chart",
    "distribution_chart",
    "frame_share_chart",
    "frame_share_frame",
    "head_map_chart",
    "layer_profile_chart",
    "map_frame",
    "outcome_chart",
]

LABELLED_CELLS = 80
"""A map with more cells shows colours only."""

KINDS = {"vision": "vision tokens", "text": "all other tokens"}


def _role_color(roles: Sequence[str]) -> alt.Color:
    return alt.Color(
        "role:N",
        title=None,
        scale=alt.Scale(
            domain=[ROLE_TITLES[role] for role in roles], range=[ROLE_COLORS[r] for r in roles]
        ),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )


def layer_profile_chart(
    results: AnalysisResults, roles: Sequence[str], layer: int | None
) -> alt.LayerChart:
    """Vision and text attention by layer, with bands; a click on a point chooses its layer."""
    rows = [
        {
            "role": ROLE_TITLES[role], "tokens": KINDS[kind], "layer": point.layer,
            "share": estimate.value, "low": (estimate.ci or (None, None))[0],
            "high": (estimate.ci or (None, None))[1],
        }
        for role in roles
        for point in results.layer_profile[role]
        for kind in KINDS
        for estimate in (getattr(point, kind),)
    ]  # fmt: skip
    data = pd.DataFrame(rows, columns=["role", "tokens", "layer", "share", "low", "high"])
    x = alt.X(
        "layer:Q",
        title="layer",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(domain=[-0.4, results.num_layers - 0.6], nice=False),
    )
    y = alt.Y("share:Q", title="share of attention", scale=alt.Scale(domain=[0, 1]))
    tokens = {
        "title": None,
        "sort": list(KINDS.values()),
        "legend": alt.Legend(orient="top", symbolFillColor="#888888", symbolStrokeWidth=0),
    }
    base = alt.Chart(data).encode(x=x, color=_role_color(roles), detail="tokens:N")
    band = base.mark_area(opacity=0.18).encode(
        y=alt.Y("low:Q", title="share of attention"), y2="high:Q"
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
            tooltip=["role:N", "tokens:N", "layer:Q", *_numbers(["share", "low", "high"])],
        )
        .add_params(pick)
    )
    layers = [band, line, points]
    if layer is not None:
        rule = alt.Chart(pd.DataFrame({"layer": [layer]})).mark_rule(
            color="#888888", strokeWidth=16, opacity=0.18
        )
        layers.insert(0, rule.encode(x=alt.X("layer:Q")))
    return alt.layer(*layers).properties(height=360)


def map_frame(results: AnalysisResults, criterion: str, role: str) -> pd.DataFrame:
    """One row a pair: layer, head, score, its interval, its rank and rank interval as text."""
    supervised = set(results.supervised_pairs)
    rows = []
    for pair in results.rankings[criterion][role].pairs:
        low, high = pair.ci or (np.nan, np.nan)
        rank_low, rank_high = pair.rank_ci or (np.nan, np.nan)
        rows.append(
            {
                "pair": pair_label(pair.layer, pair.head), "layer": pair.layer, "head": pair.head,
                "score": np.nan if pair.score is None else pair.score, "low": low, "high": high,
                "rank": np.nan if pair.rank is None else pair.rank, "rank low": rank_low,
                "rank high": rank_high,
                "p best": np.nan if pair.p_top_k is None else pair.p_top_k,
                "supervised": (pair.layer, pair.head) in supervised,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def head_map_chart(
    results: AnalysisResults, criterion: str, role: str, selected: tuple[int, int]
) -> alt.LayerChart:
    """The layer x head map; a click on a cell chooses its pair, which is outlined in red."""
    data = map_frame(results, criterion, role)
    data["label"] = [number(value, 2) if np.isfinite(value) else "" for value in data.score]
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0))
    y = alt.Y("head:O", title="head")
    pick = alt.selection_point("picked", fields=["layer", "head"], on="click", empty=False)
    base = alt.Chart(data).encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("pair:N"),
        *_numbers(["score", "low", "high"]),
        *(alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("rank", "rank low", "rank high")),
    ]
    cells = (
        base.transform_filter("isValid(datum.score)")
        .mark_rect()
        .encode(
            color=alt.Color(
                "score:Q",
                title=CRITERIA[criterion].unit,
                scale=alt.Scale(scheme=MAP_COLORS, zero=False, nice=False),
                legend=alt.Legend(orient="bottom", gradientLength=220, titleLimit=300),
            ),
            tooltip=tooltip,
        )
        .add_params(pick)
    )
    # Undefined is not low: no colour of the scale, and a sign.
    missing = base.transform_filter("!isValid(datum.score)")
    layers = [
        missing.mark_rect(color="#DDDDDD"),
        missing.mark_text(text="\N{MULTIPLICATION SIGN}", color="#777777"),
        cells,
    ]
    if len(data) <= LABELLED_CELLS:
        middle = (data.score.min() + data.score.max()) / 2
        layers.append(
            base.mark_text(fontSize=11).encode(
                text="label:N",
                color=alt.condition(
                    f"datum.score > {middle}", alt.value("black"), alt.value("white")
                ),
            )
        )
    for frame, color, width in (
        (data[data.supervised], "white", 2.5),
        (data[(data.layer == selected[0]) & (data["head"] == selected[1])], "#FF3B30", 3),
    ):
        if len(frame):
            layers.append(
                alt.Chart(frame)
                .mark_rect(fill=None, fillOpacity=0, stroke=color, strokeWidth=width)
                .encode(x=x, y=y)
            )
    # Axes and the colour scale take about 130 pixels of the height.
    height = 130 + int(np.clip(38 * results.num_heads, 170, 520))
    return alt.layer(*layers).properties(height=height)


def distribution_chart(values: pd.DataFrame, criterion: str) -> alt.Chart:
    """How one pair's score is spread over samples, by role."""
    roles = [role for role in ("actor", "target") if (values.role == role).any()]
    data = values.assign(role=[ROLE_TITLES[role] for role in values.role])
    return (
        alt.Chart(data)
        .mark_bar()
        .encode(
            x=alt.X("value:Q", bin=alt.Bin(maxbins=24), title=in_text(CRITERIA[criterion].title)),
            y=alt.Y("count()", title="samples"),
            color=_role_color(roles),
            tooltip=[
                alt.Tooltip("value:Q", bin=alt.Bin(maxbins=24), title="score"),
                alt.Tooltip("count()", title="samples"),
            ],
        )
        .properties(height=280)
    )


def outcome_chart(values: pd.DataFrame, criterion: str) -> alt.Chart:
    """One pair's score against J&F, a dot a sample; a click chooses the sample."""
    roles = [role for role in ("actor", "target") if (values.role == role).any()]
    data = values.assign(role_key=values.role, role=[ROLE_TITLES[role] for role in values.role])
    pick = alt.selection_point("picked", fields=["sample_id", "role_key"], on="click", empty=False)
    return (
        alt.Chart(data)
        .mark_circle(size=45, opacity=0.55)
        .encode(
            x=alt.X(
                "value:Q",
                title=in_text(CRITERIA[criterion].title),
                scale=alt.Scale(zero=False),
            ),
            y=alt.Y("jf:Q", title="J&F", scale=alt.Scale(domain=[0, 1])),
            color=_role_color(roles),
            tooltip=["sample_id:N", "role:N", "expression:N", *_numbers(["value", "jf"])],
        )
        .add_params(pick)
        .properties(height=300)
    )


def association_chart(results: AnalysisResults, roles: Sequence[str]) -> alt.LayerChart:
    """Rank correlation of each layer's mask share with J&F, given mask area, with intervals."""
    rows = [
        {
            "role": ROLE_TITLES[role], "layer": item.layer, "correlation": item.partial.value,
            "low": item.partial.ci[0] if item.partial.ci else None,
            "high": item.partial.ci[1] if item.partial.ci else None,
        }
        for role in roles
        for item in results.correlations[role].layers
        if item.partial.value is not None
    ]  # fmt: skip
    data = pd.DataFrame(rows, columns=["role", "layer", "correlation", "low", "high"])
    titles = [ROLE_TITLES[role] for role in roles]
    base = alt.Chart(data).encode(
        x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("role:N", sort=titles),
        color=_role_color(roles),
    )
    y = alt.Y(
        "correlation:Q",
        title="rank correlation, given area",
        scale=alt.Scale(domain=[-1, 1]),
    )
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color="#888888").encode(y="y:Q")
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            y=alt.Y("low:Q", title="rank correlation, given area"), y2="high:Q"
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=y,
            tooltip=["role:N", "layer:O", *_numbers(["correlation", "low", "high"])],
        ),
    ).properties(height=330)


def frame_share_frame(shares: Sequence[FrameShare], current: int) -> pd.DataFrame:
    """A row a frame: ``frame``, ``share``, ``on_object``, ``area``, and whether it is shown."""
    return pd.DataFrame(
        [
            {
                "frame": share.frame, "share": share.share, "on_object": share.on_object,
                "area": share.area, "current": share.frame == current,
            }
            for share in shares
        ]
    )  # fmt: skip


def frame_share_chart(shares: Sequence[FrameShare], role: str, current: int) -> alt.LayerChart:
    """How the pair's attention is spread over frames, and how much of it lies on the object."""
    data = frame_share_frame(shares, current)
    base = alt.Chart(data).encode(x=alt.X("frame:O", title="frame", axis=alt.Axis(labelAngle=0)))
    tooltip = ["frame:O", *_numbers(["share", "on_object", "area"])]
    bars = base.mark_bar(color="#B8C2CC").encode(
        y=alt.Y("share:Q", title="share of its visual attention", axis=alt.Axis(format="%")),
        stroke=alt.condition("datum.current", alt.value("#FF3B30"), alt.value(None)),
        strokeWidth=alt.value(2),
        tooltip=tooltip,
    )
    inside = base.mark_bar(color=ROLE_COLORS[role]).encode(
        y=alt.Y("on_object:Q", title=None), tooltip=tooltip
    )
    even = base.mark_tick(color="black", thickness=2).encode(y=alt.Y("area:Q", title=None))
    return alt.layer(bars, inside, even).properties(height=290)


def _numbers(names: Sequence[str]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".3f") for name in names]
