"""Jobs in processes of this machine, so many at a time."""

import os
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from workbench.executors.job import Job, Outcome
from workbench.executors.process import run_job

__all__ = ["LocalExecutor", "visible_gpus"]


class LocalExecutor:
    """A bounded pool of processes; where there are GPUs, each job gets its own.

    Args:
        places: jobs at a time.
        gpus: names of the GPUs as ``CUDA_VISIBLE_DEVICES`` takes them; where there are more places
            than GPUs, several jobs share one.
    """

    def __init__(self, places: int, gpus: tuple[str, ...] = ()) -> None:
        self.places = places
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(places, thread_name_prefix="job")
        self._gpus: queue.SimpleQueue[str] = queue.SimpleQueue()
        for index in range(places if gpus else 0):
            self._gpus.put(gpus[index % len(gpus)])
        self._has_gpus = bool(gpus)

    def submit(self, job: Job) -> "Future[Outcome]":
        """Begin a job as soon as there is room."""
        return self._threads.submit(self._run, job)

    def stop(self) -> None:
        """End every job, let none begin, and wait until all have ended."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> Outcome:
        if not self._has_gpus:
            return run_job(job, self._stopping)
        gpu = self._gpus.get()
        try:
            return run_job(job, self._stopping, {"CUDA_VISIBLE_DEVICES": gpu})
        finally:
            self._gpus.put(gpu)


def visible_gpus() -> tuple[str, ...]:
    """GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return tuple(str(index) for index in range(count))
    return tuple(name.strip() for name in named.split(",") if name.strip())[:count]
