"""What was sent and what it cost, a line per request."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reviosa.annotation.llm.cache import Cache
from reviosa.io import append_jsonl, read_jsonl, write_text

__all__ = ["Ledger", "Spending"]


@dataclass(frozen=True)
class Spending:
    """What the requests of a stage took together."""

    requests: int = 0
    """Requests that were sent, repetitions too."""
    answers: int = 0
    """Requests that gave an answer."""
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0
    """US dollars by the settings' prices."""
    seconds: float = 0.0
    """Seconds of waiting for answers, summed over requests that ran side by side."""

    def __add__(self, other: "Spending") -> "Spending":
        names = self.__dataclass_fields__
        return Spending(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Ledger:
    """The files ``ledger.jsonl`` and ``in_flight.jsonl`` of a folder.

    A request is noted in the second before it is sent, with the most it may cost, and in the first
    when it ended. So what a killed process had in flight is found afterwards: as an answer if the
    cache has it, else as "lost" at its highest price, for the endpoint may charge it.
    """

    def __init__(self, folder: Path, cache: Cache):
        self.path, self._open_path = folder / "ledger.jsonl", folder / "in_flight.jsonl"
        self._cache = cache
        self._begun: dict[str, dict[str, Any]] | None = None
        self._stages: dict[str, Spending] = {}

    def spending(self) -> dict[str, Spending]:
        """What was sent so far, by stage; reads only."""
        self._load()
        left = [self._ended(line) for line in self._left_open()]
        stages = dict(self._stages)
        for line in left:
            stages[line["stage"]] = stages.get(line["stage"], Spending()) + _spending(line)
        return stages

    @property
    def dollars(self) -> float:
        """All that was spent so far."""
        return sum(stage.dollars for stage in self.spending().values())

    def settle(self) -> None:
        """Book what a process left in flight when it was killed."""
        self._load()
        for line in self._left_open():
            self._book(self._ended(line))
        if self._open_path.exists():
            write_text(self._open_path, "")

    def begin(self, line: dict[str, Any], dollars_most: float) -> str:
        """Note that a request is about to be sent; its id is given back.

        Args:
            line: ``stage``, ``model``, ``item``, ``attempt`` and ``key``, its name in the cache.
            dollars_most: what it is booked at if nothing more is heard of it.
        """
        ident = uuid.uuid4().hex[:16]
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        noted = {"id": ident, "time": now, **line, "dollars": dollars_most}
        self._open_path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self._open_path, noted)
        self._load()[ident] = noted
        return ident

    def end(self, ident: str, **ending: Any) -> None:
        """Book a request: ``outcome``, ``tokens_in``, ``tokens_out``, ``dollars``, ``seconds``."""
        self._book({**self._load().pop(ident), **ending})

    def _book(self, line: dict[str, Any]) -> None:
        append_jsonl(self.path, line)
        self._stages[line["stage"]] = self._stages.get(line["stage"], Spending()) + _spending(line)

    def _load(self) -> dict[str, dict[str, Any]]:
        """Read what earlier processes booked; requests of this one that are in flight."""
        if self._begun is None:
            self._begun = {}
            for line in read_jsonl(self.path):
                stage = line["stage"]
                self._stages[stage] = self._stages.get(stage, Spending()) + _spending(line)
        return self._begun

    def _left_open(self) -> list[dict[str, Any]]:
        """Requests that were begun by an earlier process and never booked."""
        noted = read_jsonl(self._open_path)
        if not noted:
            return []
        known = {line["id"] for line in read_jsonl(self.path)} | set(self._load())
        return [line for line in noted if line["id"] not in known]

    def _ended(self, line: dict[str, Any]) -> dict[str, Any]:
        entry = self._cache.read(line["key"])
        if entry is not None and entry.get("id") == line["id"]:
            return {**line, **entry["usage"], "outcome": "answer", "seconds": 0.0}
        return {**line, "outcome": "lost", "tokens_in": 0, "tokens_out": 0, "seconds": 0.0}


def _spending(line: dict[str, Any]) -> Spending:
    return Spending(
        requests=1,
        answers=int(line["outcome"] == "answer"),
        tokens_in=line["tokens_in"],
        tokens_out=line["tokens_out"],
        dollars=line["dollars"],
        seconds=line["seconds"],
    )
