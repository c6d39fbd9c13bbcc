"""The process of a job: ``python -m workbench.executors.worker JOB``.

It holds the lock of the job's folder, gives the commands in order, and ends with the exit code of
the first that fails, or with ``BUSY`` where another process has the folder. It never outlives the
process that started it.
"""

import ctypes
import gc
import os
import signal
import sys
from typing import Final

from reviosa.errors import RunError, RunInUseError
from reviosa.process import locked_directory
from reviosa.run_record import is_done
from workbench import cli
from workbench.executors.job import BUSY, PARENT, Job

__all__ = ["main"]

_PR_SET_PDEATHSIG: Final = 1
_GRACE_S: Final = 60


def main() -> None:
    """Run the job that the command line holds, as JSON."""
    job = Job.from_json(sys.argv[1])
    _end_with_parent()
    if job.minutes is not None:
        # Whoever started us ends us earlier; this is for the case that nobody is left to do it.
        signal.alarm(int(job.minutes * 60) + _GRACE_S)
    try:
        with locked_directory(job.folder):
            for step in job.steps:
                if step.run is None or not is_done(step.run):
                    _give(step.command)
    except RunError as error:
        print(f"error: {error}", flush=True)
        sys.exit(BUSY if isinstance(error, RunInUseError) else 1)


def _give(command: tuple[str, ...]) -> None:
    """Give one command as a person would.

    Raises:
        SystemExit: it failed.
    """
    print(f"$ reviosa {' '.join(command)}", flush=True)
    try:
        cli.main(command)
    except SystemExit as end:
        if end.code not in (0, None):
            raise
    # The next command loads a model of its own.
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the process that started us dies, however it dies."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(f"error: the process {parent} that started this job is gone")


if __name__ == "__main__":
    main()
