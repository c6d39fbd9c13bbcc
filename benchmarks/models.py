"""Models of the published shapes with random weights, cut to fewer layers where there is no GPU."""

import torch

from reviosa import ReviosaConfig, ReviosaModel
from reviosa.model.config import PRESETS

__all__ = ["build", "conversation", "device", "pairs", "weights_mib"]


def device() -> torch.device:
    """The GPU, or the CPU where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build(
    shape: str,
    layers: int | None = None,
    sam2: str | None = None,
    sam2_size: int | None = None,
    nano_words: bool = False,
) -> ReviosaModel:
    """A model of ``shape`` in bf16 on a GPU, in fp32 on the CPU.

    Args:
        shape: ``nano``, ``1b`` or ``4b``.
        layers: of the language model and at most of the vision tower; all when None.
        sam2: another yaml of the sam2 package, where SAM2 is not what is measured.
        sam2_size: another image size of SAM2 in pixels.
        nano_words: give the special tokens the ids of the nano tokenizer, the only one at hand.
    """
    settings = PRESETS[shape]()
    if shape == "nano":
        settings = {"mllm_config": ReviosaConfig.preset("nano").mllm_config.to_dict()}
    if layers is not None:
        mllm = settings["mllm_config"]
        mllm["text_config"] |= {"num_hidden_layers": layers, "layer_types": None}
        vision = mllm["vision_config"]
        vision["num_hidden_layers"] = min(layers, vision["num_hidden_layers"])
        settings["aml_pairs"] = None
    if sam2 is not None:
        settings["sam2_base"], settings["sam2_overrides"] = sam2, {}
    if sam2_size is not None:
        settings["sam2_overrides"]["image_size"] = sam2_size
    if nano_words:
        nano = ReviosaConfig.preset("nano")
        settings["actor_token_id"] = nano.actor_token_id
        settings["target_token_id"] = nano.target_token_id
        settings["mllm_config"]["image_token_id"] = nano.image_token_id
        text = nano.get_text_config()
        settings["mllm_config"]["text_config"] |= {
            name: getattr(text, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
        }
    torch.manual_seed(0)
    where = device()
    with torch.device(where):
        model = ReviosaModel(ReviosaConfig(**settings)).eval()
    return model.to(where, torch.bfloat16 if where.type == "cuda" else torch.float32)


def weights_mib(model: ReviosaModel) -> float:
    """Memory of the model's parameters."""
    return sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20


def pairs(model: ReviosaModel) -> tuple[tuple[int, int], ...]:
    """Four pairs of the last layer but one, as the release supervises in its 1B."""
    layer = model.config.num_layers - 2
    heads = model.config.num_heads
    return tuple((layer, head) for head in (heads - 4, heads - 3, heads - 2, heads - 1))


def conversation(model: ReviosaModel, frames: int, turns: int = 5) -> dict[str, torch.Tensor]:
    """Ids of a conversation as the processor writes them, and features of its frames.

    Words are any tokens: speed does not depend on them. Every second turn has a target.
    """
    config, where = model.config, next(model.parameters()).device
    patches, word = config.grid**2, 20
    ids: list[int] = []
    for _ in range(frames):
        ids += [word, *[config.image_token_id] * patches, word, word]
    for turn in range(turns):
        ids += [word] * 16 + [config.actor_token_id]
        ids += [word, config.target_token_id] if turn % 2 == 0 else []
        ids += [word] * 3
    hidden = config.get_text_config().hidden_size
    features = torch.randn(1, frames * patches, hidden, device=where, dtype=model.dtype)
    return {"input_ids": torch.tensor([ids], device=where), "image_features": features * 0.1}
