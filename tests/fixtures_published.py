"""Published weights in small: random tensors under the names, in the files, of each source layout.

Nothing here uses the conversion: names, shapes and files are written down as REVIOSA.md 1 and 6
give them.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel

from reviosa import ReviosaConfig
from reviosa.conversion import Sam2Shape

__all__ = [
    "SAM2",
    "internvl_folder",
    "internvl_tensors",
    "reviosa_folder",
    "sam2_file",
    "sam2_tensors",
    "training_file",
    "training_tensors",
]

VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
    "qkv_bias": True,
    "qk_normalization": False,
    "norm_type": "layer_norm",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
}
LANGUAGE = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "hidden_act": "silu",
    "bos_token_id": 260,
    "eos_token_id": 262,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}
_MERGES = ["s e", "m e", "n t", "se g"]
_ADDED = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>"]
_RELEASE = ["[SEG]", "<p>", "</p>", "<vp>", "</vp>", "[SEG_OBJ]"]
BASE_ROWS = 256 + len(_MERGES) + len(_ADDED)
ROWS = BASE_ROWS + len(_RELEASE)

_NANO = ReviosaConfig.preset("nano")
SAM2 = Sam2Shape(_NANO.sam2_base, {**_NANO.sam2_overrides, "image_size": 64})
"""SAM2 at the nano model's widths: the sizes of the sam2 package are too large for a test."""


def internvl_tensors(rows: int = BASE_ROWS, seed: int = 0) -> dict[str, torch.Tensor]:
    """InternVL-2.5 under its own names, fp32."""
    draw = _draws(seed)
    wide, inner = VISION["hidden_size"], VISION["intermediate_size"]
    patch, side = VISION["patch_size"], VISION["image_size"] // VISION["patch_size"]
    tensors = {
        "vision_model.embeddings.class_embedding": draw(1, 1, wide),
        "vision_model.embeddings.patch_embedding.weight": draw(wide, 3, patch, patch),
        "vision_model.embeddings.patch_embedding.bias": draw(wide),
        "vision_model.embeddings.position_embedding": draw(1, side * side + 1, wide),
    }
    for layer in range(VISION["num_hidden_layers"]):
        at = f"vision_model.encoder.layers.{layer}."
        tensors |= {
            f"{at}attn.qkv.weight": draw(3 * wide, wide),
            f"{at}attn.qkv.bias": draw(3 * wide),
            f"{at}attn.proj.weight": draw(wide, wide),
            f"{at}attn.proj.bias": draw(wide),
            f"{at}ls1": draw(wide),
            f"{at}ls2": draw(wide),
            f"{at}norm1.weight": 1 + draw(wide),
            f"{at}norm1.bias": draw(wide),
            f"{at}norm2.weight": 1 + draw(wide),
            f"{at}norm2.bias": draw(wide),
            f"{at}mlp.fc1.weight": draw(inner, wide),
            f"{at}mlp.fc1.bias": draw(inner),
            f"{at}mlp.fc2.weight": draw(wide, inner),
            f"{at}mlp.fc2.bias": draw(wide),
        }
    hidden = LANGUAGE["hidden_size"]
    tensors |= {
        "mlp1.0.weight": 1 + draw(4 * wide),
        "mlp1.0.bias": draw(4 * wide),
        "mlp1.1.weight": draw(hidden, 4 * wide),
        "mlp1.1.bias": draw(hidden),
        "mlp1.3.weight": draw(hidden, hidden),
        "mlp1.3.bias": draw(hidden),
        "language_model.model.embed_tokens.weight": draw(rows, hidden),
        "language_model.model.norm.weight": 1 + draw(hidden),
        "language_model.lm_head.weight": draw(rows, hidden),
    }
    for layer in range(LANGUAGE["num_hidden_layers"]):
        at = f"language_model.model.layers.{layer}."
        for name, (out, into) in _projections().items():
            tensors[f"{at}{name}.weight"] = draw(out, into)
        for name in "qkv":
            out, _ = _projections()[f"self_attn.{name}_proj"]
            tensors[f"{at}self_attn.{name}_proj.bias"] = draw(out)
        tensors[f"{at}input_layernorm.weight"] = 1 + draw(hidden)
        tensors[f"{at}post_attention_layernorm.weight"] = 1 + draw(hidden)
    return tensors


def sam2_tensors(seed: int = 1) -> dict[str, torch.Tensor]:
    """SAM2's own state under its own names; also the layer scales get values that count."""
    from reviosa.model.segmenter import build_sam2

    torch.manual_seed(seed)
    tensors = build_sam2(*SAM2).state_dict()
    draw = _draws(seed)
    return {k: draw(*v.shape) if k.endswith("gamma") else v.clone() for k, v in tensors.items()}


def internvl_folder(
    folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1, **config: object
) -> Path:
    """Write a Hugging Face folder with the tokenizer of InternVL-2.5 in small."""
    folder.mkdir(parents=True)
    rows = len(tensors["language_model.model.embed_tokens.weight"])
    settings = {
        "model_type": "internvl_chat",
        "llm_config": {**LANGUAGE, "vocab_size": rows},
        "vision_config": VISION,
        "force_image_size": VISION["image_size"],
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internvl2_5",
        **config,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    _tokenizer(folder, _RELEASE[: rows - BASE_ROWS])
    keys = sorted(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    places = {}
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        mine = keys[number::shards]
        save_file({k: tensors[k] for k in mine}, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(mine, name)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def reviosa_folder(
    folder: Path, kind: str = "reviosa_chat", template: str = "qwen_chat", shards: int = 2
) -> tuple[Path, dict[str, torch.Tensor]]:
    """A ReVIOSa, or with ``kind="sa2va_chat"`` a Sa2VA, as published; and its tensors."""
    rows = ROWS if kind == "reviosa_chat" else ROWS - 1
    tensors = {**internvl_tensors(rows), **_prompt_tensors()}
    for key, value in sam2_tensors().items():
        key = key.replace("gamma", "g_weight") if "memory_encoder.fuser" in key else key
        tensors[f"grounding_encoder.sam2_model.{key}"] = value
    # The release's language model was cast up and down again; its files mix types.
    tensors["language_model.lm_head.weight"] = tensors["language_model.lm_head.weight"].bfloat16()
    return internvl_folder(folder, tensors, shards, model_type=kind, template=template), tensors


def sam2_file(path: Path) -> Path:
    """SAM2's ``.pt``."""
    torch.save({"model": sam2_tensors()}, path)
    return path


def training_tensors(rank: int = 4) -> dict[str, torch.Tensor]:
    """What the authors' trainer keeps: adapters, embeddings, projector, MLP_seg, mask decoder."""
    draw = _draws(5)
    hidden = LANGUAGE["hidden_size"]
    at = "mllm.model.language_model.base_model.model."
    tensors = {
        f"{at}model.embed_tokens.weight": draw(ROWS, hidden),
        f"{at}lm_head.weight": draw(ROWS, hidden),
    }
    for layer in range(LANGUAGE["num_hidden_layers"]):
        for name, (out, into) in _projections().items():
            stem = f"{at}model.layers.{layer}.{name}"
            tensors[f"{stem}.lora_A.default.weight"] = draw(rank, into)
            tensors[f"{stem}.lora_B.default.weight"] = draw(out, rank)
    for key, value in internvl_tensors(seed=6).items():
        if key.startswith("mlp1."):
            tensors[f"mllm.model.{key}"] = value
    for key, value in sam2_tensors(seed=7).items():
        if key.startswith("sam_mask_decoder."):
            tensors[f"grounding_encoder.sam2_model.{key}"] = value
    return tensors | _prompt_tensors()


def training_file(path: Path) -> Path:
    """The authors' ``iter_N.pth``."""
    torch.save({"state_dict": training_tensors()}, path)
    return path


def _projections() -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the projections of one layer of the language model."""
    hidden, inner = LANGUAGE["hidden_size"], LANGUAGE["intermediate_size"]
    keys = hidden // LANGUAGE["num_attention_heads"] * LANGUAGE["num_key_value_heads"]
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }


def _prompt_tensors() -> dict[str, torch.Tensor]:
    draw, hidden = _draws(4), LANGUAGE["hidden_size"]
    channel = 96  # of the nano SAM2
    return {
        "text_hidden_fcs.0.weight": draw(hidden, hidden),
        "text_hidden_fcs.0.bias": draw(hidden),
        "text_hidden_fcs.2.weight": draw(channel, hidden),
        "text_hidden_fcs.2.bias": draw(channel),
    }


def _tokenizer(folder: Path, extra: list[str]) -> None:
    """Qwen2's files: bytes and four merges, and the added tokens with their ids."""
    symbols = sorted(ByteLevel.alphabet())
    words = [*symbols, *(merge.replace(" ", "") for merge in _MERGES)]
    added = {token: len(words) + i for i, token in enumerate([*_ADDED, *extra])}
    marks = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(_MERGES) + "\n")
    (folder / "added_tokens.json").write_text(json.dumps(added))
    decoder = {
        str(i): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token, i in added.items()
    }
    special = [x for x in added if x != "<|endoftext|>"]
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "added_tokens_decoder": decoder,
                "additional_special_tokens": special,
                "tokenizer_class": "Qwen2Tokenizer",
                "bos_token": None,
                "unk_token": None,
                "model_max_length": 8192,
                **marks,
            }
        )
    )


def _draws(seed: int):
    """Random tensors of a spread that keeps activations near one through the layers."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    return draw
