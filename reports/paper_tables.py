"""The paper's tables with rows of one's own beside the published ones."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.csv_files import spreadsheet_cell
from reports.style import number
from reviosa.evaluation.published import PublishedTable, Row, Score

__all__ = ["PaperTable", "beside_published", "scored_row", "table_csv", "table_markdown"]

PUBLISHED = "published"
SCORED = "scored here"
_PROTOCOLS = {"actor": "InterRVOS-Actor", "target": "InterRVOS-Target", "rvos": "RVOS"}
# "-" as in print: the system does not give such masks, or was not scored there.
_NONE = "-"


@dataclass(frozen=True)
class PaperTable:
    """A table as text; one decimal, as the paper prints."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def scored_row(table: PublishedTable, name: str, result: Mapping[str, Any], column: str) -> Row:
    """A row of scores that were counted here.

    Args:
        table: the table it shall stand in.
        name: of the system.
        result: protocol -> ``{"J", "F", "J&F"}`` in per cent; of "rvos" for Table 5.
        column: for Table 5 the benchmark that was scored; the other cells stay empty.
    """
    if table.number == 5:
        scored = {column: result["rvos"]}
    else:
        scored = {_PROTOCOLS[key]: result[key] for key in _PROTOCOLS if key in result}
    scores = (scored.get(title) for title in table.columns)
    return Row(name, tuple(_score(score) for score in scores))


def beside_published(table: PublishedTable, rows: Sequence[Row]) -> PaperTable:
    """The published rows, then those of ``rows``; a column says which is which."""
    several = len(table.parts) > 1
    # The title names the data set; a console line is short.
    columns = [
        f"{column.removeprefix('InterRVOS-')} {part}" if several else column
        for column in table.columns
        for part in table.parts
    ]
    shown = [*((row, PUBLISHED) for row in table.rows), *((row, SCORED) for row in rows)]
    return PaperTable(
        f"Table {table.number} of the paper: {table.title}, in per cent",
        ("system", *columns, "numbers"),
        tuple((row.system, *_cells(table, row), origin) for row, origin in shown),
    )


def table_markdown(table: PaperTable, notes: Sequence[str] = ()) -> str:
    """The table in GitHub's Markdown with its notes below; sideways bars in names are kept."""
    lines = [table.header, ("---", *("---:",) * (len(table.header) - 2), "---"), *table.rows]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    parts = [f"**{table.title}**", "\n".join(body), *(f"* {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def table_csv(table: PaperTable) -> str:
    """The table as CSV with one decimal, as in print; an empty cell is no number."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.header)
    for row in table.rows:
        writer.writerow([spreadsheet_cell("" if cell == _NONE else cell) for cell in row])
    return buffer.getvalue()


def _cells(table: PublishedTable, row: Row) -> list[str]:
    cells = []
    for score in row.scores:
        for part in table.parts:
            value = None if score is None else {"J": score.j, "F": score.f, "J&F": score.jf}[part]
            cells.append(_NONE if value is None else number(value, 1))
    return cells


def _score(score: Mapping[str, Any] | None) -> Score | None:
    if score is None or score["J&F"] is None:
        return None
    return Score(score["J"], score["F"], score["J&F"])
