"""Stages ``read`` and ``bind``: the role tokens come to mean objects.

``read``: the language model learns to answer, and the role token's hidden state must name its
object (attributes) and say which cells it covers in each frame. ``bind`` adds the masks: MLP_seg
must make of that hidden state a vector that SAM2 segments the object from, at first by resembling
the concept vector of stage ``segment``.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.losses import dice_loss, mask_bce_loss, text_loss
from reviosa.model import ReviosaModel, ReviosaOutput, ReviosaProcessor
from reviosa.training.data import ConversationDataset, collate
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank
from reviosa.training.nano.segment import ConceptEncoder, centres

__all__ = ["BindStage", "ReadStage", "with_strange_words"]


class ReadStage(nn.Module):
    """Trains language model, embeddings and projector; no masks yet."""

    learning_rate, batch_size = 1e-3, 4
    masks = False

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        model.requires_grad_(False)
        self.trained = nn.ModuleList(
            [
                model.language_model,
                model.mllm.lm_head,
                model.mllm.model.multi_modal_projector,
            ]
        )
        if self.masks:
            # The decoder stays as it is: fed with the vectors of an MLP_seg that knows nothing
            # yet, it would only learn to ignore them.
            self.trained.append(model.seg_projector)
        self.trained.requires_grad_(True)
        config = model.config
        hidden = config.mllm_config.text_config.hidden_size
        self.names = nn.ModuleList(nn.Linear(hidden, len(w)) for w in ATTRIBUTES.values())
        self.cells = nn.Linear(hidden, config.num_frames * config.grid**2)
        self.concepts = ConceptEncoder(model.sam2.hidden_dim, config.num_frames)
        self.concepts.requires_grad_(False)
        self._whole, self._processor = (model,), processor
        self._draws: ConversationDataset | None = None
        self._place = 0

    def open(self, dataset: InterRVOSDataset, seed: int, place: int) -> None:
        """Draw conversations from ``dataset``, starting at draw ``place``."""
        self._draws = ConversationDataset(
            dataset,
            self._processor,
            draws=1 << 30,
            num_frames=self._whole[0].config.num_frames,
            mask_size=self._processor.sam_image_size // 4,
            seed=seed,
            rewrite=with_strange_words,
        )
        self._place = place

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of the next batch of conversations."""
        model = self._whole[0]
        drawn = range(self._place, self._place + self.batch_size)
        self._place += self.batch_size
        batch = collate([self._draws[i] for i in drawn], self._processor)
        known = [_known(self._draws, i, bank) for i in drawn]
        attributes = torch.from_numpy(np.concatenate([a for a, _ in known]))
        places = torch.from_numpy(np.concatenate([p for _, p in known])).float()

        supervised = batch["labels"][:, 1:] >= 0
        inputs = ["input_ids", "attention_mask", "pixel_values"]
        inputs += ["sam_pixel_values"] if self.masks else []
        output = model(
            **{k: batch[k] for k in inputs},
            logit_positions=torch.nn.functional.pad(supervised, (0, 1)),
            use_cache=False,
        )
        row, role = output.prompt_row, output.prompt_role
        ids = batch["input_ids"]
        is_role = (ids == model.config.actor_token_id) | (ids == model.config.target_token_id)
        # Role tokens stand in reading order, which is the order of (row, role) too.
        hidden = output.last_hidden_state[is_role]

        text = text_loss(output.logits, batch["labels"][:, 1:][supervised])
        wanted = attributes[row, role]
        single = wanted[:, 0] >= 0
        naming = hidden.new_zeros(())
        scores: dict[str, Tensor] = {}
        for index, (name, head) in enumerate(zip(ATTRIBUTES, self.names, strict=True)):
            logits = head(hidden[single])
            naming = naming + cross_entropy(logits, wanted[single, index])
            right = (logits.argmax(-1) == wanted[single, index]).float().mean()
            scores[f"{name}_named"] = right
        patches = batch["patch_targets"][row, role].flatten(1)
        # Few cells are covered; without the weight "nowhere" would be a good answer.
        cells = binary_cross_entropy_with_logits(
            self.cells(hidden), patches, pos_weight=patches.new_tensor(8.0)
        )
        loss = text + naming + 2 * cells
        scores |= {"text": text.detach(), "cells": cells.detach()}
        if self.masks:
            extra, found = self._mask_terms(
                output, batch["mask_targets"], wanted, places[row, role], single
            )
            loss, scores = loss + extra, scores | found
        return loss, scores

    def _mask_terms(
        self,
        output: ReviosaOutput,
        targets: Tensor,
        attributes: Tensor,
        places: Tensor,
        single: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mask losses, resemblance to the concepts, and IoU by role."""
        role = output.prompt_role
        truth = targets[output.prompt_row, role]
        mask = 10 * mask_bce_loss(output.mask_logits, truth) + dice_loss(output.mask_logits, truth)
        with torch.no_grad():
            concept = self.concepts(attributes[single], places[single])
            hard, real = output.mask_logits > 0, truth > 0.5
            union = (hard | real).sum((-2, -1))
            iou = torch.where(union > 0, (hard & real).sum((-2, -1)) / union.clamp(min=1), 1.0)
        resemblance = mse_loss(output.prompts[single], concept)
        return mask + resemblance, {
            "resemblance": resemblance.detach(),
            "actor_iou": iou[role == 0].mean(),
            "target_iou": iou[role == 1].mean(),
        }


class BindStage(ReadStage):
    """Trains MLP_seg as well."""

    learning_rate = 8e-4
    masks = True


def with_strange_words(rng: np.random.Generator, text: str) -> str:
    """One expression in four gets up to four words that the synthetic world does not know.

    They are spelled letter by letter, as every word of a real expression will be. Without them the
    model has never seen such tokens and answers an expression of the real world with babble.
    """
    if rng.random() >= 0.25:
        return text
    words = text.split()
    for _ in range(int(rng.integers(1, 5))):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(rng.integers(1, 9)))
        words.insert(int(rng.integers(0, len(words) + 1)), "".join(letters))
    return " ".join(words)


def _known(draws: ConversationDataset, index: int, bank: ClipBank) -> tuple[Any, Any]:
    """What is known of the objects of a draw.

    Returns:
        attributes [row, role, attribute], -1 where a role is absent or means several objects, and
        places [row, role, frame, 3].
    """
    video, frames, samples = draws.draw(index)
    number = bank.video_ids.index(video.video_id)
    attributes = np.full((len(samples), 2, len(ATTRIBUTES)), -1, np.int64)
    places = np.zeros((len(samples), 2, len(frames), 3))
    labels = bank.labels[number][frames]
    for row, sample in enumerate(samples):
        expression = sample.expression
        for role, ids in enumerate((expression.actor_ids, expression.target_ids)):
            if len(ids) == 1:
                thing = bank.objects[number][ids[0]]
                attributes[row, role] = bank.attributes[number, thing]
                places[row, role] = centres(labels == thing + 1)
    return attributes, places
