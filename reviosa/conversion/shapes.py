"""From the configuration and the tensors of another layout to a ReviosaConfig, and back."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from reviosa.conversion.files import Tensors
from reviosa.errors import CheckpointError

__all__ = ["read_config", "mllm_config", "sam2_base", "their_config"]

_LANGUAGE = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rms_norm_eps",
    "eos_token_id",
)
_VISION = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "layer_norm_eps",
)
# What our vision tower and projector compute; a checkpoint that says otherwise is another model.
_FIXED = {
    "ps_version": "v2",
    "select_layer": -1,
    "vision_config.qkv_bias": True,
    "vision_config.qk_normalization": False,
    "vision_config.norm_type": "layer_norm",
    "vision_config.hidden_act": "gelu",
    "llm_config.hidden_act": "silu",
    "llm_config.use_sliding_window": False,
    "llm_config.tie_word_embeddings": False,
}


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a folder.

    Raises:
        CheckpointError: it is missing or no JSON object.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(
            f"{folder}: got no config.json in it, expected the folder of a checkpoint; "
            "check the path"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: the file cannot be read ({error}); restore it from its source"
        ) from None
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path}: got a {type(config).__name__}, expected a JSON object; "
            "restore it from its source"
        )
    return config


def mllm_config(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The ``mllm_config`` of ours that InternVL's own ``config`` describes.

    Raises:
        CheckpointError: the language model is no Qwen2, a size is missing, or the model computes
            something that ours does not.
    """
    for name, wanted in _FIXED.items():
        found = _get(config, name)
        if found is not None and found != wanted:
            raise CheckpointError(
                f"{source}: config.json sets {name} to {found!r}, ReVIOSa is built on {wanted!r}; "
                "this is another architecture and cannot be converted"
            )
    scaling = _get(config, "llm_config.rope_scaling")
    kind = scaling.get("type") if isinstance(scaling, Mapping) else scaling
    # Dynamic scaling begins beyond the longest text of training; Qwen2's code of 2024 had none.
    if kind not in (None, "dynamic"):
        raise CheckpointError(
            f"{source}: config.json sets llm_config.rope_scaling to {scaling!r}, ReVIOSa's "
            "language model has none; this is another architecture and cannot be converted"
        )
    named = _get(config, "llm_config.architectures") or ["Qwen2ForCausalLM"]
    kind = named[0] if isinstance(named, list) else named
    if kind != "Qwen2ForCausalLM":
        raise CheckpointError(
            f"{source}: the language model is a {kind}, ReVIOSa's is Qwen2ForCausalLM; "
            "take the 1B or the 4B of InternVL-2.5"
        )
    text = {name: _need(config, f"llm_config.{name}", source) for name in _LANGUAGE}
    # Qwen2 has none in some releases; nothing here begins with it.
    text["bos_token_id"] = _get(config, "llm_config.bos_token_id")
    vision = {name: _need(config, f"vision_config.{name}", source) for name in _VISION}
    forced = "force_image_size" if _get(config, "force_image_size") else "vision_config.image_size"
    image = _need(config, forced, source)
    patch = _need(config, "vision_config.patch_size", source)
    ratio = _need(config, "downsample_ratio", source)
    theta = _need(config, "llm_config.rope_theta", source)
    return {
        "vision_config": {
            **vision,
            "image_size": [image, image],
            "patch_size": [patch, patch],
            "attention_bias": True,
        },
        "text_config": {
            **text,
            "model_type": "qwen2",
            "rope_parameters": {"rope_type": "default", "rope_theta": theta},
            "initializer_range": _get(config, "llm_config.initializer_range") or 0.02,
            "tie_word_embeddings": False,
        },
        "image_seq_length": int(image // patch * ratio) ** 2,
        "downsample_ratio": ratio,
        "tie_word_embeddings": False,
    }


def their_config(config: Any, layout: str, template: str) -> dict[str, Any]:
    """A ``config.json`` for the Hugging Face layout ``layout``, from a ReviosaConfig."""
    mllm = config.mllm_config
    text, vision = mllm.text_config, mllm.vision_config
    kind = {
        "internvl": ("internvl_chat", "InternVLChatModel"),
        "sa2va": ("sa2va_chat", "Sa2VAChatModel"),
        "reviosa": ("reviosa_chat", "ReVIOSaChatModel"),
    }[layout]
    name, architecture = kind
    folder = {"internvl": "internvl_chat"}.get(layout, name)
    return {
        "architectures": [architecture],
        "model_type": name,
        "auto_map": {
            "AutoConfig": f"configuration_{folder}.{architecture.replace('Model', 'Config')}",
            "AutoModel": f"modeling_{folder}.{architecture}",
        },
        "llm_config": {
            **{field: getattr(text, field) for field in (*_LANGUAGE, "bos_token_id")},
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_act": "silu",
            "rope_theta": text.rope_parameters["rope_theta"],
            "tie_word_embeddings": False,
            "use_sliding_window": False,
        },
        "vision_config": {
            **{field: getattr(vision, field) for field in _VISION},
            "architectures": ["InternVisionModel"],
            "model_type": "intern_vit_6b",
            "image_size": vision.image_size[0],
            "patch_size": vision.patch_size[0],
            "hidden_act": "gelu",
            "norm_type": "layer_norm",
            "qkv_bias": True,
            "qk_normalization": False,
        },
        "force_image_size": vision.image_size[0],
        "downsample_ratio": mllm.downsample_ratio,
        "ps_version": "v2",
        "select_layer": -1,
        # InternVL's own code knows its templates alone.
        "template": "internvl2_5" if layout == "internvl" else template,
        "tie_word_embeddings": False,
    }


def sam2_base(tensors: Tensors, source: Path) -> str:
    """Which yaml of the sam2 package has the shapes of ``tensors`` (names as SAM2 has them).

    Raises:
        CheckpointError: these are no weights of SAM2, or of a size that the package does not have.
    """
    first = tensors.get("image_encoder.trunk.patch_embed.proj.weight")
    if first is None:
        raise CheckpointError(
            f"{source}: got no image_encoder.trunk.patch_embed.proj.weight, expected the weights "
            "of SAM2; give a file such as sam2_hiera_large.pt"
        )
    width = first.shape[0]
    numbers = [re.match(r"image_encoder\.trunk\.blocks\.(\d+)\.", key) for key in tensors]
    blocks = 1 + max((int(x[1]) for x in numbers if x), default=-1)
    family = "sam2.1" if "no_obj_embed_spatial" in tensors else "sam2"
    known = _hieras()
    for base, shape in known.items():
        if base.startswith(f"{family}/") and shape == (width, blocks):
            return base
    raise CheckpointError(
        f"{source}: got a Hiera of width {width} with {blocks} blocks, expected one of "
        f"{sorted(set(known.values()))}; the sam2 package has no such model"
    )


@cache
def _hieras() -> dict[str, tuple[int, int]]:
    """Width and number of blocks of each image encoder in the sam2 package."""
    found = {}
    for family in ("sam2", "sam2.1"):
        for file in (resources.files("sam2") / "configs" / family).iterdir():
            trunk = OmegaConf.create(file.read_text()).model.image_encoder.trunk
            # Hiera's own defaults are those of the base model.
            stages = trunk.get("stages", (2, 3, 16, 3))
            shape = (int(trunk.get("embed_dim", 96)), int(sum(stages)))
            found[f"{family}/{file.name.removesuffix('.yaml')}"] = shape
    return found


def _get(config: Mapping[str, Any], name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _need(config: Mapping[str, Any], name: str, source: Path) -> Any:
    """A number of the configuration; all of them are above zero, and whole if not in the list."""
    value = _get(config, name)
    if value is None:
        raise CheckpointError(
            f"{source}: config.json has no {name}, expected the configuration of an InternVL-2.5; "
            "restore it from its source"
        )
    kinds = (int, float) if name.endswith(("_eps", "_ratio", "_theta")) else int
    if isinstance(value, bool) or not isinstance(value, kinds) or value <= 0:
        raise CheckpointError(
            f"{source}: config.json sets {name} to {value!r}, expected a number above zero; "
            "restore it from its source"
        )
    return value
