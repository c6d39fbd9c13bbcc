"""Stage ``see``: vision tower and projector learn to name what stands in each visual token."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, smooth_l1_loss

from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank, cell_owners, count_objects

__all__ = ["SeeStage", "cell_labels", "cell_offsets", "naming_loss"]


class SeeStage(nn.Module):
    """Dense labels of the projected patches: what stands there, and where its middle lies."""

    learning_rate, batch_size = 2e-3, 24
    autocast = True

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        self.vision = model.mllm.model.vision_tower
        self.projector = model.mllm.model.multi_modal_projector
        hidden = model.config.mllm_config.text_config.hidden_size
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, len(words) + 1) for name, words in ATTRIBUTES.items()}
        )
        self.middle = nn.Linear(hidden, 2)
        # Held in a tuple so that the parts above are the stage's only trained parameters.
        self._whole, self._processor = (model,), processor

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one random batch of frames."""
        model, grid = self._whole[0], self._processor.grid
        videos = rng.integers(0, len(bank.frames), self.batch_size)
        moments = rng.integers(0, bank.frames.shape[1], self.batch_size)
        frames = np.stack([bank.frames[v, t] for v, t in zip(videos, moments, strict=True)])
        labels = np.stack([bank.labels[v, t] for v, t in zip(videos, moments, strict=True)])
        if rng.random() < 0.5:
            frames, labels = frames[:, :, ::-1], labels[:, :, ::-1]
        features = model.image_features(self._processor.vision_frames(frames)[:, None])
        named = torch.from_numpy(
            np.stack(
                [
                    cell_labels(picture, bank.attributes[v], grid)
                    for picture, v in zip(labels, videos, strict=True)
                ]
            )
        )
        offsets = torch.from_numpy(np.stack([cell_offsets(picture, grid) for picture in labels]))
        shown = named[..., 0] > 0
        middle = smooth_l1_loss(self.middle(features).float()[shown], offsets[shown], beta=0.2)
        scores = {"middle": middle.detach()}
        with torch.no_grad():
            for index, (name, head) in enumerate(self.heads.items()):
                right = head(features).argmax(-1) == named[..., index]
                scores[f"{name}_accuracy"] = right[shown].float().mean()
        return naming_loss(features, named, list(self.heads.values())) + middle, scores


def naming_loss(features: Tensor, labels: Tensor, heads: Iterable[nn.Module]) -> Tensor:
    """Sum over attributes of the cross-entropy of naming what stands in each cell.

    Args:
        features: [frame, cell, channel].
        labels: of :func:`cell_labels`, [frame, cell, attribute].
        heads: one classifier an attribute.
    """
    total = features.new_zeros(())
    for index, head in enumerate(heads):
        wanted = labels[..., index].flatten()
        each = cross_entropy(head(features).float().flatten(0, 1), wanted, reduction="none")
        # Most cells are background, which is soon known; the objects are what is to be learned.
        weight = torch.where(wanted > 0, 1.0, 0.1)
        total = total + (each * weight).sum() / weight.sum()
    return total


def cell_labels(labels: np.ndarray, attributes: np.ndarray, grid: int) -> np.ndarray:
    """What each cell shows, int64 [grid * grid, attribute]; 0 is background, else 1 + the index.

    Args:
        labels: object of each pixel, uint8 [height, width].
        attributes: of the objects of the video, [object, attribute], -1 beyond the last.
        grid: cells along one side.
    """
    owner, _ = cell_owners(labels, grid, count_objects(attributes))
    return np.where(owner[:, None] >= 0, attributes[owner] + 1, 0)


def cell_offsets(labels: np.ndarray, grid: int) -> np.ndarray:
    """Way from each cell's middle to the middle of its object's visible part, in cells.

    Args:
        labels: object of each pixel, uint8 [height, width].
        grid: cells along one side.

    Returns:
        float32 [grid * grid, 2] as (x, y); zeros on the background.
    """
    count = int(labels.max())
    result = np.zeros((grid * grid, 2), np.float32)
    if not count:
        return result
    owner, cover = cell_owners(labels, grid, count)
    place = np.stack(np.meshgrid(np.arange(grid), np.arange(grid)), axis=-1).reshape(-1, 2)
    for number in range(count):
        mine = owner == number
        if mine.any():
            middle = cover[number] @ place / cover[number].sum()
            result[mine] = middle - place[mine]
    return result
