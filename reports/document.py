"""A document as its parts, whatever it is written down as: HTML, PDF, Markdown or LaTeX.

:mod:`reports.content` makes one from results; each writer walks the same parts in the same order.
All text in it is plain: whoever writes it down escapes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from reports.canvas import Figure
from reports.tables import Table

__all__ = [
    "Block",
    "Bullets",
    "Code",
    "Document",
    "Equation",
    "Paragraph",
    "Sample",
    "Section",
    "Subheading",
]


@dataclass(frozen=True)
class Paragraph:
    """Words; ``kind`` says how loud."""

    text: str
    kind: Literal["plain", "lead", "caption", "warning"] = "plain"


@dataclass(frozen=True)
class Subheading:
    """A heading inside of a section."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Equation:
    """One displayed equation."""

    tex: str
    """In the part of TeX that matplotlib's mathtext draws, without dollars."""
    words: str
    """The same, to be read aloud; and what its signs mean."""


@dataclass(frozen=True)
class Code:
    """A command line or a file's content, set as it is."""

    text: str


@dataclass(frozen=True)
class Sample:
    """One expression and role: its scores, the model's answer, and a strip of frames."""

    role: str
    """"actor" or "target"; its colour marks the block."""
    facts: str
    """Scores and kind, in one line."""
    expression: str
    answer: str
    caption: str
    """What the picture shows, or why there is none."""
    alt: str
    image: bytes | None = field(repr=False)
    """JPEG."""


Block = Paragraph | Subheading | Bullets | Equation | Code | Table | Figure | Sample


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    name: str
    """Short and unique in the document; the link to it."""
    title: str
    blocks: tuple[Block, ...]
    short: str = ""
    """For the list of contents; the title without it."""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    byline: str
    head: tuple[Block, ...]
    """Before the list of contents: warnings and the summary."""
    sections: tuple[Section, ...]

    def blocks(self) -> Iterator[Block]:
        """All parts in the order in which they are read."""
        yield from self.head
        for section in self.sections:
            yield from section.blocks

    def figures(self) -> tuple[Figure, ...]:
        """All figures, in order; their names are unique."""
        return tuple(block for block in self.blocks() if isinstance(block, Figure))

    def tables(self) -> tuple[Table, ...]:
        """All tables, in order."""
        return tuple(block for block in self.blocks() if isinstance(block, Table))
