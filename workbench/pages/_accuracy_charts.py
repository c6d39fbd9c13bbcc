"""Charts of attention against accuracy, each with the frame it draws.

Results in, chart out; nothing is computed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt
import pandas as pd

from probes.criteria import CRITERIA
from probes.pair_sets import RankAssociation, SetAccuracy
from reports.style import CAPTION_TYPE_TITLES, ROLE_COLORS, in_text
from workbench.pages._head_charts import dots
from workbench.pages._marks import numbers

__all__ = [
    "KINDS", "association_chart", "association_frame", "bins_frame", "points_frame",
    "scatter_chart", "strata_frame",
]  # fmt: skip

KINDS: Final = {"plain": "plain", "partial": "given mask area"}
MANY: Final = 800
"""More dots than this cover each other, and are drawn paler."""
_CONTROLS: Final = {"mask_area": "Mask area alone", "centre_share": "Centre prior"}
_VARIABLES: Final = {"mask_area": "mask area", "objects": "objects"}


def points_frame(found: SetAccuracy, expressions: pd.Series) -> pd.DataFrame:
    """One row a sample: its score, J&F, mask area and expression, which stand by sample_id."""
    return pd.DataFrame(
        {
            "sample_id": found.sample_ids,
            "role": found.role,
            "score": found.score,
            "jf": found.jf,
            "mask_area": found.mask_area,
            "expression": expressions.reindex(list(found.sample_ids)).to_numpy(),
        }
    )


def bins_frame(found: SetAccuracy) -> pd.DataFrame:
    """One row a bin of the score: its ends, mean score, mean J&F with interval, n."""
    rows = [
        {
            "low score": part.lo, "high score": part.hi, "score": part.center,
            "jf": part.jf.value, "low": low, "high": high, "samples": part.jf.n,
            "videos": part.jf.n_videos,
        }
        for part in found.bins
        for low, high in (part.jf.ci or (None, None),)
    ]  # fmt: skip
    columns = ["low score", "high score", "score", "jf", "low", "high", "samples", "videos"]
    return pd.DataFrame(rows, columns=columns)


def scatter_chart(
    points: pd.DataFrame, bins: pd.DataFrame, criterion: str, role: str
) -> alt.LayerChart:
    """A dot a sample, and means of bins with intervals; a click on a dot picks its sample."""
    color = ROLE_COLORS[role]
    x = alt.X("score:Q", title=in_text(CRITERIA[criterion].title), scale=alt.Scale(zero=False))
    y = alt.Y("jf:Q", title="J&F", scale=alt.Scale(domain=[0, 1]))
    pick = alt.selection_point("picked", fields=["sample_id"], on="click", empty=False)
    samples = (
        alt.Chart(dots(points))
        .mark_circle(size=40, opacity=0.3 if len(points) <= MANY else 0.12, color=color)
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("sample_id:N"),
                alt.Tooltip("expression:N"),
                *numbers(["score", "jf", "mask_area"]),
            ],
        )
        .add_params(pick)
    )
    base = alt.Chart(bins).encode(x=x)
    means = base.mark_line(color=color, strokeWidth=2).encode(y=y)
    spread = base.mark_rule(color=color, strokeWidth=3).encode(
        y=alt.Y("low:Q", title="J&F"), y2=alt.Y2("high:Q")
    )
    marks = base.mark_point(
        filled=True, size=110, opacity=1, color=color, stroke="white", strokeWidth=1.5
    ).encode(
        y=y,
        tooltip=[
            *numbers(["score", "jf", "low", "high"]),
            alt.Tooltip("samples:Q"),
            alt.Tooltip("videos:Q"),
        ],
    )
    return alt.layer(samples, means, spread, marks, height=340)


def association_frame(found: SetAccuracy, title: str) -> pd.DataFrame:
    """One row a score and kind of correlation: the set's own first, then its controls."""
    named = {title: found.overall} | {
        _CONTROLS.get(name) or CRITERIA[name].title: control
        for name, control in found.controls.items()
    }
    return _frame(named)


def strata_frame(found: SetAccuracy) -> pd.DataFrame:
    """One row a group of samples and kind of correlation."""
    return _frame(
        {
            "all samples": found.overall,
            **{
                CAPTION_TYPE_TITLES.get(part.level, part.level)
                if part.variable == "caption_type"
                else f"{_VARIABLES[part.variable]}: {part.level}": part.found
                for part in found.strata
            },
        }
    )


def _frame(named: Mapping[str, RankAssociation]) -> pd.DataFrame:
    rows = [
        {
            "of": name, "kind": KINDS[kind], "correlation": estimate.value, "low": low,
            "high": high, "samples": estimate.n, "videos": estimate.n_videos,
            "reason": estimate.reason or "",
        }
        for name, item in named.items()
        for kind, estimate in (("plain", item.spearman), ("partial", item.partial))
        for low, high in (estimate.ci or (None, None),)
    ]  # fmt: skip
    columns = ["of", "kind", "correlation", "low", "high", "samples", "videos", "reason"]
    return pd.DataFrame(rows, columns=columns)


def association_chart(data: pd.DataFrame, role: str, order: Sequence[str]) -> alt.LayerChart:
    """Correlations with intervals, a row each; plain above, given the mask area below it."""
    known = data.dropna(subset=["correlation"])
    kinds = list(KINDS.values())
    base = alt.Chart(known).encode(
        y=alt.Y("of:N", title=None, sort=list(order), axis=alt.Axis(labelLimit=190)),
        yOffset=alt.YOffset("kind:N", sort=kinds),
    )
    title = "rank correlation with J&F"
    scale = alt.Scale(domain=[-1, 1])
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color="#888888").encode(x=alt.X("x:Q"))
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=2, opacity=0.6, color=ROLE_COLORS[role]).encode(
            x=alt.X("low:Q", title=title, scale=scale), x2=alt.X2("high:Q")
        ),
        base.mark_point(size=70, opacity=1, color=ROLE_COLORS[role], strokeWidth=2).encode(
            x=alt.X("correlation:Q", title=title, scale=scale),
            shape=alt.Shape(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=kinds, range=["circle", "diamond"]),
                legend=alt.Legend(orient="top", symbolStrokeColor="#888888"),
            ),
            tooltip=[
                alt.Tooltip("of:N"),
                alt.Tooltip("kind:N"),
                *numbers(["correlation", "low", "high"]),
                alt.Tooltip("samples:Q"),
            ],
        ),
        height=90 + 34 * len(order),
    )
