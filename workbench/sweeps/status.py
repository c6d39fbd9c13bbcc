"""How far a sweep is, for people and for other programs: ``RUNS/sweeps/<name>/status.json``."""

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reviosa.io import write_json

__all__ = ["STATUS_FILE", "STATUS_SCHEMA", "SweepStatus", "TrialStatus"]

STATUS_FILE: Final = "status.json"
STATUS_SCHEMA: Final = 1


@dataclass
class TrialStatus:
    """Where one trial is."""

    id: str
    arm: str
    seed: int
    status: str
    """"waiting", "running", "done", "failed", "stopped", "elsewhere" (another sweep runs it) or
    "cut"."""
    steps: int
    """Of its training."""
    reason: str = ""
    part: str = ""
    """What runs of it."""
    step: int | None = None
    loss: float | None = None
    seconds: float = 0.0
    """That it has taken in this session, or takes so far."""
    attempts: int = 0
    began: float | None = field(default=None, repr=False)
    """Clock of this process when it began."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.arm}, seed {self.seed}"


@dataclass
class SweepStatus:
    """Where a whole sweep is."""

    name: str
    trials: Sequence[TrialStatus]
    places: int
    doing: str = ""
    """What is done beside trials, such as the capture."""
    began: float = field(default_factory=time.monotonic)
    clock: str = field(default_factory=lambda: _now())

    def counts(self) -> Counter[str]:
        """How many trials are how."""
        return Counter(trial.status for trial in self.trials)

    def seconds_left(self) -> float | None:
        """Expected time to the end; None before a trial has ended in this session.

        What a trial takes is the mean of those that ended, and so many run at a time.
        """
        taken = [t.seconds for t in self.trials if t.status == "done" and t.attempts]
        if not taken:
            return None
        mean = sum(taken) / len(taken)
        waiting = sum(t.status in ("waiting", "elsewhere") for t in self.trials)
        running = [max(mean - t.seconds, 0.0) for t in self.trials if t.status == "running"]
        work = waiting * mean + sum(running)
        return max([work / min(self.places, max(1, waiting + len(running))), *running])

    def to_json(self) -> dict[str, Any]:
        """As it is written for the dashboard."""
        trials = [{k: v for k, v in asdict(trial).items() if k != "began"} for trial in self.trials]
        left = self.seconds_left()
        return {
            "schema": STATUS_SCHEMA,
            "name": self.name,
            "began": self.clock,
            "updated": _now(),
            "process": {"host": socket.gethostname(), "pid": os.getpid()},
            "doing": self.doing,
            "counts": dict(self.counts()),
            "seconds_left": None if left is None else round(left),
            "trials": [{**t, "seconds": round(t["seconds"], 1)} for t in trials],
        }

    def write(self, folder: Path) -> None:
        """Write the file; where the disk is full the sweep goes on without it."""
        with contextlib.suppress(OSError):
            write_json(folder / STATUS_FILE, self.to_json())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
