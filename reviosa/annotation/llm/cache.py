"""Answers by the content of their question."""

import json
from pathlib import Path
from typing import Any

from reviosa.io import write_json

__all__ = ["Cache"]


class Cache:
    """Files ``<2 hex>/<64 hex>.json`` in a folder, each whole or absent.

    Names come from :func:`reviosa.annotation.llm.messages.cache_key`. Folders of two caches can
    be copied into each other.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the answer of a key is."""
        return self.folder / key[:2] / f"{key}.json"

    def read(self, key: str) -> dict[str, Any] | None:
        """The entry of a key: ``answer``, ``usage``, ``model``, ``id``; None where there is none.

        A file that holds something else counts as none and is written again.
        """
        try:
            entry = json.loads(self.path(key).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return entry if isinstance(entry, dict) and "answer" in entry else None

    def write(self, key: str, entry: dict[str, Any]) -> None:
        """Keep an entry."""
        write_json(self.path(key), entry, indent=None)
