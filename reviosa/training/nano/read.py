"""Stage ``read``: the language model watches the video, answers, and its role tokens mean objects.

The role token's last hidden state must name its object, say which cells it covers in each frame,
and give, through MLP_seg, the concept vector from which stage ``segment`` has taught SAM2 to
segment. No mask is decoded yet, which makes this stage cheap.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.losses import text_loss
from reviosa.model import ReviosaModel, ReviosaOutput, ReviosaProcessor
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank
from reviosa.training.nano.conversations import Conversations
from reviosa.training.nano.segment import ConceptEncoder
from reviosa.training.nano.watch import WatchHeads, kept_states

__all__ = ["ReadStage", "Reading"]

_POINTER = 64


class Reading(NamedTuple):
    """One batch as the language model has read it."""

    batch: dict[str, Tensor]
    output: ReviosaOutput
    frames: list[int]
    loss: Tensor
    scores: dict[str, Tensor]


class ReadStage(nn.Module):
    """Trains language model, embeddings, projector and MLP_seg."""

    learning_rate, batch_size, expressions, extra_frames = 1.5e-3, 8, 8, 0
    autocast = True

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        model.requires_grad_(False)
        config = model.config
        hidden = config.mllm_config.text_config.hidden_size
        cells = config.num_frames * config.grid**2
        self.trained = nn.ModuleList(
            [
                model.language_model,
                model.mllm.lm_head,
                model.mllm.model.multi_modal_projector,
                model.seg_projector,
            ]
        )
        self.trained.requires_grad_(True)
        self.names = nn.ModuleList(nn.Linear(hidden, len(w)) for w in ATTRIBUTES.values())
        self.cells = nn.Linear(hidden, cells)
        self.watch = WatchHeads(hidden, config.num_frames)
        self.point = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, _POINTER)) for _ in range(2)
        )
        self.concepts = ConceptEncoder(model.sam2.hidden_dim, cells).requires_grad_(False)
        # Held in a tuple so that only the parts above are the stage's own.
        self._whole, self._processor = (model,), processor
        self._draws: Conversations | None = None

    def open(self, dataset: InterRVOSDataset, bank: ClipBank) -> None:
        """Say where conversations are drawn from."""
        frames = self._whole[0].config.num_frames
        self._draws = Conversations(
            dataset, bank, self._processor, frames, self.expressions, self.extra_frames
        )

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one batch of conversations."""
        reading = self.read(rng)
        return reading.loss, reading.scores

    def read(self, rng: np.random.Generator) -> Reading:
        """Draw a batch, run the language model on it, and judge what it understood."""
        assert self._draws is not None, "call open() first"
        model = self._whole[0]
        batch, watched, frames = self._draws.batch(rng, self.batch_size)
        supervised = batch["labels"][:, 1:] >= 0
        with kept_states(model, (WatchHeads.way_layer, WatchHeads.event_layer)) as states:
            # Padded on the right, no token sees padding anyway; with no mask the kernel can skip
            # the future instead of masking it.
            output = model(
                batch["input_ids"],
                pixel_values=batch["pixel_values"],
                logit_positions=torch.nn.functional.pad(supervised, (0, 1)),
                use_cache=False,
            )
        patches = batch["input_ids"] == model.config.image_token_id
        early, late = (x[patches].unflatten(0, (len(patches), -1)) for x in states)
        watching, scores = self.watch(early, late, watched)

        row, role = output.prompt_row, output.prompt_role
        ids = batch["input_ids"]
        is_role = (ids == model.config.actor_token_id) | (ids == model.config.target_token_id)
        # Role tokens stand in reading order, which is the order of (row, role) too.
        hidden = output.last_hidden_state[is_role]
        text = text_loss(output.logits, batch["labels"][:, 1:][supervised])
        looks, cells = batch["looks"][row, role], batch["cells"][row, role]
        naming = hidden.new_zeros(())
        for index, (name, head) in enumerate(zip(ATTRIBUTES, self.names, strict=True)):
            said = looks[:, index] >= 0
            logits = head(hidden[said]).float()
            naming = naming + cross_entropy(logits, looks[said, index])
            right = logits.argmax(-1) == looks[said, index]
            scores[f"{name}_named"] = right.float().mean()
        # Few cells are covered; without the weight "nowhere" would be a good answer.
        found = self.cells(hidden).float()
        placing = binary_cross_entropy_with_logits(found, cells, pos_weight=cells.new_tensor(4.0))
        with torch.autocast(hidden.device.type, enabled=False):
            concept = self.concepts(looks, cells).detach()
        # As a share of what guessing the mean concept would leave.
        resemblance = mse_loss(output.prompts.float(), concept) / concept.var(dim=0).mean()
        hit = _hits(found, cells)
        for which, name in enumerate(("actor", "target")):
            scores[f"{name}_placed"] = hit[role == which].float().mean()
        # In the middle of the stack the role token must already describe its object in the terms in
        # which patches describe themselves; what remains is to attend to what fits.
        query, key = self.point[0](states[1][is_role]).float(), self.point[1](late).float()
        sample = output.row_sample[row]
        fits = torch.einsum("rc,rpc->rp", query, key[sample]) / _POINTER**0.5
        covered = cells.sum(dim=1) > 0
        share = cells[covered] / cells[covered].sum(dim=1, keepdim=True)
        pointing = -(share * fits[covered].log_softmax(dim=1)).sum(dim=1).mean()
        scores["pointed"] = _hits(fits, cells).float().mean()
        scores |= {"text": text.detach(), "resemblance": resemblance.detach()}
        loss = text + naming + 4 * placing + pointing + watching + 4 * resemblance
        return Reading(batch, output, frames, loss, scores)


def _hits(scores: Tensor, cells: Tensor) -> Tensor:
    """Whether the cell with the highest score is one of the object, bool [role token]."""
    return cells.gather(1, scores.argmax(1, keepdim=True))[:, 0] > 0.25
