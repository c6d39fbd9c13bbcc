"""A run in several parts that are computed side by side, and then joined.

Each part is a whole run over its own share of the data, so it can be stopped and resumed by itself;
joined they are the run that one process would have made.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from probes.causal.effects import EFFECTS_FILE, read_effects
from probes.layout import FOLDERS
from reviosa.errors import RunError
from reviosa.io import append_jsonl
from reviosa.run_record import open_run, read_run

__all__ = ["join_ablations", "join_captures"]


def join_captures(parts: Sequence[Path], directory: Path) -> None:
    """Move the chunks of captures of all parts into one capture, and remove what is left of them.

    Args:
        parts: their run directories, in order.
        directory: of the joined run; one that was being joined when it was killed goes on.

    Raises:
        RunError: a part is not done or of another run.
    """
    headers = _headers(parts)
    summary = {
        "samples": headers[0]["config"]["samples"],
        "videos": headers[0]["summary"]["videos"],
    }
    with _joined("capture", headers, directory) as record:
        for part in parts:
            # A chunk counts as whole once its samples are there.
            for kind in sorted(FOLDERS, key=lambda name: name == "samples"):
                for path in sorted((part / kind).glob("part-*")):
                    (directory / kind).mkdir(exist_ok=True)
                    os.replace(path, directory / kind / path.name)
        record.update(summary=summary, parts=[header["cost"] for header in headers])
    _remove(parts)


def join_ablations(parts: Sequence[Path], directory: Path) -> None:
    """Put the lines of ablations of all parts one after the other; see :func:`join_captures`."""
    headers = _headers(parts)
    with _joined("ablate", headers, directory) as record:
        (directory / EFFECTS_FILE).unlink(missing_ok=True)
        for part in parts:
            for line in read_effects(part):
                append_jsonl(directory / EFFECTS_FILE, line)
        record.update(parts=[header["cost"] for header in headers])
    _remove(parts)


def _headers(parts: Sequence[Path]) -> list[dict[str, Any]]:
    headers = [read_run(part) for part in parts]
    for index, (part, header) in enumerate(zip(parts, headers, strict=True)):
        wanted = {**headers[0]["config"], "shard": [index, len(parts)]}
        if header["status"] != "done" or header["config"] != wanted:
            raise RunError(
                f"{part}: got a run that is {header['status']}, expected part {index} of "
                f"{len(parts)} to be done; give the same command again"
            )
    return headers


def _joined(kind: str, headers: Sequence[dict[str, Any]], directory: Path) -> Any:
    """The record of the whole run, as one process would have opened it."""
    first = headers[0]
    settings = {key: value for key, value in first["config"].items() if key != "shard"}
    return open_run(
        directory, kind, settings, first["seed"], first["data"], first["model"], resume=True
    )


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
