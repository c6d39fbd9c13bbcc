"""What moves when the roles of a sentence are exchanged: overlap of masks and of attention."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reviosa.evaluation import jaccard

__all__ = ["attention_overlap", "mean_jaccard"]


def mean_jaccard(
    first: Iterable[NDArray[np.bool_]], second: Iterable[NDArray[np.bool_]]
) -> float | None:
    """Mean over frames of J = |A and B| / |A or B|, frames where both are empty left out.

    Two masks that are empty agree in nothing that could be seen; counting them as 1 would call two
    tracks that never meet alike.

    Args:
        first: masks frame by frame, bool [height, width].
        second: as many masks of the same shape.

    Returns:
        0 to 1; None where no frame has a mask.
    """
    values = [
        float(jaccard(one[None], two[None])[0])
        for one, two in zip(first, second, strict=True)
        if one.any() or two.any()
    ]
    return float(np.mean(values)) if values else None


def attention_overlap(first: ArrayLike, second: ArrayLike) -> float | None:
    """Overlap of two attention maps, sum of min(p, q): 1 for the same, 0 for none in common.

    p and q are the maps as distributions over all patches of all frames; the overlap is one minus
    their total variation distance.

    Args:
        first: weights, any shape.
        second: weights of the same shape.

    Returns:
        0 to 1; None where a map is zero everywhere.
    """
    p, q = (np.asarray(x, dtype=np.float64) for x in (first, second))
    if p.sum() <= 0 or q.sum() <= 0:
        return None
    return float(np.minimum(p / p.sum(), q / q.sum()).sum())
