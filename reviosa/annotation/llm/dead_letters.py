"""Items that have no answer, and why."""

import json
from pathlib import Path
from typing import Any

from reviosa.io import append_jsonl, read_jsonl, write_text

__all__ = ["DeadLetters"]


class DeadLetters:
    """The file ``dead_letters.jsonl`` of a folder, a line per item.

    A line is added when an item is given up, so that a killed run has its list; :meth:`save`
    writes the file anew without the items that have got their answer since.
    """

    def __init__(self, folder: Path):
        self.path = folder / "dead_letters.jsonl"
        self._lines: dict[str, dict[str, Any]] = {
            line["item"]: line for line in read_jsonl(self.path)
        }
        self._changed = False

    def add(self, item: str, **line: Any) -> None:
        """Put an item on the list: ``stage``, ``kind``, ``why``, ``attempts``, ``answer``."""
        # Taken out first: the file's order is that of giving up.
        self._lines.pop(item, None)
        self._lines[item] = {"item": item, **line}
        self._changed = True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_jsonl(self.path, self._lines[item])

    def remove(self, item: str) -> None:
        """Take an item off the list, where it is on it."""
        self._changed |= self._lines.pop(item, None) is not None

    def save(self) -> None:
        """Write the file as the list is now."""
        if self._changed:
            lines = (json.dumps(line, ensure_ascii=False) for line in self._lines.values())
            write_text(self.path, "".join(f"{line}\n" for line in lines))
            self._changed = False
