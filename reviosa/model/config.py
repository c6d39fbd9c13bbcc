"""Architecture of a ReVIOSa model: which parts, in which shapes, which token ids."""

from typing import Any

from transformers import InternVLConfig
from transformers.configuration_utils import PreTrainedConfig

from reviosa.errors import ConfigError

__all__ = ["PRESETS", "ReviosaConfig"]


class ReviosaConfig(PreTrainedConfig):
    """InternVL-2.5 and SAM2, joined by two role tokens.

    The defaults are those of the nano model; :meth:`preset` builds the published shapes.

    Raises:
        ConfigError: the shapes of the parts do not fit together.
    """

    model_type = "reviosa"
    sub_configs = {"mllm_config": InternVLConfig}

    mllm_config: dict[str, Any] | PreTrainedConfig | None = None
    """InternVL: vision tower, projector and language model."""
    sam2_base: str = "sam2/sam2_hiera_t"
    """The yaml of the sam2 package to start from, below its ``configs`` folder, no suffix."""
    sam2_overrides: dict[str, Any] | None = None
    """Nested values laid over that yaml's ``model`` section."""
    actor_token_id: int = 8
    """Id of ``[SEG_ACT]`` (``[SEG]`` in the released code)."""
    target_token_id: int = 9
    """Id of ``[SEG_TAR]`` (``[SEG_OBJ]`` in the released code)."""
    num_frames: int = 4
    """Frames of a video that the language model sees."""
    frame_sampling: str = "uniform"
    """Which frames those are in inference: ``uniform``, spread over the video, or ``first``, the
    first ones, as in the released code (REVIOSA.md 1.2)."""
    max_new_tokens: int = 24
    """Longest answer that is generated."""
    aml_pairs: list[list[int]] | None = None
    """Layer-head pairs that attention mask loss supervised in training; analysis marks them."""
    lora: dict[str, Any] | None = None
    """``{"rank", "alpha", "dropout"}`` of the adapters inside the language model, if any."""

    def __post_init__(self, **kwargs: Any) -> None:
        if self.mllm_config is None:
            self.mllm_config = _nano_mllm()
        if isinstance(self.mllm_config, dict):
            self.mllm_config = InternVLConfig(**self.mllm_config)
        if self.sam2_overrides is None and self.sam2_base == "sam2/sam2_hiera_t":
            self.sam2_overrides = _nano_sam2()
        super().__post_init__(**kwargs)
        vocabulary = self.mllm_config.text_config.vocab_size
        for name in ("actor_token_id", "target_token_id"):
            if not 0 <= getattr(self, name) < vocabulary:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}, but the vocabulary holds ids 0 to "
                    f"{vocabulary - 1}; resize the vocabulary or give another id"
                )
        if self.frame_sampling not in ("uniform", "first"):
            raise ConfigError(f"frame_sampling is {self.frame_sampling!r}; choose uniform or first")
        if self.actor_token_id == self.target_token_id:
            raise ConfigError(
                f"actor_token_id and target_token_id are both {self.actor_token_id}; "
                "each role needs a token of its own"
            )

    def get_text_config(self, *args: Any, **kwargs: Any) -> PreTrainedConfig:
        """The language model's configuration; transformers sizes its caches by it."""
        return self.mllm_config.text_config

    @property
    def image_token_id(self) -> int:
        """Id of the token that stands for one visual patch."""
        return self.mllm_config.image_token_id

    @property
    def num_layers(self) -> int:
        """Layers of the language model."""
        return self.mllm_config.text_config.num_hidden_layers

    @property
    def num_heads(self) -> int:
        """Query heads of each layer of the language model."""
        return self.mllm_config.text_config.num_attention_heads

    @property
    def image_size(self) -> int:
        """Side in pixels of the square image that the vision tower sees."""
        return int(self.mllm_config.vision_config.image_size[0])

    @property
    def grid(self) -> int:
        """Visual tokens along one side of a frame, after pixel shuffle."""
        vision = self.mllm_config.vision_config
        patches = vision.image_size[0] // vision.patch_size[0]
        return int(patches * self.mllm_config.downsample_ratio)

    @classmethod
    def preset(cls, name: str) -> "ReviosaConfig":
        """The configuration called ``name``: ``nano``, ``1b`` or ``4b``.

        Raises:
            ConfigError: no preset has this name.
        """
        if name not in PRESETS:
            raise ConfigError(f"no preset is called {name!r}; choose one of {', '.join(PRESETS)}")
        return cls(**PRESETS[name]())


def _nano_mllm() -> dict[str, Any]:
    return {
        "vision_config": {
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 384,
            "image_size": [128, 128],
            "patch_size": [8, 8],
            "attention_bias": True,
            "layer_scale_init_value": 1.0,
            "initializer_range": 0.05,
        },
        "text_config": {
            "model_type": "qwen2",
            "vocab_size": 384,
            "hidden_size": 192,
            "num_hidden_layers": 8,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "intermediate_size": 512,
            "max_position_embeddings": 4096,
            "initializer_range": 0.05,
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        "image_token_id": 5,
        "image_seq_length": 64,
        "downsample_ratio": 0.5,
        "tie_word_embeddings": False,
    }


def _nano_sam2() -> dict[str, Any]:
    width, memory = 96, 32
    attention = {"feat_sizes": [8, 8], "embedding_dim": width}
    return {
        "image_size": 128,
        # The nano segmenter learns absence from empty masks alone; it has no presence score.
        "pred_obj_scores": False,
        "pred_obj_scores_mlp": False,
        "fixed_no_obj_ptr": False,
        "image_encoder": {
            "trunk": {
                "embed_dim": 24,
                "stages": [1, 2, 3, 1],
                "global_att_blocks": [4],
                "window_spec": [8, 4, 8, 4],
            },
            "neck": {
                "d_model": width,
                "position_encoding": {"num_pos_feats": width},
                "backbone_channel_list": [192, 96, 48, 24],
            },
        },
        "memory_attention": {
            "d_model": width,
            "num_layers": 2,
            "layer": {
                "d_model": width,
                "dim_feedforward": 256,
                "dropout": 0.0,
                "self_attention": {**attention, "dropout": 0.0},
                "cross_attention": {**attention, "dropout": 0.0, "kv_in_dim": memory},
            },
        },
        "memory_encoder": {
            "in_dim": width,
            "out_dim": memory,
            "position_encoding": {"num_pos_feats": memory},
            "mask_downsampler": {"embed_dim": width},
            "fuser": {"layer": {"dim": width, "layer_scale_init_value": 0.1}, "num_layers": 1},
        },
    }


def _published(text: dict[str, Any], pairs: list[list[int]]) -> dict[str, Any]:
    """InternViT-300M, 256 tokens a frame, SAM 2.0 Hiera-L: what the 1B and the 4B share."""
    return {
        "mllm_config": {
            "vision_config": {
                "hidden_size": 1024,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
                "intermediate_size": 4096,
                "image_size": [448, 448],
                "patch_size": [14, 14],
                "attention_bias": True,
            },
            "text_config": {
                "model_type": "qwen2",
                # 151,674 ids of InternVL-2.5 and the six tokens that ReVIOSa adds.
                "vocab_size": 151680,
                "num_key_value_heads": 2,
                "max_position_embeddings": 32768,
                "rms_norm_eps": 1e-6,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                "tie_word_embeddings": False,
                "bos_token_id": 151643,
                "eos_token_id": 151645,
                "pad_token_id": 151643,
                **text,
            },
            "image_token_id": 151667,
            "image_seq_length": 256,
            "downsample_ratio": 0.5,
            "tie_word_embeddings": False,
        },
        "sam2_base": "sam2/sam2_hiera_l",
        "sam2_overrides": {},
        "actor_token_id": 151674,
        "target_token_id": 151679,
        "num_frames": 4,
        "max_new_tokens": 128,
        "aml_pairs": pairs,
    }


def _1b() -> dict[str, Any]:
    text = {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "intermediate_size": 4864,
    }
    return _published(text, [[22, 5], [22, 7], [22, 10], [22, 11]])


def _4b() -> dict[str, Any]:
    text = {
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "intermediate_size": 11008,
    }
    return _published(text, [[33, 13], [33, 12], [33, 14], [33, 6]])


PRESETS = {"nano": dict, "1b": _1b, "4b": _4b}
