"""Altair charts of the samples page: results in, chart out, nothing computed, nothing fetched."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from reports.style import ROLE_COLORS
from workbench.pages._data import FrameShare
from workbench.pages._marks import numbers, one_of

__all__ = ["frame_share_chart", "frame_share_frame"]


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
    tooltip = [alt.Tooltip("frame:O"), *numbers(["share", "on_object", "area"])]
    bars = base.mark_bar(color="#B8C2CC").encode(
        y=alt.Y("share:Q", title="share of its visual attention", axis=alt.Axis(format="%")),
        stroke=one_of(alt.StrokeValue, "datum.current", "#FF3B30", None),
        strokeWidth=alt.StrokeWidthValue(2),
        tooltip=tooltip,
    )
    inside = base.mark_bar(color=ROLE_COLORS[role]).encode(
        y=alt.Y("on_object:Q", title=None), tooltip=tooltip
    )
    # White around it: it is seen on bars and on a dark page.
    even = [
        base.mark_tick(color=color, thickness=thickness).encode(y=alt.Y("area:Q", title=None))
        for color, thickness in (("white", 5), ("black", 2))
    ]
    return alt.layer(bars, inside, *even, height=290)
