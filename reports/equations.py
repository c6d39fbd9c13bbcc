"""Equations as drawings: outlines that need no font and look the same everywhere."""

import io
import re

import matplotlib
from matplotlib.figure import Figure as Plot

from reports.canvas import NO_METADATA
from reports.document import Equation

__all__ = ["equation_svg"]

SIZE = 11
"""Points."""


def equation_svg(equation: Equation) -> str:
    """An equation as an ``<svg>`` element of its own size in points, by matplotlib's mathtext.

    Raises:
        ValueError: the TeX is not in the part that mathtext draws.
    """
    buffer = io.StringIO()
    settings = {
        "mathtext.fontset": "cm",
        "svg.fonttype": "path",
        "svg.hashsalt": equation.tex,
        "text.parse_math": True,
    }
    with matplotlib.rc_context(settings):
        plot = Plot()
        plot.text(0, 0, f"${equation.tex}$", fontsize=SIZE)
        plot.savefig(
            buffer, format="svg", metadata=NO_METADATA, bbox_inches="tight", pad_inches=0.02,
            transparent=True,
        )  # fmt: skip
    text = buffer.getvalue()
    # matplotlib writes the source into a comment.
    return re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
