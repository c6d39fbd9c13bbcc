"""Stage ``segment``: SAM2 learns to segment from a concept vector and to track by memory.

A concept is what a role token will have to say: some attributes of an object and, mostly, which
cells it covers in the frames that the language model sees. Where only attributes are said,
everything that has them is meant.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reviosa.losses import dice_loss, mask_bce_loss, pool_masks
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.model.segmenter import DecodedMasks, decode_prompts, encode_frames
from reviosa.model.tracker import MemoryTracker
from reviosa.training.data import sample_frames
from reviosa.training.nano.clips import (
    ATTRIBUTES,
    ClipBank,
    cell_owners,
    count_objects,
    object_masks,
)
from reviosa.training.nano.see import cell_labels, naming_loss

__all__ = ["ConceptEncoder", "SegmentStage", "candidate_loss", "draw_concepts", "tracked_frames"]


class ConceptEncoder(nn.Module):
    """Attributes and place of what is meant as one prompt vector."""

    def __init__(self, channel: int, cells: int) -> None:
        super().__init__()
        # The last entry of each table stands for "not said".
        self.words = nn.ModuleList(
            nn.Embedding(len(words) + 1, channel) for words in ATTRIBUTES.values()
        )
        self.place = nn.Sequential(
            nn.Linear(cells, channel), nn.ReLU(), nn.Linear(channel, channel)
        )
        self.mix = nn.Sequential(
            nn.Linear(channel, channel), nn.ReLU(), nn.Linear(channel, channel)
        )

    def forward(self, attributes: Tensor, place: Tensor) -> Tensor:
        """Encode concepts.

        Args:
            attributes: int64 [concept, attribute]; -1 where an attribute is not said.
            place: covered fraction of each cell of each frame, zeros where the place is not said,
                [concept, frame * cell].

        Returns:
            prompt vectors [concept, channel].
        """
        said = sum(
            table(torch.where(attributes[:, i] < 0, table.num_embeddings - 1, attributes[:, i]))
            for i, table in enumerate(self.words)
        )
        return self.mix(said + self.place(place))


def candidate_loss(decoded: DecodedMasks, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Train all three candidates, and the IoU estimate of each.

    SAM trains the best of them alone, for a click can mean a part or the whole. A concept is not
    ambiguous, and with that rule the candidates share out the frame instead of heeding the concept.

    Args:
        decoded: of n prompts.
        truth: covered fractions, [n, height, width].

    Returns:
        the loss, and the IoU of the candidate with the best estimate, [n].
    """
    logits = decoded.candidates
    wanted = truth[:, None].expand_as(logits)
    with torch.no_grad():
        hard, real = logits > 0, wanted > 0.5
        union = (hard | real).sum((-2, -1))
        iou = torch.where(union > 0, (hard & real).sum((-2, -1)) / union.clamp(min=1), 1.0)
    estimate = ((decoded.iou - iou) ** 2).mean()
    loss = 10 * mask_bce_loss(logits, wanted) + dice_loss(logits, wanted) + estimate
    rows = torch.arange(len(logits))
    return loss, iou[rows, decoded.best]


class SegmentStage(nn.Module):
    """Segments four moments of a clip from the concept, and some frames between from memory.

    Tracked frames follow each other, for each is remembered for the next: a memory trained on the
    first of them alone drifts (20 points of J&F lost on the frames between, where 6 were due).
    """

    learning_rate, batch_size, concepts, tracked = 1e-3, 4, 3, 3
    autocast = False  # small maps: bf16 on a CPU costs more in casts than it gains

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        self.sam2 = model.sam2
        self.moments = model.config.num_frames
        self.grid = model.config.grid
        self.encoder = ConceptEncoder(model.sam2.hidden_dim, self.moments * self.grid**2)
        # What stands in each cell, asked of the features directly: the decoder then finds it there.
        self.heads = nn.ModuleList(
            nn.Linear(model.sam2.hidden_dim, len(words) + 1) for words in ATTRIBUTES.values()
        )
        self._processor = processor

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one random batch of clips."""
        videos = rng.integers(0, len(bank.frames), self.batch_size)
        total = bank.frames.shape[1]
        # Memory wants one frame number for the whole batch.
        moments = sample_frames(rng, total, self.moments)
        between = tracked_frames(rng, total, moments, self.tracked)
        when = [*moments, *between]
        frames, labels = bank.frames[videos][:, when], bank.labels[videos][:, when]
        if rng.random() < 0.5:
            frames, labels = frames[:, :, :, ::-1], labels[..., ::-1]
        features = encode_frames(
            self.sam2, self._processor.sam_frames(frames.reshape(-1, *frames.shape[2:]))
        )

        cells = features.maps[-1].flatten(2).transpose(1, 2)
        side = features.maps[-1].shape[-1]
        stood = [
            cell_labels(picture, bank.attributes[v], side)
            for v, clip in zip(videos, labels, strict=True)
            for picture in clip
        ]
        naming = naming_loss(cells, torch.from_numpy(np.stack(stood)), self.heads)

        drawn = [
            draw_concepts(clip, bank.attributes[v], self.concepts, self.grid, rng)
            for v, clip in zip(videos, labels, strict=True)
        ]
        attributes, places, masks = (
            torch.from_numpy(np.concatenate(x)) for x in zip(*drawn, strict=True)
        )
        prompts = self.encoder(attributes, places[:, : self.moments].flatten(1))
        truth = pool_masks(masks, self._processor.sam_image_size // 4)

        clip = torch.arange(self.batch_size).repeat_interleave(self.concepts)
        index = clip[:, None] * len(when) + torch.arange(len(when))
        tracker = MemoryTracker(self.sam2, total)
        remembered = set(rng.permutation(self.moments)[: int(rng.integers(2, self.moments + 1))])
        loss, ious = 0.5 * naming, []
        for place, frame in enumerate(moments):
            seen = features.take(index[:, place])
            if place in remembered:
                decoded = tracker.condition(frame, seen, prompts)
            else:
                decoded = decode_prompts(self.sam2, seen, prompts)
            term, iou = candidate_loss(decoded, truth[:, place])
            loss = loss + term / self.moments
            ious.append(iou.mean())
        tracked_ious = []
        for place, frame in enumerate(between, self.moments):
            decoded = tracker.track(frame, features.take(index[:, place]))
            term, iou = candidate_loss(decoded, truth[:, place])
            loss = loss + term / len(between)
            tracked_ious.append(iou.mean())

        # Concept and features meet in one space before the decoder has to make them meet.
        covered = pool_masks(truth, side).flatten(2)
        alike = torch.einsum("pc,pmnc->pmn", prompts, cells[index]) / cells.shape[-1] ** 0.5
        matching = binary_cross_entropy_with_logits(
            alike, covered, pos_weight=covered.new_tensor(8.0)
        )
        return loss + 2 * matching, {
            "naming": naming.detach(),
            "matching": matching.detach(),
            "prompted_iou": torch.stack(ious).mean(),
            "tracked_iou": torch.stack(tracked_ious).mean(),
        }


def tracked_frames(
    rng: np.random.Generator, total: int, moments: Sequence[int], count: int
) -> list[int]:
    """``count`` frames that follow each other among those that are no moments."""
    others = [t for t in range(total) if t not in moments]
    first = int(rng.integers(0, max(1, len(others) - count + 1)))
    return others[first : first + count]


def draw_concepts(
    labels: np.ndarray, attributes: np.ndarray, count: int, grid: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw concepts of one clip: one object, two of them, or all of a look with or without a place.

    With one or two in ten concepts of several objects in place of four, the decoder often shows but
    one of two (J&F 64 from true concepts, where one object alone reached 82).

    Args:
        labels: object of each pixel, [frame, height, width].
        attributes: [object, attribute], -1 beyond the last object.
        count: concepts to draw.
        grid: cells along one side.
        rng: source of chance.

    Returns:
        attributes said, -1 where not [count, attribute]; covered fractions of cells, zeros where
        the place is not said, float32 [count, frame, cell]; truth, bool [count, frame, height,
        width].
    """
    present = count_objects(attributes)
    _, cover = cell_owners(labels, grid, present)
    masks = object_masks(labels, present)
    said = np.full((count, attributes.shape[1]), -1, np.int64)
    place = np.zeros((count, len(labels), grid * grid), np.float32)
    truth = np.zeros((count, *labels.shape), bool)
    for i in range(count):
        meant = rng.permutation(present)[: 1 if rng.random() < 0.7 else 2]
        alike = rng.random() < 0.35
        spoken = rng.random(attributes.shape[1]) < (0.4 if alike else 0.75)
        if alike and spoken.any():
            look = attributes[meant[0], spoken]
            meant = np.flatnonzero((attributes[:present, spoken] == look).all(axis=1))
            placed = rng.random() < 0.6
        else:
            spoken &= (attributes[meant] == attributes[meant[0]]).all(axis=0)
            placed = True
        if placed:
            place[i] = cover[meant].sum(axis=0)
        said[i, spoken] = attributes[meant[0], spoken]
        truth[i] = masks[meant].any(axis=0)
    return said, place, truth
