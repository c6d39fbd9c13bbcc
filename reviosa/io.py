"""Files that are whole or absent, written beside the goal and renamed; and files that grow."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "append_jsonl",
    "atomic_directory",
    "atomic_path",
    "read_jsonl",
    "write_json",
    "write_text",
]


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to ``path`` if the block succeeds.

    The file is flushed to disk before the rename, so a crash leaves the old file or the new one,
    never a part. On any exception the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because some writers (PIL, pyarrow) choose the format by it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private; give them the mode an ordinary open() would.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary directory beside ``path``; rename it to ``path`` if the block succeeds.

    Raises:
        FileExistsError: ``path`` exists already.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another folder or remove it first")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    os.chmod(temporary, 0o755)
    try:
        yield temporary
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write ``value`` as JSON with a final newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def append_jsonl(path: str | Path, value: Any) -> None:
    """Add ``value`` as a line of JSON; a line that was torn when a process died is ended first."""
    path = Path(path)
    with open(path, "ab+") as file:
        torn = False
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        line = json.dumps(value, ensure_ascii=False) + "\n"
        file.write((b"\n" if torn else b"") + line.encode())


def read_jsonl(path: str | Path) -> list[Any]:
    """Values of a file of :func:`append_jsonl`; torn lines are left out, no file holds none."""
    path = Path(path)
    values: list[Any] = []
    # As bytes: text may hold other ends of lines (U+2028), and a line be torn within a character.
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            values.append(json.loads(line))
        except ValueError:
            continue
    return values
