"""Answers of a stage, kept by item: a run that goes on draws no picture for them again."""

from pathlib import Path
from typing import Any

from reviosa.io import append_jsonl, read_jsonl

__all__ = ["Kept"]


class Kept:
    """Values by item and digest in a file that grows; the last of an item counts.

    A value is found again only with the same digest: what depends on other answers is asked anew
    when those have changed.

    Args:
        path: the JSONL file; made with the first value.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values = {
            line["item"]: (line["digest"], line["value"])
            for line in read_jsonl(path)
            if isinstance(line, dict) and {"item", "digest", "value"} <= line.keys()
        }

    def get(self, item: str, digest: str) -> Any | None:
        """The value of an item, None where there is none of this digest."""
        found = self._values.get(item)
        return found[1] if found is not None and found[0] == digest else None

    def put(self, item: str, digest: str, value: Any) -> None:
        """Keep a value, on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self.path, {"item": item, "digest": digest, "value": value})
        self._values[item] = (digest, value)
