"""A training step with attention mask loss, against one without, and against eager attention."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import build, conversation, pairs
from benchmarks.timing import compare
from probes import record_role_attention
from reviosa import ReviosaModel
from reviosa.losses import attention_mask_loss
from reviosa.model.lora import freeze_for_training, inject_lora, recompute_activations

__all__ = ["measure"]


def measure(shape: str, layers: int | None, frames: int, rounds: int) -> dict[str, Any]:
    """Costs of one optimizer step of the language model by kind of attention loss.

    The loss is that of the next token, and attention mask loss on four pairs of one layer beside
    it. SAM2 and the vision tower, which are the same in all, are left out, so that the ratios are
    the strictest ones. Eager attention reads the four heads off the full maps of that layer.
    """
    model = build(shape, layers, sam2="sam2/sam2_hiera_t").train()
    inject_lora(model, rank=128, alpha=256, dropout=0.0)
    model.to(model.device, model.dtype)
    freeze_for_training(model)
    recompute_activations(model)
    batch = conversation(model, frames)
    chosen = pairs(model)
    masks = (torch.rand(frames * model.config.grid**2, device=model.device) < 0.1).float()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6)

    def step(loss: Callable[[], torch.Tensor], attention: str = "sdpa") -> Callable[[], None]:
        def run() -> None:
            # Also in the backward pass, which runs the checkpointed layers again.
            model.language_model.config._attn_implementation = attention
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return run

    costs = compare(
        {
            "no AML": step(lambda: _text(model, batch)),
            "AML": step(lambda: _aml(model, batch, chosen, masks)),
            "AML, eager": step(lambda: _eager(model, batch, chosen, masks), "eager"),
        },
        rounds,
    )
    return {"costs": costs}


def _text(model: ReviosaModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    output = model(**batch, use_cache=False, logit_positions=_supervised(batch))
    return _next_token(output.logits, batch)


def _supervised(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The last hundred tokens, about what the answers of five turns are."""
    places = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    places[:, -101:-1] = True
    return places


def _next_token(logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits.float(), batch["input_ids"][0, -100:])


def _aml(
    model: ReviosaModel,
    batch: dict[str, torch.Tensor],
    chosen: tuple[tuple[int, int], ...],
    masks: torch.Tensor,
) -> torch.Tensor:
    with record_role_attention(model, layers=[layer for layer, _ in chosen]) as record:
        text = _text(model, batch)
    heads = [head for _, head in chosen]
    rows = record.on_patches()[:, :, 0, heads].flatten(3)
    return text + attention_mask_loss(rows, masks) / 5


def _eager(
    model: ReviosaModel,
    batch: dict[str, torch.Tensor],
    chosen: tuple[tuple[int, int], ...],
    masks: torch.Tensor,
) -> torch.Tensor:
    """What a model without our rows has to do: eager attention in every layer, one map kept."""
    language, ids = model.language_model, batch["input_ids"]
    kept: list[torch.Tensor] = []
    layer = language.layers[chosen[0][0]]
    hook = layer.self_attn.register_forward_hook(
        lambda module, args, output: kept.append(output[1])
    )
    # A map that leaves a checkpointed layer has no graph: this layer keeps its activations.
    layer.gradient_checkpointing = False
    text = _text(model, batch)
    layer.gradient_checkpointing = True
    hook.remove()
    config = model.config
    roles = ((ids == config.actor_token_id) | (ids == config.target_token_id))[0]
    patches = (ids == config.image_token_id)[0]
    heads = [head for _, head in chosen]
    rows = kept[0][0, heads][:, roles][:, :, patches]
    return text + attention_mask_loss(rows, masks) / 5
