"""Charts of heads: the map of all pairs, and one pair over samples, each with the frame it draws.

Results in, chart out; nothing is computed but the counts of a histogram.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt
import numpy as np
import pandas as pd

from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from reports.style import MAP_COLORS, ROLE_COLORS, ROLE_TITLES, in_text, number, pair_label
from workbench.pages._marks import numbers, one_of, role_color

__all__ = [
    "MOST_DOTS",
    "distribution_chart",
    "distribution_frame",
    "dots",
    "head_map_chart",
    "map_frame",
    "outcome_chart",
]

LABELLED_CELLS: Final = 80
"""A map with more cells shows colours only."""
BINS: Final = 24
MOST_DOTS: Final = 3000
"""Dots that a scatter draws: a browser is slow with more, and they would cover each other."""

Pair = tuple[int, int]

OPENED, SUPERVISED, GATHERED = "opened", "supervised by AML", "gathered"
_OUTLINES: Final = {OPENED: "#FF3B30", SUPERVISED: "#FFFFFF", GATHERED: "#FF8AD8"}
_OVERLAYS: Final = ("#F0A030", "#56B4E9", "#BBBBBB", "#00E5A8")
"""Told apart from the others and from each other; there are as many as can be outlined at once."""


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
    results: AnalysisResults,
    criterion: str,
    role: str,
    selected: Pair,
    outlined: Mapping[str, Sequence[Pair]] | None = None,
    turn: int = 0,
) -> alt.LayerChart:
    """The layer x head map; a click on a cell picks its pair.

    Args:
        results: of the run.
        criterion: that is mapped.
        role: "actor", "target" or "both".
        selected: the opened pair, outlined in red.
        outlined: other sets of pairs by what the legend calls them, each in a frame of its own.
        turn: number of the click to come. A browser tells of a change of what is picked alone, so
            the same cell clicked twice would be one click if it were not another's turn.
    """
    data = map_frame(results, criterion, role)
    data["turn"] = turn
    data["label"] = [number(value, 2) if np.isfinite(value) else "" for value in data.score]
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0))
    y = alt.Y("head:O", title="head")
    pick = alt.selection_point("picked", fields=["layer", "head", "turn"], on="click", empty=False)
    base = alt.Chart(data).encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("pair:N"),
        *numbers(["score", "low", "high"]),
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
    middle = (data.score.min() + data.score.max()) / 2
    if len(data) <= LABELLED_CELLS and np.isfinite(middle):
        layers.append(
            base.mark_text(fontSize=11).encode(
                text=alt.Text("label:N"),
                color=one_of(alt.ColorValue, f"datum.score > {middle}", "black", "white"),
            )
        )
    layers += _outlines({OPENED: [selected], **(outlined or {})}, x, y, tooltip, data)
    # Axes, legend and the colour scale take about 160 pixels of the height.
    height = 160 + int(np.clip(38 * results.num_heads, 170, 520))
    return alt.layer(*layers, height=height)


def _outlines(
    sets: Mapping[str, Sequence[Pair]],
    x: alt.X,
    y: alt.Y,
    tooltip: Sequence[alt.Tooltip],
    data: pd.DataFrame,
) -> list[alt.Chart]:
    """Frames for each set; one inside the other where a cell is of several."""
    named = {name: pairs for name, pairs in sets.items() if pairs}
    others = [name for name in named if name not in _OUTLINES]
    colors = {**_OUTLINES, **dict(zip(others, _OVERLAYS, strict=False))}
    scale = alt.Scale(domain=list(named), range=[colors[name] for name in named])
    legend = alt.Legend(
        orient="top", title=None, symbolType="square", symbolFillColor="#777777",
        symbolStrokeWidth=3, symbolSize=160, labelLimit=280, columns=3,
    )  # fmt: skip
    layers = []
    # The opened pair last, on top of the others.
    for name, pairs in reversed(named.items()):
        earlier = [set(named[other]) for other in list(named)[: list(named).index(name)]]
        depths = {pair: sum(pair in held for held in earlier) for pair in pairs}
        for depth in sorted(set(depths.values())):
            inside = [depths.get((r.layer, r.head)) == depth for r in data.itertuples()]
            size = alt.RelativeBandSize(band=1 - 0.22 * depth)
            base = alt.Chart(data[inside].assign(set=name)).encode(x=x, y=y, tooltip=list(tooltip))
            # Dark behind each frame, so that none is lost on a cell of its own colour.
            layers += [
                base.mark_rect(
                    fillOpacity=0, stroke="#222222", strokeWidth=5, width=size, height=size
                ),
                base.mark_rect(
                    fill="#777777", fillOpacity=0, strokeWidth=2.5, width=size, height=size
                ).encode(stroke=alt.Stroke("set:N", scale=scale, legend=legend)),
            ]
    return layers


def distribution_frame(values: pd.DataFrame) -> pd.DataFrame:
    """How many samples of each role lie in each of 24 bins: role, low, high, samples."""
    edges = np.histogram_bin_edges(values["value"], BINS)
    rows = []
    for role in _roles(values):
        counts, _ = np.histogram(values["value"][values.role == role], edges)
        rows += [
            {"role": ROLE_TITLES[role], "low": low, "high": high, "samples": int(n)}
            for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    return pd.DataFrame(rows, columns=["role", "low", "high", "samples"])


def distribution_chart(frame: pd.DataFrame, criterion: str) -> alt.Chart:
    """How one pair's score is spread over samples, by role."""
    return (
        alt.Chart(frame[frame.samples > 0])
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title=in_text(CRITERIA[criterion].title)),
            x2=alt.X2("high:Q"),
            y=alt.Y("samples:Q", title="samples", stack="zero"),
            color=role_color([r for r in ROLE_COLORS if ROLE_TITLES[r] in set(frame.role)]),
            tooltip=[alt.Tooltip("role:N"), *numbers(["low", "high"]), alt.Tooltip("samples:Q")],
        )
        .properties(height=280)
    )


def dots(values: pd.DataFrame) -> pd.DataFrame:
    """The rows that a scatter draws: all, or as many as it can, drawn with a fixed seed."""
    return values if len(values) <= MOST_DOTS else values.sample(MOST_DOTS, random_state=0)


def outcome_chart(values: pd.DataFrame, criterion: str) -> alt.Chart:
    """One pair's score against J&F, a dot a sample; a click chooses the sample."""
    roles = _roles(values)
    data = values.assign(role_key=values.role, role=[ROLE_TITLES[role] for role in values.role])
    pick = alt.selection_point("picked", fields=["sample_id", "role_key"], on="click", empty=False)
    return (
        alt.Chart(dots(data))
        .mark_circle(size=45, opacity=0.55)
        .encode(
            x=alt.X(
                "value:Q",
                title=in_text(CRITERIA[criterion].title),
                scale=alt.Scale(zero=False),
            ),
            y=alt.Y("jf:Q", title="J&F", scale=alt.Scale(domain=[0, 1])),
            color=role_color(roles),
            tooltip=[
                alt.Tooltip("sample_id:N"),
                alt.Tooltip("role:N"),
                alt.Tooltip("expression:N"),
                *numbers(["value", "jf"]),
            ],
        )
        .add_params(pick)
        .properties(height=280)
    )


def _roles(values: pd.DataFrame) -> list[str]:
    return [role for role in ("actor", "target") if (values.role == role).any()]
