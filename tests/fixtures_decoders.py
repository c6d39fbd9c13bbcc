"""Models of transformers of toy size with random weights, and padded batches for them."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reviosa._torchvision import guard_torchvision

guard_torchvision()

from transformers import (  # noqa: E402
    Gemma2Config,
    Gemma2ForCausalLM,
    GptOssConfig,
    GptOssForCausalLM,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)

PAD, IMAGE, VIDEO, ASK = 0, 5, 6, 9
SIZES = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
    "pad_token_id": PAD,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WINDOW = 4


@dataclass(frozen=True)
class Case:
    """A model and a batch of two sequences of different length, each with tokens ASK."""

    model: PreTrainedModel
    inputs: dict[str, Tensor]
    positions: Tensor
    """Of the tokens ASK, by hand, int64 [batch, query]."""
    sizes: tuple[tuple[int, int, int], ...] = ()
    """Frames, rows and columns of each image."""

    def run(self, **more: object) -> object:
        return self.model(**self.inputs, **more)


def _ready(model: PreTrainedModel) -> PreTrainedModel:
    """Weights so large that attention is far from even."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def _padded(left: bool, *sequences: list[int]) -> dict[str, Tensor]:
    length = max(map(len, sequences))
    pads = [[PAD] * (length - len(sequence)) for sequence in sequences]
    rows = [p + s if left else s + p for p, s in zip(pads, sequences, strict=True)]
    ids = torch.tensor(rows)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


TEXT = ([11, 12, ASK, 13, ASK], [11, 14, 15, 16, 17, 18, ASK, 19])
LEFT, RIGHT = torch.tensor([[5, 7], [6, -1]]), torch.tensor([[2, 4], [6, -1]])


def qwen2() -> Case:
    model = _ready(Qwen2ForCausalLM(Qwen2Config(**SIZES)))
    return Case(model, _padded(True, *TEXT), LEFT)


def sliding_qwen2() -> Case:
    """The two last layers see the last four tokens only."""
    config = Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
    )
    return Case(_ready(Qwen2ForCausalLM(config)), _padded(True, *TEXT), LEFT)


def gemma2() -> Case:
    """Bounded scores, every other layer with a window."""
    config = Gemma2Config(
        **SIZES,
        head_dim=8,
        query_pre_attn_scalar=8,
        attn_logit_softcapping=1.0,
        sliding_window=WINDOW,
    )
    return Case(_ready(Gemma2ForCausalLM(config)), _padded(True, *TEXT), LEFT)


def gpt_oss() -> Case:
    """Sinks, every other layer with a window."""
    config = GptOssConfig(
        **SIZES, head_dim=8, sliding_window=WINDOW, num_local_experts=2, num_experts_per_tok=1
    )
    model = _ready(GptOssForCausalLM(config))
    for layer in model.model.layers:
        nn.init.normal_(layer.self_attn.sinks)
    return Case(model, _padded(False, *TEXT), RIGHT)


def lfm2() -> Case:
    """Layers 0 and 2 are convolutions."""
    config = Lfm2Config(**SIZES, layer_types=["conv", "full_attention", "conv"])
    return Case(_ready(Lfm2ForCausalLM(config)), _padded(False, *TEXT), RIGHT)


_SHORT = [IMAGE] * 4 + [11, ASK]
_LONG = [12] + [IMAGE] * 4 + [13] + [IMAGE] * 4 + [14, ASK]
_IMAGES = ((1, 2, 2),) * 3
_POSITIONS = torch.tensor([[5], [11]])


def _vision(patch: int, **more: object) -> dict:
    return {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "patch_size": patch,
        **more,
    }


def internvl() -> Case:
    config = InternVLConfig(
        vision_config=_vision(4, image_size=[16, 16]) | {"patch_size": [4, 4]},
        text_config={**SIZES, "model_type": "qwen2"},
        image_token_id=IMAGE,
        image_seq_length=4,
    )
    torch.manual_seed(0)
    inputs = _padded(False, _SHORT, _LONG) | {"pixel_values": torch.randn(3, 3, 16, 16)}
    return Case(_ready(InternVLForConditionalGeneration(config)), inputs, _POSITIONS, _IMAGES)


def llava() -> Case:
    config = LlavaConfig(
        vision_config=_vision(8, model_type="clip_vision_model", image_size=16),
        text_config={**SIZES, "model_type": "llama"},
        image_token_id=IMAGE,
        image_seq_length=4,
        vision_feature_layer=-1,
    )
    torch.manual_seed(0)
    inputs = _padded(False, _SHORT, _LONG) | {"pixel_values": torch.randn(3, 3, 16, 16)}
    return Case(_ready(LlavaForConditionalGeneration(config)), inputs, _POSITIONS, _IMAGES)


def qwen2_vl() -> Case:
    """Images of different sizes: 4 x 4 and 4 x 6 patches, of which 2 x 2 become one token."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    vision = {
        "depth": 1,
        "embed_dim": 16,
        "num_heads": 2,
        "hidden_size": 32,
        "mlp_ratio": 2,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 1,
    }
    config = Qwen2VLConfig(
        text_config={**SIZES, "rope_parameters": rope},
        vision_config=vision,
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=7,
        vision_end_token_id=8,
    )
    torch.manual_seed(0)
    inputs = _padded(True, [7, *[IMAGE] * 4, 8, 11, ASK], [7, *[IMAGE] * 6, 8, 11, ASK, 12, ASK])
    inputs |= {
        "pixel_values": torch.randn(16 + 24, 3 * 16),
        "image_grid_thw": torch.tensor([[1, 4, 4], [1, 4, 6]]),
        "mm_token_type_ids": (inputs["input_ids"] == IMAGE).long(),
    }
    positions = torch.tensor([[11, -1], [9, 11]])
    model = _ready(Qwen2VLForConditionalGeneration(config))
    return Case(model, inputs, positions, ((1, 2, 2), (1, 2, 3)))


def eager_copy(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights with eager attention, the implementation that gives full matrices."""
    config = deepcopy(model.config)
    config._attn_implementation = "eager"
    copy = type(model)(config).eval()
    copy.load_state_dict(model.state_dict())
    return copy


def eager_rows(case: Case) -> Tensor:
    """Rows out of the full matrices of an eager copy, [batch, query, layer, head, key]."""
    with torch.no_grad():
        output = eager_copy(case.model)(**case.inputs, output_attentions=True, use_cache=False)
    # [batch, query, layer, head, key]
    matrices = torch.stack([m for m in output.attentions if m is not None], dim=1).movedim(3, 1)
    sample = torch.arange(len(case.positions))[:, None]
    rows = matrices[sample, case.positions.clamp(min=0)]
    return rows.masked_fill((case.positions < 0)[..., None, None, None], float("nan"))
