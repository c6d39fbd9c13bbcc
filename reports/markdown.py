"""A document as GitHub Markdown, with its pictures as files beside it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import escape

from reports.canvas import Figure
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
from reports.tables import Table
from reviosa.io import atomic_path, write_text

__all__ = ["Page", "render_markdown", "write_markdown"]


class Page(NamedTuple):
    """A page, and the files that it shows."""

    text: str
    files: dict[str, bytes]
    """Name in the folder beside the page -> content."""


def write_markdown(document: Document, path: str | Path) -> Path:
    """Write the page and its pictures; the same document gives the same bytes.

    Args:
        document: what to write (:func:`reports.content.content`).
        path: the Markdown file; pictures go to a folder of its name without the suffix, where
            those that an earlier page of this name left are replaced.

    Returns:
        The path.
    """
    path = Path(path)
    folder = path.with_suffix("")
    page = render_markdown(document, folder.name)
    for name, content in page.files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    write_text(path, page.text)
    return path


def render_markdown(document: Document, folder: str) -> Page:
    """The document as Markdown text; see :func:`write_markdown`.

    Args:
        document: what to write.
        folder: name of the folder, beside the page, that its pictures are in, and the record of
            its numbers, ``results.json``.
    """
    writer = _Writer(folder)
    record = f"{folder}/results.json"
    parts = [
        f"# {_text(document.title)}",
        _text(document.byline),
        f"Every number also stands in [{_text(record)}]({quote(record)}).",
    ]
    for block in document.head:
        parts += writer.block(block)
    for section in document.sections:
        parts.append(f"## {_text(section.title)}")
        for block in section.blocks:
            parts += writer.block(block)
    return Page("\n\n".join(part for part in parts if part) + "\n", writer.files)


class _Writer:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.samples = 0

    def block(self, block: Block) -> Iterator[str]:
        """Its paragraphs of Markdown."""
        if isinstance(block, Paragraph):
            text = _line(block.text)
            plain = {"caption": f"*{text}*", "warning": f"> **Mind:** {text}"}
            yield plain.get(block.kind, text)
        elif isinstance(block, Subheading):
            yield f"### {_text(block.text)}"
        elif isinstance(block, Bullets):
            yield "\n".join(f"- {_line(item)}" for item in block.items)
        elif isinstance(block, Equation):
            yield f"$$\n{block.tex}\n$$"
            yield _line(block.words)
        elif isinstance(block, Code):
            yield _fenced(block.text)
        elif isinstance(block, Table):
            yield from _table(block)
        elif isinstance(block, Figure):
            yield f"#### {_text(block.title)}"
            yield self._picture(f"{block.name}.svg", block.svg().encode(), block.alt)
            yield f"*{_text(block.caption)}*"
        else:
            yield from self._sample(block)

    def _sample(self, sample: Sample) -> Iterator[str]:
        yield _line(sample.facts)
        yield f"**{_text(sample.expression)}**" if sample.expression.strip() else ""
        yield f"Answer: {_text(sample.answer)}"
        if sample.image is not None:
            self.samples += 1
            name = f"sample-{self.samples}-{sample.role}.jpg"
            yield self._picture(name, sample.image, sample.alt)
        yield f"*{_text(sample.caption)}*" if sample.caption.strip() else ""

    def _picture(self, name: str, content: bytes, alt: str) -> str:
        self.files[name] = content
        words = _text(alt.replace("[", "(").replace("]", ")"))
        return f"![{words}]({quote(f'{self.folder}/{name}')})"


def _table(table: Table) -> Iterator[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def cell(text: str, place: tuple[int, int]) -> str:
        safe = _text(text)
        return f"**{safe}**" if place in table.best and safe else safe

    if table.title:
        yield f"#### {_text(table.title)}"
    rules = ["---" if i < table.text_columns else "---:" for i in range(len(table.columns))]
    rows = [line([cell(c, (r, i)) for i, c in enumerate(row)]) for r, row in enumerate(table.rows)]
    yield "\n".join([line([_text(c) for c in table.columns]), line(rules), *rows])
    if table.caption:
        yield f"*{_text(table.caption)}*"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _line(text: str) -> str:
    """Words that begin a paragraph or an item: what would make them a heading or a list is text."""
    return re.sub(r"^(#|&gt;|[-+=]|\d+(?=[.)]))", _first, _text(text))


def _first(found: re.Match[str]) -> str:
    # A digit cannot be escaped, but the dot behind it can.
    return found[1] + "\\" if found[1].isdecimal() else "\\" + found[1]


def _text(text: str) -> str:
    """Words of data and models as text that neither HTML nor Markdown can run away with."""
    safe = str(escape(" ".join(text.split())))
    safe = re.sub(r"([\\`*\[|$~])", r"\\\1", safe)
    # Inside of a word an underscore is one; at its edge it would begin or end emphasis.
    safe = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", safe)
    return safe.replace("&#39;", "'").replace("&#34;", '"')
