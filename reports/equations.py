"""Displayed equations as pictures: drawn by matplotlib, so no page needs a script or a font."""

import io
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure as Plot

from reports.canvas import NO_METADATA

__all__ = ["equation_svg"]

_SIZE = 14
"""Points of the letters; the picture is scaled to the text around it."""


def equation_svg(tex: str, name: str) -> str:
    """An equation as an ``<svg>`` element, as high as its text needs in ``em``.

    Args:
        tex: in the part of TeX that matplotlib draws, without dollars.
        name: unique in a document; prefix of all ids in the SVG.

    Raises:
        ValueError: matplotlib does not know a command in it.
    """
    settings: Any = {"svg.fonttype": "path", "svg.hashsalt": name, "mathtext.fontset": "stix"}
    buffer = io.StringIO()
    with matplotlib.rc_context(settings):
        plot = Plot()
        plot.text(0, 0, f"${tex}$", fontsize=_SIZE, parse_math=True)
        plot.savefig(
            buffer, format="svg", metadata=NO_METADATA, bbox_inches="tight", pad_inches=0.02,
            transparent=True,
        )  # fmt: skip
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Letters are shapes that many equations share by name; ids must be unique in a page.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')

    def scaled(found: re.Match[str]) -> str:
        return f' {found[1]}="{float(found[2]) / _SIZE * 1.2:.2f}em"'

    return re.sub(r' (width|height)="([\d.]+)pt"', scaled, text, count=2)
