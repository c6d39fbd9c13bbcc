"""One command cut into parts that an executor runs side by side."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reviosa.errors import ConfigError, RunError
from reviosa.process import sigterm_raises
from reviosa.run_record import is_done
from workbench.console import note
from workbench.executors.engines import Engine, open_executor, sbatch_options
from workbench.executors.job import Job, Outcome, Step

__all__ = ["Places", "asked_places", "parse_shard", "run_shards"]

_TRIES: Final = 3
_AGAIN_S: Final = 2.0


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """``2/8``, the third of eight parts, as (2, 8).

    Raises:
        ConfigError: it is no such text.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise ConfigError(
            f"--shard is {text!r}, expected I/N with I from 0 to N - 1, such as 0/4 for the first "
            "of four parts"
        )
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Places:
    """Where the parts of a command run."""

    workers: int
    engine: Engine
    address: str | None
    slurm: dict[str, str]
    cpus: int | None
    gpus: float | None


def asked_places(
    workers: int | None,
    engine: Engine,
    address: str | None,
    slurm: Sequence[str] | None,
    cpus: int | None,
    gpus: float | None,
    shard: tuple[int, int] | None,
) -> Places | None:
    """What the options of a command ask for; None to do it in this process.

    Raises:
        ConfigError: an option that says where parts run and no number of them, or parts of a part.
    """
    others = {"--address": address, "--slurm": slurm, "--cpus": cpus, "--gpus": gpus}
    if workers is None:
        given = [name for name, value in others.items() if value is not None]
        given += ["--engine"] if engine is not Engine.local else []
        if given:
            raise ConfigError(f"{given[0]} says where parts run; say how many with --workers N")
        return None
    if shard is not None:
        raise ConfigError(
            "got --shard and --workers; --workers makes the parts by itself, drop one"
        )
    if workers < 1:
        raise ConfigError(f"--workers is {workers}; give at least 1")
    return Places(workers, engine, address, sbatch_options(slurm), cpus, gpus)


def run_shards(
    command: Sequence[str],
    out: Path,
    join: Callable[[Sequence[Path], Path], None],
    places: Places,
    resume: bool = False,
) -> None:
    """Run a command in so many parts and join them; parts that are done are not done again.

    The parts lie beside ``out`` in ``OUT.parts`` until they are joined.

    Args:
        command: what follows ``reviosa``, without ``--out``, ``--resume`` and ``--shard``.
        out: run directory of the whole.
        join: puts runs of parts, in order, into one.
        places: where, and how many parts; of a run that is resumed as many as it was begun with.
        resume: go on with a run that was stopped.

    Raises:
        RunError: ``out`` is in use or holds a run already, or a part failed; the others are kept.
        KeyboardInterrupt: stopped; what is done is kept.
    """
    parts = out.with_name(f"{out.name}.parts")
    taken = next((path for path in (out, parts) if path.exists() and any(path.iterdir())), None)
    if not resume and taken is not None:
        raise RunError(
            f"{taken}: got a directory that is not empty, expected a new "
            "one; choose another or resume the run"
        )
    if is_done(out):
        shutil.rmtree(parts, ignore_errors=True)
        return
    begun = [int(path.name.split("-")[2]) for path in parts.glob("part-*-*")]
    count = begun[0] if begun else places.workers
    folders = [parts / f"part-{index}-{count}" for index in range(count)]
    with (
        sigterm_raises(),
        open_executor(
            places.engine,
            parts,
            min(places.workers, count),
            places.address,
            places.slurm,
            places.cpus,
            places.gpus,
        ) as (executor, cpus, gpus),  # fmt: skip
    ):
        jobs = [
            Job(
                f"part {index} of {count}", parts / f"job-{index}",
                (Step((*command, "--shard", f"{index}/{count}", "--out", str(folder), "--resume"),
                      folder),),
                cpus, gpus,
            )
            for index, folder in enumerate(folders)
        ]  # fmt: skip
        failed = _run(jobs, executor.submit)
    if failed:
        raise RunError(
            f"{len(failed)} of {count} parts failed, the first with: {failed[0]}; what is done is "
            "kept, go on with --resume"
        )
    join(folders, out)
    shutil.rmtree(parts, ignore_errors=True)


def _run(jobs: Sequence[Job], submit: Callable) -> list[str]:
    """Run all jobs; the reasons of those that failed."""
    began = time.monotonic()
    running = {submit(job): (job, 1) for job in jobs}
    failed: list[str] = []
    done = 0
    while running:
        for future in wait(running, timeout=1.0, return_when="FIRST_COMPLETED").done:
            job, tries = running.pop(future)
            outcome: Outcome = future.result()
            if outcome.status == "done":
                done += 1
                note(f"{job.name}: done, {done} of {len(jobs)}, {time.monotonic() - began:.0f} s")
            elif outcome.status == "busy":
                # Its first process is still ending.
                time.sleep(_AGAIN_S)
                running[submit(job)] = (job, tries)
            elif outcome.status == "lost" and tries < _TRIES:
                note(f"{job.name}: begun again: {outcome.reason}")
                running[submit(job)] = (job, tries + 1)
            else:
                note(f"FAILED: {job.name}: {outcome.reason}; see {job.log}")
                failed.append(outcome.reason)
    return failed
