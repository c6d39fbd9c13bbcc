"""Starting a process, the disk, and whole runs of what the other parts measure in pieces."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.items.setting import Bench
from benchmarks.timing import seconds_of
from probes.capture import capture
from reviosa.evaluation import evaluate_predictions
from reviosa.heads import HeadSelection
from reviosa.inference import predict
from reviosa.model import load
from reviosa.model.checkpoint import save

__all__ = ["measure_start", "measure_whole"]

_MIB = 512


def measure_start(bench: Bench, folder: Path) -> dict[str, Any]:
    """Seconds to import, to write and to load the checkpoint; MiB a second of the disk."""
    command = [sys.executable, "-c", "import reviosa.training.run, reviosa.inference"]
    found: dict[str, Any] = {
        "import_s": seconds_of(lambda: subprocess.run(command, check=True), 1, 0)
    }
    found |= _disk(folder / "block")
    target = folder / "checkpoint"
    found["save_s"] = seconds_of(
        lambda: save(bench.model, bench.processor, target), rounds=1, warm_up=0
    )
    found["checkpoint_bytes"] = _bytes(target)
    found["load_s"] = seconds_of(lambda: load(target), rounds=1, warm_up=0)
    shutil.rmtree(target)
    return found


def _disk(path: Path) -> dict[str, float]:
    block = np.random.default_rng(0).bytes(2**20)
    start = time.perf_counter()
    with open(path, "wb") as file:
        for _ in range(_MIB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    written = time.perf_counter() - start
    with open(path, "rb") as file:
        # Out of memory again, so that the disk is read.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        while file.read(2**22):
            pass
    read = time.perf_counter() - start
    path.unlink()
    return {"disk_write_mib_s": _MIB / written, "disk_read_mib_s": _MIB / read}


def measure_whole(bench: Bench, folder: Path) -> dict[str, Any]:
    """One small capture and one evaluation as a user runs them: the sum of their parts?

    Also the bytes an expression that the capture stored.
    """
    samples, video = bench.samples, bench.dataset.videos[0]
    heads = HeadSelection(bench.pairs)
    found: dict[str, Any] = {
        "frames": video.num_frames, "seen": bench.model.config.num_frames,
        "expressions": len(samples), "capture_s": {},
    }  # fmt: skip
    one = type(bench.dataset)(bench.dataset.root, limit=1)
    for name, gradients in (("gradients", True), ("plain", False)):
        out = folder / f"capture-{name}"
        start = time.perf_counter()
        capture(bench.model, bench.processor, one, out, heads=heads, gradients=gradients)
        found["capture_s"][name] = time.perf_counter() - start
        parts = {p.name: _bytes(p) for p in sorted(out.iterdir()) if p.is_dir()}
        found[f"stored_bytes_{name}"] = {k: v / len(samples) for k, v in parts.items()}
    found["rows"] = sum(1 + s.expression.is_interaction for s in samples)
    start = time.perf_counter()
    predictions = predict(bench.segmenter, samples)
    found["predict_s"] = time.perf_counter() - start
    start = time.perf_counter()
    evaluate_predictions(one, predictions)
    found["evaluate_s"] = time.perf_counter() - start
    return found


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
