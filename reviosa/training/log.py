"""Logs of a run that is still written: a JSON record a line, each with the step it is of."""

import json
from pathlib import Path
from typing import Any

from reviosa.io import write_text

__all__ = ["ATTENTION_FILE", "read_log", "trim_log"]

ATTENTION_FILE = "attention.jsonl"
"""Log of role attention, written by the trainer's callback."""


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The records of a log; a line that was torn when the run was killed is left out."""
    records = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record:
            records.append(record)
    return records


def trim_log(path: Path, last: int) -> list[dict[str, Any]]:
    """Drop what stands after step ``last``, which a resumed run is about to repeat.

    Returns:
        what is kept; nothing where there is no log yet.
    """
    if not path.is_file():
        return []
    kept = [record for record in read_log(path) if record["step"] <= last]
    write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
    return kept
