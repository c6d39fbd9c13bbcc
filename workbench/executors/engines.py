"""The executors by name."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from reviosa.errors import ConfigError
from workbench.executors.job import Executor
from workbench.executors.local import LocalExecutor, visible_gpus

__all__ = ["Engine", "open_executor", "sbatch_options"]

_CLUSTER_JOBS = 64
"""Jobs that a cluster is given at a time where nothing is said."""


class Engine(StrEnum):
    """Where jobs run."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


def sbatch_options(texts: Sequence[str] | None) -> dict[str, str]:
    """``partition=gpu`` and the like as a dictionary.

    Raises:
        ConfigError: a text is no KEY=VALUE.
    """
    pairs = [text.partition("=") for text in texts or ()]
    for key, sign, value in pairs:
        if not key or not value:
            raise ConfigError(
                f"--slurm is {key + sign + value!r}, expected KEY=VALUE such as partition=gpu"
            )
    return {key: value for key, _, value in pairs}


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
        ConfigError: the engine is not installed or not there, or what is given is of another one.
    """
    if address is not None and engine is not Engine.ray:
        raise ConfigError(f"--address is of a Ray cluster, and the engine is {engine}; give ray")
    if options and engine is not Engine.slurm:
        raise ConfigError(f"--slurm is for sbatch, and the engine is {engine}; give slurm")
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
