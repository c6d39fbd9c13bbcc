"""Run the parts one after another; one that fails is noted and does not stop the others."""

import gc
import json
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.items.disk import measure_start, measure_whole
from benchmarks.items.encoders import measure_encoders, measure_frames
from benchmarks.items.language import measure_answer, measure_criteria, measure_recording
from benchmarks.items.masks import measure_scoring, measure_tracking
from benchmarks.items.setting import prepare
from benchmarks.items.training import measure_training

__all__ = ["measure"]


def measure(shape: str, layers: int | None) -> dict[str, Any]:
    """Costs of single items on this machine's device.

    Args:
        shape: ``nano`` (the trained model), ``1b`` or ``4b`` (random weights).
        layers: cut to so many layers, with a small SAM2: a trial run without a GPU.

    Returns:
        ``{"items": {part: {name: seconds or bytes}}, "spent_s": {part: seconds}, "errors": {part:
        text}, "cores"}``.
    """
    items: dict[str, Any] = {}
    spent: dict[str, float] = {}
    errors: dict[str, str] = {}

    def run(name: str, part: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            result = part()
        except Exception as error:
            # The device is borrowed for minutes: what can still be measured is.
            traceback.print_exc()
            errors[name] = f"{type(error).__name__}: {error}"[:300]
            result = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        spent[name] = time.perf_counter() - start
        # All of it, as it comes: what was measured is not lost with the machine.
        told = json.dumps(result) if isinstance(result, dict) else "done"
        print(f"{shape}: {name}, {spent[name]:.1f} s: {told}", flush=True)
        return result

    with tempfile.TemporaryDirectory(prefix="items-") as temporary:
        folder = Path(temporary)
        bench = run("prepare", lambda: prepare(shape, layers, folder))
        if bench is not None:
            parts: dict[str, Callable[[], Any]] = {
                "encoders": lambda: measure_encoders(bench),
                "answer": lambda: measure_answer(bench),
                "recording": lambda: measure_recording(bench),
                "tracking": lambda: measure_tracking(bench),
                "criteria": lambda: measure_criteria(bench),
                "frames": lambda: measure_frames(bench),
                "scoring": lambda: measure_scoring(bench),
                "start": lambda: measure_start(bench, folder),
                "whole": lambda: measure_whole(bench, folder),
                "training": lambda: measure_training(bench),
            }
            for name, part in parts.items():
                found = run(name, part)
                if found is not None:
                    items[name] = found
    cores = len(os.sched_getaffinity(0))
    return {"items": items, "spent_s": spent, "errors": errors, "cores": cores}
