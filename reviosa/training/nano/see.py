"""Stage ``see``: vision tower and projector learn to name what stands in each visual token."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.training.nano.clips import ATTRIBUTES, ClipBank, object_masks

__all__ = ["SeeStage", "cell_labels", "naming_loss"]


class SeeStage(nn.Module):
    """Dense classification of the projected patches: colour, shape, texture, size or background."""

    learning_rate, batch_size = 1e-3, 24

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__()
        self.vision = model.mllm.model.vision_tower
        self.projector = model.mllm.model.multi_modal_projector
        hidden = model.config.mllm_config.text_config.hidden_size
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, len(words) + 1) for name, words in ATTRIBUTES.items()}
        )
        # Held in a tuple so that the parts above are the stage's only trained parameters.
        self._whole, self._processor = (model,), processor

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one random batch of frames."""
        model, grid = self._whole[0], self._processor.grid
        videos = rng.integers(0, len(bank.frames), self.batch_size)
        moments = rng.integers(0, bank.frames.shape[1], self.batch_size)
        frames = np.stack([bank.frames[v, t] for v, t in zip(videos, moments, strict=True)])
        pixels = self._processor.vision_frames(frames)
        features = model.image_features(pixels[:, None])
        truth = np.stack(
            [
                cell_labels(bank.labels[v, t], bank.attributes[v], grid)
                for v, t in zip(videos, moments, strict=True)
            ]
        )
        labels = torch.from_numpy(truth)
        scores: dict[str, Tensor] = {}
        with torch.no_grad():
            for index, (name, head) in enumerate(self.heads.items()):
                shown = labels[..., index] > 0
                right = head(features).argmax(-1) == labels[..., index]
                scores[f"{name}_accuracy"] = right[shown].float().mean()
        return naming_loss(features, labels, list(self.heads.values())), scores


def naming_loss(features: Tensor, labels: Tensor, heads: Iterable[nn.Module]) -> Tensor:
    """Sum over attributes of the cross-entropy of naming what stands in each cell.

    Args:
        features: [frame, cell, channel].
        labels: of :func:`cell_labels`, [frame, cell, attribute].
        heads: one classifier an attribute.
    """
    return sum(
        cross_entropy(head(features).flatten(0, 1), labels[..., index].flatten())
        for index, head in enumerate(heads)
    )


def cell_labels(labels: np.ndarray, attributes: np.ndarray, grid: int) -> np.ndarray:
    """What covers most of each cell, int64 [grid * grid, attribute]; 0 is background.

    An object owns a cell when it covers an eighth of it or more.
    """
    count = int((attributes[:, 0] >= 0).sum())
    height, width = labels.shape
    cells = object_masks(labels, count).reshape(count, grid, height // grid, grid, width // grid)
    cover = cells.mean(axis=(2, 4)).reshape(count, -1)
    owner = cover.argmax(axis=0)
    owned = cover.max(axis=0) >= 1 / 8
    return np.where(owned[:, None], attributes[owner] + 1, 0)
