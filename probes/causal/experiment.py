"""One expression scored with sets of its heads silenced."""

from contextlib import AbstractContextManager
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from probes.causal.outputs import Asked, Stock, role_of_tokens, twin
from probes.interventions import cut_attention, edit_heads
from reviosa.data.records import ROLES, VideoSample
from reviosa.evaluation import boundary_f, jaccard
from reviosa.inference import role_pairs
from reviosa.losses import pool_masks

__all__ = ["Kind", "scores_of"]

Kind = Literal["zero", "mean", "resample", "blind", "object-blind", "role-swap"]
_AT_ONCE = 32


def scores_of(
    asked: Asked, sample: VideoSample, silenced: Tensor, kind: Kind, stock: Stock | None
) -> dict[str, list[float]]:
    """Score of each role's masks under each ablation; see :func:`probes.causal.ablate`.

    Args:
        asked: the sample's video, with an answer to the sample.
        sample: the expression and its truth.
        silenced: bool [ablation, layer, head].
        kind: what is done to a silenced head.
        stock: what others wrote, for ``mean`` and ``resample``.

    Returns:
        [ablation] of each role that was named and lent to; of the actor alone where the expression
        is no interaction.
    """
    model = asked.segmenter.model
    ids = asked.replies[sample.expression.text]
    roles = role_of_tokens(asked.segmenter, asked.features, ids)
    wanted = (0, 1) if sample.expression.is_interaction else (0,)
    hidden: Tensor | None = None
    if kind in ("blind", "object-blind"):
        hidden = _hidden_keys(asked, sample, len(ids), kind == "object-blind")
    values = _in_their_place(asked, sample, kind, stock)
    if values is not None:
        # A role that nothing was lent to is not scored.
        lent = values.isfinite().flatten(1).all(dim=1).tolist()
        wanted = tuple(role for role in wanted if lent[role])
        values = values.nan_to_num().to(model.device)

    def changed(part: Tensor) -> AbstractContextManager[None]:
        if hidden is not None:
            return cut_attention(model, part, roles, hidden)
        return edit_heads(model, part, roles, values)

    found: dict[str, list[float]] = {}
    for part in silenced.to(model.device).split(_AT_ONCE):
        with changed(part):
            output = asked.segmenter.read(asked.features, [ids] * len(part))
        pairs = role_pairs(output, len(part))
        for role in wanted:
            prompts = [prompt for pair in pairs if (prompt := pair[role]) is not None]
            if prompts:
                scores = _scores(asked, sample, role, torch.stack(prompts), kind == "role-swap")
                found.setdefault(ROLES[role], []).extend(scores)
    return found


def _in_their_place(
    asked: Asked, sample: VideoSample, kind: Kind, stock: Stock | None
) -> Tensor | None:
    """What silenced heads write, [role, layer, head, head_dim]; None is zero, or their own.

    NaN where nobody who could lend it names the role.
    """
    if kind == "role-swap":
        other = twin(sample)
        assert other is not None, "those without one were left out"
        return asked.outputs(other.text)
    if kind == "mean" or kind == "resample":
        assert stock is not None, "was gathered for these kinds"
        return stock.mean(sample) if kind == "mean" else stock.one(sample)
    return None


def _hidden_keys(asked: Asked, sample: VideoSample, length: int, object_alone: bool) -> Tensor:
    """Patches that a role's token is not to see: all, or those its object touches; [role, key]."""
    model, features = asked.segmenter.model, asked.features
    is_patch = features.opening.ids[0] == model.config.image_token_id
    keys = torch.zeros(2, length, dtype=torch.bool, device=model.device)
    for role in (0, 1):
        hidden = is_patch.clone()
        if object_alone:
            truth = torch.from_numpy(sample.masks(role, list(features.frame_indices)))
            touched = pool_masks(truth, model.config.grid).flatten() > 0
            hidden[is_patch] = touched.to(model.device)
        keys[role, : len(is_patch)] = hidden
    return keys


def _scores(
    asked: Asked, sample: VideoSample, role: int, prompts: Tensor, swap: bool
) -> list[float]:
    """Score of each prompt's masks over the seen frames, 0 to 1.

    J&F, or with ``swap`` how far the masks lie on the other role's object.
    """
    frames = list(asked.features.frame_indices)
    masks = asked.segmenter.decode(asked.features, prompts)  # [frame, prompt, height, width]
    flat = masks.reshape(-1, *masks.shape[2:])

    def truth(role: int) -> np.ndarray:
        return np.repeat(sample.masks(role, frames), len(prompts), axis=0)

    own = truth(role)
    j = jaccard(flat, own)
    score = 1 + jaccard(flat, truth(1 - role)) - j if swap else boundary_f(flat, own) + j
    return (score.reshape(len(frames), len(prompts)).mean(axis=0) / 2).tolist()
