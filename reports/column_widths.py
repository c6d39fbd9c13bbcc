"""How much room each column of a table gets where not all can have what they would like."""

import math
import textwrap
from collections.abc import Sequence

from reports.tables import Table

__all__ = ["GAP", "column_letters", "head_lines", "table_lines"]

SHORT = 16
"""Letters; cells of words up to this long are not wrapped."""
GAP = 2
"""Letters between two columns."""
LEAST = 14
"""Letters that a column of long words gets at least."""


def column_letters(table: Table, line: int) -> list[int] | None:
    """Letters for each column so that all stand in a line of ``line`` letters; None if they do.

    Numbers and short words keep their cells whole and wrap their heads; columns of long words share
    what is left, the longer the more, up to what goes on over several lines anyway.
    """
    cells = [max(map(len, column), default=0) for column in _columns(table)]
    natural = [max(cell, len(name)) for cell, name in zip(cells, table.columns, strict=True)]
    if sum(natural) + GAP * len(natural) <= line:
        return None
    words = [max(map(len, name.split()), default=0) for name in table.columns]
    kept = [max(cell, word) for cell, word in zip(cells, words, strict=True)]
    long = [j for j in range(table.text_columns) if cells[j] > SHORT]
    if not long:
        return kept
    room = line - GAP * len(kept) - sum(kept[j] for j in range(len(kept)) if j not in long)
    weights = {j: math.sqrt(min(cells[j], line)) for j in long}
    total = sum(weights.values())
    for j in long:
        kept[j] = max(int(room * weights[j] / total), words[j], LEAST)
    return kept


def table_lines(table: Table, letters: Sequence[int] | None) -> int:
    """About how many lines the rows of a table take with so many letters in each column."""
    if letters is None:
        return len(table.rows)
    return sum(
        max(math.ceil(len(cell) / max(width, 1)) for cell, width in zip(row, letters, strict=True))
        for row in table.rows
    )


def head_lines(name: str, letters: int) -> list[str]:
    """The head of a column in lines of so many letters."""
    return textwrap.wrap(name, max(letters, 1), break_long_words=False) or [""]


def _columns(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
