"""SAM2 as ReVIOSa uses it: frames in, one prompt vector an object, masks out.

The sam2 package supplies every module; this file builds them from one of its yaml files and adds
the one thing SAM2 lacks: a language vector beside the prompt encoder's sparse embeddings
(paper, equations 3 to 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from reviosa.errors import ConfigError
from reviosa.model.frozen import one_by_one

__all__ = [
    "DecodedMasks",
    "FrameFeatures",
    "build_sam2",
    "decode_boxes",
    "decode_prompts",
    "encode_frames",
    "encode_maps",
    "finish_maps",
]


@dataclass(frozen=True)
class FrameFeatures:
    """Image features of some frames, computed once and shared by all prompts on them."""

    maps: tuple[Tensor, ...]
    """Feature maps, finest first, the last at stride 16: each [frame, channel, height, width]."""
    position: Tensor
    """Positional encoding of the last map, the same for every frame, [1, channel, height, width].

    Memory attends to that map alone; at 1024 px the encodings of the finer ones would be five times
    as large as all maps together."""

    def take(self, indices: Tensor) -> "FrameFeatures":
        """The features of the frames at ``indices``, in that order; repeats are allowed."""
        return FrameFeatures(tuple(x[indices] for x in self.maps), self.position)

    def flat(self) -> tuple[list[Tensor], Tensor, list[tuple[int, int]]]:
        """SAM2's own form: maps and the last one's positions, and the sizes of the maps.

        Maps and positions are [height * width, frame, channel] each.
        """
        sizes = [(x.shape[-2], x.shape[-1]) for x in self.maps]
        maps = [x.flatten(2).permute(2, 0, 1) for x in self.maps]
        position = self.position.flatten(2).permute(2, 0, 1)
        return maps, position.expand(-1, maps[-1].shape[1], -1), sizes


@dataclass(frozen=True)
class DecodedMasks:
    """What the mask decoder says of each prompt on its frame."""

    candidates: Tensor
    """Logits of the three masks, [prompt, 3, height, width], at a quarter of SAM2's image size; of
    a box one mask."""
    iou: Tensor
    """Predicted IoU of each candidate, [prompt, 3]."""
    tokens: Tensor
    """The decoder's output token of each candidate, [prompt, 3, channel]."""
    presence: Tensor
    """Logit of the object being on the frame at all, [prompt]; masks are not emptied by it."""

    @property
    def best(self) -> Tensor:
        """Index of the candidate with the highest predicted IoU, [prompt]."""
        return self.iou.argmax(dim=1)

    def masks(self) -> Tensor:
        """Logits of the best candidate, [prompt, height, width]."""
        rows = torch.arange(len(self.candidates), device=self.candidates.device)
        return self.candidates[rows, self.best]


def build_sam2(base: str, overrides: dict[str, Any] | None = None) -> SAM2Base:
    """Build SAM2 with random weights from a yaml of the sam2 package.

    Args:
        base: the yaml below the package's ``configs`` folder without suffix, such as
            ``sam2/sam2_hiera_l``.
        overrides: nested values laid over its ``model`` section.

    Raises:
        ConfigError: the package has no such yaml.
    """
    path = resources.files("sam2") / "configs" / f"{base}.yaml"
    if not path.is_file():
        known = sorted(
            f"{folder.name}/{file.name.removesuffix('.yaml')}"
            for folder in (resources.files("sam2") / "configs").iterdir()
            if folder.is_dir()
            for file in folder.iterdir()
            if file.name.endswith(".yaml")
        )
        raise ConfigError(f"the sam2 package has no configuration {base!r}; it has {known}")
    config = OmegaConf.merge(OmegaConf.create(path.read_text()).model, overrides or {})
    # Hiera reads numbers off tensors while it is built, which the meta device of
    # ``from_pretrained`` cannot give; its rotary tables are plain attributes that no checkpoint
    # restores. Both are right when it is built on the CPU.
    try:
        with torch.device("cpu"):
            return instantiate(config, _recursive_=True)
    except (InstantiationException, OmegaConfBaseException) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"SAM2 cannot be built from {base} and these overrides: {reason}; "
            "check the names and values in sam2_overrides"
        ) from None


def encode_frames(sam2: SAM2Base, frames: Tensor) -> FrameFeatures:
    """Encode normalised frames [frame, 3, size, size]."""
    return finish_maps(sam2, encode_maps(sam2, frames))


def encode_maps(sam2: SAM2Base, frames: Tensor) -> tuple[Tensor, ...]:
    """What SAM2's image encoder, which training freezes, makes of normalised frames.

    Args:
        sam2: the segmenter.
        frames: [frame, 3, size, size].

    Returns:
        the maps of its neck, finest first, for :func:`finish_maps`:
        [frame, channel, height, width] each.
    """
    levels = sam2.num_feature_levels

    def encode(pixels: Tensor) -> list[Tensor]:
        *fine, last = sam2.image_encoder(pixels)["backbone_fpn"][-levels:]
        # The pyramid of the sam2 package is fp32 whatever the weights are.
        return [x.contiguous() for x in (*fine, last.to(sam2.no_mem_embed.dtype))]

    return tuple(one_by_one(encode, sam2.image_encoder, frames))


def finish_maps(sam2: SAM2Base, maps: Sequence[Tensor]) -> FrameFeatures:
    """Add to maps of :func:`encode_maps` what the mask decoder, which trains, does to each frame.

    As ``SAM2Base.forward_image``, which narrows the two fine maps once a frame, not once a prompt.
    """
    maps, dtype = list(maps), sam2.no_mem_embed.dtype
    position = sam2.image_encoder.neck.position_encoding(maps[-1][:1])
    if sam2.use_high_res_features_in_sam:
        decoder = sam2.sam_mask_decoder
        maps[:2] = decoder.conv_s0(maps[0]), decoder.conv_s1(maps[1])
    return FrameFeatures(tuple(x.to(dtype) for x in maps), position.to(dtype))


def decode_prompts(sam2: SAM2Base, features: FrameFeatures, prompts: Tensor) -> DecodedMasks:
    """Segment one object a frame, with no memory of other frames.

    The prompt encoder runs on one padding point (label -1) as SAM2 itself does when there is no
    click, and the language vector joins its sparse embeddings. The rule of SAM2 that empties the
    mask where its presence score is negative is left out, as in the release (REVIOSA.md 1.7).

    Args:
        sam2: the segmenter.
        features: one frame a prompt (see :meth:`FrameFeatures.take`).
        prompts: language vectors, [prompt, channel].
    """
    return decode_conditioned(sam2, features, features.maps[-1] + _no_memory(sam2), prompts)


def decode_boxes(sam2: SAM2Base, features: FrameFeatures, boxes: Tensor) -> DecodedMasks:
    """Segment what a box surrounds on each frame, with no memory, as SAM2 itself does.

    There is one candidate: SAM2 gives three only where a prompt is ambiguous.

    Args:
        sam2: the segmenter.
        features: one frame a box (see :meth:`FrameFeatures.take`).
        boxes: left, top, right and bottom in pixels of SAM2's image size, [box, 4].
    """
    return decode_conditioned(
        sam2, features, features.maps[-1] + _no_memory(sam2), None, boxes=boxes
    )


def decode_conditioned(
    sam2: SAM2Base,
    features: FrameFeatures,
    image: Tensor,
    prompts: Tensor | None,
    boxes: Tensor | None = None,
) -> DecodedMasks:
    """Run the mask decoder on a feature map that memory has, or has not, been mixed into.

    Args:
        sam2: the segmenter.
        features: the high-resolution maps of the same frames.
        image: feature map at stride 16, [prompt, channel, height, width].
        prompts: language vectors [prompt, channel], or None where memory alone speaks.
        boxes: [prompt, 4], see :func:`decode_boxes`.
    """
    # Memory attention mixes fp32 encodings in; the decoder's weights decide the type.
    image = image.to(sam2.no_mem_embed.dtype)
    count = len(image)
    if boxes is None:
        points = torch.zeros(count, 1, 2, device=image.device)
        labels = -torch.ones(count, 1, dtype=torch.int32, device=image.device)
    else:
        points = boxes.reshape(count, 2, 2).to(image.device)
        labels = torch.tensor([2, 3], dtype=torch.int32, device=image.device).repeat(count, 1)
    sparse, dense = sam2.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
    if prompts is not None:
        sparse = torch.cat([sparse, prompts[:, None].to(sparse.dtype)], dim=1)
    high_resolution = list(features.maps[:-1]) if sam2.use_high_res_features_in_sam else None
    candidates, iou, tokens, presence = sam2.sam_mask_decoder(
        image_embeddings=image,
        image_pe=sam2.sam_prompt_encoder.get_dense_pe().to(image.dtype),
        sparse_prompt_embeddings=sparse.to(image.dtype),
        dense_prompt_embeddings=dense.to(image.dtype),
        multimask_output=boxes is None,
        repeat_image=False,
        high_res_features=high_resolution,
    )
    return DecodedMasks(candidates.float(), iou.float(), tokens, presence[:, 0].float())


def _no_memory(sam2: SAM2Base) -> Tensor:
    """The embedding SAM2 adds to a frame that no memory speaks of, [1, channel, 1, 1]."""
    return sam2.no_mem_embed.view(1, -1, 1, 1)
