"""Masks: tracking them through a video on the device, packing and scoring them on the processor."""

import json
from typing import Any

import numpy as np
import torch

from benchmarks.items.setting import Bench
from benchmarks.timing import seconds_of
from reviosa.data.rle import encode
from reviosa.evaluation import boundary_f, jaccard
from reviosa.inference.segmenter import Segmenter
from reviosa.model.segmenter import FrameFeatures
from reviosa.model.tracker import MemoryTracker

__all__ = ["measure_scoring", "measure_tracking"]

_FULL_BANK = 18
"""Frames after which SAM2's memory, seven frames and sixteen object pointers, is full."""
_TIMED = 5


@torch.inference_mode()
def measure_tracking(bench: Bench) -> dict[str, Any]:
    """Seconds to track one frame by the number of objects, up to masks of the video's size.

    The frame's features are there already; memory is full.
    """
    segmenter = bench.segmenter
    features = segmenter.encode(bench.samples[0].video)
    view = next(iter(features.sam.values()))
    return {
        "track_s": {
            str(objects): _per_frame(segmenter, view, objects, len(features.sam), features.size)
            for objects in (1, 2, 8)
        }
    }


def _per_frame(
    segmenter: Segmenter, view: FrameFeatures, objects: int, seen: int, size: tuple[int, int]
) -> float:
    model = segmenter.model
    channel = model.sam2.hidden_dim
    prompts = torch.randn(objects, channel).to(model.device, model.dtype)
    tracker = MemoryTracker(model.sam2, 500)
    index = torch.zeros(objects, dtype=torch.int64, device=model.device)
    for frame in range(seen):
        tracker.condition(frame, view.take(index), prompts)
    frame = seen

    def follow(frames: int) -> None:
        nonlocal frame
        for _ in range(frames):
            decoded = tracker.track(frame, view.take(index))
            segmenter._full(decoded.masks(), size).cpu().numpy()
            frame += 1

    follow(_FULL_BANK)
    return seconds_of(lambda: follow(_TIMED), rounds=2, warm_up=0) / _TIMED


def measure_scoring(bench: Bench) -> dict[str, Any]:
    """Seconds and bytes of one mask on the processor: packing, reading the truth, J, F.

    The mask is a true one beside itself moved by some pixels, at the video's size and, where that
    is 480p, at 720p.
    """
    sample = bench.samples[0]
    truth = sample.masks(0)[:8]
    masks = {"video": truth}
    if truth.shape[1] == 480:
        masks["720p"] = np.repeat(np.repeat(truth, 2, 1), 2, 2)[:, :720, :1280]
    found: dict[str, Any] = {
        "pack_s": seconds_of(lambda: [encode(m) for m in truth], rounds=3) / len(truth),
        "truth_s": seconds_of(lambda: sample.masks(0), rounds=3) / sample.video.num_frames,
        "mask_bytes": float(np.mean([len(json.dumps(encode(m))) for m in truth])),
        "j_s": {}, "f_s": {},
    }  # fmt: skip
    for name, true in masks.items():
        moved = np.roll(true, 3, axis=(1, 2))
        for score, run in (("j_s", jaccard), ("f_s", boundary_f)):
            found[score][name] = seconds_of(
                lambda run=run, moved=moved, true=true: run(moved, true), rounds=3
            ) / len(true)
    return found
