"""The chart of two compared runs: results in, chart out."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from reports.style import PROTOCOL_TITLES
from workbench.pages._marks import tips
from workbench.pages._runs import Paired

__all__ = ["comparison_frame", "comparison_chart"]

_COLORS = ("#009E73", "#CC79A7")
"""Green and purple of Okabe and Ito: blue and vermillion are the roles'."""


def comparison_frame(pairs: Sequence[Paired], names: tuple[str, str]) -> pd.DataFrame:
    """One row a protocol and run: ``protocol``, ``run``, J&F in per cent, its interval, n."""
    rows = [
        {
            "protocol": PROTOCOL_TITLES[pair.protocol], "run": name, "J&F": score.jf,
            "low": score.jf_ci[0] if score.jf_ci else None,
            "high": score.jf_ci[1] if score.jf_ci else None, "n": score.n,
        }
        for pair in pairs
        for name, score in zip(names, (pair.first, pair.second), strict=True)
        if score.jf is not None
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["protocol", "run", "J&F", "low", "high", "n"])


def comparison_chart(data: pd.DataFrame, names: tuple[str, str]) -> alt.LayerChart:
    """J&F of both runs by protocol, each with its interval."""
    base = alt.Chart(data).encode(
        y=alt.Y("protocol:N", title=None, sort=list(PROTOCOL_TITLES.values())),
        yOffset=alt.YOffset("run:N", sort=list(names)),
        color=alt.Color(
            "run:N",
            title=None,
            sort=list(names),
            scale=alt.Scale(domain=list(names), range=list(_COLORS)),
            legend=alt.Legend(orient="top", labelLimit=420, columns=1, symbolOpacity=1),
        ),
    )
    x = alt.X("J&F:Q", title="J&F, per cent", scale=alt.Scale(zero=False, nice=True))
    return alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.6).encode(
            x=alt.X("low:Q", title="J&F, per cent", scale=alt.Scale(zero=False)),
            x2=alt.X2("high:Q"),
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=x,
            shape=alt.Shape("run:N", sort=list(names), legend=None),
            tooltip=[
                *tips("protocol:N", "run:N"),
                *(alt.Tooltip(f"{name}:Q", format=".1f") for name in ("J&F", "low", "high")),
                *tips("n:Q"),
            ],
        ),
        height=alt.Step(24),
    )
