"""A training step in its parts: a micro-batch of data, forward and backward, the optimiser."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.items.setting import Bench
from benchmarks.timing import seconds_of
from reviosa.model.lora import freeze_for_training, inject_lora, recompute_activations
from reviosa.model.processor import normalise
from reviosa.model.segmenter import encode_frames
from reviosa.training.config import LossConfig
from reviosa.training.data import ConversationDataset, collate
from reviosa.training.objective import compute_losses

__all__ = ["measure_training"]


def measure_training(bench: Bench) -> dict[str, Any]:
    """Seconds of one micro-batch with and without AML, of its encoders, of the optimiser; memory.

    As the trainer does it: parameters and optimiser in fp32, the forward pass in bf16 on a GPU.
    Changes the model for good, so this part comes last.
    """
    setting, model = bench.training, bench.model.float()
    inject_lora(model, rank=setting.rank, alpha=2 * setting.rank, dropout=0.05)
    model.to(model.device)
    freeze_for_training(model)
    if setting.checkpointing:
        recompute_activations(model)
    model.train()
    data = ConversationDataset(
        bench.dataset, bench.processor, 1000, num_frames=setting.frames,
        expressions=setting.expressions, mask_size=bench.processor.sam_image_size // 4, seed=0,
    )  # fmt: skip
    draws = iter(range(1000))

    def draw() -> dict[str, torch.Tensor]:
        return _draw(bench, data, [next(draws) for _ in range(setting.batch_size)])

    batch = draw()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=model.device.type == "cuda")
    _reset_peak()
    found = {
        "data_s": seconds_of(draw, rounds=3),
        "micro_s": seconds_of(_micro(bench, batch, bench.pairs), rounds=3),
        "micro_plain_s": seconds_of(_micro(bench, batch, ()), rounds=3),
        "encoders_s": seconds_of(lambda: _encode(bench, batch), rounds=3),
        "optimizer_s": seconds_of(lambda: _update(optimizer, trained), rounds=3),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained_parameters": sum(p.numel() for p in trained),
        "batch_size": setting.batch_size,
        "accumulation": setting.accumulation,
        "frames": setting.frames,
        "expressions": setting.expressions,
        "tokens": int(batch["input_ids"].shape[1]),
    }
    if torch.cuda.is_available():
        found["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def _draw(bench: Bench, data: ConversationDataset, indices: list[int]) -> dict[str, torch.Tensor]:
    """A micro-batch with its frames, squashed, as whole numbers."""
    batch = collate([data[index] for index in indices], bench.processor)
    batch.pop("frames", None)
    if "pixel_values" not in batch:
        # Left to the model to read: here that is the processor's work.
        drawn = [data.draw(index)[:2] for index in indices]
        read = [bench.processor.squash(video.read_frames(frames)) for video, frames in drawn]
        batch |= {name: torch.stack([x[name] for x in read]) for name in read[0]}
    return batch


def _on_device(bench: Bench, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    here = {name: value.to(bench.model.device) for name, value in batch.items()}
    frames = ("pixel_values", "sam_pixel_values")
    return here | {name: normalise(here[name]) for name in frames}


def _micro(bench: Bench, batch: dict[str, torch.Tensor], pairs: Any) -> Callable[[], None]:
    model, loss = bench.model, LossConfig.model_validate({})

    def run() -> None:
        here = _on_device(bench, batch)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bench.training.bf16):
            terms = compute_losses(model, here, loss, pairs)
        terms.total.backward()

    return run


@torch.no_grad()
def _encode(bench: Bench, batch: dict[str, torch.Tensor]) -> None:
    """What the frozen encoders, and the projector, take of a micro-batch."""
    model, here = bench.model, _on_device(bench, batch)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=bench.training.bf16):
        model.image_features(here["pixel_values"])
        encode_frames(model.sam2, here["sam_pixel_values"].flatten(0, 1))


def _update(optimizer: torch.optim.Optimizer, trained: list[torch.nn.Parameter]) -> None:
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()


def _reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
