"""Run one job in a process of its own, within its limits, and say how it ended."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from workbench.executors.job import BUSY, PARENT, Job, Outcome

__all__ = ["run_job", "run_there"]

_WORKER: Final = (sys.executable, "-m", "workbench.executors.worker")
_LOOK_S: Final = 0.2
"""Time between two looks at the process."""
_GRACE_S: Final = 20
"""Time that a process has to end in order before it is killed."""
_LONGEST: Final = 400
"""Characters of a message that are shown."""
_TERMINATED: Final = 128 + signal.SIGTERM
_STOPPED: Final = "all was stopped"


def run_job(
    job: Job, stopping: threading.Event | None = None, environment: Mapping[str, str] | None = None
) -> Outcome:
    """Run the job's process to its end.

    What it says goes to the end of the job's log. The process ends with the one that called this,
    whatever becomes of that.

    Args:
        job: what to run.
        stopping: the process is ended when this is set, or not begun.
        environment: variables beside those of this process.
    """
    if stopping is not None and stopping.is_set():
        return Outcome("stopped", _STOPPED)
    began = time.monotonic()
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with open(job.log, "ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                [*_WORKER, job.to_json()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {}), PARENT: str(os.getpid()),
                     "OMP_NUM_THREADS": str(job.cpus), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        return Outcome("failed", f"{error.filename or job.folder}: {error.strerror}")
    try:
        ended_for = _watch(process, job, stopping, began)
    except BaseException:
        # Such as the interrupt by which a cluster cancels its task.
        _end(process)
        raise
    if ended_for is not None:
        return Outcome("stopped" if ended_for == _STOPPED else "failed", ended_for)
    return _outcome(process.returncode, _said(job.log, start))


def run_there(job: str, folder: str) -> Outcome:
    """Run a job on a machine of a cluster.

    Args:
        job: as JSON.
        folder: working directory of the one who asked for it, which this machine must have too:
            the paths in a job's commands may be relative to it.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        return Outcome(
            "failed",
            f"{socket.gethostname()}: {folder}: {error.strerror}; all machines must have the "
            "working directory under one path",
        )
    return run_job(Job.from_json(job))


def _watch(
    process: subprocess.Popen[bytes], job: Job, stopping: threading.Event | None, began: float
) -> str | None:
    """Wait for the process; the reason for which it had to be ended, if it had."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return None
        reason = None
        held = _memory_gb(process.pid)
        if stopping is not None and stopping.is_set():
            reason = _STOPPED
        elif job.minutes is not None and time.monotonic() - began > job.minutes * 60:
            reason = f"still ran after its limit of {job.minutes:g} minutes"
        elif job.memory_gb is not None and held > job.memory_gb:
            reason = f"held {held:.2f} GB of memory, more than its limit of {job.memory_gb:g} GB"
        if reason is not None:
            _end(process)
            return reason


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process in order where it can, else at once."""
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _memory_gb(pid: int) -> float:
    """Main memory that the process holds; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def _said(log: Path, start: int) -> list[str]:
    """Lines that were written to the log since ``start``."""
    try:
        with open(log, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return []


def _outcome(code: int, said: list[str]) -> Outcome:
    if code == 0:
        return Outcome("done")
    if code == BUSY:
        return Outcome("busy", "another process has it")
    if code == -signal.SIGALRM:
        return Outcome("failed", "still ran long after its limit")
    if code < 0 or code == _TERMINATED:
        name = signal.Signals(-code if code < 0 else signal.SIGTERM).name
        reason = f"its process was killed by {name}; was there memory enough?"
        return Outcome("lost", reason)
    errors = [line for line in said if re.match(r"error: |(\w+\.)*\w*(Error|Exception)\b", line)]
    last = (errors or said or [f"exit code {code}"])[-1]
    return Outcome("failed", last.removeprefix("error: ")[:_LONGEST])
