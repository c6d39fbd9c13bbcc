"""Altair charts of causes: results in, the frame that is drawn and the chart out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from reports.causal_words import effects_of
from reports.style import ROLE_COLORS, ROLE_TITLES, number, pair_label
from workbench.pages._marks import one_of, stroke_legend, tips, whole_steps

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import AblationResults
    from probes.families import FamilyAgreement

__all__ = [
    "CHOSEN", "KEPT", "agreement_chart", "agreement_frame", "curve_chart", "curve_frame",
    "diverging_scale", "effect_map_chart", "effect_map_frame", "groups_chart", "groups_frame",
    "single_estimates", "subset_estimates",
]  # fmt: skip

Pair = tuple[int, int]

CHOSEN = {
    "chosen": "chosen pairs",
    "random": "random, same layers",
    "least": "from the other end",
}
KEPT = {"kept": "chosen pairs", "random kept": "random, same layers"}
"""Groups of ablations, the chosen pairs' first, and how a curve of each is called."""

LABELLED_CELLS = 80
_DIVERGING = ("#2d004b", "#8073ac", "#d8daeb", "#f7f7f7", "#fee0b6", "#e08214", "#7f3b08")
"""Purple below zero, orange above (ColorBrewer PuOr): told apart with any colour vision."""
_CONTROL = "#888888"


def _row(estimate: "Estimate", scale: float = 100) -> dict[str, float | int]:
    low, high = estimate.ci or (np.nan, np.nan)
    value = np.nan if estimate.value is None else estimate.value
    return {
        "change": scale * value, "low": scale * low, "high": scale * high, "n": estimate.n,
        "videos": estimate.n_videos,
    }  # fmt: skip


def curve_frame(results: "AblationResults", role: str, groups: Mapping[str, str]) -> pd.DataFrame:
    """Change in points by number of heads: a row a group and k, the random ones as their mean.

    Columns: ``heads``, ``group``, ``change``, ``low``, ``high``, ``n``, ``videos``, and ``sets``
    that a mean of random sets is of.
    """
    rows = []
    for group, title in groups.items():
        effects = effects_of(results, role, group)
        if group == "random kept":
            # Keeping nothing is where the random sets start from, too.
            effects = [e for e in effects_of(results, role, "kept") if e.k == 0] + effects
        rows += [
            {
                "heads": e.k, "group": title, **_row(e.change),
                "sets": e.n_random if "random" in group else 1,
            }
            for e in effects
        ]  # fmt: skip
    columns = ["heads", "group", "change", "low", "high", "n", "videos", "sets"]
    return pd.DataFrame(rows, columns=columns)


def curve_chart(data: pd.DataFrame, role: str, groups: Mapping[str, str], x: str) -> alt.LayerChart:
    """Lines with bands over the number of heads; the chosen pairs in the colour of the role."""
    titles = [title for title in groups.values() if (data.group == title).any()]
    own = next(iter(groups.values()))
    dashes = {title: [1, 0] if title == own else [6, 3] for title in titles}
    if len(titles) > 2:
        dashes[titles[-1]] = [2, 2]
    colors = [ROLE_COLORS[role] if title == own else _CONTROL for title in titles]
    legend = stroke_legend(200)
    base = alt.Chart(data).encode(
        x=whole_steps("heads:Q", x),
        color=alt.Color(
            "group:N", title=None, scale=alt.Scale(domain=titles, range=colors), legend=legend
        ),
    )
    dash = alt.StrokeDash(
        "group:N",
        title=None,
        scale=alt.Scale(domain=titles, range=[dashes[title] for title in titles]),
        legend=legend,
    )
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color=_CONTROL).encode(y=alt.Y("y:Q"))
    return alt.layer(
        zero,
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title="points"), y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=2).encode(y=alt.Y("change:Q", title="points"), strokeDash=dash),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            y=alt.Y("change:Q"),
            tooltip=[
                *tips("group:N", "heads:Q"),
                *_numbers(("change", "low", "high")),
                *tips("sets:Q"),
            ],
        ),
        height=280,
    )


def single_estimates(results: "AblationResults", role: str) -> "dict[Pair, Estimate]":
    """Change by each pair that was silenced by itself."""
    return {effect.pairs[0]: effect.change for effect in effects_of(results, role, "single")}


def subset_estimates(results: "AblationResults", role: str) -> "dict[Pair, Estimate]":
    """Effect of each head beside random losses of others; empty where the model predicts none."""
    for model in results.subsets:
        if model.role == role and model.r2.value is not None and model.r2.value > 0:
            return {(e.layer, e.head): e.effect for e in model.effects}
    return {}


def effect_map_frame(values: "Mapping[Pair, Estimate]", scale: float = 100) -> pd.DataFrame:
    """A row a pair: ``layer``, ``head``, ``pair``, the change times ``scale``, its interval, ``n``.

    ``marked``: the interval leaves out 0.
    """
    rows = []
    for (layer, head), estimate in sorted(values.items()):
        row = _row(estimate, scale)
        marked = estimate.ci is not None and (estimate.ci[0] > 0 or estimate.ci[1] < 0)
        rows.append(
            {
                "pair": pair_label(layer, head), "layer": layer, "head": head, **row,
                "marked": marked,
            }
        )  # fmt: skip
    columns = ["pair", "layer", "head", "change", "low", "high", "n", "videos", "marked"]
    return pd.DataFrame(rows, columns=columns)


def diverging_scale(reach: float) -> alt.Scale:
    """Purple to orange around 0, from ``-reach`` to ``reach``."""
    stops = np.linspace(-reach, reach, len(_DIVERGING)).tolist()
    return alt.Scale(domain=stops, range=list(_DIVERGING), clamp=True)


def effect_map_chart(
    data: pd.DataFrame, reach: float, selected: str | None, title: str = "points"
) -> alt.LayerChart:
    """Layer x head map around 0; a click on a cell chooses its pair, which is outlined in red."""
    data = data.assign(label=[number(v, 1) if np.isfinite(v) else "" for v in data.change])
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("head:O", title="head")
    pick = alt.selection_point("picked", fields=["pair"], on="click", empty=False)
    base = alt.Chart(data).encode(x=x, y=y)
    cells = (
        base.mark_rect()
        .encode(
            color=alt.Color(
                "change:Q",
                title=title,
                scale=diverging_scale(reach),
                legend=alt.Legend(
                    orient="bottom", gradientLength=220, format=".0f" if reach >= 10 else ".1f"
                ),
            ),
            tooltip=[
                *tips("pair:N"),
                *_numbers(("change", "low", "high")),
                *tips("n:Q", "videos:Q"),
            ],
        )
        .add_params(pick)
    )
    few = len(data) <= LABELLED_CELLS
    dark = f"abs(datum.change) > {0.6 * reach}"
    marks = data if few else data[data.marked].assign(label="\N{BULLET}")
    text = (
        alt.Chart(marks)
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("label:N"),
            color=one_of(alt.ColorValue, dark, "white", "black"),
            opacity=one_of(alt.OpacityValue, "datum.marked", 1.0, 0.6),
        )
    )
    layers = [cells, text]
    if few:
        # Bold is no channel of a text mark: those whose interval leaves out 0 are written twice.
        layers.append(
            alt.Chart(data[data.marked])
            .mark_text(fontSize=11, fontWeight="bold")
            .encode(
                x=x,
                y=y,
                text=alt.Text("label:N"),
                color=one_of(alt.ColorValue, dark, "white", "black"),
            )
        )
    own = data[data.pair == selected]
    if len(own):
        layers.append(
            alt.Chart(own)
            .mark_rect(fill=None, fillOpacity=0, stroke="#FF3B30", strokeWidth=3)
            .encode(x=x, y=y)
        )
    heads = data["head"].nunique()
    return alt.layer(*layers, height=130 + int(np.clip(34 * heads, 150, 480)))


def groups_frame(results: "AblationResults", roles: Sequence[str], group: str) -> pd.DataFrame:
    """Change in points by each ablation of one group (``single`` or ``layer``), by role."""
    rows = []
    for role in roles:
        for e in effects_of(results, role, group):
            rows.append({"heads": e.name, "role": ROLE_TITLES[role], **_row(e.change)})
    return pd.DataFrame(rows, columns=["heads", "role", "change", "low", "high", "n", "videos"])


def groups_chart(data: pd.DataFrame, x: str, order: Sequence[str] | None = None) -> alt.LayerChart:
    """A dot and an interval each, by role."""
    roles = [role for role in ("actor", "target") if (data.role == ROLE_TITLES[role]).any()]
    titles = [ROLE_TITLES[role] for role in roles]
    base = alt.Chart(data).encode(
        x=alt.X("heads:N", title=x, sort=list(order) if order else "ascending",
                axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        xOffset=alt.XOffset("role:N", sort=titles),
        color=alt.Color(
            "role:N",
            title=None,
            scale=alt.Scale(domain=titles, range=[ROLE_COLORS[role] for role in roles]),
            legend=alt.Legend(orient="top", symbolOpacity=1),
        ),
    )  # fmt: skip
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color=_CONTROL).encode(y=alt.Y("y:Q"))
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            y=alt.Y("low:Q", title="points"), y2=alt.Y2("high:Q")
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=alt.Y("change:Q", title="points"),
            shape=alt.Shape("role:N", sort=titles, legend=None),
            tooltip=[
                *tips("heads:N", "role:N"),
                *_numbers(("change", "low", "high")),
                *tips("n:Q"),
            ],
        ),
        height=280,
    )


def agreement_frame(agreement: "FamilyAgreement") -> pd.DataFrame:
    """A row two measures: ``first``, ``second``, ``spearman``, its interval, ``pairs``."""
    rows = []
    for row, cells in enumerate(agreement.cells):
        for column, cell in enumerate(cells):
            low, high = cell.ci or (np.nan, np.nan)
            rows.append(
                {
                    "first": agreement.titles[row], "second": agreement.titles[column],
                    "spearman": np.nan if cell.value is None else cell.value, "low": low,
                    "high": high, "pairs": cell.n, "reason": cell.reason or "",
                }
            )  # fmt: skip
    columns = ["first", "second", "spearman", "low", "high", "pairs", "reason"]
    return pd.DataFrame(rows, columns=columns)


def agreement_chart(data: pd.DataFrame, titles: Sequence[str]) -> alt.LayerChart:
    """Rank correlation of every two measures, as a triangle of coloured cells with numbers."""
    data = data.assign(label=[number(v, 2) if np.isfinite(v) else "n/a" for v in data.spearman])
    base = alt.Chart(data).encode(
        x=alt.X("second:N", sort=list(titles), title=None,
                axis=alt.Axis(labelAngle=-40, labelLimit=170, labelOverlap=False)),
        y=alt.Y("first:N", sort=list(titles), title=None, axis=alt.Axis(labelLimit=190)),
    )  # fmt: skip
    return alt.layer(
        base.mark_rect().encode(
            color=alt.Color(
                "spearman:Q",
                title="Spearman",
                scale=diverging_scale(1.0),
                legend=None,
            ),
            tooltip=[
                *tips("first:N", "second:N"), *_numbers(("spearman", "low", "high"), ".2f"),
                *tips("pairs:Q", "reason:N"),
            ],
        ),
        base.mark_text(fontSize=12).encode(
            text=alt.Text("label:N"),
            color=one_of(alt.ColorValue, "abs(datum.spearman) > 0.6", "white", "black"),
        ),
        height=130 + 44 * max(len(titles) - 1, 1),
    )  # fmt: skip


def _numbers(names: Sequence[str], form: str = ".1f") -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", format=form) for name in names]
