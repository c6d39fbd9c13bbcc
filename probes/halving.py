"""Which arms of a sweep were cut early, when and by what: ``RUNS/sweeps/<name>/halving.json``."""

from dataclasses import dataclass
from pathlib import Path

from probes._json import read_versioned, record

__all__ = ["HALVING_FILE", "HALVING_SCHEMA", "Halving", "Rung", "read_halving"]

HALVING_FILE = "halving.json"
HALVING_SCHEMA = 1


@dataclass(frozen=True)
class Rung:
    """One decision: the better arms trained on, the others did not."""

    step: int
    """Optimiser steps that every trial had done."""
    scores: dict[str, float | None]
    """Trial id -> J&F in per cent on the selection split; None where the trial had failed."""
    kept: tuple[str, ...]
    cut: tuple[str, ...]
    """Names of arms; an arm is judged by the mean over its seeds."""


@dataclass(frozen=True)
class Halving:
    """All decisions of a sweep, in the order they were made."""

    metric: str
    """One of :data:`probes.comparison.SCORES`."""
    rungs: tuple[Rung, ...]
    schema: int = HALVING_SCHEMA

    @property
    def cut(self) -> dict[str, Rung]:
        """Arm -> the decision that cut it."""
        return {arm: rung for rung in self.rungs for arm in rung.cut}


def read_halving(directory: str | Path) -> Halving | None:
    """Read a sweep's decisions; None where none was made.

    Raises:
        RunError: the file is damaged or of another schema.
    """
    path = Path(directory) / HALVING_FILE
    if not path.is_file():
        return None
    value = read_versioned(path, HALVING_SCHEMA, "who was cut")
    return record(Halving, value, str(path))
