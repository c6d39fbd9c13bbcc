"""Role attention as training goes: a callback of the trainer that looks and never touches."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from probes.metrics import METRICS, head_metrics
from reviosa.data.records import ROLES
from reviosa.io import write_text
from reviosa.model import ReviosaModel, ReviosaProcessor, record_role_attention
from reviosa.training.data import ConversationDataset, collate

__all__ = ["ATTENTION_FILE", "RoleAttentionCallback", "mean_head_metrics", "read_attention_log"]

ATTENTION_FILE = "attention.jsonl"


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
            names = ("input_ids", "attention_mask", "pixel_values")
            inputs = {name: batch[name].to(model.device) for name in names}
            with record_role_attention(model) as record:
                model(**inputs, logits_to_keep=1, use_cache=False)
            attention = record.attention.float().cpu().numpy()
            vision = (record.vision_grid[..., 0] >= 0).cpu().numpy()
            masks = batch["patch_targets"].flatten(2).numpy()
            for row, role in zip(*np.nonzero(record.roles.present.cpu().numpy()), strict=True):
                values = head_metrics(attention[row, role], vision[row], masks[row, role])
                for name, value in values.items():
                    found[ROLES[role]].setdefault(name, []).append(value)
    finally:
        model.train(training)
    nothing = [np.full((model.config.num_layers, model.config.num_heads), np.nan)]
    return {
        role: {name: _mean(np.stack(metrics.get(name, nothing))) for name in METRICS}
        for role, metrics in found.items()
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class RoleAttentionCallback(TrainerCallback):
    """Writes the mean head metrics on fixed clips to ``attention.jsonl``, a line a look and role.

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
        if self._path.is_file():
            # At step 0 the first look is about to be repeated too.
            kept = [x for x in read_attention_log(self._path) if x["step"] <= state.global_step]
            kept = kept if state.global_step else []
            write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
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
                # NaN is no JSON: where nothing is defined, null.
                listed = {
                    name: [
                        [None if np.isnan(x) else round(float(x), 6) for x in row] for row in value
                    ]
                    for name, value in values.items()
                }
                file.write(json.dumps({"step": step, "role": role, **listed}) + "\n")


def read_attention_log(path: str | Path) -> list[dict[str, Any]]:
    """The lines of an ``attention.jsonl``; one that was torn when the run was killed is left out.

    Each is ``{"step", "role", metric: [[layer, head]]}`` with null where a metric is undefined.
    """
    lines = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines
