"""What a report says: from its results to the parts of a document."""

from collections.abc import Sequence
from dataclasses import replace

from probes.report import CapturePart, ReportResults
from reports.canvas import Figure
from reports.content.capture import capture_sections
from reports.content.closing import limits, provenance, rebuild
from reports.content.methods import all_criteria, methods
from reports.content.opening import byline, head, question
from reports.content.runs import side_by_side
from reports.content.sweeps import claims, sweep_sections
from reports.document import Block, Document, Section, Subheading
from reports.style import slug
from reports.tables import Table

__all__ = ["content"]


def content(results: ReportResults) -> Document:
    """The whole report; the same results give the same document.

    Of several captures each is one section, behind one that sets them side by side.
    """
    alone = len(results.captures) == 1
    parts = [question(results), *claims(results)]
    if alone:
        parts += capture_sections(results.captures[0], "data")
    parts += [methods(results), *sweep_sections(results)]
    if alone:
        parts += capture_sections(results.captures[0], "results")
    else:
        parts += side_by_side(results)
        parts += [_one_section(part) for part in results.captures]
    parts += [limits(results), *all_criteria(results), provenance(results), rebuild(results)]
    return _unique(
        Document(results.heading, byline(results), head(results), tuple(parts)),
    )


def _one_section(part: CapturePart) -> Section:
    name = part.results.name
    prefix = slug(name)
    blocks: list[Block] = []
    for section in capture_sections(part):
        blocks += [Subheading(section.title), *(_prefixed(b, prefix) for b in section.blocks)]
    return Section(f"run-{prefix}", f"Run {name}", tuple(blocks), name)


def _prefixed(block: Block, prefix: str) -> Block:
    if isinstance(block, Figure | Table) and block.name:
        return replace(block, name=f"{prefix}-{block.name}")
    return block


def _unique(document: Document) -> Document:
    """Names of sections, figures and tables become files and links: each must be the only one."""
    sections: set[str] = set()
    files: set[str] = set()

    def free(name: str, taken: set[str]) -> str:
        found = slug(name)
        while found in taken:
            stem, _, number = found.rpartition("-")
            found = f"{stem}-{int(number) + 1}" if stem and number.isdecimal() else f"{found}-2"
        taken.add(found)
        return found

    def renamed(blocks: Sequence[Block]) -> tuple[Block, ...]:
        return tuple(
            replace(b, name=free(b.name, files)) if isinstance(b, Figure | Table) and b.name else b
            for b in blocks
        )

    return replace(
        document,
        head=renamed(document.head),
        sections=tuple(
            replace(s, name=free(s.name, sections), blocks=renamed(s.blocks))
            for s in document.sections
        ),
    )
