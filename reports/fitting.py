"""Words made to fit where a figure is narrow: lines are broken, nothing is made smaller."""

import textwrap
from collections.abc import Sequence
from typing import TypeGuard

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

__all__ = ["fit_words"]

GAP = 8
"""Pixels between two titles of a panel."""


def fit_words(plot: Plot, pad: float) -> None:
    """Break titles, notes and labels that are wider than their room, where they have spaces.

    Args:
        plot: a figure with a layout engine, all drawn.
        pad: points between a panel, or a note over it, and its title.
    """
    notes = [note for axes in plot.axes for note in axes.texts if note.get_in_layout()]
    for note in notes:
        note.set_in_layout(False)  # a note too wide would leave the panel no room to measure
    plot.draw_without_rendering()
    if any([_break_ticks(axes, 0.4) for axes in plot.axes]):
        plot.draw_without_rendering()
    for axes in plot.axes:
        box = axes.get_window_extent()
        for text in axes.findobj(Text):
            if not isinstance(text, Text) or not text.get_visible():
                continue
            extent = text.get_window_extent()
            upright = text.get_rotation() == 90
            room, taken = (box.height, extent.height) if upright else (box.width, extent.width)
            if taken > room and " " in text.get_text():
                text.set_text(_broken(text.get_text(), room / taken))
    for note in notes:
        _clear_of_title(plot, note, pad)
    for axes in plot.axes:
        _part_titles(axes)


def _clear_of_title(plot: Plot, note: Text, pad: float) -> None:
    """Raise the title over a note that stands between it and the panel."""
    axes = note.axes
    if not isinstance(axes, Axes):
        return
    box, extent = axes.get_window_extent(), note.get_window_extent()
    if extent.y0 >= box.y1:
        over = 72 * (extent.y1 - box.y1) / plot.dpi
        axes.set_title(axes.get_title("left"), loc="left", pad=over + pad)


def _part_titles(axes: Axes) -> None:
    """Break the title at the right where it would run into the one at the left."""
    left, right = (
        next((text for text in axes.findobj(Text) if _says(text, axes.get_title(side))), None)
        for side in ("left", "right")
    )
    if left is None or right is None:
        return
    free = axes.get_window_extent().x1 - left.get_window_extent().x1 - GAP
    taken = right.get_window_extent().width
    if taken > free:
        right.set_text(_broken(right.get_text(), max(free, 1) / taken))


def _says(artist: Artist, words: str) -> TypeGuard[Text]:
    return bool(words) and isinstance(artist, Text) and artist.get_text() == words


def _break_ticks(axes: Axes, share: float) -> bool:
    """Break names of rows that are wider than ``share`` of the figure, and of columns that meet.

    Returns:
        Whether any were broken.
    """
    rows, columns = axes.get_yticklabels(), axes.get_xticklabels()
    figure, box = axes.get_figure(), axes.get_window_extent()
    found = False
    if figure is not None and isinstance(axes.yaxis.get_major_locator(), FixedLocator):
        words = _narrower(rows, share * figure.bbox.width)
        if words:
            axes.set_yticks(axes.get_yticks(), words)
            found = True
    if isinstance(axes.xaxis.get_major_locator(), FixedLocator):
        words = _narrower(columns, 0.9 * box.width / max(len(columns), 1))
        if words:
            axes.set_xticks(axes.get_xticks(), words)
            found = True
    return found


def _narrower(labels: Sequence[Text], room: float) -> list[str]:
    """The labels' words broken to fit in ``room`` pixels; empty where they do fit."""
    taken = max((label.get_window_extent().width for label in labels), default=0)
    words = [label.get_text() for label in labels]
    if taken <= room or not any(" " in word for word in words):
        return []
    length = max(8, int(max(map(len, words)) * room / taken))
    return [textwrap.fill(word, length) for word in words]


def _broken(words: str, share: float) -> str:
    lines = words.split("\n")
    length = max(8, int(max(map(len, lines)) * share))
    return "\n".join(part for line in lines for part in textwrap.wrap(line, length) or [""])
