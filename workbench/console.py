"""What the commands print: JSON and tables to stdout, progress to stderr."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

__all__ = ["note", "print_json", "print_table", "progress"]


class Progress(Protocol):
    """Called with what is done, what there is in all and, where it changes, what is being done."""

    def __call__(self, done: int, total: int, what: str | None = None) -> None: ...


def note(text: str) -> None:
    """Print a line for a person; it goes to stderr, so stdout stays what a program may read."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print ``value`` as strict JSON.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON cannot.
    """
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text under a header; columns after the first are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        # A pipe has no width of its own; do not fold the cells at 80 columns there.
        console = Console(width=200)
    console.print(table)


@contextmanager
def progress(description: str) -> Iterator[Progress]:
    """Show how far a loop is: a bar on a terminal, a line at its start and end elsewhere.

    Elsewhere the first line comes with the first update: bad input, which is found before that,
    is then told in one line.
    """
    if not sys.stderr.isatty():
        with _plain_progress(description) as update:
            yield update
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=None)

        def update(done: int, total: int, what: str | None = None) -> None:
            bar.update(task, completed=done, total=total, description=what or description)

        yield update


@contextmanager
def _plain_progress(description: str) -> Iterator[Progress]:
    start, last, said = time.monotonic(), [0, 0], ""

    def update(done: int, total: int, what: str | None = None) -> None:
        nonlocal said
        if said != (what or description):
            said = what or description
            note(f"{said} ...")
        last[:] = done, total

    yield update
    count = f"{last[0]} of {last[1]}, " if last[1] else ""
    note(f"{description}: {count}{time.monotonic() - start:.0f} s")
