"""Heads files of the folder of runs: which there are, and a new one written from a page.

No Streamlit element is made here. Files are read below the folder of runs alone, and written into
its folder ``selections`` alone.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from reviosa.errors import ConfigError, RunError
from reviosa.heads import PUBLISHED, PUBLISHED_SHAPES, HeadSelection

__all__ = [
    "FOLDER",
    "free_name",
    "heads_files",
    "is_taken",
    "named_pairs",
    "pairs_text",
    "read_pairs",
    "save_selection",
]

FOLDER = "selections"
"""Where pages write heads files, below the folder of runs."""
DEPTH = 3
"""How far below the folder of runs a heads file may lie, as runs do."""
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_LEFT_OUT = frozenset(
    ("trials", "data", "samples", "heads", "maps", "predictions", "checkpoints", "JPEGImages")
)
"""Parts of runs, data, and trials, whose heads files are copies of their sweep's."""

Pair = tuple[int, int]


def pairs_text(pairs: Sequence[Pair]) -> str:
    """Pairs as they stand in an address: ``2.1,3.3``."""
    return ",".join(f"{layer}.{head}" for layer, head in pairs)


def read_pairs(text: str, shape: tuple[int, int]) -> tuple[list[Pair], list[str]]:
    """Pairs of an address that a model of that shape has, each once; and the words that are none.

    Args:
        text: as :func:`pairs_text` writes it.
        shape: layers and heads.
    """
    pairs: list[Pair] = []
    odd: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", word)
        pair = (int(found[1]), int(found[2])) if found else (-1, -1)
        if not found or pair[0] >= shape[0] or pair[1] >= shape[1]:
            odd.append(word)
        elif pair not in pairs:
            pairs.append(pair)
    return pairs, odd


def heads_files(folder: Path) -> dict[str, Path]:
    """Heads files below a folder of runs: path below it to path, sorted.

    They are ``heads.json`` and ``*-heads.json`` of demos and sweeps, and all of ``selections``.
    Links that lead out of the folder are left out.
    """
    found: dict[str, Path] = {}
    root = folder.resolve()
    for directory, inside, files in os.walk(folder):
        here = Path(directory).relative_to(folder)
        deep = len(here.parts) >= DEPTH
        inside[:] = [
            name for name in inside if not deep and name not in _LEFT_OUT and name[:1] != "."
        ]
        for name in files:
            ours = name == "heads.json" or name.endswith("-heads.json")
            if ours or (here.parts == (FOLDER,) and name.endswith(".json") and name[0] != "."):
                path = Path(directory) / name
                with contextlib.suppress(OSError, RuntimeError):
                    if path.resolve().is_relative_to(root):
                        found[(here / name).as_posix()] = path
    return dict(sorted(found.items()))


def named_pairs(folder: Path, shape: tuple[int, int]) -> dict[str, HeadSelection]:
    """Title to pairs of everything that can be drawn over a map of a model of that shape.

    The published pairs where the shape is theirs, and the folder's heads files that fit; a file
    that cannot be read or names other heads is left out.
    """
    found = {
        f"published {preset.upper()}": PUBLISHED[preset]
        for preset, own in PUBLISHED_SHAPES.items()
        if own == shape
    }
    for name, path in heads_files(folder).items():
        with contextlib.suppress(ConfigError):
            found[name] = HeadSelection.load(path).validate(*shape)
    return found


def free_name(folder: Path, wanted: str) -> str:
    """``wanted``, or with the first number that makes it a name which no selection has."""
    name, number = wanted, 2
    while is_taken(folder, name):
        name, number = f"{wanted}-{number}", number + 1
    return name


def is_taken(folder: Path, name: str) -> bool:
    """Whether a selection of that name exists.

    Raises:
        ConfigError: a name that :func:`save_selection` does not take.
    """
    return _path(folder, name).exists()


def save_selection(
    folder: Path, name: str, selection: HeadSelection, replace: bool = False
) -> Path:
    """Write a heads file into ``folder/selections``, whole or not at all.

    Args:
        folder: of runs.
        name: of the file, without ``.json``: letters, digits, dash, underscore and dot.
        selection: what to write.
        replace: whether a selection of that name may be written over.

    Raises:
        ConfigError: another sign in the name, a dot in front, or more than 64 signs.
        RunError: there is one of that name, the folder leads elsewhere, or cannot be written.
    """
    path = _path(folder, name)
    if path.parent.exists() and path.parent.resolve() != folder.resolve() / FOLDER:
        raise RunError(
            f"{path.parent} leads to {path.parent.resolve()}, outside the folder of runs; remove "
            "the link, selections are written below the runs alone"
        )
    if path.exists() and not replace:
        raise RunError(f"a selection {name} exists already; take another name, or replace it")
    try:
        selection.save(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}; make the folder writable, or download the file"
        ) from error
    return path


def _path(folder: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"got the name {name!r}, expected 1 to 64 letters, digits, dashes, underscores and "
            "dots, no dot in front; give another name"
        )
    return folder / FOLDER / f"{name}.json"
