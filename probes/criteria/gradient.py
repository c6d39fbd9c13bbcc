"""Whether what a head writes at a query token matters for the mask, to first order.

One backward pass tells of all heads at once what an ablation would tell of each by a pass of its
own; it is right for small changes only, which is why :mod:`probes.causal` stands beside it. Every
number is in the units of the mask loss of equation 7, cross-entropy plus Dice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.criteria._rows import as_mask, as_rows

__all__ = [
    "HeadOutputs",
    "attribution_patching",
    "gradient_attention",
    "head_importance",
    "vision_sensitivity",
    "write_projection",
]


@dataclass(frozen=True)
class HeadOutputs:
    """What heads write at one query token, and what the mask would gain from more of it."""

    outputs: NDArray
    """z, what each head hands to the output projection, [layer, head, head_dim]."""
    gain: NDArray
    """-dL/dz, [layer, head, head_dim]: L is the mask loss of the token's role."""
    blank: NDArray
    """z of the same token when all frames are of one colour, [layer, head, head_dim]."""
    attention_gain: NDArray
    """-dL/dA on the patches, [layer, head, patch]."""
    written: NDArray
    """What one unit of attention on a patch adds to the mask prompt, along that prompt and in parts
    of its length, [layer, head, patch]; the direct path alone, past the layers above."""


def gradient_attention(attention: NDArray, gain: NDArray) -> NDArray[np.float64]:
    """Attention that lowers the mask loss: ``sum_i max(0, -A_i dL/dA_i)``.

    Args:
        attention: [..., patch].
        gain: -dL/dA, the same shape.

    Returns:
        [...], >= 0. NaN where a row is.

    Raises:
        ValueError: the shapes differ.

    Source: Chefer et al. 2021 (arXiv 2103.15679), with minus the mask loss as the score.
    """
    rows, slopes = as_rows(attention), as_rows(gain)
    if rows.shape != slopes.shape:
        raise ValueError(f"attention has shape {rows.shape}, its gain {slopes.shape}; one is asked")
    return np.maximum(rows * slopes, 0.0).sum(axis=-1)


def head_importance(outputs: NDArray, gain: NDArray) -> NDArray[np.float64]:
    """How much the mask loss hangs on a head, whichever way: ``|z . dL/dz|``.

    Args:
        outputs: [..., head_dim].
        gain: -dL/dz, the same shape.

    Returns:
        [...], >= 0.

    Source: Michel et al. 2019 (arXiv 1905.10650).
    """
    return np.abs((as_rows(outputs) * as_rows(gain)).sum(axis=-1))


def attribution_patching(outputs: NDArray, blank: NDArray, gain: NDArray) -> NDArray[np.float64]:
    """How much the mask loss would rise had the head written what it writes of blank frames.

    ``(z - z_blank) . (-dL/dz)``, the first-order effect of patching one run into another. Negative
    where the head does harm.

    Args:
        outputs: [..., head_dim].
        blank: the same shape.
        gain: -dL/dz, the same shape.

    Source: attribution patching (Nanda 2023; Syed et al., arXiv 2310.10348).
    """
    return ((as_rows(outputs) - as_rows(blank)) * as_rows(gain)).sum(axis=-1)


def vision_sensitivity(outputs: NDArray, blank: NDArray) -> NDArray[np.float64]:
    """How far the head's output moves when the frames go blank: ``||z - z_blank||``.

    Source: vision-aware head divergence, arXiv 2412.13949.
    """
    return np.linalg.norm(as_rows(outputs) - as_rows(blank), axis=-1)


def write_projection(attention: NDArray, written: NDArray, mask: NDArray) -> NDArray[np.float64]:
    """What the head writes along the mask prompt from the object's patches, less from the others.

    ``sum_i (2 M_i - 1) A_i w_i`` with w_i what attention on patch i adds to the prompt's length.

    Args:
        attention: [..., patch].
        written: w, the same shape.
        mask: [patch], 0 to 1.

    Returns:
        [...], in parts of the prompt's length. NaN where the mask is empty.

    Raises:
        ValueError: the patch axes differ in length, or the mask leaves [0, 1].

    Source: LOCOS (arXiv 2607.01002), with the mask prompt for the direction of a token.
    """
    truth = as_mask(mask)
    rows = as_rows(attention, len(truth)) * as_rows(written, len(truth))
    if not truth.any():
        return np.full(rows.shape[:-1], np.nan)
    return (rows * (2 * truth - 1)).sum(axis=-1)
