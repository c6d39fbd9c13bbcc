"""The figure record and how matplotlib draws and writes it: the same bytes for the same input."""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from matplotlib.image import AxesImage

__all__ = ["Figure", "diverging_map", "drawing", "empty_panel"]

WIDTH = 9.6
"""Inches; shown at about 960 pixels, so that 9 point text reads like the page's own."""

# Typed loosely: matplotlib's stubs know a closed list of keys, which seaborn's dictionary is not.
RC: Any = {
    **sns.axes_style("ticks"),
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: same layout on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.facecolor": "white",
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.fontsize": 8,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "hatch.linewidth": 0.6,
    # Titles come from files: a dollar in them is a dollar.
    "text.parse_math": False,
    # Text stays text: it can be read aloud, searched and copied, and the file is a third as large.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Figure:
    """A finished figure: what is drawn, and what must be said beside it."""

    name: str
    """Short and unique in a document; prefix of all ids in the SVG."""
    title: str
    caption: str
    """What is drawn, n, and what the interval is."""
    alt: str
    """The takeaway in words, for readers who do not see the figure."""
    plot: Plot = field(repr=False, compare=False)

    def svg(self) -> str:
        """The figure as an ``<svg>`` element without prolog, date or creator."""
        buffer = io.StringIO()
        with matplotlib.rc_context({**RC, "svg.hashsalt": self.name}):
            self.plot.savefig(buffer, format="svg", metadata=NO_METADATA)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        # Several figures share one page, and ids must be unique in it.
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = text.replace("url(#", f"url(#{self.name}-")
        text = text.replace('href="#', f'href="#{self.name}-')
        # Width and height in points would overrule the page; the viewBox keeps the shape.
        return re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)


@contextlib.contextmanager
def drawing(
    panels: int, height: float, *, widths: list[float] | None = None, rows: int = 1
) -> Iterator[tuple[Plot, list[Axes]]]:
    """A figure of full width with ``panels`` side by side, under the house style.

    Args:
        panels: number of axes in a row.
        height: of the figure in inches.
        widths: relative widths of the panels, equal without them.
        rows: of panels; they are given row by row.
    """
    with matplotlib.rc_context(RC):
        # Not pyplot: it keeps figures alive and needs a display backend.
        plot = Plot(figsize=(WIDTH, height), layout="constrained")
        axes = plot.subplots(rows, panels, squeeze=False, width_ratios=widths)
        yield plot, list(axes.flat)
        # The layout is found once, here: each further draw would move it by a hair.
        plot.draw_without_rendering()
        plot.set_layout_engine("none")


def empty_panel(axes: Axes, reason: str) -> None:
    """Say in the panel why nothing is drawn in it."""
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color="#666666")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)


def diverging_map(axes: Axes, values: np.ndarray, reach: float) -> AxesImage:
    """Values [column, row] around 0, from ``-reach`` to ``reach``; undefined ones stay blank."""
    axes.grid(False)
    return axes.imshow(
        np.ma.masked_invalid(values.T),
        cmap=sns.color_palette("PuOr_r", as_cmap=True),
        vmin=-reach,
        vmax=reach,
        interpolation="none",  # keeps one pixel a cell in the file
        aspect="auto",
    )
