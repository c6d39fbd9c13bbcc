"""What the criteria ask of their arguments before they compute."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_mask", "as_rows", "as_rows_and_keys"]


def as_rows(attention: ArrayLike, patches: int | None = None) -> NDArray[np.float64]:
    """Attention on patches as float64 [..., patch].

    Raises:
        ValueError: there are not as many patches as in the mask.
    """
    rows = np.asarray(attention, dtype=np.float64)
    if patches is not None and rows.shape[-1:] != (patches,):
        raise ValueError(
            f"attention has {rows.shape[-1:]} patches, the mask {(patches,)}; pool the mask to "
            "the patch grid of all sampled frames"
        )
    return rows


def as_rows_and_keys(
    attention: ArrayLike, is_vision: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Whole rows as float64 [..., key] and their flags as bool [key].

    Raises:
        ValueError: the key axes differ in length.
    """
    rows = np.asarray(attention, dtype=np.float64)
    keys = np.asarray(is_vision, dtype=bool)
    if keys.ndim != 1 or rows.shape[-1:] != keys.shape:
        raise ValueError(
            f"attention has keys {rows.shape[-1:]}, is_vision {keys.shape}; give one flag a key"
        )
    return rows, keys


def as_mask(mask: ArrayLike) -> NDArray[np.float64]:
    """A pooled mask as float64 [patch].

    Raises:
        ValueError: it leaves [0, 1].
    """
    truth = np.asarray(mask, dtype=np.float64).reshape(-1)
    if truth.size and not (truth.min() >= 0 and truth.max() <= 1):
        raise ValueError(
            f"a pooled mask lies in [0, 1], got {truth.min():.3g} to {truth.max():.3g}"
        )
    return truth
