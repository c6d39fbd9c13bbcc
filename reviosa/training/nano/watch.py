"""Stage ``watch``: patches come to tell where their object was, what it does, and to whom.

The video stands before the question, so a patch cannot know what will be asked: it has to hold all
that could be. Dense losses on two layers in the middle teach that, before there is any question and
along with it; a role token then has only to look it up.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from reviosa.data.synthetic import MOTIONS
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.training.data import sample_frames
from reviosa.training.nano.clips import ATTRIBUTES, PARTS, ClipBank, cell_owners, count_objects

__all__ = ["WatchHeads", "WatchStage", "WatchTargets", "kept_states", "watch_targets"]


class WatchTargets(NamedTuple):
    """Truth for each patch of a video, frame after frame; one video, or stacked to a batch."""

    way: Tensor
    """Middle of the patch's object in each frame, (x, y) in -1 to 1, [patch, frame, 2]."""
    known: Tensor
    """Frames, up to the patch's own, in which that middle can be seen, bool [patch, frame]."""
    part: Tensor
    """Index into PARTS, -1 on the background, int64 [patch]."""
    motion: Tensor
    """Index into MOTIONS, -1 on the background, int64 [patch]."""
    partner: Tensor
    """Middle of the other object of the event in the patch's frame, [patch, 2]."""
    partner_look: Tensor
    """Its attributes, -1 where there is none, int64 [patch, attribute]."""

    @classmethod
    def stack(cls, targets: "Sequence[WatchTargets]") -> "WatchTargets":
        """Those of several videos as a batch."""
        return cls(*(torch.stack(x) for x in zip(*targets, strict=True)))


def watch_targets(
    bank: ClipBank, video: int, labels: np.ndarray, grid: int, flipped: bool
) -> WatchTargets:
    """Truth for the patches of some frames of a video.

    Args:
        bank: the world.
        video: number of the video in it.
        labels: object of each pixel in those frames, flipped already, uint8 [frame, height, width].
        grid: cells along one side.
        flipped: whether left and right are exchanged.
    """
    owner, cover = cell_owners(labels, grid, count_objects(bank.attributes[video]))
    owner = owner.reshape(-1)
    frames = len(labels)
    axis = (np.arange(grid) + 0.5) / grid * 2 - 1
    place = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    area = cover.sum(axis=2)
    middle = cover @ place / np.maximum(area, 1e-6)[..., None]  # [object, frame, 2]
    seen = area > 0.1

    frame_of = np.repeat(np.arange(frames), grid * grid)
    past = np.arange(frames) <= frame_of[:, None]
    owned = owner >= 0
    motions = bank.motions[video]
    if flipped:
        swap = np.arange(len(MOTIONS))
        left, right = MOTIONS.index("left"), MOTIONS.index("right")
        swap[[left, right]] = right, left
        motions = swap[motions]
    partner = np.where(owned, bank.partners[video][owner], -1)
    there = (partner >= 0) & seen[partner, frame_of]
    arrays = (
        middle[owner],
        owned[:, None] & past & seen[owner],
        np.where(owned, bank.parts[video][owner], -1),
        np.where(owned, motions[owner], -1),
        middle[partner, frame_of],
        np.where(there[:, None], bank.attributes[video][partner], -1),
    )
    return WatchTargets(*(torch.from_numpy(np.ascontiguousarray(x)) for x in arrays))


class WatchHeads(nn.Module):
    """Reads those truths off the hidden states of two layers.

    Args:
        hidden: width of the language model.
        frames: frames of a conversation.
    """

    way_layer, event_layer = 2, 4

    def __init__(self, hidden: int, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.way = nn.Linear(hidden, 2 * frames)
        self.part = nn.Linear(hidden, len(PARTS))
        self.motion = nn.Linear(hidden, len(MOTIONS))
        self.partner = nn.Linear(hidden, 2)
        self.look = nn.ModuleList(nn.Linear(hidden, len(w)) for w in ATTRIBUTES.values())

    def forward(
        self, early: Tensor, late: Tensor, truth: WatchTargets
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores.

        Args:
            early: hidden states of the patches after ``way_layer``, [batch, patch, hidden].
            late: the same after ``event_layer``.
            truth: stacked over the batch.
        """
        early, late = self.norms[0](early), self.norms[1](late)
        way = self.way(early).float().unflatten(-1, (self.frames, 2))
        loss = 20 * smooth_l1_loss(way[truth.known], truth.way[truth.known], beta=0.1)
        scores = {"way": (way[truth.known] - truth.way[truth.known]).abs().mean().detach()}

        # The first frame cannot know what will move; the last has seen everything.
        frame = torch.arange(early.shape[1], device=early.device) // (early.shape[1] // self.frames)
        weight = (frame / (self.frames - 1)).expand(len(early), -1)
        last = frame == self.frames - 1
        for name, head, wanted in (
            ("part", self.part, truth.part),
            ("motion", self.motion, truth.motion),
        ):
            shown = wanted >= 0
            logits = head(late).float()
            each = cross_entropy(logits[shown], wanted[shown], reduction="none")
            loss = loss + (each * weight[shown]).sum() / weight[shown].sum().clamp(min=1)
            with torch.no_grad():
                right = (logits.argmax(-1) == wanted)[shown & last]
                scores[f"{name}_told"] = right.float().mean()
        paired = truth.partner_look[..., 0] >= 0
        share = weight[paired] / weight[paired].sum().clamp(min=1)
        off = smooth_l1_loss(
            self.partner(late).float()[paired], truth.partner[paired], beta=0.1, reduction="none"
        )
        loss = loss + 2 * (off.sum(-1) * share).sum()
        for index, head in enumerate(self.look):
            logits = head(late).float()[paired]
            each = cross_entropy(logits, truth.partner_look[paired][:, index], reduction="none")
            loss = loss + 0.25 * (each * share).sum()
        return loss, scores


class WatchStage(nn.Module):
    """The language model over the video alone: no question yet, and half as many tokens."""

    learning_rate, batch_size = 2e-3, 16
    autocast = True

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        model.requires_grad_(False)
        self.trained = nn.ModuleList(
            [
                model.language_model,
                model.mllm.model.multi_modal_projector,
            ]
        )
        self.trained.requires_grad_(True)
        config = model.config
        self.watch = WatchHeads(config.mllm_config.text_config.hidden_size, config.num_frames)
        # Held in a tuple so that only the parts above are the stage's own.
        self._whole, self._processor = (model,), processor
        ids, _ = processor.conversation(["object"], [None], config.num_frames)
        last = max(i for i, token in enumerate(ids) if token == config.image_token_id)
        self._video = torch.tensor(ids[: last + 1])

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one random batch of clips."""
        model, grid = self._whole[0], self._processor.grid
        total, wanted = bank.frames.shape[1], model.config.num_frames
        clips, watched = [], []
        for video in rng.integers(0, len(bank.frames), self.batch_size):
            moments = sample_frames(rng, total, wanted)
            flipped = bool(rng.random() < 0.5)
            frames, labels = bank.clip(int(video), moments, flipped)
            clips.append(frames)
            watched.append(watch_targets(bank, int(video), labels, grid, flipped))
        truth = WatchTargets.stack(watched)
        pixels = self._processor.vision_frames(np.concatenate(clips))
        ids = self._video.expand(self.batch_size, -1)
        with kept_states(model, (WatchHeads.way_layer, WatchHeads.event_layer)) as states:
            model(ids, pixel_values=pixels.unflatten(0, (self.batch_size, -1)), use_cache=False)
        patches = ids == model.config.image_token_id
        early, late = (x[patches].unflatten(0, (self.batch_size, -1)) for x in states)
        return self.watch(early, late, truth)


@contextlib.contextmanager
def kept_states(model: ReviosaModel, layers: Sequence[int]) -> Iterator[list[Tensor]]:
    """Collect the hidden states after some layers of the language model, in order."""
    states: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    hooks = [model.language_model.layers[i].register_forward_hook(keep) for i in sorted(layers)]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()
