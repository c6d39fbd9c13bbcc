"""The whole training loss of one batch, term by term (paper, equation 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from reviosa.errors import ReviosaError
from reviosa.losses import (
    at_points,
    attention_mask_loss,
    dice_loss,
    mask_bce_loss,
    release_order,
    text_loss,
    uncertain_points,
)
from reviosa.model import ReviosaModel, RoleAttention, record_role_attention
from reviosa.training.config import LossConfig

__all__ = ["LossCounts", "LossTerms", "compute_losses", "count_batch"]


class LossCounts(NamedTuple):
    """By what each term is divided: the sizes of the whole effective batch, not of a part of it."""

    tokens: float
    actors: float
    targets: float
    videos: float


@dataclass(frozen=True)
class LossTerms:
    """Each term unweighted, and their weighted sum."""

    total: Tensor
    text: Tensor
    bce: Tensor
    dice: Tensor
    aml: Tensor | None


def count_batch(batch: dict[str, Tensor]) -> LossCounts:
    """What one batch adds to the counts: supervised tokens, expressions, interactions, videos."""
    return LossCounts(
        float((batch["labels"][:, 1:] >= 0).sum()),
        float(len(batch["has_target"])),
        float(batch["has_target"].sum()),
        float(len(batch["input_ids"])),
    )


def compute_losses(
    model: ReviosaModel,
    batch: dict[str, Tensor],
    config: LossConfig,
    pairs: Sequence[tuple[int, int]] = (),
    counts: LossCounts | None = None,
) -> LossTerms:
    """Run the model on a batch and compute the loss.

    Every term is a sum over the batch divided by ``counts``, so that the parts of an accumulated
    batch add up to exactly the loss of the whole.

    Args:
        model: the model, perhaps wrapped for distributed training.
        batch: of :func:`reviosa.training.data.collate`.
        config: the weights.
        pairs: layer-head pairs that attention mask loss supervises; none switches it off.
        counts: of the effective batch; of this batch when None.

    Raises:
        ReviosaError: the text names other roles than the truth has.
    """
    counts = counts or count_batch(batch)
    supervised = batch["labels"][:, 1:] >= 0
    positions = torch.nn.functional.pad(supervised, (0, 1))
    names = ("input_ids", "attention_mask", "frames", "pixel_values", "sam_pixel_values")
    inputs = {name: batch[name] for name in names if name in batch}

    def run() -> object:
        return model(**inputs, logit_positions=positions, use_cache=False)

    if pairs:
        with record_role_attention(model, layers=[layer for layer, _ in pairs]) as record:
            output = run()
        aml = _attention_term(record, batch, pairs, config, counts)
    else:
        output, aml = run(), None

    row, role = output.prompt_row, output.prompt_role
    expected = len(batch["has_target"]) + int(batch["has_target"].sum())
    named = torch.zeros(len(output.row_sample), 2, dtype=torch.bool, device=row.device)
    named[row, role] = True
    if not torch.equal(named[:, 1], batch["has_target"]):
        raise ReviosaError(
            f"the text holds {len(row)} role tokens but the truth has masks for {expected} roles; "
            "build both from the same expressions"
        )
    truth = batch["mask_targets"][row, role]
    text = text_loss(output.logits, batch["labels"][:, 1:][supervised])
    text = text * (supervised.sum() / max(counts.tokens, 1))
    bce = dice = text.new_zeros(())
    targets = counts.actors if config.target_normaliser == "expressions" else counts.targets
    for which, count in ((0, counts.actors), (1, targets)):
        chosen = role == which
        logits, masks = output.mask_logits[chosen], truth[chosen]
        if config.mask_points is not None and len(logits):
            logits, masks = _at_uncertain_points(logits, masks, config.mask_points)
        share = len(logits) / max(count, 1)
        bce = bce + mask_bce_loss(logits, masks) * share
        dice = dice + dice_loss(logits, masks) * share
    total = config.text * text + config.bce * bce + config.dice * dice
    if aml is not None:
        total = total + config.aml * aml
    return LossTerms(total, text, bce, dice, aml)


def _at_uncertain_points(logits: Tensor, masks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Both at the same places, as pictures of one line: [prompt, frame, 1, point]."""
    shape = (*logits.shape[:2], 1, count)
    logits, masks = logits.flatten(0, 1), masks.flatten(0, 1)
    points = uncertain_points(logits, count)
    return at_points(logits, points).view(shape), at_points(masks, points).view(shape)


def _attention_term(
    record: RoleAttention,
    batch: dict[str, Tensor],
    pairs: Sequence[tuple[int, int]],
    config: LossConfig,
    counts: LossCounts,
) -> Tensor:
    """Equation 6 on this batch's rows; each expression meets its own masks."""
    layers = {layer: index for index, layer in enumerate(record.layers)}
    index = [layers[layer] for layer, _ in pairs]
    heads = [head for _, head in pairs]
    # [row, role, pair, frame, row, column] against [row, role, 1, frame, row, column]
    attention = record.on_patches()[:, :, index, heads].flatten(3)
    masks = batch["patch_targets"]
    sizes = record.roles.sample.bincount().tolist()
    if config.aml_order == "release":
        masks = torch.cat([release_order(part) for part in masks.split(sizes)])
    masks = masks[:, :, None].flatten(3)
    if config.aml_reduction == "sum":
        return attention_mask_loss(attention, masks, "sum") / max(counts.actors, 1)
    # The release: in each video the mean over a role's expressions and pairs, and both roles added;
    # of that the mean over the videos, so a target counts for more where there are few beside it.
    total = attention.new_zeros(())
    for seen, truth in zip(attention.split(sizes), masks.split(sizes), strict=True):
        for role in (0, 1):
            total = total + attention_mask_loss(seen[:, role], truth[:, role], "mean")
    return total / max(counts.videos, 1)
