"""A ReVIOSa of toy size with random weights, and batches for it."""

import pytest
import torch

from reviosa import ReviosaConfig, ReviosaModel, ReviosaProcessor
from reviosa.model.nano_tokenizer import nano_tokenizer


def tiny_config() -> ReviosaConfig:
    """The nano shapes, cut down: 32 px, a 2 x 2 grid, 3 layers of 4 heads that share 2 keys."""
    config = ReviosaConfig.preset("nano").to_dict()
    mllm, sam2 = config["mllm_config"], config["sam2_overrides"]
    mllm["vision_config"] |= {
        "image_size": [32, 32],
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    mllm["text_config"] |= {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "layer_types": None,
    }
    mllm["image_seq_length"] = 4
    sam2["image_size"] = 32
    return ReviosaConfig(mllm_config=mllm, sam2_overrides=sam2, num_frames=2)


@pytest.fixture
def tiny_model() -> ReviosaModel:
    torch.manual_seed(0)
    return ReviosaModel(tiny_config()).eval()


@pytest.fixture
def tiny_processor() -> ReviosaProcessor:
    return ReviosaProcessor.for_config(tiny_config(), nano_tokenizer())
