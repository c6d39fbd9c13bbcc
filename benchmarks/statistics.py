"""Ranking and correlation of a large capture, from the store: time and memory."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import peak_mib
from probes.correlation import correlate
from probes.criteria import SCORED
from probes.ranking import rank_pairs
from probes.store import CaptureStore, CaptureWriter, SampleRow
from reviosa.data.records import ROLES
from reviosa.run_record import open_run

__all__ = ["measure", "write_capture"]

EXPRESSIONS, PER_VIDEO, LAYERS, HEADS = 5000, 4, 24, 14
_CHUNK = 250


def measure() -> dict[str, Any]:
    """Every criterion of both roles ranked with 2,000 draws, and correlated with J&F.

    Made-up scores of 5,000 interactions in 1,250 videos, on the 1B model's 24 layers of 14 heads.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = write_capture(Path(folder) / "capture")
        seconds, peak = {}, {}
        store = _timed("open the store", lambda: CaptureStore(run), seconds, peak)

        def rank_all() -> None:
            for role in ROLES:
                # One criterion at a time, so that memory does not grow with their number.
                for name in store.criteria:
                    rank_pairs([store.head_array(name, role)])

        _timed("rank every criterion of both roles", rank_all, seconds, peak)
        _timed(
            "correlate both roles with J&F",
            lambda: [correlate(store, role) for role in ROLES],
            seconds,
            peak,
        )
    return {"seconds": seconds, "peak_mib": peak, "criteria": len(store.criteria)}


def write_capture(directory: Path) -> Path:
    """A capture of made-up scores in the store's own form."""
    rng = np.random.default_rng(0)
    with open_run(directory, "capture", {}, 0):
        writer = CaptureWriter(directory)
        for chunk, start in enumerate(range(0, EXPRESSIONS, _CHUNK)):
            rows = [
                _row(rng, index, role) for index in range(start, start + _CHUNK) for role in ROLES
            ]
            metrics = {
                name: rng.random((len(rows), LAYERS, HEADS), dtype=np.float32) for name in SCORED
            }
            writer.write_chunk(chunk, rows, metrics)
    return directory


def _row(rng: np.random.Generator, index: int, role: str) -> SampleRow:
    j, f, area, middle, centre = rng.random(5)
    video = f"v{index // PER_VIDEO:04d}"
    return SampleRow(
        f"{video}/{index}", video, str(index), role, "who " * int(rng.integers(2, 12)),
        "unidirectional", True, False, j, f, (j + f) / 2, area, int(rng.integers(2, 6)), middle,
        centre, 16, int(rng.integers(1300, 1400)), "It is [SEG_ACT].", (0, 4, 8, 12),
    )  # fmt: skip


def _timed(
    name: str, run: Callable[[], Any], seconds: dict[str, float], peak: dict[str, float]
) -> Any:
    start = time.perf_counter()
    result = run()
    seconds[name] = time.perf_counter() - start
    # Of the whole process so far: what the machine must have.
    peak[name] = peak_mib()
    return result
