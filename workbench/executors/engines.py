"""The executors by name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from workbench.executors.job import Executor
from workbench.executors.local import LocalExecutor, visible_gpus

__all__ = ["Engine", "open_executor"]

_CLUSTER_JOBS = 64
"""Jobs that a cluster is given at a time where nothing is said."""


class Engine(StrEnum):
    """Where jobs run."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


@contextmanager
def open_executor(
    engine: Engine,
    folder: Path,
    workers: int | None = None,
    address: str | None = None,
    options: dict[str, str] | None = None,
    cpus: int | None = None,
    gpus: float | None = None,
) -> Iterator[tuple[Executor, int, float]]:
    """Open an executor, and stop what still runs when the block ends, however it ends.

    Args:
        engine: which.
        folder: for what the engine itself writes.
        workers: jobs at a time. By itself: as many as there are GPUs, else two, here; 64 on a
            cluster.
        address: of a Ray cluster.
        options: of ``sbatch``.
        cpus: of each job; here the processors are shared out among the jobs when None, on a
            cluster each has one.
        gpus: of each job; one where this machine has any, when None.

    Yields:
        the executor, and CPUs and GPUs of a job.

    Raises:
        ConfigError: the engine is not installed or not there.
    """
    here = visible_gpus()
    cores = os.cpu_count() or 1
    share = float(bool(here)) if gpus is None else gpus
    on_cluster = engine is Engine.slurm or address is not None
    places = workers or (_CLUSTER_JOBS if on_cluster else len(here) or min(2, cores))
    threads = cpus or (1 if on_cluster else max(1, cores // places))
    executor: Executor
    if engine is Engine.slurm:
        from workbench.executors.slurm import SlurmExecutor

        executor = SlurmExecutor(places, folder / "slurm", options or {})
    elif engine is Engine.ray:
        from workbench.executors.ray_cluster import RayExecutor

        executor = RayExecutor(places, address, threads * places, len(here))
    else:
        executor = LocalExecutor(places, here if share else ())
    try:
        yield executor, threads, share
    finally:
        executor.stop()
