"""Stage ``segment``: SAM2 learns to segment from a concept vector and to track by memory.

A concept is what a role token will have to say: some attributes of an object and, mostly, about
where it is. Where only attributes are said, everything that has them is meant.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reviosa.losses import pool_masks
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.model.segmenter import DecodedMasks, decode_prompts, encode_frames
from reviosa.model.tracker import MemoryTracker
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank, object_masks
from reviosa.training.nano.see import cell_labels, naming_loss

__all__ = ["ConceptEncoder", "SegmentStage", "candidate_loss"]


class ConceptEncoder(nn.Module):
    """Attributes and place of an object as one prompt vector."""

    def __init__(self, channel: int, frames: int) -> None:
        super().__init__()
        # The last entry of each table stands for "not said".
        self.words = nn.ModuleList(
            nn.Embedding(len(words) + 1, channel) for words in ATTRIBUTES.values()
        )
        self.place = nn.Sequential(
            nn.Linear(3 * frames, channel), nn.ReLU(), nn.Linear(channel, channel)
        )
        self.mix = nn.Sequential(
            nn.Linear(channel, channel), nn.ReLU(), nn.Linear(channel, channel)
        )

    def forward(self, attributes: Tensor, place: Tensor) -> Tensor:
        """Encode concepts.

        Args:
            attributes: int64 [concept, attribute]; -1 where an attribute is not said.
            place: centre (x, y in [-1, 1]) and 1 in each frame, zeros where not said or not seen,
                [concept, frame, 3].

        Returns:
            prompt vectors [concept, channel].
        """
        said = sum(
            table(torch.where(attributes[:, i] < 0, table.num_embeddings - 1, attributes[:, i]))
            for i, table in enumerate(self.words)
        )
        return self.mix(said + self.place(place.flatten(1)))


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
    bce = binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((-2, -1))
    soft = logits.sigmoid()
    overlap = 2 * (soft * wanted).sum((-2, -1)) + 1
    dice = 1 - overlap / (soft.sum((-2, -1)) + wanted.sum((-2, -1)) + 1)
    each = 10 * bce + dice
    with torch.no_grad():
        hard, real = logits > 0, wanted > 0.5
        union = (hard | real).sum((-2, -1))
        iou = torch.where(union > 0, (hard & real).sum((-2, -1)) / union.clamp(min=1), 1.0)
    estimate = ((decoded.iou - iou) ** 2).mean()
    loss = each.mean() + estimate
    rows = torch.arange(len(logits))
    return loss, iou[rows, decoded.best]


class SegmentStage(nn.Module):
    """Segments two moments of a clip from the concept, and the second from memory too."""

    learning_rate, batch_size, concepts, moments = 6e-4, 12, 2, 4

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        self.sam2 = model.sam2
        self.encoder = ConceptEncoder(model.sam2.hidden_dim, self.moments)
        # What stands in each cell, asked of the features directly: the decoder then finds it there.
        self.heads = nn.ModuleList(
            nn.Linear(model.sam2.hidden_dim, len(words) + 1) for words in ATTRIBUTES.values()
        )
        self._processor = processor

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one random batch of clips."""
        videos = rng.integers(0, len(bank.frames), self.batch_size)
        total = bank.frames.shape[1]
        stride = int(rng.integers(1, total // self.moments + 1))
        start = rng.integers(0, total - stride * (self.moments - 1), self.batch_size)
        moments = start[:, None] + stride * np.arange(self.moments)
        # A concept speaks of all moments of a clip; two of them, in order, are segmented.
        shown = np.sort([rng.permutation(self.moments)[:2] for _ in videos], axis=1)
        frames = np.concatenate(
            [bank.frames[v][t[s]] for v, t, s in zip(videos, moments, shown, strict=True)]
        )
        pixels = self._processor.sam_frames(frames)
        features = encode_frames(self.sam2, pixels)

        cells = features.maps[-1].flatten(2).transpose(1, 2)
        side = features.maps[-1].shape[-1]
        stood = [
            cell_labels(bank.labels[v, t], bank.attributes[v], side)
            for v, when, which in zip(videos, moments, shown, strict=True)
            for t in when[which]
        ]
        naming = naming_loss(cells, torch.from_numpy(np.stack(stood)), self.heads)

        attributes, places, masks = [], [], []
        for video, when, which in zip(videos, moments, shown, strict=True):
            said, place, truth = draw_concepts(
                bank.labels[video][when], bank.attributes[video], self.concepts, rng
            )
            attributes.append(said)
            places.append(place)
            masks.append(truth[:, which])
        prompts = self.encoder(
            torch.from_numpy(np.concatenate(attributes)),
            torch.from_numpy(np.concatenate(places)).float(),
        )
        size = self._processor.sam_image_size // 4
        truth = pool_masks(torch.from_numpy(np.concatenate(masks)), size)

        clip = torch.arange(self.batch_size).repeat_interleave(self.concepts)
        index = clip[:, None] * 2 + torch.arange(2)
        prompted = decode_prompts(
            self.sam2, features.take(index.flatten()), prompts.repeat_interleave(2, dim=0)
        )
        loss, iou = candidate_loss(prompted, truth.flatten(0, 1))

        # Concept and features meet in one space before the decoder has to make them meet.
        covered = pool_masks(truth, side).flatten(2)
        alike = torch.einsum("pc,pmnc->pmn", prompts, cells[index]) / cells.shape[-1] ** 0.5
        matching = binary_cross_entropy_with_logits(
            alike, covered, pos_weight=covered.new_tensor(8.0)
        )

        tracker = MemoryTracker(self.sam2, total)
        tracker.condition(0, features.take(index[:, 0]), prompts)
        tracked = tracker.track(stride, features.take(index[:, 1]))
        tracking, tracked_iou = candidate_loss(tracked, truth[:, 1])
        return loss + tracking + 0.5 * naming + 2 * matching, {
            "naming": naming.detach(),
            "matching": matching.detach(),
            "prompted_iou": iou.mean(),
            "tracked_iou": tracked_iou.mean(),
        }


def draw_concepts(
    labels: np.ndarray, attributes: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw concepts of one clip.

    Args:
        labels: object of each pixel, [frame, height, width].
        attributes: [object, attribute], -1 beyond the last object.
        count: concepts to draw.
        rng: source of chance.

    Returns:
        attributes said [count, attribute], places [count, frame, 3], and truth, bool [count, frame,
        height, width].
    """
    present = int((attributes[:, 0] >= 0).sum())
    masks = object_masks(labels, present)
    said = np.full((count, attributes.shape[1]), -1, np.int64)
    place = np.zeros((count, len(labels), 3))
    truth = np.zeros((count, *labels.shape), bool)
    for i in range(count):
        chosen = int(rng.integers(present))
        spoken = rng.random(attributes.shape[1]) < 0.75
        said[i, spoken] = attributes[chosen, spoken]
        if rng.random() < 0.35:
            place[i] = centres(masks[chosen])
            truth[i] = masks[chosen]
        else:
            if not spoken.any():
                said[i] = attributes[chosen]
                spoken[:] = True
            alike = (attributes[:present, spoken] == attributes[chosen, spoken]).all(axis=1)
            truth[i] = masks[alike].any(axis=0)
    return said, place, truth


def centres(masks: np.ndarray) -> np.ndarray:
    """Centre (x, y in [-1, 1]) and 1 of masks [frame, height, width]; zeros where empty."""
    _, height, width = masks.shape
    area = masks.sum(axis=(1, 2))
    across = masks.sum(axis=1) @ ((np.arange(width) + 0.5) / width * 2 - 1)
    down = masks.sum(axis=2) @ ((np.arange(height) + 0.5) / height * 2 - 1)
    some = area > 0
    safe = np.maximum(area, 1)
    return np.stack([across / safe * some, down / safe * some, some.astype(float)], axis=1)
