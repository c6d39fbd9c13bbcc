"""Jobs under SLURM, by submitit: one batch job each."""

import math
import os
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from reviosa.errors import ConfigError, first_line
from workbench.executors.job import Job, Outcome
from workbench.executors.process import run_there

__all__ = ["SlurmExecutor"]

_LOOK_S: Final = 2.0
_LONGEST_MINUTES: Final = 24 * 60
"""Asked of SLURM for a job without a limit of its own."""


class SlurmExecutor:
    """Each job is a batch job. submitit bounds nothing by itself, so ``places`` does.

    The folder of runs must be seen by all machines under one path.

    Args:
        places: jobs at a time.
        logs: folder for the scripts and logs of SLURM.
        options: of ``sbatch``, such as ``partition``.
        cluster: ``slurm``, or ``local`` to run the batch jobs on this machine.

    Raises:
        ConfigError: submitit is not installed, or there is no SLURM here.
    """

    def __init__(
        self, places: int, logs: Path, options: dict[str, str], cluster: str = "slurm"
    ) -> None:
        try:
            import submitit
        except ImportError:
            raise ConfigError(
                "the engine slurm needs the package submitit, which is not installed; "
                "pip install 'reviosa-workbench[slurm]'"
            ) from None
        self.places = places
        self._options = {f"slurm_{key}": value for key, value in options.items()}
        self._make = lambda: submitit.AutoExecutor(folder=str(logs), cluster=cluster)
        self._stopping = threading.Event()
        self._running: dict[Future[Outcome], Any] = {}
        self._lock = threading.Lock()
        try:
            self._make()
        except RuntimeError as error:
            raise ConfigError(
                f"cannot use SLURM: {first_line(error)}; run this on a machine that has sbatch"
            ) from None

    def submit(self, job: Job) -> "Future[Outcome]":
        """Hand a job to SLURM; one that is refused has failed."""
        answer: Future[Outcome] = Future()
        try:
            executor = self._make()
            executor.update_parameters(
                name=f"reviosa-{job.folder.name}",
                timeout_min=int(job.minutes or _LONGEST_MINUTES) + 1,
                cpus_per_task=job.cpus,
                gpus_per_node=math.ceil(job.gpus),
                **({} if job.memory_gb is None else {"mem_gb": job.memory_gb}),
                **self._options,
            )
            batch = executor.submit(run_there, job.to_json(), os.getcwd())
        except Exception as error:  # noqa: BLE001 - submitit raises what it likes
            answer.set_result(Outcome("failed", f"SLURM refused it: {first_line(error)}"))
            return answer
        answer.set_running_or_notify_cancel()
        with self._lock:
            self._running[answer] = batch
        threading.Thread(target=self._follow, args=(answer, batch), daemon=True).start()
        return answer

    def stop(self) -> None:
        """Cancel every job and wait until all have ended."""
        self._stopping.set()
        with self._lock:
            running = dict(self._running)
        for batch in running.values():
            batch.cancel()
        for answer in running:
            answer.result()

    def _follow(self, answer: "Future[Outcome]", batch: Any) -> None:
        while not batch.done():
            time.sleep(_LOOK_S)
        try:
            outcome = batch.result()
        except Exception as error:  # noqa: BLE001 - whatever kept the result from coming back
            stopped = self._stopping.is_set()
            outcome = Outcome("stopped" if stopped else "lost", f"SLURM: {first_line(error)}")
        with self._lock:
            self._running.pop(answer, None)
        answer.set_result(outcome)
