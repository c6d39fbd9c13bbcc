"""Several captures side by side."""

from collections.abc import Iterator

from probes.report import ReportResults
from reports.document import Block, Bullets, Paragraph, Section
from reports.run_figures import profiles
from reports.run_tables import agreement_table, gap_table, runs_table

__all__ = ["side_by_side"]


def side_by_side(results: ReportResults) -> list[Section]:
    """Scores, layers and rankings of all captures; no section for fewer than two."""
    if len(results.captures) < 2:
        return []
    return [Section("runs", "Runs side by side", tuple(_blocks(results)), "Side by side")]


def _blocks(results: ReportResults) -> Iterator[Block]:
    captures = [part.results for part in results.captures]
    yield runs_table(captures)
    if any(contrast.gaps for contrast in results.contrasts):
        yield gap_table(results.contrasts)
    yield profiles(captures)
    if any(contrast.agreements for contrast in results.contrasts):
        yield agreement_table(results.contrasts)
    notes = [note for contrast in results.contrasts for note in contrast.notes]
    if notes:
        yield Paragraph("Not compared:")
        yield Bullets(tuple(notes))
