"""Recording the role tokens' rows, against the same forward pass without, and other ways to see."""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from transformers import Qwen2ForCausalLM

from benchmarks.models import build, conversation, weights_mib
from benchmarks.timing import compare
from probes import record_role_attention
from reviosa import ReviosaModel
from reviosa.model.nano_tokenizer import nano_tokenizer

__all__ = ["measure"]


def measure(shape: str, layers: int | None, frames: int, rounds: int) -> dict[str, Any]:
    """Costs of a forward pass of the language model over one conversation, by way of looking.

    Returns:
        ``{"costs", "difference", "weights_mib"}``: costs by name, the largest difference of the
        recorded rows from eager attention's, both in fp32, and the model's size.
    """
    model = build(shape, layers, sam2="sam2/sam2_hiera_t")
    batch = conversation(model, frames)
    ways: dict[str, Callable[[], object]] = {
        "sdpa": lambda: _plain(model, batch),
        "role rows": lambda: _recorded(model, batch),
        "eager, all attentions": lambda: _eager(model, batch),
    }
    if importlib.util.find_spec("transformer_lens") is not None:
        ways["transformer-lens, all patterns"] = _lens(model, batch)
    costs = compare(ways, rounds)
    size = weights_mib(model)
    # Rows are computed in fp32 whatever the model is; eager attention in bf16 rounds by 1e-3.
    exact = {k: v.float() if v.is_floating_point() else v for k, v in batch.items()}
    return {"costs": costs, "difference": _difference(model.float(), exact), "weights_mib": size}


@torch.inference_mode()
def _plain(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> object:
    return model(**batch, logits_to_keep=1, use_cache=False)


@torch.inference_mode()
def _recorded(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> object:
    with record_role_attention(model) as record:
        model(**batch, logits_to_keep=1, use_cache=False)
    return record.attention


@torch.inference_mode()
def _eager(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> Any:
    language = model.language_model
    embeddings = model._insert_patches(
        batch["input_ids"],
        model.get_input_embeddings()(batch["input_ids"]),
        batch["image_features"],
    )
    before = language.config._attn_implementation
    language.config._attn_implementation = "eager"
    try:
        return language(inputs_embeds=embeddings, output_attentions=True, use_cache=False)
    finally:
        language.config._attn_implementation = before


def _difference(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> float:
    with torch.inference_mode():
        with record_role_attention(model) as record:
            model(**batch, logits_to_keep=1, use_cache=False)
        maps = torch.stack(_eager(model, batch).attentions)  # [layer, batch, head, query, key]
    worst = 0.0
    for row, position in enumerate(record.roles.position.tolist()):
        for role, query in enumerate(position):
            if query >= 0:
                off = (record.attention[row, role] - maps[:, 0, :, query].float()).abs().max()
                worst = max(worst, float(off))
    return worst


def _lens(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> Callable[[], object]:
    """TransformerLens on the same language model, written to disk and loaded by its bridge."""
    from transformer_lens.model_bridge import TransformerBridge

    config = model.config.get_text_config()
    language = Qwen2ForCausalLM(config)
    language.model.load_state_dict(model.language_model.state_dict())
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory(prefix="lens-") as folder:
        language.save_pretrained(folder)
        nano_tokenizer().save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            folder, device=str(model.device), dtype=model.dtype
        )
    # The bridge takes tokens, not patches: as many of them, so as much attention.
    tokens = batch["input_ids"].clamp(max=config.vocab_size - 1)

    @torch.inference_mode()
    def run() -> object:
        return bridge.run_with_cache(
            tokens, names_filter=lambda name: name.endswith("hook_pattern")
        )

    return run
