"""Names that came from an address or a form, made into paths that stay below the runs folder."""

import re
from pathlib import Path

from reviosa.errors import ConfigError

__all__ = ["below", "is_below", "plain_name"]

_LONGEST = 255
"""Of one part of a path; file systems take no more."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. \-]{0,79}")


def below(folder: Path, name: str) -> Path:
    """The path that ``name`` stands for below ``folder``; it need not exist.

    Links are followed, and what they lead to must lie below the folder, too.

    Args:
        folder: that nothing may leave.
        name: a relative path with ``/``.

    Raises:
        ConfigError: the name is empty, absolute, goes up, is no file name, or leaves the folder.
    """
    parts = name.split("/")
    known = not any(part in ("", ".", "..") or len(part) > _LONGEST for part in parts)
    if not known or not name.isprintable():
        raise _refused(folder, name)
    path = folder / name
    if not is_below(folder, path):
        raise _refused(folder, name)
    return path


def is_below(folder: Path, path: Path) -> bool:
    """Whether ``path``, all links followed, is ``folder`` or lies below it."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    # A loop of links, a name too long, or a NUL in it.
    except (OSError, RuntimeError, ValueError):
        return False


def plain_name(text: str) -> str:
    """``text`` as the name of a file or folder that the dashboard writes.

    Raises:
        ConfigError: it is no plain name.
    """
    name = text.strip()
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ConfigError(
            f"got the name {text[:80]!r}, expected letters, digits, spaces, '-', '_' and '.', at "
            "most 80 of them and no dot in front; choose another"
        )
    return name


def _refused(folder: Path, name: str) -> ConfigError:
    return ConfigError(
        f"got {name[:80]!r}, expected a path below {folder}; nothing outside of the runs folder is "
        "read or written"
    )
