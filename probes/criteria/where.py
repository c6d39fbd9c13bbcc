"""Where a query token looks, without any truth.

Axes: ``key`` for whole rows, ``patch`` for the vision keys alone, in key order (frame, row,
column). All functions are pure: they return new arrays and never write into what they are given.
"""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label

from probes.bootstrap import defined_mean
from probes.criteria._rows import as_rows, as_rows_and_keys

__all__ = [
    "role_divergence",
    "sink_patches",
    "sink_share",
    "spatial_entropy",
    "temporal_consistency",
    "text_mass",
    "token_entropy",
    "visual_mass",
]

SINK_NORM = 3.0
"""A patch whose hidden state is so many times longer than the median patch's counts as a sink."""


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
    rows, keys = as_rows_and_keys(attention, is_vision)
    # NaN rows (role absent) must stay NaN also when no key is selected.
    return np.where(np.isnan(rows).any(axis=-1), np.nan, rows[..., keys].sum(axis=-1))


def text_mass(attention: ArrayLike, is_vision: ArrayLike) -> NDArray[np.floating]:
    """Attention that falls on all keys that are not vision: words, system prompt, special tokens.

    Args and degenerate values as :func:`visual_mass`; the two sum to the row's sum.
    """
    rows, keys = as_rows_and_keys(attention, is_vision)
    return np.where(np.isnan(rows).any(axis=-1), np.nan, rows[..., ~keys].sum(axis=-1))


def token_entropy(attention: ArrayLike) -> NDArray[np.float64]:
    """How evenly attention spreads over all patches: ``-sum_i a_i ln a_i / ln V``.

    ``a = A / sum(A)`` over the V patches, and ``0 ln 0 = 0``; ``V^H`` is the number of patches that
    the head effectively looks at.

    Args:
        attention: [..., patch].

    Returns:
        [...], 0 (one patch) to 1 (all alike). NaN without attention on patches, or with one patch.

    Source: head entropy, as HIES has it (arXiv 2510.13832).
    """
    share = _normalised(as_rows(attention))
    count = share.shape[-1]
    if count < 2:
        return np.full(share.shape[:-1], np.nan)
    return _entropy(share) / np.log(count)


def spatial_entropy(attention: ArrayLike, grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """In how many places a head looks: ``-sum_k p_k ln p_k`` over connected patches.

    In each frame what exceeds the frame's mean, ``relu(A - mean(A))``, falls into components C_k of
    patches that touch (corners count); p_k is the share of C_k. The mean over frames is returned.

    Args:
        attention: [..., patch].
        grid: frames, rows and columns of the patches.

    Returns:
        [...], >= 0; 0 where each frame has one bright place. NaN where no frame has any, and for
        rows with NaN.

    Raises:
        ValueError: the grid has another number of patches.

    Source: LocalizationHeads criterion 2 (arXiv 2503.06287).
    """
    maps = _maps(attention, grid)
    lead = maps.shape[:-3]
    frames = maps.reshape(-1, *grid[1:])
    defined: NDArray = ~np.isnan(frames.sum(axis=(1, 2)))
    above = np.where(defined[:, None, None], frames, 0.0)
    above = np.maximum(above - above.mean(axis=(1, 2), keepdims=True), 0.0)
    # Rounding of the mean leaves crumbs in a flat map.
    crumbs = 1e-9 * np.abs(frames).max(axis=(1, 2), keepdims=True, initial=0.0)
    above = np.where(above < crumbs, 0.0, above)
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True
    # scipy's type hints know the case alone in which the labels go into an array of the caller's.
    labels, count = cast("tuple[NDArray, int]", label(above > 0, touching))
    mass = np.bincount(labels.ravel(), above.ravel(), count + 1)[1:]
    frame = np.zeros(count + 1, int)
    frame[labels.ravel()] = np.repeat(np.arange(len(frames)), grid[1] * grid[2])
    frame = frame[1:]
    total = np.bincount(frame, mass, len(frames))
    share = mass / total[frame]
    entropy = np.bincount(frame, -share * np.log(share), len(frames))
    entropy = np.where(defined & (total > 0), entropy, np.nan)
    return defined_mean(np.abs(entropy).reshape(*lead, grid[0]), axis=-1)


def temporal_consistency(attention: ArrayLike, grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """Whether a head looks at the same places in all frames: mean correlation of its frames.

    Pearson's correlation of two frames' patches, averaged over all pairs of frames. A head with a
    fixed place is at 1; one that follows a moving object is lower, so read it beside a ground-truth
    criterion.

    Args:
        attention: [..., patch].
        grid: frames, rows and columns of the patches.

    Returns:
        [...], -1 to 1. Flat frames are left out; NaN where fewer than two frames remain.

    Raises:
        ValueError: the grid has another number of patches.

    Source: this project, for what VLM-Visualizer's users ask (its issue 5).
    """
    maps = _maps(attention, grid)
    frames = maps.reshape(*maps.shape[:-2], -1)
    centred = frames - frames.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    usable = length > 1e-9 * np.linalg.norm(frames, axis=-1, keepdims=True)
    units = np.where(usable, centred / np.where(usable, length, 1.0), 0.0)
    count = usable[..., 0].sum(axis=-1)
    # |sum of units|^2 counts every frame with itself once and every pair twice.
    twice = (units.sum(axis=-2) ** 2).sum(axis=-1) - count
    pairs = count * (count - 1)
    result = np.where(pairs > 0, twice / np.where(pairs > 0, pairs, 1), np.nan)
    return np.where(np.isnan(frames).any(axis=(-1, -2)), np.nan, np.clip(result, -1.0, 1.0))


def sink_patches(norms: ArrayLike) -> NDArray[np.bool_]:
    """Patches that draw attention whatever is asked: hidden states far longer than the others'.

    Args:
        norms: [layer, patch], lengths of the hidden states that enter each layer.

    Returns:
        bool [layer, patch]: longer than :data:`SINK_NORM` times the layer's median.

    Source: visual attention sinks (arXiv 2503.03321), by length instead of by the dimensions that
    are specific to one language model.
    """
    lengths = np.asarray(norms, dtype=np.float64)
    if not lengths.shape[-1]:
        return np.zeros(lengths.shape, bool)
    return lengths > SINK_NORM * np.median(lengths, axis=-1, keepdims=True)


def sink_share(attention: ArrayLike, sinks: ArrayLike) -> NDArray[np.float64]:
    """Share of the attention on patches that falls on sinks: ``sum_{i in sinks} a_i``.

    Args:
        attention: [layer, head, patch].
        sinks: bool [layer, patch], of :func:`sink_patches`.

    Returns:
        [layer, head], 0 to 1. NaN without attention on patches.

    Source: a control of all others (arXiv 2503.03321).
    """
    share = _normalised(as_rows(attention))
    return (share * np.asarray(sinks, bool)[:, None]).sum(axis=-1)


def role_divergence(attention: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """How differently the two role tokens look: Jensen-Shannon divergence over patches, in bits.

    ``JS = H((a + b) / 2) - (H(a) + H(b)) / 2`` with the entropy H to base 2.

    Args:
        attention: [..., patch] of one role's token.
        other: [..., patch] of the other's.

    Returns:
        [...], 0 (alike) to 1 (no patch in common). NaN where one of them has no attention on
        patches.

    Source: this project, after the differential heads of contrastive decoding.
    """
    one, two = _normalised(as_rows(attention)), _normalised(as_rows(other))
    between = _entropy((one + two) / 2) - (_entropy(one) + _entropy(two)) / 2
    return np.clip(between / np.log(2), 0.0, 1.0)


def _maps(attention: ArrayLike, grid: tuple[int, int, int]) -> NDArray[np.float64]:
    rows = as_rows(attention)
    if rows.shape[-1] != grid[0] * grid[1] * grid[2]:
        raise ValueError(
            f"attention has {rows.shape[-1]} patches, a grid of {grid} has "
            f"{grid[0] * grid[1] * grid[2]}; give the grid of all sampled frames"
        )
    return rows.reshape(*rows.shape[:-1], *grid)


def _normalised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that sum to one; NaN where there is nothing to divide by."""
    total = rows.sum(axis=-1, keepdims=True)
    defined = total > 0
    return np.where(defined, rows / np.where(defined, total, 1.0), np.nan)


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """``-sum p ln p`` over the last axis."""
    logs = np.log(np.where(share > 0, share, 1.0))
    # What is NaN must stay NaN; abs turns -0.0 into 0.
    return np.abs(-(share * logs).sum(axis=-1))
