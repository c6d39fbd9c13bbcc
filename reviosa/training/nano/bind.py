"""Stage ``bind``: the whole model segments what its role tokens mean.

Everything ``read`` teaches goes on; the masks of the role prompts on the frames that the language
model saw, and on two more frames by memory, join it. SAM2's image encoder stays as it is; its
decoder and memory follow the prompts that they now get.
"""

import numpy as np
import torch
from torch import Tensor

from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.model.segmenter import encode_frames
from reviosa.model.tracker import MemoryTracker
from reviosa.training.nano.clips import ClipBank
from reviosa.training.nano.read import Reading, ReadStage
from reviosa.training.nano.segment import candidate_loss

__all__ = ["BindStage"]


class BindStage(ReadStage):
    """Trains what ``read`` trains, and SAM2 but for its image encoder.

    Gently: the halves fit each other already, and batches are small. At four times the rate the
    IoU of the actor fell from 0.75 to 0.69 in 150 steps.
    """

    learning_rate, batch_size, expressions, extra_frames = 1.5e-4, 4, 5, 2

    def __init__(self, model: ReviosaModel, processor: ReviosaProcessor) -> None:
        super().__init__(model, processor)
        self.sam2 = model.sam2
        self.sam2.requires_grad_(True)
        self.sam2.image_encoder.requires_grad_(False)

    def loss(self, bank: ClipBank, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and scores of one batch of conversations."""
        reading = self.read(rng)
        with torch.autocast("cpu", enabled=False):
            masks, scores = self._segment(reading, bank.frames.shape[1])
        return reading.loss + masks, {**reading.scores, **scores}

    def _segment(self, reading: Reading, length: int) -> tuple[Tensor, dict[str, Tensor]]:
        output, pixels = reading.output, reading.batch["sam_pixel_values"]
        frames = pixels.shape[1]
        features = encode_frames(self.sam2, pixels.flatten(0, 1))
        row, role = output.prompt_row, output.prompt_role
        truth = reading.batch["mask_targets"][row, role]
        index = output.row_sample[row][:, None] * frames + torch.arange(frames)
        prompts = output.prompts.float()
        seen = frames - self.extra_frames
        tracker = MemoryTracker(self.sam2, length)
        loss, ious = prompts.new_zeros(()), []
        for place, frame in enumerate(reading.frames):
            view = features.take(index[:, place])
            if place < seen:
                decoded = tracker.condition(frame, view, prompts)
            else:
                decoded = tracker.track(frame, view)
            term, iou = candidate_loss(decoded, truth[:, place])
            loss = loss + term / seen
            ious.append(iou)
        prompted = torch.stack(ious[:seen]).mean(0)
        return loss, {
            "actor_iou": prompted[role == 0].mean(),
            "target_iou": prompted[role == 1].mean(),
            "tracked_iou": torch.stack(ious[seen:]).mean(),
        }
