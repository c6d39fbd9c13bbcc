"""The report as a PDF, set by typst from a fixed template that reads the document as data.

No text of the document becomes markup: it is handed over as JSON, so a hash or a dollar in an
expression is a hash or a dollar on the page.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

from reports.canvas import Figure
from reports.column_widths import GAP, column_letters
from reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Equation,
    Paragraph,
    Sample,
    Subheading,
)
from reports.equations import equation_svg
from reports.style import ROLE_COLORS, ROLE_TITLES
from reports.tables import Table
from reviosa.errors import ReviosaError, first_line
from reviosa.io import atomic_path

__all__ = ["require_typst", "write_pdf"]

TEMPLATES = Path(__file__).parent / "templates"
PAGE_WIDTH = 6.69
"""Inches between the margins of the page; figures are drawn for it."""
LARGER, SMALLER = 112, 138
"""Letters that a line of a table holds, in larger letters and in those of wide tables."""
UNBROKEN = 18
"""A word longer than this (a hash, a path) may be broken in a table."""


def write_pdf(document: Document, path: str | Path) -> Path:
    """Write the document as PDF, whole or not at all; the same document gives the same bytes.

    Only fonts that come with typst and matplotlib are used, the same on every machine: a sign that
    none of them has (Chinese, say) is set as a box.

    Args:
        document: what to set.
        path: the PDF file; folders are made, an old file is replaced.

    Raises:
        ReviosaError: typst is not installed, or refuses the document.
    """
    require_typst(path)
    import typst

    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="reviosa-pdf-") as folder:
        root = Path(folder)
        shutil.copy(TEMPLATES / "report.typ", root)
        content = json.dumps(_content(document, root), ensure_ascii=False)
        (root / "document.json").write_text(content, encoding="utf-8")
        try:
            data = typst.compile(
                root / "report.typ",
                root=root,
                font_paths=[Path(matplotlib.get_data_path()) / "fonts" / "ttf"],
                ignore_system_fonts=True,
            )
        except (typst.TypstError, RuntimeError) as error:
            raise ReviosaError(
                f"{path}: typst cannot set the document: {first_line(error)}; "
                "the HTML and Markdown forms hold the same content"
            ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


def require_typst(path: str | Path) -> None:
    """Say that ``path`` cannot be written where typst is missing: before hours of work, not after.

    Raises:
        ReviosaError: typst is not installed.
    """
    try:
        import typst  # noqa: F401
    except ImportError as error:
        raise ReviosaError(
            f"{path}: a PDF needs the package typst, which is not installed; "
            "pip install 'reviosa-workbench[pdf]'"
        ) from error


def _content(document: Document, root: Path) -> dict[str, Any]:
    """The document as plain values; pictures are written to ``root`` and named."""

    def blocks(found: tuple[Block, ...]) -> list[dict[str, Any]]:
        return [_block(block, root) for block in found]

    return {
        "title": document.title,
        "byline": document.byline,
        "colors": ROLE_COLORS,
        "head": blocks(document.head),
        "sections": [
            {"title": section.title, "blocks": blocks(section.blocks)}
            for section in document.sections
        ],
    }


def _block(block: Block, root: Path) -> dict[str, Any]:
    match block:
        case Paragraph():
            return {"is": "paragraph", "text": block.text, "kind": block.kind}
        case Subheading():
            return {"is": "subheading", "text": block.text}
        case Bullets():
            return {"is": "bullets", "items": list(block.items)}
        case Code():
            return {"is": "code", "text": block.text}
        case Equation():
            file = _picture(root, ".svg", equation_svg(block.tex, "equation").encode())
            return {"is": "equation", "file": file, "words": block.words}
        case Table():
            return {"is": "table", **_table(block)}
        case Figure():
            file = _picture(root, ".svg", block.at_width(PAGE_WIDTH).svg().encode())
            words = {"title": block.title, "caption": block.caption, "alt": block.alt}
            return {"is": "figure", "file": file, **words}
        case Sample():
            return {
                "is": "sample",
                "role": block.role,
                "role_title": ROLE_TITLES.get(block.role, block.role),
                "facts": block.facts,
                "expression": block.expression,
                "answer": block.answer,
                "caption": block.caption,
                "alt": block.alt,
                "file": None if block.image is None else _picture(root, ".jpg", block.image),
            }


def _table(table: Table) -> dict[str, Any]:
    wide = len(table.columns) > 3 and column_letters(table, LARGER) is not None
    letters = column_letters(table, SMALLER if wide else LARGER)
    return {
        "title": table.title,
        "caption": table.caption,
        "columns": list(table.columns),
        # Relative widths; null where every column may be as wide as it likes.
        "widths": letters and [length + GAP for length in letters],
        "small": wide,
        "text_columns": table.text_columns,
        "rows": [[_breakable(cell) for cell in row] for row in table.rows],
        "best": [list(place) for place in sorted(table.best)],
    }


def _breakable(text: str) -> str:
    """Long words may be broken: behind a separator, or anywhere in a hash."""

    def broken(match: re.Match[str]) -> str:
        word = re.sub(r"(?<=[/_.=,:-])(?=.)", "\N{ZERO WIDTH SPACE}", match[0])
        return re.sub(r"([^\u200b]{12})(?=[^\u200b])", "\\1\N{ZERO WIDTH SPACE}", word)

    return re.sub(rf"\S{{{UNBROKEN},}}", broken, text)


def _picture(root: Path, suffix: str, data: bytes) -> str:
    name = f"picture-{sum(1 for _ in root.glob('picture-*')):04d}{suffix}"
    (root / name).write_bytes(data)
    return name
