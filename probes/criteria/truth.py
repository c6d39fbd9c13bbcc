"""Whether a query token looks at its object: attention on patches against the true mask.

Axes: ``patch`` in key order (frame, row, column). A pooled mask holds the part of each patch that
the object covers; a fraction counts as that much of a hit. All functions are pure.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.criteria._rows import as_mask, as_rows

__all__ = [
    "auroc",
    "average_precision",
    "centrality",
    "centre_share",
    "lift",
    "mask_area",
    "mask_share",
    "pointing",
    "role_contrast",
    "shifted",
    "soft_iou",
    "without_sinks",
]


def mask_area(mask: ArrayLike) -> float:
    """Fraction of the patches that the object covers: mean of the pooled mask [patch], 0 to 1.

    NaN when there is no patch.
    """
    truth = as_mask(mask)
    return float(truth.mean()) if truth.size else float("nan")


def centrality(mask: ArrayLike, grid: tuple[int, int, int]) -> float:
    """How near the object is to the middle of the frame: 1 in the middle, 0 in a corner.

    One minus the distance of the mask's centre of mass from the frame's, in half diagonals; the
    mean over the frames that show it, NaN where none does.

    Args:
        mask: [patch].
        grid: frames, rows and columns of the patches.
    """
    maps = as_mask(mask).reshape(grid)
    shown = maps[maps.sum(axis=(1, 2)) > 0]
    if not len(shown):
        return float("nan")
    area = shown.sum(axis=(1, 2))
    # Middles of patches, -1 to 1 from edge to edge of the squashed frame.
    rows, columns = (2 * (np.arange(n) + 0.5) / n - 1 for n in grid[1:])
    down = (shown.sum(axis=2) * rows).sum(axis=1) / area
    across = (shown.sum(axis=1) * columns).sum(axis=1) / area
    return float((1 - np.hypot(down, across) / np.sqrt(2)).mean())


def centre_share(mask: ArrayLike, grid: tuple[int, int, int]) -> float:
    """Mask share of a prior that only knows the middle: a Gaussian, a quarter of the frame wide.

    The baseline of a head that looks at the middle whatever it is shown. NaN for an empty mask.

    Args:
        mask: [patch].
        grid: frames, rows and columns of the patches.
    """
    rows, columns = (2 * (np.arange(n) + 0.5) / n - 1 for n in grid[1:])
    # Standard deviation: a quarter of the frame's side, which is 2 in these units.
    prior = np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * 0.5**2))
    return float(mask_share(np.broadcast_to(prior, grid).ravel(), mask))


def mask_share(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.floating]:
    """Share of the attention on patches that lies on the object: ``E = sum_i a_i M_i``.

    ``a = A / sum(A)`` over patches, so the share does not depend on how much the head looks at the
    video at all. The expected share of a head that looks everywhere alike is the mask area.

    Args:
        attention: [..., patch], attention weights on the vision keys.
        mask: [patch], the part of each patch that the object covers, 0 to 1.

    Returns:
        [...], 0 to 1. NaN where the row holds no attention on patches or NaN, and everywhere when
        the mask is empty: there is nothing to look at.

    Raises:
        ValueError: the patch axes differ in length, or the mask leaves [0, 1].

    Source: energy-based pointing game (Score-CAM, arXiv 1910.01279).
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth))
    total = rows.sum(axis=-1)
    inside = (rows * truth).sum(axis=-1)
    defined = (total > 0) & bool(truth.any())
    return np.where(defined, inside / np.where(defined, total, 1.0), np.nan)


def lift(share: ArrayLike, area: ArrayLike) -> NDArray[np.floating]:
    """A share over what even attention gets: ``E / area``, 1 for a head without preference.

    Args:
        share: [...], from :func:`mask_share` or :func:`pointing`.
        area: scalar or [...], fraction of the patches that the object covers.

    Returns:
        [...], >= 0. NaN where the area is 0.
    """
    share = np.asarray(share, dtype=np.float64)
    area = np.asarray(area, dtype=np.float64)
    defined = area > 0
    return np.where(defined, share / np.where(defined, area, 1.0), np.nan)


def pointing(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Whether the brightest patch lies on the object: ``M[argmax_i A_i]``.

    1 or 0 for a binary mask, the covered part of the patch for a pooled one. Several patches that
    are equally bright count by their mean.

    Args and degenerate values as :func:`mask_share`.

    Source: pointing game (Zhang et al. 2016); divided by the area (:func:`lift`) it is SparseMM's
    hit score.
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth))
    if not truth.any():
        return np.full(rows.shape[:-1], np.nan)
    top = rows.max(axis=-1, keepdims=True)
    brightest = rows == top
    hit = (brightest * truth).sum(axis=-1) / np.maximum(brightest.sum(axis=-1), 1)
    return np.where(top[..., 0] > 0, hit, np.nan)


def auroc(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Chance that a patch of the object is brighter than one beside it; free of the area.

    ``sum_ij M_i (1 - M_j) ([A_i > A_j] + [A_i = A_j] / 2) / (sum M sum (1 - M))``, the
    Mann-Whitney statistic with each patch in both classes by the part that is covered.

    Args:
        attention: [..., patch].
        mask: [patch], 0 to 1.

    Returns:
        [...], 0 to 1, 0.5 for a head without preference. NaN for rows with NaN or no attention on
        patches, and where the mask covers nothing or everything.

    Raises:
        ValueError: as :func:`mask_share`.
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth))
    inside, outside = truth.sum(), (1 - truth).sum()
    if not inside or not outside:
        return np.full(rows.shape[:-1], np.nan)
    order = np.argsort(rows, axis=-1)
    first, last = _ties(np.take_along_axis(rows, order, axis=-1))
    here = truth[order]
    below = np.concatenate([np.zeros((*here.shape[:-1], 1)), np.cumsum(1 - here, axis=-1)], axis=-1)
    beaten = np.take_along_axis(below, first, axis=-1)
    reached = np.take_along_axis(below, last + 1, axis=-1)
    # A patch that is covered in part is compared with its own rest, too: a tie, as it should be.
    area = (here * (beaten + reached) / 2).sum(axis=-1) / (inside * outside)
    return np.where(rows.sum(axis=-1) > 0, area, np.nan)


def average_precision(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Precision over recall when patches are taken from the brightest on.

    ``AP = sum_n (R_n - R_{n-1}) P_n`` over the distinct brightnesses; a patch that is covered in
    part adds that part to the hits. Even attention scores the mask area, which is why it is read
    beside :func:`auroc`.

    Args and degenerate values as :func:`mask_share`.
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth))
    if not truth.any():
        return np.full(rows.shape[:-1], np.nan)
    order = np.argsort(-rows, axis=-1)
    _, last = _ties(np.take_along_axis(-rows, order, axis=-1))
    here = truth[order]
    hits = np.take_along_axis(np.cumsum(here, axis=-1), last, axis=-1)
    precision = hits / (last + 1)
    score = (here * precision).sum(axis=-1) / truth.sum()
    return np.where(rows.sum(axis=-1) > 0, score, np.nan)


def soft_iou(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Overlap without a threshold: ``sum_i min(b_i, M_i) / sum_i max(b_i, M_i)``.

    ``b = A / max(A)``: the brightest patch counts as covered. No threshold has to be chosen on
    other data.

    Args and degenerate values as :func:`mask_share`.
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth))
    if not truth.any():
        return np.full(rows.shape[:-1], np.nan)
    top = rows.max(axis=-1, keepdims=True)
    bright = rows / np.where(top > 0, top, 1.0)
    overlap = np.minimum(bright, truth).sum(axis=-1) / np.maximum(bright, truth).sum(axis=-1)
    return np.where(top[..., 0] > 0, overlap, np.nan)


def role_contrast(
    attention: ArrayLike, mask: ArrayLike, other_mask: ArrayLike
) -> NDArray[np.float64]:
    """How much more a role token looks at its own object: ``E(M_own) - E(M_other)``.

    Args:
        attention: [..., patch] of one role's token.
        mask: [patch], that role's object.
        other_mask: [patch], the other role's.

    Returns:
        [...], -1 to 1, 0 for a head that cannot tell the roles apart and objects of one size. NaN
        where one of the objects is not visible.

    Source: this project; the differential idea of contrastive heads (OpenReview CnrAiXbw8a).
    """
    return mask_share(attention, mask) - mask_share(attention, other_mask)


def shifted(mask: ArrayLike, grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """The mask moved by half the rows and columns, round the edges: a null of the same area.

    Args:
        mask: [patch].
        grid: frames, rows and columns of the patches.
    """
    maps = as_mask(mask).reshape(grid)
    return np.roll(maps, (grid[1] // 2, grid[2] // 2), axis=(1, 2)).ravel()


def without_sinks(attention: ArrayLike, sinks: ArrayLike) -> NDArray[np.float64]:
    """Attention with that on sink patches taken out, [layer, head, patch].

    Args:
        attention: [layer, head, patch].
        sinks: bool [layer, patch], of :func:`probes.criteria.where.sink_patches`.
    """
    return as_rows(attention) * ~np.asarray(sinks, bool)[:, None]


def _ties(ordered: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last place of each value's group of equals, along the last, sorted axis."""
    count = ordered.shape[-1]
    place = np.broadcast_to(np.arange(count), ordered.shape)
    new = np.ones(ordered.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    first = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    ends = np.ones(ordered.shape, bool)
    ends[..., :-1] = new[..., 1:]
    last = np.where(ends, place, count - 1)
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    return first, last
