"""The figure record and how matplotlib draws and writes it: the same bytes for the same input."""

import contextlib
import functools
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import matplotlib
import numpy as np
import seaborn as sns
from markupsafe import escape
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from matplotlib.image import AxesImage

from reports.fitting import fit_words
from reviosa.errors import ConfigError
from reviosa.io import atomic_path

__all__ = [
    "Figure",
    "diverging_map",
    "drawing",
    "empty_panel",
    "in_first_column",
    "legend_below",
    "redrawable",
    "require_figure_suffix",
    "write_figure",
]

WIDTH = 9.6
"""Inches; shown at about 960 pixels, so that 9 point text reads like the page's own."""
PANEL = 2.15
"""Inches that a panel needs at least; where fewer are left, panels go below each other."""
LOWER = 0.68
"""Height of a row of panels in print, of its height on a page."""

_WIDTH: ContextVar[float] = ContextVar("width", default=WIDTH)
"""Inches that figures are drawn for; set by :meth:`Figure.at_width` alone."""

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

IN_PRINT: Any = {
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.titlepad": 4,
    "axes.labelpad": 2.5,
    "grid.linewidth": 0.4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "legend.fontsize": 7,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "savefig.dpi": 300,
}
"""For a column or page of a paper: 7 to 8 point at the size in which it is printed."""

NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
NO_DATE = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}


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
    again: "Callable[[], Figure | None] | None" = field(default=None, repr=False, compare=False)
    """Draws it once more (:func:`redrawable`); None for a drawing of one size."""

    def at_width(self, inches: float) -> "Figure":
        """The same figure drawn for another width, with 7 to 8 point text at that size.

        A figure that cannot be drawn again is returned as it is.
        """
        if self.again is None:
            return self
        token = _WIDTH.set(inches)
        try:
            drawn = self.again()
        finally:
            _WIDTH.reset(token)
        return self if drawn is None else replace(self, plot=drawn.plot)

    def pdf(self) -> bytes:
        """The figure as a PDF of one page, its fonts embedded as TrueType (type 42)."""
        buffer = io.BytesIO()
        with matplotlib.rc_context(_style(self.plot)):
            self.plot.savefig(buffer, format="pdf", metadata=NO_DATE)
        return buffer.getvalue()

    def png(self) -> bytes:
        """The figure as a picture, without the name and version of the program that drew it."""
        buffer = io.BytesIO()
        with matplotlib.rc_context(_style(self.plot)):
            self.plot.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def svg_file(self) -> str:
        """The figure as a file of its own: with its size, and text as outlines for any viewer."""
        buffer = io.StringIO()
        settings: Any = {"svg.hashsalt": self.name, "svg.fonttype": "path"}
        with matplotlib.rc_context({**_style(self.plot), **settings}):
            self.plot.savefig(buffer, format="svg", metadata=NO_METADATA)
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """How a notebook shows it: the drawing of the report, with its title and caption."""
        return (
            f"<figure><h4>{escape(self.title)}</h4>"
            f'<div role="img" aria-label="{escape(self.alt)}">{self.svg()}</div>'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )

    def svg(self) -> str:
        """The figure as an ``<svg>`` element without prolog, date or creator."""
        buffer = io.StringIO()
        with matplotlib.rc_context({**_style(self.plot), "svg.hashsalt": self.name}):
            self.plot.savefig(buffer, format="svg", metadata=NO_METADATA)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        # Several figures share one page, and ids must be unique in it.
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = text.replace("url(#", f"url(#{self.name}-")
        text = text.replace('href="#', f'href="#{self.name}-')
        # Width and height in points would overrule the page; the viewBox keeps the shape.
        return re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)


FORMS: Final = (".svg", ".pdf", ".png")
"""Suffixes that :func:`write_figure` knows."""


def require_figure_suffix(path: Path) -> None:
    """Raise ConfigError if no figure can be written under this name; before the work, not after."""
    if path.suffix.lower() not in FORMS:
        raise ConfigError(
            f"{path}: got the suffix {path.suffix!r}, expected one of {', '.join(FORMS)}; "
            "rename the figure"
        )


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the form that the suffix says, whole or not at all.

    Raises:
        ConfigError: the suffix is of another form.
    """
    require_figure_suffix(path)
    form = path.suffix.lower()
    if form == ".svg":
        content = figure.svg_file().encode()
    else:
        content = figure.pdf() if form == ".pdf" else figure.png()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _style(plot: Plot) -> Any:
    """The settings it was drawn under: how many ticks have room is asked again on saving."""
    return RC if plot.get_figwidth() == WIDTH else {**RC, **IN_PRINT}


_P = ParamSpec("_P")
_F = TypeVar("_F", bound=Figure | None)


def redrawable(draw: Callable[_P, _F]) -> Callable[_P, _F]:
    """Let what ``draw`` returns be drawn for another width, from the same arguments."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> _F:
        figure = draw(*args, **kwargs)
        if figure is None:
            return figure
        return replace(figure, again=functools.partial(draw, *args, **kwargs))

    return drawn


@contextlib.contextmanager
def drawing(
    panels: int, height: float, *, widths: list[float] | None = None, rows: int = 1
) -> Iterator[tuple[Plot, list[Axes]]]:
    """A figure of full width with ``panels`` side by side, under the house style.

    In a narrower figure (:meth:`Figure.at_width`) as many stand side by side as have room.

    Args:
        panels: number of axes in a row.
        height: of the figure in inches.
        widths: relative widths of the panels, equal without them.
        rows: of panels; they are given row by row.
    """
    width = _WIDTH.get()
    in_print = width != WIDTH
    total = panels * rows
    if in_print and panels > (fit := max(1, int(width / PANEL))):
        lines = -(-total // fit)
        columns, widths = -(-total // lines), None
    else:
        columns, lines = panels, rows
    if in_print:
        height = LOWER * height * lines / rows
    with matplotlib.rc_context({**RC, **IN_PRINT} if in_print else RC):
        # Not pyplot: it keeps figures alive and needs a display backend.
        plot = Plot(figsize=(width, height), layout="constrained")
        axes = list(plot.subplots(lines, columns, squeeze=False, width_ratios=widths).flat)
        for spare in axes[total:]:
            spare.remove()
        yield plot, axes[:total]
        if in_print:
            fit_words(plot, IN_PRINT["axes.titlepad"])
        # The layout is found once, here: each further draw would move it by a hair.
        plot.draw_without_rendering()
        plot.set_layout_engine("none")


def legend_below(plot: Plot, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """One legend for all panels, under them, in as many columns as have room."""
    size = matplotlib.rcParams["legend.fontsize"]
    # A letter is about 0.6 of its size wide; the handle and the gaps take some 4 letters' room.
    longest = (0.6 * max(map(len, labels), default=0) + 4) * size / 72
    columns = max(1, min(len(labels), int(plot.get_figwidth() / longest)))
    plot.legend(handles, labels, loc="outside lower center", ncols=columns)


def in_first_column(axes: Axes) -> bool:
    """Whether no panel stands to the left: the one that carries the labels of its row."""
    place = axes.get_subplotspec()
    return place is None or place.is_first_col()


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
