"""The store of frames' features that a command was given, and what came of it in a line."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reviosa.features import FeatureStore

__all__ = ["open_features", "tell_features"]


def open_features(folder: Path | None, limit_gb: float) -> "FeatureStore | None":
    """The store in ``folder``, at most so many gigabytes (of 10^9 bytes); None without a folder."""
    from reviosa.features import FeatureStore
    from workbench.console import note

    return None if folder is None else FeatureStore(folder, int(limit_gb * 1e9), note)


def tell_features(store: "FeatureStore | None") -> None:
    """Say how many features were known and how many had to be computed."""
    from workbench.console import note

    if store is None:
        return
    line = (
        f"features: {store.hits:,} read, {store.misses:,} computed, "
        f"{store.written_bytes / 1e6:,.1f} MB stored in {store.folder}"
    )
    if store.removed:
        line += f"; {store.removed:,} removed to stay below {store.limit / 1e9:g} GB"
    note(line)
