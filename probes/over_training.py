"""Role attention as training goes: a callback of the trainer that looks and never touches."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from probes._json import plain
from probes.bootstrap import defined_mean
from probes.criteria import SCORED, View
from reviosa.data.records import ROLES
from reviosa.model import ReviosaModel, ReviosaProcessor, record_role_attention
from reviosa.training.data import ConversationDataset, collate
from reviosa.training.log import trim_log

__all__ = ["WATCHED", "RoleAttentionCallback", "mean_head_metrics"]

WATCHED = ("visual_mass", "text_mass", "mask_share", "lift")
"""Criteria that are followed over training."""


@torch.inference_mode()
def mean_head_metrics(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    draws: Sequence[dict[str, Any]],
    batch_size: int = 4,
) -> dict[str, dict[str, np.ndarray]]:
    """Mean over expressions of each head metric, for fixed conversations with their true answers.

    Args:
        model: put into evaluation mode for the while, so that dropout draws no random number.
        processor: of the model.
        draws: items of a :class:`~reviosa.training.data.ConversationDataset`.
        batch_size: conversations in one forward pass.

    Returns:
        role -> metric -> float64 [layer, head]; NaN where no expression has the role.
    """
    training = model.training
    model.eval()
    found: dict[str, dict[str, list[np.ndarray]]] = {role: {} for role in ROLES}
    try:
        for start in range(0, len(draws), batch_size):
            batch = collate(draws[start : start + batch_size], processor)
            inputs = {k: batch[k].to(model.device) for k in ("input_ids", "attention_mask")}
            with record_role_attention(model) as record:
                # What is watched are the tokens that prompt SAM2; their masks are not asked for.
                model(
                    **inputs,
                    frames=batch["frames"],
                    logits_to_keep=1,
                    use_cache=False,
                    find_prompts=False,
                )
            attention = record.attention.float().cpu().numpy()
            vision = (record.vision_grid[..., 0] >= 0).cpu().numpy()
            truth = batch["patch_targets"]
            grid = (truth.shape[2], truth.shape[3], truth.shape[4])
            masks = truth.flatten(2).numpy()
            for row, role in zip(*np.nonzero(record.roles.present.cpu().numpy()), strict=True):
                view = View(attention[row, role], vision[row], grid, masks[row, role])
                for name in WATCHED:
                    value = SCORED[name].score(view)
                    found[ROLES[role]].setdefault(name, []).append(value)
    finally:
        model.train(training)
    nothing = [np.full((model.config.num_layers, model.config.num_heads), np.nan)]
    return {
        role: {name: defined_mean(np.stack(metrics.get(name, nothing)), axis=0) for name in WATCHED}
        for role, metrics in found.items()
    }


class RoleAttentionCallback(TrainerCallback):
    """Writes the mean head metrics on fixed clips to ``attention.jsonl``, a line a look and role.

    Each is ``{"step", "role", metric: [[layer, head]]}``, null where a metric is undefined;
    :func:`reviosa.training.log.read_log` reads them.

    Training is the same with it and without it: the clips and their frames are drawn from a seed of
    their own, and the model is in evaluation mode while it is looked at.

    Args:
        clips: conversations to look at, always the same ones.
        processor: of the model.
        path: file to write.
        every: optimiser steps between two looks; the first is before the first step.
    """

    def __init__(
        self, clips: ConversationDataset, processor: ReviosaProcessor, path: Path, every: int
    ) -> None:
        self._draws = [clips[index] for index in range(len(clips))]
        self._processor, self._path, self._every = processor, path, every

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Look before the first step, or forget what a resumed run is about to repeat."""
        if not state.is_world_process_zero:
            return
        # At step 0 the first look is about to be repeated too.
        trim_log(self._path, state.global_step or -1)
        if state.global_step == 0:
            self._look(model, 0, state)

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any
    ) -> None:
        """Look every so many steps, and after the last."""
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            self._look(model, state.global_step, state)

    def _look(self, model: Any, step: int, state: Any) -> None:
        if not state.is_world_process_zero:
            return
        model = getattr(model, "module", model)
        metrics = mean_head_metrics(model, self._processor, self._draws)
        with open(self._path, "a", encoding="utf-8") as file:
            for role, values in metrics.items():
                listed = {name: plain(value.round(6)) for name, value in values.items()}
                file.write(json.dumps({"step": step, "role": role, **listed}) + "\n")
