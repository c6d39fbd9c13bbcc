"""Per-expression scores as a Parquet file, so that two systems can be compared pair by pair."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from reviosa.errors import DataError
from reviosa.evaluation.protocols import RoleScore
from reviosa.io import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCORES_FILE", "protocol_rows", "read_scores", "score_table", "write_scores"]

SCORES_FILE = "scores.parquet"
_COLUMNS = [field.name for field in fields(RoleScore)]


def write_scores(path: str | Path, scores: Sequence[RoleScore]) -> None:
    """Write one row a role of an expression, with the fields of :class:`RoleScore` as columns."""
    table = score_table(scores)[_COLUMNS]
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def score_table(scores: Sequence[RoleScore]) -> "pd.DataFrame":
    """One row a role of an expression, as :func:`read_scores` gives them."""
    # Here, for each process that scores would load it too, which takes it longer than its work.
    import pandas as pd

    return _with_ids(pd.DataFrame([vars(score) for score in scores], columns=_COLUMNS))


def read_scores(path: str | Path) -> "pd.DataFrame":
    """Read what :func:`write_scores` wrote, in its order, with ``sample_id`` and ``jf`` added.

    Raises:
        DataError: the file is missing, no Parquet, or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot read the scores: {reason}; evaluate again") from None
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise DataError(f"{path}: got scores without {missing[0]!r}; evaluate again")
    return _with_ids(table)


def _with_ids(table: "pd.DataFrame") -> "pd.DataFrame":
    return table.assign(sample_id=table.video_id + "/" + table.exp_id, jf=(table.j + table.f) / 2)


def protocol_rows(table: "pd.DataFrame") -> "dict[str, pd.DataFrame]":
    """The rows that "actor", "target" and "rvos" count, of any table with role and caption_type."""
    actor, acting = table.role == "actor", table.caption_type == "unidirectional"
    return {
        "actor": table.loc[actor & acting, :],
        "target": table.loc[(table.role == "target") & acting, :],
        "rvos": table.loc[actor, :],
    }
