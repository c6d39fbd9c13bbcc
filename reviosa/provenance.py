"""Which code ran: the commit of its checkout and the versions of what it stands on."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

__all__ = ["git_state", "versions"]

_PACKAGES: Final = ("torch", "transformers", "peft", "sam2", "numpy")


def versions() -> dict[str, str | None]:
    """Give the installed versions, None for what is absent, without importing anything."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def git_state() -> dict[str, Any]:
    """Give the ``commit`` of this code's checkout, and if its Python files are ``dirty``.

    Dirty: changed since the commit, or not in it. Both are None if the code is installed without
    its checkout, even if it lies inside another project's.
    """
    here = Path(__file__)
    # Set while git runs a hook, and then they point to that repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(here.parent), *arguments]
        try:
            result = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return result.stdout.strip()

    commit = git("rev-parse", "HEAD") if git("ls-files", "--error-unmatch", here.name) else None
    changes = git("status", "--porcelain", "--", ":/*.py") if commit else None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}
