"""The data set behind a run, wherever both have been moved to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reviosa.data import InterRVOSDataset
from reviosa.errors import DataError

__all__ = ["find_dataset"]


def find_dataset(run: Mapping[str, Any], directory: str | Path) -> InterRVOSDataset | None:
    """Open the data set a run was made on.

    It is looked for where the header says, then in a folder ``data`` or of the same name beside
    the run, so that a demo folder copied to another machine still shows its frames.

    Args:
        run: the header, ``run.json``.
        directory: the run directory.

    Returns:
        The data set; None if it is at none of these places, or is no longer the same.
    """
    recorded = run.get("data") or {}
    if not recorded.get("path"):
        return None
    path, beside = Path(recorded["path"]), Path(directory).resolve().parent
    for folder in dict.fromkeys((path, beside / path.name, beside / "data")):
        try:
            dataset = InterRVOSDataset(folder)
        except DataError:
            continue
        if dataset.identity == recorded.get("identity"):
            return dataset
    return None
