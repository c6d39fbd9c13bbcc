"""What data sets hold, drawn: kinds of expressions, sizes of masks, lengths of tracks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from reports.canvas import Figure, drawing, empty_panel, redrawable
from reports.data_tables import bin_words
from reports.style import CAPTION_TYPE_TITLES, SERIES_STYLES, count, number, per_cent

if TYPE_CHECKING:
    from reviosa.data.statistics import DataStatistics

__all__ = ["data_figure"]

_COLOR = SERIES_STYLES[1][0]
_LONGEST_NAME = 40


@redrawable
def data_figure(found: "Sequence[DataStatistics]") -> Figure:
    """One row of panels a data set; every bar carries its count."""
    with drawing(3, 0.3 + 2.6 * len(found), rows=len(found)) as (plot, panels):
        for place, statistics in enumerate(found):
            _row(panels[3 * place : 3 * place + 3], statistics)
    return Figure(
        name="data-statistics",
        title="What the data sets hold",
        caption=(
            "Kinds of expressions; share of the frame that an object covers, over objects and the "
            "annotated frames in which they are seen; and the number of annotated frames in which "
            "an object is seen. Of objects, those that an expression speaks of. Numbers at the "
            f"bars are counts. {'. '.join(_counts(s) for s in found)}."
        ),
        alt="; ".join(_words(s) for s in found),
        plot=plot,
    )


def _row(panels: list[Axes], s: "DataStatistics") -> None:
    kinds = {CAPTION_TYPE_TITLES[kind]: amount for kind, amount in s.caption_types.items()}
    name = s.name if len(s.name) <= _LONGEST_NAME else f"{s.name[: _LONGEST_NAME - 1]}\u2026"
    panels[0].set_title(name)
    _bars(panels[0], list(kinds), list(kinds.values()), "expressions")
    for axes, title, drawn, scale, unit in (
        (panels[1], "mask area, % of the frame", s.areas, 100.0, "masks"),
        (panels[2], "track length, frames", s.tracks, 1.0, "objects"),
    ):
        axes.set_title(title, fontweight="normal")
        if drawn is None or not drawn.n:
            empty_panel(axes, "no masks in this split" if drawn is None else "no mask at all")
            continue
        _bars(axes, bin_words(drawn, scale, whole=drawn is s.tracks), list(drawn.counts), unit)


def _bars(axes: Axes, names: list[str], amounts: list[int], unit: str) -> None:
    bars = axes.barh(range(len(names)), amounts, color=_COLOR, height=0.72)
    axes.bar_label(bars, [f"{amount:,}" for amount in amounts], padding=3, fontsize=7)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    # Room for the longest count behind the longest bar.
    axes.set_xlim(0, 1.28 * max(1, *amounts))
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.set_xlabel(unit)


def _counts(s: "DataStatistics") -> str:
    objects = "no masks" if s.objects is None else count(s.objects, "object")
    return (
        f"{s.name}: {count(s.videos, 'video')}, {count(s.frames, 'frame')}, {objects}, "
        f"{count(s.expressions, 'expression')}"
    )


def _words(s: "DataStatistics") -> str:
    text = (
        f"{s.name}: {count(s.interactions, 'interaction')} of {count(s.expressions, 'expression')}"
    )
    if s.areas is not None and s.tracks is not None and s.areas.n:
        text += (
            f", median mask {per_cent(s.areas.median, 2)} % of the frame, "
            f"median track {number(s.tracks.median, 0)} frames"
        )
    return text
