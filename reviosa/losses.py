"""The training losses of ReVIOSa as pure functions (paper, equations 6 to 8).

Tensors in, a scalar out; no configuration, no logging, no distributed call.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import (
    adaptive_avg_pool2d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    grid_sample,
)
from torch.nn.functional import cross_entropy as _cross_entropy

__all__ = [
    "at_points",
    "attention_mask_loss",
    "dice_loss",
    "mask_bce_loss",
    "pool_masks",
    "release_order",
    "text_loss",
    "uncertain_points",
]


def mask_bce_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Pixel-wise cross-entropy, the mean over pixels and masks (L_CE of equation 7).

    Args:
        logits: [..., height, width].
        masks: truth in [0, 1], same shape.

    Returns:
        a scalar; zero, with a gradient of zero, where there is no mask at all.
    """
    if not len(logits):
        return logits.sum()
    return binary_cross_entropy_with_logits(logits.float(), masks.float())


def dice_loss(logits: Tensor, masks: Tensor, smooth: float = 1.0) -> Tensor:
    """Mean of 1 - (2 sum(pg) + s) / (sum(p) + sum(g) + s) over masks (L_Dice of equation 7).

    Args:
        logits: [..., height, width].
        masks: truth in [0, 1], same shape.
        smooth: s, which makes the loss of an empty prediction of an empty mask zero.

    Returns:
        a scalar; zero, with a gradient of zero, where there is no mask at all.
    """
    if not len(logits):
        return logits.sum()
    predicted, truth = logits.float().sigmoid().flatten(-2), masks.float().flatten(-2)
    overlap = 2 * (predicted * truth).sum(-1) + smooth
    return (1 - overlap / (predicted.sum(-1) + truth.sum(-1) + smooth)).mean()


def uncertain_points(
    logits: Tensor, count: int, oversample: float = 3.0, importance: float = 0.75
) -> Tensor:
    """Places at which masks are compared instead of everywhere (PointRend; REVIOSA.md 1.8).

    Of ``oversample * count`` random places the ones nearest to a logit of zero are taken for the
    share ``importance``; the rest are random.

    Args:
        logits: [mask, height, width].
        count: places a mask.
        oversample: how many places the uncertain ones are chosen from, in units of ``count``.
        importance: share of uncertain ones.

    Returns:
        (x, y) in [0, 1], float32 [mask, count, 2], without a gradient.
    """
    with torch.no_grad():
        masks, device = len(logits), logits.device
        tried = torch.rand(masks, int(count * oversample), 2, device=device)
        uncertain = int(count * importance)
        doubt = -at_points(logits, tried).abs()
        chosen = doubt.topk(uncertain, dim=1).indices
        kept = tried.gather(1, chosen[..., None].expand(-1, -1, 2))
        return torch.cat([kept, torch.rand(masks, count - uncertain, 2, device=device)], dim=1)


def at_points(values: Tensor, points: Tensor) -> Tensor:
    """Values between pixels, bilinear: [mask, height, width] at [mask, point, 2] to [mask, point].

    A pixel's value stands at its middle; outside the picture all is zero.
    """
    places = 2 * points[:, None].float() - 1
    return grid_sample(values[:, None].float(), places, align_corners=False)[:, 0, 0]


def release_order(masks: Tensor) -> Tensor:
    """The order in which the released code meets attention with truth (REVIOSA.md 7.1).

    It lays masks out frame by frame and reads them expression by expression, so that row ``i`` at
    frame ``j`` gets the mask number ``i * frames + j`` of that layout. Right only for one frame or
    one expression; kept to reproduce what was published.

    Args:
        masks: of one conversation, [expression, role, frame, ...].
    """
    by_frame = masks.transpose(0, 2)  # [frame, role, expression, ...]
    moved = by_frame.transpose(1, 2).flatten(0, 1)  # [frame * expression, role, ...]
    return moved.unflatten(0, (masks.shape[0], masks.shape[2])).transpose(1, 2)


def text_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the answer's tokens (L_text of equation 8).

    Args:
        logits: scores that predict each label, [token, vocabulary]; already shifted.
        labels: [token].

    Returns:
        a scalar; zero, with a gradient of zero, where no token is supervised.
    """
    if not len(labels):
        return logits.sum()
    return _cross_entropy(logits.float(), labels)


def attention_mask_loss(
    probabilities: Tensor, masks: Tensor, reduction: Literal["sum", "mean"] = "sum"
) -> Tensor:
    """L_AML = sum over roles and pairs of BCE(A, G') (paper, equation 6).

    The BCE is the mean over patches; the loss is its sum over all leading axes, which for one
    expression are (role, pair). A batch is averaged by the caller, who divides by the number of
    expressions. ``reduction="mean"`` takes the mean over the rows that are present instead; the
    release does so for each role and adds the two (REVIOSA.md 1.8).

    ``probabilities`` are softmax weights over *all* keys, restricted to patches, not renormalised.
    They sum to at most one a row, so the optimum over m positive patches is about 1/m each, not 1.
    The BCE is torch's, logarithms cut at -100; autocast refuses it, so this computes in fp32 with
    autocast off.

    Args:
        probabilities: [..., patch]; rows of NaN stand for absent roles and are left out.
        masks: truth in [0, 1], pooled to patches, broadcast against ``probabilities``.
        reduction: ``"sum"`` (the paper) or ``"mean"`` (the release).

    Returns:
        a scalar; zero where no row is present.
    """
    with torch.autocast(probabilities.device.type, enabled=False):
        attention = probabilities.float()
        truth = masks.float().expand_as(attention)
        present = ~attention.isnan().any(dim=-1)
        attention, truth = attention[present], truth[present]
        if not len(attention):
            return probabilities.nansum() * 0
        # Rounding may lift a weight above one by a bit, which binary_cross_entropy refuses.
        patches = binary_cross_entropy(attention.clamp(0, 1), truth, reduction="none")
        rows = patches.mean(dim=-1)
        return rows.sum() if reduction == "sum" else rows.mean()


def pool_masks(masks: Tensor, grid: int, method: Literal["area", "nearest"] = "area") -> Tensor:
    """Bring masks to the patch grid (G' of equation 6).

    Args:
        masks: [..., height, width], any type.
        grid: patches along one side.
        method: ``"area"``, the covered fraction of each patch, or ``"nearest"``, the top left pixel
            of each patch as the release does, by which small objects can vanish.

    Returns:
        float32 [..., grid, grid] in [0, 1].
    """
    height, width = masks.shape[-2:]
    if method == "nearest":
        rows = torch.arange(grid, device=masks.device) * height // grid
        columns = torch.arange(grid, device=masks.device) * width // grid
        return masks[..., rows[:, None], columns].float()
    flat = masks.float().reshape(-1, 1, height, width)
    return adaptive_avg_pool2d(flat, grid).reshape(*masks.shape[:-2], grid, grid)
