"""The paper's numbers, as printed in its Tables 2, 4 and 5.

All are in per cent on the data that the paper names; "-" in print is None here.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "EVALUATION_EXPRESSIONS",
    "TABLES",
    "PublishedTable",
    "Row",
    "Score",
]

EVALUATION_EXPRESSIONS: Final = 5048
"""Expressions of InterRVOS-127K's evaluation split (Section 3.2 of the paper)."""


@dataclass(frozen=True)
class Score:
    """J, F and J&F in per cent; None where the paper prints none."""

    j: float | None
    f: float | None
    jf: float | None


@dataclass(frozen=True)
class Row:
    """One system and its score in each column of a table."""

    system: str
    scores: tuple[Score | None, ...]
    """One for each column; None where the paper prints "-"."""


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper; a system is a row, whichever way it is printed."""

    number: int
    title: str
    columns: tuple[str, ...]
    parts: tuple[str, ...]
    """What of each score is printed: of "J", "F", "J&F"."""
    rows: tuple[Row, ...]


def _settings(system: str, *values: float | None) -> Row:
    """A row of J, F and J&F by setting, in the order of the print."""
    triples = [values[start : start + 3] for start in range(0, len(values), 3)]
    return Row(system, tuple(None if None in three else Score(*three) for three in triples))


def _benchmarks(system: str, *values: float) -> Row:
    """A row of J&F by benchmark."""
    return Row(system, tuple(Score(None, None, value) for value in values))


_NONE = (None, None, None)

TABLES: Final[dict[int, PublishedTable]] = {
    2: PublishedTable(
        2,
        "Results on InterRVOS-127K",
        ("InterRVOS-Actor", "InterRVOS-Target", "RVOS"),
        ("J", "F", "J&F"),
        (
            _settings("ReferFormer", 59.1, 59.9, 59.5, *_NONE, 52.0, 53.2, 52.6),
            _settings("LMPM", 51.1, 54.1, 52.6, *_NONE, 45.1, 48.3, 46.7),
            _settings("VISA-7B", 57.8, 57.6, 57.7, *_NONE, 49.2, 50.4, 49.8),
            _settings("VideoLISA-3.8B", 68.4, 68.0, 68.2, *_NONE, 61.5, 61.9, 61.7),
            _settings("Sa2VA-1B", 69.9, 72.6, 71.3, *_NONE, 55.4, 58.7, 57.0),
            _settings("Sa2VA-4B", 69.6, 72.3, 71.0, *_NONE, 58.1, 61.0, 59.5),
            _settings("ReVIOSa-1B", 71.8, 74.7, 73.3, 65.9, 68.9, 67.4, 60.2, 63.8, 62.0),
            _settings("ReVIOSa-4B", 73.2, 75.8, 74.5, 67.1, 69.5, 68.3, 63.0, 66.1, 64.5),
        ),
    ),
    4: PublishedTable(
        4,
        "Zero-shot targets on InterRVOS-127K",
        ("InterRVOS-Target",),
        ("J", "F", "J&F"),
        (
            _settings("VISA-7B", 14.2, 24.2, 19.2),
            _settings("VideoLISA-3.8B", 8.5, 17.7, 13.1),
            _settings("Sa2VA-4B", 21.2, 27.2, 24.2),
        ),
    ),
    5: PublishedTable(
        5,
        "Zero-shot transfer to other benchmarks",
        ("MeViS valid", "MeViS valid_u", "Ref-YouTube-VOS", "Ref-DAVIS"),
        ("J&F",),
        (
            _benchmarks("Baseline trained on ReVOS", 39.6, 49.1, 57.5, 62.8),
            _benchmarks("Baseline trained on Ref-SAV", 32.8, 40.1, 54.2, 62.1),
            _benchmarks("Baseline trained on InterRVOS-127K", 40.4, 49.5, 61.2, 65.9),
            _benchmarks("ReVIOSa-1B trained on InterRVOS-127K", 42.4, 50.1, 60.3, 66.2),
        ),
    ),
}
"""The tables by their number."""
