"""The data set behind a run, wherever both have been moved to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reviosa.data import VideoDataset, open_dataset
from reviosa.errors import DataError, ReviosaError

__all__ = ["captured_data", "dataset_places", "find_dataset"]


def find_dataset(
    run: Mapping[str, Any], directory: str | Path, limit: int | None = None
) -> VideoDataset | None:
    """Open the data set a run was made on.

    It is looked for at :func:`dataset_places`, so that a demo folder copied to another machine
    still shows its frames.

    Args:
        run: the header, ``run.json``.
        directory: the run directory.
        limit: read the first ``limit`` videos only.

    Returns:
        The data set; None if it is at none of these places, or is no longer the same.
    """
    recorded = run.get("data") or {}
    for folder in dataset_places(run, directory):
        try:
            dataset = open_dataset(folder, limit)
        except ReviosaError:
            continue
        if dataset.identity == recorded.get("identity"):
            return dataset
    return None


def dataset_places(run: Mapping[str, Any], directory: str | Path) -> list[Path]:
    """Where the data set of a run may lie: where the header says, or beside the run.

    There in a folder ``data`` or of the same name. None where the header says nothing.
    """
    recorded = (run.get("data") or {}).get("path")
    if not recorded:
        return []
    path, beside = Path(recorded), Path(directory).resolve().parent
    return list(dict.fromkeys((path, beside / path.name, beside / "data")))


def captured_data(
    run: Mapping[str, Any], directory: str | Path, data: Path | None, limit: int | None
) -> VideoDataset:
    """The data set to run a captured model over: the captured one, or ``data``; its frames checked.

    Of the captured one as many videos as were captured, where ``limit`` says nothing else.

    Raises:
        DataError: it is not at hand, or not as promised.
    """
    if data:
        dataset = open_dataset(data, limit)
    else:
        limit = limit or (run.get("summary") or {}).get("videos")
        dataset = find_dataset(run, directory, limit)
    if dataset is None:
        path = (run.get("data") or {}).get("path")
        raise DataError(
            f"{directory}: got no data set at {path}, expected the one that was captured; give "
            "--data"
        )
    dataset.require_truth()
    dataset.check_frames()
    return dataset
