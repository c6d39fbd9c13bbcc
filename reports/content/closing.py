"""What stands last: limits, where everything comes from, and the command that makes it again."""

from collections.abc import Iterator

from probes.report import ReportResults
from reports.document import Block, Bullets, Code, Paragraph, Section, Subheading
from reports.fact_tables import header_table, provenance_table, sweep_provenance_table

__all__ = ["limits", "provenance", "rebuild"]


def limits(results: ReportResults) -> Section:
    """What the numbers say and do not say."""
    return Section("notes", "Notes and limits", tuple(_limits(results)), "Limits")


def _limits(results: ReportResults) -> Iterator[Block]:
    alone = len(results.captures) == 1
    for part in results.captures:
        if not alone:
            yield Subheading(f"Run {part.results.name}")
        yield Bullets(part.results.notes)
        if part.results.problems:
            yield Paragraph("Parts that could not be read:")
            yield Bullets(part.results.problems)
    if results.study and results.study.sweeps:
        if results.captures:
            yield Subheading("Sweeps")
        yield Bullets(
            (
                "A sweep says what happens to this model, trained for so many steps on these data; "
                "a claim of the paper is about other sizes and other data.",
                "Where arms share seeds and videos, read the paired differences: the intervals of "
                "single arms hold what all arms share.",
            )
        )


def provenance(results: ReportResults) -> Section:
    """Where the numbers came from, run by run."""
    tables = []
    for part in results.captures:
        tables.append(provenance_table(part.results))
        tables += [header_table(name, run) for name, run in part.beside.headers.items()]
    sweeps = results.study.sweeps if results.study else ()
    tables += [sweep_provenance_table(sweep) for sweep in sweeps]
    return Section("provenance", "Provenance", tuple(tables))


def rebuild(results: ReportResults) -> Section:
    """The command line, and the way without the runs."""
    return Section(
        "rebuild",
        "Make it again",
        (
            Paragraph("From the runs:"),
            Code(results.command),
            Paragraph(
                "Every number, picture and word of this document stands in the results.json "
                "written with it; given to reviosa report in place of the runs, it makes the same "
                "document again, without runs, data or model."
            ),
        ),
        "Command",
    )
