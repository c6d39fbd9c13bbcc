"""Everything that one report shows, as one record: :class:`ReportResults`.

A report is written down in several forms (HTML, Markdown, PDF, LaTeX, CSV); all are made of this
record, which is kept as ``results.json`` and from which they can be made again without the runs.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probes._json import plain, read_versioned, record
from probes.beside import Beside
from probes.comparison import SeedMean
from probes.families import RunAgreement
from probes.results import SCHEMA as RESULTS_SCHEMA
from probes.results import AnalysisResults, SampleCard
from probes.study import SCHEMA as STUDY_SCHEMA
from probes.study import StudyResults
from reviosa.errors import RunError
from reviosa.io import write_json

__all__ = ["CapturePart", "Contrast", "Picture", "ReportResults"]

SCHEMA = 1


@dataclass(frozen=True)
class Picture:
    """One sample as a strip of frames; without a picture it says why."""

    kind: str
    """"best" or "worst"."""
    card: SampleCard
    image: bytes | None = field(repr=False)
    """JPEG; base64 in JSON."""
    pairs: tuple[tuple[int, int], ...]
    """(layer, head) of the attention drawn, row by row; empty where no map was kept."""
    caption: str
    alt: str
    reason: str | None = None
    """Why there is no picture."""


@dataclass(frozen=True)
class CapturePart:
    """One capture and what stands beside it."""

    results: AnalysisResults
    beside: Beside = field(default_factory=Beside)
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """A capture set beside the first one of the report."""

    first: str
    """Name of the first capture's run."""
    second: str
    agreements: tuple[RunAgreement, ...]
    """One a criterion; empty where the models have other layers or heads."""
    gaps: dict[str, SeedMean]
    """Protocol -> second less first in points of J&F, paired by expression; empty where they are
    not about the same expressions."""
    notes: tuple[str, ...]
    """Why something is not compared."""


@dataclass(frozen=True)
class ReportResults:
    """The single source of a report."""

    heading: str
    command: str
    """The command line that makes the report again."""
    captures: tuple[CapturePart, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    """Of every capture but the first."""
    study: StudyResults | None = None
    """Sweeps, and the verdicts on claims; None without either."""
    problems: tuple[str, ...] = ()
    """Runs that were asked for and could not be read, and why."""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null, pictures in base64."""
        return plain(self)

    @classmethod
    def from_json(cls, value: Any) -> "ReportResults":
        """Read what :meth:`to_json` wrote.

        Raises:
            RunError: another schema, also of a part, or a value that does not fit it.
        """
        got = value.get("schema") if isinstance(value, dict) else type(value).__name__
        if got != SCHEMA:
            raise RunError(f"report results: got schema {got!r}, expected {SCHEMA}; {_AGAIN}")
        for name, schema, expected in _schemas(value):
            if schema != expected:
                raise RunError(
                    f"report results: got {name} of schema {schema!r}, expected {expected}; "
                    f"{_AGAIN}"
                )
        return record(cls, value, "report")

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, whole or not at all; the same record gives the same bytes."""
        write_json(path, self.to_json(), indent=1)

    @classmethod
    def load(cls, path: str | Path) -> "ReportResults":
        """Read a file that :meth:`save` wrote.

        Raises:
            RunError: the file is missing, not JSON, or of another schema.
        """
        return cls.from_json(read_versioned(Path(path), SCHEMA, "the results of a report", _AGAIN))


_AGAIN = "make the report again from its runs"


def _schemas(value: dict[str, Any]) -> list[tuple[str, Any, int]]:
    """Of each part that has a schema of its own: its name, what it says, what is expected."""
    parts = value.get("captures") or ()
    results = [part.get("results") for part in parts if isinstance(part, dict)]
    found = [("a capture", r.get("schema"), RESULTS_SCHEMA) for r in results if isinstance(r, dict)]
    study = value.get("study")
    if isinstance(study, dict):
        found.append(("a study", study.get("schema"), STUDY_SCHEMA))
    return found
