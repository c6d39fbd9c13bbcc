"""What attention looks like in a model that has learned nothing."""

from typing import Any

import torch

from reviosa.model import ReviosaModel

__all__ = ["shuffle_weights"]


def shuffle_weights(model: ReviosaModel, seed: int) -> None:
    """Permute the entries of every weight in the language model's layers, in place.

    Each tensor keeps its values, so scales stay and all that was learned is gone. Embeddings, the
    final norm, the language model's head, vision tower and segmenter stay: what is lost is lost in
    the attention and MLPs that are analysed. A head criterion that scores as high afterwards does
    not speak of what the model has learned.

    Source: randomisation test of Adebayo et al. 2018 (arXiv 1810.03292).
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layers: Any = model.language_model.layers  # torch types a submodule as tensor or module
        for weight in layers.parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
