"""What is to be run, and how it ended."""

import json
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

__all__ = ["BUSY", "PARENT", "Executor", "Job", "Outcome", "Step"]

BUSY: Final = 75
"""Exit code of a job's process: another process has the folder (EX_TEMPFAIL of sysexits)."""
PARENT: Final = "REVIOSA_PARENT"
"""Environment variable with the process that a job's process must not outlive."""


@dataclass(frozen=True)
class Step:
    """One command of a job."""

    command: tuple[str, ...]
    """What follows ``reviosa`` on a command line."""
    run: Path | None = None
    """Its run directory: the step is left out where that run is done."""


@dataclass(frozen=True)
class Job:
    """Commands that are given one after the other in one process."""

    name: str
    """For people."""
    folder: Path
    """Its own folder: the process locks it and writes ``log.txt`` there."""
    steps: tuple[Step, ...]
    cpus: int = 1
    """Threads that it computes with."""
    gpus: float = 0
    minutes: float | None = None
    """It is ended where it runs longer."""
    memory_gb: float | None = None
    """It is ended where it holds more main memory."""

    @property
    def log(self) -> Path:
        """What its commands said."""
        return self.folder / "log.txt"

    def to_json(self) -> str:
        """As text, for a process that may start in another folder."""
        return json.dumps({**asdict(self), "folder": self.folder.resolve()}, default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that :meth:`to_json` wrote."""
        value: dict[str, Any] = json.loads(text)
        steps = tuple(
            Step(tuple(step["command"]), Path(step["run"]) if step["run"] else None)
            for step in value.pop("steps")
        )
        return cls(folder=Path(value.pop("folder")), steps=steps, **value)


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: Literal["done", "failed", "busy", "lost", "stopped"]
    """``busy``: another process holds its folder. ``lost``: its process was killed from outside, so
    that trying again may help. ``stopped``: we ended it, because all was to end."""
    reason: str = ""
    """Why, in a line, where it is not done."""


class Executor(Protocol):
    """Runs jobs somewhere. None of them raises for a job that fails: its outcome says so."""

    places: int
    """Jobs that it runs at a time; more wait."""

    def submit(self, job: Job) -> "Future[Outcome]":
        """Begin a job as soon as there is room."""
        ...

    def stop(self) -> None:
        """End every job, let none begin, and wait until all have ended; again does nothing."""
        ...
