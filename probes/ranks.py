"""Ranks with ties, by pandas."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["rankdata"]


def rankdata(
    values: ArrayLike, method: Literal["average", "min", "max"] = "average", axis: int = 0
) -> NDArray[np.float64]:
    """Ranks along an axis, 1 = lowest, as ``scipy.stats.rankdata`` gives them.

    Importing ``scipy.stats`` takes half a second of every page's first opening; pandas is there.

    Args:
        values: one or two dimensions; a row or column that holds a NaN has no ranks, NaN.
        method: what values that are alike share.
        axis: along which to rank.

    Returns:
        float64, of the shape of ``values``.
    """
    given = np.asarray(values, dtype=np.float64)
    if not given.size:
        return np.empty(given.shape)
    ranks = pd.DataFrame(given).rank(axis=axis, method=method).to_numpy().reshape(given.shape)
    return np.where(np.isnan(given).any(axis=axis, keepdims=True), np.nan, ranks)
