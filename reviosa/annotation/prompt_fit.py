"""A language vector that means what boxes surround.

The mask decoder of a ReVIOSa checkpoint has learned to be prompted by one vector that language
gives; boxes mean little to it. So the vector is sought that explains an object's boxes: the weights
stay as they are, and the one vector is fitted on some frames by gradient descent. The loss is that
of box-supervised segmentation: the mask's shadows on both axes are the box's (Dice), and nothing
lies outside the box (binary cross entropy). Idea of the shadows: Tian et al., "BoxInst:
High-Performance Instance Segmentation with Box Annotations", CVPR 2021, equation 2.
"""

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.functional import softplus

from reviosa.model.segmenter import FrameFeatures, decode_prompts

__all__ = ["box_loss", "filled", "fit_prompt"]


def fit_prompt(
    sam2: SAM2Base, features: FrameFeatures, boxes: Tensor, steps: int, rate: float
) -> Tensor:
    """The language vector, [channel], whose masks fit the boxes best.

    Args:
        sam2: the segmenter; its weights do not change.
        features: of some frames on which the object has a box.
        boxes: left, top, right and bottom as shares of the picture, [frame, 4].
        steps: of Adam, from the zero vector.
        rate: its learning rate, which falls to 0.
    """
    count, device = len(boxes), sam2.no_mem_embed.device
    with torch.inference_mode(False), torch.enable_grad():
        # Tensors made in inference mode take no part in a gradient.
        maps = tuple(x.detach().clone().float() for x in features.maps)
        view = FrameFeatures(maps, features.position.detach().clone())
        vector = torch.zeros(1, sam2.no_mem_embed.shape[-1], device=device, requires_grad=True)
        optimizer = torch.optim.Adam([vector], lr=rate)
        inside: Tensor | None = None
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * (1 - step / steps)
            logits = decode_prompts(sam2, view, vector.expand(count, -1)).masks()
            if inside is None:
                inside = filled(boxes, (logits.shape[-2], logits.shape[-1])).to(device)
            loss = box_loss(logits, inside).mean()
            # Not backward(): that would add to the gradients of the model's weights.
            (vector.grad,) = torch.autograd.grad(loss, [vector])
            optimizer.step()
    return vector.detach()[0]


def box_loss(logits: Tensor, inside: Tensor) -> Tensor:
    """How badly masks fit their boxes, [frame]; 0 is the best.

    The sum of 1 - Dice of the mask's and the box's maxima along each axis, and of the cross entropy
    of what lies outside the box, as a share of the box's area.

    Args:
        logits: [frame, height, width].
        inside: 1 in the box, 0 outside, [frame, height, width].
    """
    share = logits.sigmoid()
    loss = (softplus(logits) * (1 - inside)).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    for axis in (1, 2):
        mask, box = share.amax(axis), inside.amax(axis)
        loss = loss + 1 - (2 * (mask * box).sum(1) + 1) / (mask.sum(1) + box.sum(1) + 1)
    return loss


def filled(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes as masks, float [box, height, width]; every cell that a box touches is 1.

    Args:
        boxes: left, top, right and bottom as shares of the picture, [box, 4].
        size: height and width of the masks.
    """
    rows, columns = (torch.arange(side, dtype=boxes.dtype) for side in size)
    left, top, right, bottom = (x[:, None] for x in boxes.unbind(1))
    across = (columns + 1 > left * size[1]) & (columns < right * size[1])
    down = (rows + 1 > top * size[0]) & (rows < bottom * size[0])
    return (down[:, :, None] & across[:, None, :]).float()
