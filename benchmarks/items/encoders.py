"""The frozen image encoders: time a frame by batch, whether batches agree, and size of features."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.items.setting import Bench
from benchmarks.timing import seconds_of

__all__ = ["measure_encoders", "measure_frames"]


@torch.inference_mode()
def measure_encoders(bench: Bench) -> dict[str, Any]:
    """Seconds a frame of the vision tower and of SAM2's encoder; equal bits; bytes a frame.

    Of the frozen weights alone, whose results trials can share: before the projector and before the
    mask decoder's first convolutions, which train.
    """
    model, pixels = bench.model, bench.dataset.videos[0].read_frames(range(8))

    def tower(frames: Tensor) -> Tensor:
        seen = model.mllm.model.vision_tower(pixel_values=frames).last_hidden_state
        return seen[:, 1:]  # the class token comes first

    def sam(frames: Tensor) -> Tensor:
        maps = model.sam2.image_encoder(frames)["backbone_fpn"]
        # One row a frame of all maps, so that both encoders are compared in one way.
        return torch.cat([x.flatten(1) for x in maps], dim=1)

    found: dict[str, Any] = {}
    for name, run, squashed in (
        ("tower", tower, bench.processor.vision_frames(pixels)),
        ("sam", sam, bench.processor.sam_frames(pixels)),
    ):
        frames = squashed.to(model.device, model.dtype)
        found[f"{name}_s"] = _by_batch(run, frames, (1, 4, 8))
        found[f"{name}_bits"] = _agreement(run, frames, (2, 4, 8))
        found[f"{name}_bytes"] = run(frames[:1]).numel() * frames.element_size()
    return found


def _by_batch(
    run: Callable[[Tensor], Tensor], frames: Tensor, sizes: Sequence[int]
) -> dict[str, float]:
    """Seconds a frame, by how many are encoded at once."""
    return {str(n): seconds_of(lambda n=n: run(frames[:n]), rounds=3) / n for n in sizes}


def _agreement(
    run: Callable[[Tensor], Tensor], frames: Tensor, sizes: Sequence[int]
) -> dict[str, Any]:
    """Of the first frame alone against the same frame among others: equal, largest difference."""
    alone = run(frames[:1]).flatten()
    found = {}
    for size in sizes:
        among = run(frames[:size]).flatten()[: len(alone)]
        gap = (among.float() - alone.float()).abs().max()
        found[str(size)] = {"equal": torch.equal(among, alone), "difference": float(gap)}
    again = run(frames[:1]).flatten()
    found["again"] = {"equal": torch.equal(again, alone)}
    return found


def measure_frames(bench: Bench) -> dict[str, Any]:
    """Seconds a frame to decode the JPEG and to squash it for both encoders, on the processor."""
    video, processor = bench.dataset.videos[0], bench.processor
    indices = list(range(8))
    pixels = video.read_frames(indices)
    return {
        "jpeg_s": seconds_of(lambda: video.read_frames(indices), rounds=3) / len(indices),
        "squash_vision_s": seconds_of(lambda: processor.vision_frames(pixels), rounds=3) / 8,
        "squash_sam_s": seconds_of(lambda: processor.sam_frames(pixels), rounds=3) / 8,
    }
