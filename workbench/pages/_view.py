"""A view of a page: the chart, the sentence under it, and its data and picture to take away."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import altair as alt
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from reports.csv_files import csv_text
from workbench.pages._shell import literal

__all__ = ["csv_button", "draw", "file_stem", "picture", "picture_button", "take_away"]

Chart = alt.LayerChart | alt.Chart | alt.ConcatChart

_PAPER = {
    "background": "white",
    "font": "DejaVu Sans, Arial, sans-serif",
    "view": {"continuousWidth": 620, "discreteWidth": 620},
}
"""Look of a saved picture; on the page the theme of the reader's choice holds."""


def draw(
    chart: Chart,
    key: str,
    data: pd.DataFrame,
    caption: str,
    alt_text: str,
    on_select: Callable[[], None] | Literal["ignore"] = "ignore",
    file: str = "",
) -> None:
    """Draw a chart with its caption, and offer its data (CSV) and itself (SVG, PNG).

    Args:
        chart: what to draw.
        key: of the chart in the session.
        data: the numbers that are drawn, not rounded.
        caption: Markdown; what is drawn, n, and what an interval is. Empty where charts side by
            side have one between them.
        alt_text: the takeaway for readers who do not see the chart.
        on_select: called after a click on the chart.
        file: name of the files without their ending; the key without it.
    """
    st.altair_chart(_trusted(chart), key=key, on_select=on_select, alt=alt_text)
    words, files = st.columns([12, 1], vertical_alignment="top")
    if caption:
        words.caption(caption)
    file = file or key
    with files, take_away():
        csv_button(data, f"{file}.csv", "data")
        for form in ("svg", "png"):
            picture_button(form, partial(picture, chart, form), file, key)


def _trusted(chart: Chart) -> Chart:
    """The chart as it is, not checked against the schema each time it is sent: tests do that.

    The check is a third of the server's time for a click.
    """
    object.__setattr__(chart, "to_dict", partial(chart.to_dict, validate=False))
    return chart


def take_away() -> DeltaGenerator:
    """Where the files of a view are offered."""
    return st.popover("", icon=":material/download:", type="tertiary", help="Data and picture")


def picture_button(form: str, make: Callable[[], bytes], file: str, key: str) -> None:
    """Offer a picture, "svg" or "png"; it is drawn when asked for, which takes up to a second."""
    st.download_button(
        f"Download picture ({form.upper()})",
        make,
        file_name=f"{file}.{form}",
        mime="image/svg+xml" if form == "svg" else "image/png",
        icon=":material/download:",
        key=f"{form}_{key}",
        on_click="ignore",
    )


def csv_button(frame: pd.DataFrame, file: str, what: str, key: str = "") -> None:
    """Offer a table that is drawn as a file; ``what`` it is stands on the button.

    Without a ``key`` the name of the file tells buttons apart.
    """
    st.download_button(
        f"Download {literal(what)} (CSV)",
        lambda: csv_text(frame),
        file_name=file,
        mime="text/csv",
        icon=":material/download:",
        key=key or f"csv_{file}",
        on_click="ignore",
    )


def file_stem(name: str) -> str:
    """The name of a run as a file's name, without folders and signs."""
    return "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name)


def picture(chart: alt.TopLevelMixin, form: str) -> bytes:
    """A chart as SVG or PNG on white, drawn on the server without a browser and a network."""
    import vl_convert

    with alt.data_transformers.disable_max_rows():
        spec = chart.to_dict(format="vega-lite")
    if form == "svg":
        return vl_convert.vegalite_to_svg(spec, config=_PAPER).encode()
    return vl_convert.vegalite_to_png(spec, config=_PAPER, scale=2)
