"""A sweep in the terminal: a table that lives, or plain lines where there is no terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from workbench.console import note
from workbench.sweeps.status import SweepStatus, TrialStatus

__all__ = ["View", "duration", "headline", "open_view"]

_EVERY_S: Final = 60
"""Between two plain lines that say how far all is."""
_ROWS: Final = 20
"""Of the table: more would not fit a screen."""


class View(Protocol):
    """What is told while a sweep runs."""

    def say(self, line: str) -> None:
        """Tell something that stays on the screen."""
        ...

    def show(self, status: SweepStatus) -> None:
        """Show how far the sweep is now."""
        ...


@contextmanager
def open_view() -> Iterator[View]:
    """The view that fits where stderr goes."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=2, transient=True) as live:
        yield _Table(live)


def headline(status: SweepStatus) -> str:
    """One line: how many trials are how, and the time left."""
    counts = status.counts()
    total = len(status.trials) - counts["cut"]
    said = [f"{counts['done']} of {total} trials done"]
    for kind, words in (("running", "running"), ("elsewhere", "run by another sweep"),
                        ("failed", "failed"), ("cut", "cut early")):  # fmt: skip
        if counts[kind]:
            said.append(f"{counts[kind]} {words}")
    left = status.seconds_left()
    if left is not None and counts["done"] < total:
        # A guess to the second would pretend to know.
        said.append(f"about {duration(left if left < 600 else 60 * round(left / 60))} left")
    if status.doing:
        said.append(status.doing)
    return ", ".join(said)


def duration(seconds: float) -> str:
    """A time as people say it: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class _Lines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        note(line)

    def show(self, status: SweepStatus) -> None:
        if time.monotonic() - self._last >= _EVERY_S:
            self._last = time.monotonic()
            note(headline(status))


class _Table:
    """For a terminal; lines that are said stay above the table."""

    def __init__(self, live: "object") -> None:
        self._live = live

    def say(self, line: str) -> None:
        from rich.text import Text

        self._live.console.print(Text(line))  # type: ignore[attr-defined]

    def show(self, status: SweepStatus) -> None:
        self._live.update(table(status))  # type: ignore[attr-defined]


def table(status: SweepStatus) -> "object":
    """What runs and what has failed, under the headline."""
    from rich.table import Table
    from rich.text import Text

    shown = [t for t in status.trials if t.status in ("running", "elsewhere")]
    shown += [t for t in status.trials if t.status == "failed"]
    if not shown:
        return Text(headline(status))
    found = Table(title=Text(headline(status)), title_justify="left", expand=True)
    for name, right in (("trial", False), ("", False), ("step", True), ("loss", True),
                        ("time", True)):  # fmt: skip
        found.add_column(name, justify="right" if right else "left", no_wrap=right)
    for trial in shown[:_ROWS]:
        found.add_row(*(Text(cell) for cell in _row(trial)))
    if len(shown) > _ROWS:
        found.add_row(f"and {len(shown) - _ROWS} more")
    return found


def _row(trial: TrialStatus) -> tuple[str, ...]:
    if trial.status == "failed":
        return (trial.name, f"failed: {trial.reason}", "", "", "")
    if trial.status == "elsewhere":
        return (trial.name, "run by another sweep", "", "", "")
    step = "" if trial.step is None else f"{trial.step} of {trial.steps}"
    loss = "" if trial.loss is None else f"{trial.loss:.3f}"
    return (trial.name, trial.part, step, loss, duration(trial.seconds))
