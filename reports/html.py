"""A document as one HTML file that needs no other file, no network and no script."""

import base64
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.canvas import Figure
from reports.document import Block, Document, Equation
from reports.equations import equation_svg
from reports.style import ROLE_COLORS
from reviosa.io import write_text

__all__ = ["render_html", "write_html"]


def write_html(document: Document, path: str | Path) -> Path:
    """Write the page, whole or not at all; the same document gives the same bytes.

    Args:
        document: what to write (:func:`reports.content.content`).
        path: the HTML file; folders are made, an old page is replaced.

    Returns:
        The path.
    """
    path = Path(path)
    write_text(path, render_html(document))
    return path


def render_html(document: Document) -> str:
    """The document as HTML text; see :func:`write_html`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # Expressions and answers come from data and models: all text is escaped, always.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    equations = [block for block in document.blocks() if isinstance(block, Equation)]

    def drawing(block: Figure | Equation) -> Markup:
        # Our own drawings are the only markup let through; their words were escaped as XML.
        if isinstance(block, Figure):
            return Markup(block.svg())  # noqa: S704
        name = f"equation-{equations.index(block) + 1}"
        return Markup(equation_svg(block.tex, name))  # noqa: S704

    return environment.get_template("report.html.j2").render(
        document=document,
        role_colors=ROLE_COLORS,
        kind=_kind,
        drawing=drawing,
        data_uri=_data_uri,
        whole=_whole,
    )


def _kind(block: Block) -> str:
    return type(block).__name__


def _whole(cell: str) -> Markup:
    """A number whose interval does not break over two lines."""
    span = r'<span class="ci">\g<0></span>'
    return Markup(re.sub(r"\[[^][]*\]", span, str(escape(cell))))  # noqa: S704


def _data_uri(image: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(image).decode("ascii")
