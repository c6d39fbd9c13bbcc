"""Head metrics: what a role token's attention row says, with and without the true mask.

One vocabulary of axes: ``layer head key`` for whole rows, ``patch`` for the vision keys alone, in
key order (frame, row, column). All functions are pure: they return new arrays, in the input's
precision or better, and never write into what they are given.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "METRICS",
    "head_metrics",
    "lift",
    "mask_area",
    "mask_share",
    "text_mass",
    "visual_mass",
]

METRICS = ("visual_mass", "text_mass", "mask_share", "lift")
"""Names and order of the metric columns in the capture store."""


def visual_mass(attention: ArrayLike, is_vision: ArrayLike) -> NDArray[np.floating]:
    """Attention that falls on vision keys: ``S = sum_i A_i`` over patches.

    Args:
        attention: [..., key], rows that sum to one.
        is_vision: bool [key].

    Returns:
        [...], 0 to 1. Without any vision key 0; a row with NaN gives NaN.

    Raises:
        ValueError: the key axes differ in length.

    Source: LocalizationHeads criterion 1 (arXiv 2503.06287), and how the paper chose its layers.
    """
    rows, keys = _rows_and_keys(attention, is_vision)
    # NaN rows (role absent) must stay NaN also when no key is selected.
    return np.where(np.isnan(rows).any(axis=-1), np.nan, rows[..., keys].sum(axis=-1))


def text_mass(attention: ArrayLike, is_vision: ArrayLike) -> NDArray[np.floating]:
    """Attention that falls on all keys that are not vision: words, system prompt, special tokens.

    Args and degenerate values as :func:`visual_mass`; the two sum to the row's sum.
    """
    rows, keys = _rows_and_keys(attention, is_vision)
    return np.where(np.isnan(rows).any(axis=-1), np.nan, rows[..., ~keys].sum(axis=-1))


def mask_share(attention: ArrayLike, mask: ArrayLike) -> NDArray[np.floating]:
    """Share of the attention on patches that lies on the object: ``sum_i a_i M_i``.

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
    rows = np.asarray(attention, dtype=np.float64)
    truth = _mask(mask)
    if rows.shape[-1:] != truth.shape:
        raise ValueError(
            f"attention has {rows.shape[-1:]} patches, the mask {truth.shape}; pool the mask to "
            "the patch grid of all sampled frames"
        )
    total = rows.sum(axis=-1)
    inside = (rows * truth).sum(axis=-1)
    defined = (total > 0) & bool(truth.any())
    return np.where(defined, inside / np.where(defined, total, 1.0), np.nan)


def lift(share: ArrayLike, area: ArrayLike) -> NDArray[np.floating]:
    """Mask share over mask area: 1 for a head that looks everywhere alike, whatever the object.

    Args:
        share: [...], from :func:`mask_share`.
        area: scalar or [...], fraction of the patches that the object covers.

    Returns:
        [...], >= 0. NaN where the area is 0.
    """
    share = np.asarray(share, dtype=np.float64)
    area = np.asarray(area, dtype=np.float64)
    defined = area > 0
    return np.where(defined, share / np.where(defined, area, 1.0), np.nan)


def mask_area(mask: ArrayLike) -> float:
    """Fraction of the patches that the object covers: mean of the pooled mask [patch], 0 to 1.

    NaN when there is no patch.
    """
    truth = _mask(mask)
    return float(truth.mean()) if truth.size else float("nan")


def head_metrics(
    attention: ArrayLike, is_vision: ArrayLike, mask: ArrayLike | None
) -> dict[str, NDArray[np.float32]]:
    """All four metrics of one role token's rows.

    Args:
        attention: [layer, head, key] (any leading axes), rows that sum to one.
        is_vision: bool [key].
        mask: [patch] in key order, or None where there is no truth: the two that need it are NaN.

    Returns:
        Metric name to float32 [layer, head], in the order of :data:`METRICS`.

    Raises:
        ValueError: the lengths of keys, vision keys and patches do not fit each other.
    """
    rows, keys = _rows_and_keys(attention, is_vision)
    if mask is None:
        share = np.full(rows.shape[:-1], np.nan)
        area = np.nan
    else:
        share = mask_share(rows[..., keys], mask)
        area = mask_area(mask)
    values = {
        "visual_mass": visual_mass(rows, keys),
        "text_mass": text_mass(rows, keys),
        "mask_share": share,
        "lift": lift(share, area),
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def _rows_and_keys(
    attention: ArrayLike, is_vision: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rows = np.asarray(attention, dtype=np.float64)
    keys = np.asarray(is_vision, dtype=bool)
    if keys.ndim != 1 or rows.shape[-1:] != keys.shape:
        raise ValueError(
            f"attention has keys {rows.shape[-1:]}, is_vision {keys.shape}; give one flag a key"
        )
    return rows, keys


def _mask(mask: ArrayLike) -> NDArray[np.float64]:
    truth = np.asarray(mask, dtype=np.float64).reshape(-1)
    if truth.size and not (truth.min() >= 0 and truth.max() <= 1):
        raise ValueError(
            f"a pooled mask lies in [0, 1], got {truth.min():.3g} to {truth.max():.3g}"
        )
    return truth
