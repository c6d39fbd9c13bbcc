"""Time and memory of alternatives that are run in turn, in one process."""

import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Cost", "compare", "seconds_of"]

_PAGE = 4096


@dataclass(frozen=True)
class Cost:
    """What one alternative costs."""

    seconds: float
    """Median over the rounds."""
    spread: tuple[float, float]
    """Fastest and slowest round."""
    peak_mib: float
    """Most memory in use while it ran, above what was in use before."""


def compare(
    alternatives: Mapping[str, Callable[[], object]], rounds: int = 7, warm_up: int = 1
) -> dict[str, Cost]:
    """Run each alternative once a round, in turn, so that all meet the same machine.

    Memory is that of the CUDA allocator on a GPU, else the resident size of the process, read every
    millisecond after free memory was given back to the system.
    """
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    peaks: dict[str, float] = {}
    for turn in range(warm_up + rounds):
        for name, run in alternatives.items():
            with _Peak() as peak:
                start = time.perf_counter()
                run()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                spent = time.perf_counter() - start
            if turn >= warm_up:
                times[name].append(spent)
                peaks[name] = max(peaks.get(name, 0.0), peak.mib)
    return {
        name: Cost(statistics.median(spent), (min(spent), max(spent)), peaks[name])
        for name, spent in times.items()
    }


def seconds_of(run: Callable[[], object], rounds: int, warm_up: int = 1) -> float:
    """Median seconds of ``run`` alone, the device's work included."""
    times = []
    for turn in range(warm_up + rounds):
        _wait()
        start = time.perf_counter()
        run()
        _wait()
        if turn >= warm_up:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class _Peak:
    """Peak memory of a block, in MiB above its start."""

    def __enter__(self) -> "_Peak":
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return self
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        self._before = self._highest = _resident()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.001):
            self._highest = max(self._highest, _resident())

    def __exit__(self, *_: object) -> None:
        if torch.cuda.is_available():
            highest = torch.cuda.max_memory_allocated()
        else:
            self._stop.set()
            self._watcher.join()
            highest = max(self._highest, _resident())
        self.mib = (highest - self._before) / 2**20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
