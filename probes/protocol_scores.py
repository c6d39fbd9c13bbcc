"""J, F and J&F of the three protocols with intervals over videos, of a capture or an evaluation."""

import numpy as np
import pandas as pd

from probes.bootstrap import estimate_means
from probes.results import ProtocolScore
from reviosa.evaluation import protocol_rows

__all__ = ["protocol_scores"]


def protocol_scores(
    table: pd.DataFrame, resamples: int = 2000, seed: int = 0
) -> dict[str, ProtocolScore]:
    """Scores in per cent by protocol: "actor", "target", "rvos".

    Args:
        table: a row an expression and role: video_id, role, caption_type, and j, f, jf from 0 to 1;
            with ``emitted`` (a capture) or ``missing`` (an evaluation).
        resamples: draws over videos.
        seed: of the draws.
    """
    return {name: _score(rows, resamples, seed) for name, rows in protocol_rows(table).items()}


def _score(rows: pd.DataFrame, resamples: int, seed: int) -> ProtocolScore:
    there = rows["emitted"] if "emitted" in rows else ~rows["missing"].astype(bool)
    emitted = there.to_numpy(dtype=bool)
    columns = rows[["j", "f", "jf"]].to_numpy(dtype=np.float64)
    # A role that was not given has no mask: 0, whatever was written (EVALUATION).
    columns = np.where(emitted[:, None], columns, 0.0) * 100
    j, f, jf = estimate_means(columns, rows.video_id.to_numpy(dtype=str), resamples, seed)
    missing = int((~emitted).sum())
    return ProtocolScore(j.value, f.value, jf.value, jf.ci, len(rows), missing, jf.reason)
