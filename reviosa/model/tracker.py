"""SAM2's memory around prompted frames: masks for frames the language model never saw."""

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.functional import interpolate

from reviosa.model.segmenter import (
    DecodedMasks,
    FrameFeatures,
    decode_boxes,
    decode_conditioned,
    decode_prompts,
)

__all__ = ["MemoryTracker"]


class MemoryTracker:
    """Tracks several objects of one video, or one object of several videos, side by side.

    Conditioning frames are segmented from the language vectors alone, each by itself; all other
    frames from memory alone (REVIOSA.md 4.1). What SAM2 would never look at again is forgotten, so
    memory does not grow with the video.

    Args:
        sam2: the segmenter.
        num_frames: of the video.
        most_conditions: conditioning frames that are remembered, the last ones; all when None.
    """

    def __init__(self, sam2: SAM2Base, num_frames: int, most_conditions: int | None = None) -> None:
        self._sam2, self._num_frames = sam2, num_frames
        self._most_conditions = most_conditions
        self._bank: dict[str, dict[int, dict]] = {
            "cond_frame_outputs": {},
            "non_cond_frame_outputs": {},
        }

    def condition(self, frame: int, features: FrameFeatures, prompts: Tensor) -> DecodedMasks:
        """Segment ``frame`` from the prompts and remember it.

        Args:
            frame: index of the frame in the video.
            features: that frame's features, one entry an object.
            prompts: language vectors, [object, channel].
        """
        return self._condition(frame, features, decode_prompts(self._sam2, features, prompts))

    def condition_on_boxes(
        self, frame: int, features: FrameFeatures, boxes: Tensor
    ) -> DecodedMasks:
        """As :meth:`condition`, from boxes [object, 4] as :func:`decode_boxes` takes them."""
        return self._condition(frame, features, decode_boxes(self._sam2, features, boxes))

    def track(self, frame: int, features: FrameFeatures, reverse: bool = False) -> DecodedMasks:
        """Segment ``frame`` from what is remembered of the others, and remember it too.

        Args:
            frame: index of the frame in the video.
            features: that frame's features, one entry an object.
            reverse: the video is walked backwards, from the first conditioning frame to its start.
                SAM2 looks at object pointers of the past alone; walked forwards, a frame before
                all of them has none, and its mask is lost.
        """
        maps, position, sizes = features.flat()
        dtype = maps[-1].dtype
        # SAM 2.1 projects fp32 encodings of time, whatever the type of its weights.
        with torch.autocast(maps[-1].device.type, dtype, enabled=dtype != torch.float32):
            conditioned = self._sam2._prepare_memory_conditioned_features(
                frame_idx=frame,
                is_init_cond_frame=False,
                current_vision_feats=maps[-1:],
                current_vision_pos_embeds=[position],
                feat_sizes=sizes[-1:],
                output_dict=self._bank,
                num_frames=self._num_frames,
                track_in_reverse=reverse,
            )
        decoded = decode_conditioned(self._sam2, features, conditioned, None)
        memory = self._bank["non_cond_frame_outputs"]
        memory[frame] = self._remember(features, decoded)
        horizon = max(self._sam2.num_maskmem, self._sam2.max_obj_ptrs_in_encoder)
        memory.pop(frame + horizon if reverse else frame - horizon, None)
        return decoded

    def _condition(
        self, frame: int, features: FrameFeatures, decoded: DecodedMasks
    ) -> DecodedMasks:
        bank = self._bank["cond_frame_outputs"]
        bank[frame] = self._remember(features, decoded)
        if self._most_conditions is not None and len(bank) > self._most_conditions:
            del bank[min(bank)]
        return decoded

    def _remember(self, features: FrameFeatures, decoded: DecodedMasks) -> dict:
        sam2 = self._sam2
        maps, _, sizes = features.flat()
        size = (sam2.image_size, sam2.image_size)
        masks = interpolate(decoded.masks()[:, None], size, mode="bilinear", align_corners=False)
        # As in the release, the presence score speaks through the pointer alone: masks are not
        # emptied by it, and the memory of the frame takes the object for present.
        present = masks.new_full((len(masks), 1), 10.0)
        memory, memory_positions = sam2._encode_new_memory(
            current_vision_feats=maps,
            feat_sizes=sizes,
            pred_masks_high_res=masks.to(maps[-1].dtype),
            object_score_logits=present,
            is_mask_from_pts=False,
        )
        return {
            "maskmem_features": memory,
            "maskmem_pos_enc": memory_positions,
            "obj_ptr": self._pointer(decoded),
        }

    def _pointer(self, decoded: DecodedMasks) -> Tensor:
        """SAM2's object pointers, [object, channel], blended with its one for absence."""
        sam2 = self._sam2
        rows = torch.arange(len(decoded.tokens), device=decoded.tokens.device)
        pointer = sam2.obj_ptr_proj(decoded.tokens[rows, decoded.best])
        if not sam2.pred_obj_scores:
            return pointer
        score = decoded.presence[:, None]
        there = (score.sigmoid() if sam2.soft_no_obj_ptr else score > 0).to(pointer.dtype)
        if sam2.fixed_no_obj_ptr:
            pointer = there * pointer
        return pointer + (1 - there) * sam2.no_obj_ptr
