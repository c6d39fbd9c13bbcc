"""Two systems on the same expressions: differences of J, F and J&F, with intervals over videos.

What an expression asks makes both systems score low or high together; the difference on each
expression leaves that out. The video is what is drawn again (see :mod:`probes.bootstrap`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from probes.bootstrap import Estimate, estimate_means
from reviosa.evaluation import protocol_rows

__all__ = ["Paired", "paired_differences"]

_MEASURES = {"J": "j", "F": "f", "J&F": "jf"}


@dataclass(frozen=True)
class Paired:
    """The first system less the second, in points."""

    protocols: Mapping[str, Mapping[str, Estimate]]
    """Protocol -> "J", "F", "J&F"; protocols without a common expression are left out."""
    alone: int
    """Expressions that only one of the two was scored on, which are left out."""


def paired_differences(
    first: pd.DataFrame, second: pd.DataFrame, resamples: int = 2000, seed: int = 0
) -> Paired:
    """Compare two tables of scores expression by expression.

    Equation: the mean over expressions of ``100 (first - second)``; 95 % percentile interval of the
    cluster bootstrap over videos. None for the interval with one video.

    Args:
        first: what :func:`~reviosa.evaluation.read_scores` gives.
        second: likewise, of the other system.
        resamples: bootstrap draws over videos.
        seed: of the draws.
    """
    keys = ["sample_id", "role"]
    columns = [*keys, "video_id", "caption_type", *_MEASURES.values()]
    both = first[columns].merge(second[[*keys, *_MEASURES.values()]], on=keys, suffixes=("", "_2"))
    for column in _MEASURES.values():
        both[column] = 100 * (both[column] - both[f"{column}_2"])
    ids = [set(table.sample_id) for table in (first, second)]
    protocols = {}
    for name, rows in protocol_rows(both).items():
        if len(rows):
            rows = rows.sort_values("sample_id")
            values = rows[list(_MEASURES.values())].to_numpy(dtype=float)
            found = estimate_means(values, rows.video_id.to_numpy(dtype=str), resamples, seed)
            protocols[name] = dict(zip(_MEASURES, found, strict=True))
    return Paired(protocols, len(ids[0] ^ ids[1]))
