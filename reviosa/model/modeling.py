"""ReviosaModel: InternVL reads video and expression, its role tokens prompt SAM2."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import InternVLForConditionalGeneration, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.utils import ModelOutput

from reviosa.errors import ReviosaError
from reviosa.model.config import ReviosaConfig
from reviosa.model.frozen import one_by_one
from reviosa.model.roles import find_roles
from reviosa.model.segmenter import (
    FrameFeatures,
    build_sam2,
    decode_prompts,
    encode_frames,
    finish_maps,
)

if TYPE_CHECKING:
    from reviosa.features import FrameBatch

__all__ = ["ReviosaModel", "ReviosaOutput", "mlp_seg"]


@dataclass
class ReviosaOutput(ModelOutput):
    """What one forward pass gives. A *row* is an expression, a *prompt* a role token of one."""

    logits: Tensor | None = None
    """Next-token scores [batch, token, vocabulary], or [selected, vocabulary] with
    ``logit_positions``."""
    last_hidden_state: Tensor | None = None
    """Hidden states after the final norm, [batch, token, hidden]."""
    past_key_values: Any = None
    prompts: Tensor | None = None
    """MLP_seg of each role token's hidden state, [prompt, channel] (paper, equation 4)."""
    prompt_row: Tensor | None = None
    """Expression of each prompt, int64 [prompt]."""
    prompt_role: Tensor | None = None
    """Role of each prompt, 0 actor or 1 target, int64 [prompt]."""
    row_sample: Tensor | None = None
    """Sequence of the batch that each expression belongs to, int64 [row]."""
    mask_logits: Tensor | None = None
    """Mask of each prompt on each frame, [prompt, frame, height, width], SAM2's low resolution."""
    mask_iou: Tensor | None = None
    """SAM2's own estimate of those masks' IoU, [prompt, frame]."""


def mlp_seg(hidden: int, channel: int) -> nn.Sequential:
    """The paper's MLP_seg (equation 4), from hidden states of the language model to prompts."""
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, channel))


class ReviosaModel(PreTrainedModel, GenerationMixin):
    """ReVIOSa (paper, section 4).

    ``mllm`` is transformers' InternVL, ``sam2`` the segmenter of the sam2 package, and
    ``seg_projector`` the paper's MLP_seg: Linear, ReLU, Linear, shared by both roles.
    """

    config: ReviosaConfig
    config_class = ReviosaConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _no_split_modules = ["Qwen2DecoderLayer", "InternVLVisionLayer", "MultiScaleBlock"]

    def __init__(self, config: ReviosaConfig) -> None:
        super().__init__(config)
        self.mllm = InternVLForConditionalGeneration(config.mllm_config)
        self.sam2 = build_sam2(config.sam2_base, config.sam2_overrides)
        hidden = config.mllm_config.text_config.hidden_size
        self.seg_projector = mlp_seg(hidden, self.sam2.hidden_dim)
        if config.lora:
            from reviosa.model.lora import inject_lora

            inject_lora(self, **config.lora)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # InternVL initialises itself and SAM2 comes initialised; what is left is MLP_seg, whose
        # torch defaults are right. Only from_pretrained leaves such weights unset, and it loads
        # them.
        return

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> "ReviosaModel":
        # SAM2 multiplies fp32 coordinates with these random frequencies, also in a bf16 model.
        super()._apply(fn, *args, **kwargs)
        self.sam2.sam_prompt_encoder.pe_layer.float()
        return self

    @property
    def language_model(self) -> nn.Module:
        """The decoder whose attention is studied."""
        return self.mllm.model.language_model

    def get_input_embeddings(self) -> nn.Module:
        """The language model's token embeddings."""
        return self.mllm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        return self.mllm.lm_head

    def train(self, mode: bool = True) -> "ReviosaModel":
        """As every module's, but image encoders that do not train stay in evaluation mode.

        Whatever dropout or dropped paths their configuration has, they give a frame the same
        features always.
        """
        super().train(mode)
        for encoder in (self.mllm.model.vision_tower, self.sam2.image_encoder):
            if not any(p.requires_grad for p in encoder.parameters()):
                encoder.eval()
        return self

    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Projected patches of each frame.

        Args:
            pixel_values: normalised frames, [batch, frame, 3, height, width].

        Returns:
            [batch, frame * patch, hidden], frame after frame, each row by row (equation 1).
        """
        patches = self.encode_patches(pixel_values.flatten(0, 1))
        return self.project(patches.unflatten(0, (len(pixel_values), -1)))

    def encode_patches(self, frames: Tensor) -> Tensor:
        """What the vision tower, which training freezes, makes of normalised frames.

        With :meth:`project` this is ``InternVLModel.get_image_features``, cut in two.

        Args:
            frames: [frame, 3, height, width].

        Returns:
            [frame, patch, channel], neighbours of 2 x 2 joined, as the projector takes them.
        """
        mllm, settings = self.mllm.model, self.config.mllm_config
        layer = settings.vision_feature_layer

        def encode(pixels: Tensor) -> list[Tensor]:
            seen = mllm.vision_tower(
                pixel_values=pixels.to(self.dtype), output_hidden_states=layer != -1
            )
            states = seen.last_hidden_state if layer == -1 else seen.hidden_states[layer]
            if settings.vision_feature_select_strategy == "default":
                states = states[:, 1:]  # the class token comes first
            side = int(states.shape[1] ** 0.5)
            squares = states.unflatten(1, (side, side))
            joined = mllm.pixel_shuffle(squares, scale_factor=settings.downsample_ratio)
            return [joined.flatten(1, 2).contiguous()]

        return one_by_one(encode, mllm.vision_tower, frames)[0]

    def project(self, patches: Tensor) -> Tensor:
        """Bring what the vision tower saw into the language model's space.

        Args:
            patches: of :meth:`encode_patches`, [batch, frame, patch, channel].

        Returns:
            [batch, frame * patch, hidden].
        """
        projected = self.mllm.model.multi_modal_projector(patches.flatten(0, 1))
        return projected.unflatten(0, (len(patches), -1)).flatten(1, 2)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        sam_pixel_values: Tensor | None = None,
        image_features: Tensor | None = None,
        sam_features: FrameFeatures | None = None,
        frames: "FrameBatch | None" = None,
        logit_positions: Tensor | None = None,
        logits_to_keep: int = 0,
        past_key_values: Any = None,
        position_ids: Tensor | None = None,
        use_cache: bool | None = None,
        find_prompts: bool | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        cache_position: Tensor | None = None,
    ) -> ReviosaOutput:
        """Read a batch of conversations and segment what their role tokens stand for.

        Args:
            input_ids: [batch, token].
            attention_mask: 1 for tokens, 0 for padding, [batch, token].
            pixel_values: frames for the vision tower, [batch, frame, 3, height, width].
            sam_pixel_values: frames for SAM2, [batch, frame, 3, size, size]; no masks without.
            image_features: result of :meth:`image_features`, in place of ``pixel_values``.
            sam_features: features of batch * frame frames, in place of ``sam_pixel_values``.
            frames: batch * frame frames, in place of the four above; their features may be known.
            logit_positions: bool [batch, token]; scores are computed at these positions alone.
            logits_to_keep: scores of the last so many positions alone; 0 means all.
            past_key_values: KV cache of earlier tokens.
            position_ids: passed to the language model, as is ``use_cache``.
            use_cache: whether to return a KV cache.
            find_prompts: whether to look for role tokens in ``input_ids`` and prompt SAM2 with
                them; in a pass that starts a sequence when None.
            labels: not used; the processor's batches hold them, the trainer computes the losses.
            return_dict: not used; the output is always a record.
            cache_position: not used; some releases of ``generate`` pass it.

        Raises:
            ReviosaError: the number of image tokens is not that of the image features.
        """
        if image_features is None and pixel_values is not None:
            image_features = self.image_features(pixel_values)
        if frames is not None:
            patches = frames.patches(self)
            image_features = self.project(patches.unflatten(0, (len(input_ids), -1)))
        embeddings = self.embed(input_ids, image_features)
        hidden = self.language_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
            use_cache=use_cache,
        )
        states = hidden.last_hidden_state
        if logit_positions is not None:
            logits = self.mllm.lm_head(states[logit_positions])
        else:
            logits = self.mllm.lm_head(states[:, -logits_to_keep:])
        output = ReviosaOutput(
            logits=logits, last_hidden_state=states, past_key_values=hidden.past_key_values
        )
        if find_prompts is None:
            cache = past_key_values
            find_prompts = cache is None or cache.get_seq_length() == input_ids.shape[1]
        if find_prompts:
            self._prompt(output, input_ids, sam_pixel_values, sam_features, frames)
        return output

    def embed(self, input_ids: Tensor, image_features: Tensor | None = None) -> Tensor:
        """Embeddings of tokens with the patches in their places, as the decoder is given them.

        Args:
            input_ids: [batch, token].
            image_features: result of :meth:`image_features`; the text's own embeddings without.

        Returns:
            [batch, token, hidden].

        Raises:
            ReviosaError: the number of image tokens is not that of the image features.
        """
        embeddings = self.get_input_embeddings()(input_ids)
        if image_features is None:
            return embeddings
        return self._insert_patches(input_ids, embeddings, image_features)

    def _insert_patches(self, input_ids: Tensor, embeddings: Tensor, features: Tensor) -> Tensor:
        places = input_ids == self.config.image_token_id
        counts = places.sum(dim=1).tolist()
        if len(counts) != len(features) or any(count != features.shape[1] for count in counts):
            raise ReviosaError(
                f"the texts of the batch hold {counts} image tokens but the frames give "
                f"{[features.shape[1]] * len(features)} image features "
                f"({self.config.grid**2} a frame); build each text with the processor from the "
                "same number of frames"
            )
        return embeddings.masked_scatter(places[..., None], features.to(embeddings.dtype))

    def _prompt(
        self,
        output: ReviosaOutput,
        input_ids: Tensor,
        sam_pixel_values: Tensor | None,
        sam_features: FrameFeatures | None,
        frames: "FrameBatch | None",
    ) -> None:
        """Project the role tokens' hidden states and decode their masks on every frame."""
        config = self.config
        roles = find_roles(input_ids, config.actor_token_id, config.target_token_id)
        row, role = roles.present.nonzero(as_tuple=True)
        sample = roles.sample[row]
        states = output.last_hidden_state[sample, roles.position[row, role]]
        output.prompts = self.seg_projector(states)
        output.prompt_row, output.prompt_role = row, role
        output.row_sample = roles.sample
        if not len(row):
            return
        if sam_features is None and sam_pixel_values is not None:
            sam_features = encode_frames(self.sam2, sam_pixel_values.flatten(0, 1))
        if frames is not None:
            sam_features = finish_maps(self.sam2, frames.maps(self))
        if sam_features is None:
            return
        given = len(sam_features.maps[-1])
        count = given // len(input_ids)
        if not count or given % len(input_ids):
            raise ReviosaError(
                f"got SAM2 features of {given} frames for {len(input_ids)} conversations, expected "
                "the same number of frames for each; pass them as [batch * frame]"
            )
        index = (sample[:, None] * count + torch.arange(count, device=row.device)).flatten()
        decoded = decode_prompts(
            self.sam2, sam_features.take(index), output.prompts.repeat_interleave(count, dim=0)
        )
        output.mask_logits = decoded.masks().unflatten(0, (-1, count))
        output.mask_iou = decoded.iou.max(dim=1).values.unflatten(0, (-1, count))

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, past_key_values: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Give the frames to the first step of ``generate`` only; later steps have the cache."""
        frames = {k: kwargs.pop(k, None) for k in ("pixel_values", "image_features")}
        inputs = super().prepare_inputs_for_generation(
            input_ids, past_key_values=past_key_values, **kwargs
        )
        if past_key_values is None or past_key_values.get_seq_length() == 0:
            inputs.update(frames)
        return inputs
