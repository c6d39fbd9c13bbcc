"""Jobs on a Ray cluster: Ray says where a job runs, and runs it again where a worker is lost."""

import contextlib
import logging
import os
import signal
import socket
import threading
from concurrent.futures import Future, InvalidStateError

from reviosa.errors import ConfigError, first_line
from workbench.executors.job import Job, Outcome
from workbench.executors.process import run_there

__all__ = ["RayExecutor"]

_TRIES = 3
"""How often a job is run again whose worker died."""


class RayExecutor:
    """Each job is a Ray task that asks for the job's CPUs and GPUs.

    The folder of runs must be seen by all machines under one path.

    Args:
        places: jobs at a time.
        address: of a cluster; one is started on this machine for as long as this executor lives
            when None.
        cpus: of the cluster that is started.
        gpus: of the cluster that is started.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, places: int, address: str | None, cpus: int, gpus: int) -> None:
        # Not needed to start a cluster of one machine, and it looks for the network.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise ConfigError(
                "the engine ray needs the package ray, which is not installed; "
                "pip install 'reviosa-workbench[ray]'"
            ) from None
        self.places = places
        self._ray = ray
        own = {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
        if address is not None:
            _require_reachable(address)
        # Ray sets one of its own, which ends this process with a code that says nothing.
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else own),
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"no Ray cluster at {address or 'this machine'}: {first_line(error)}; "
                "check --address, or start one with: ray start --head"
            ) from None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        self._task = ray.remote(run_there)
        self._running: dict[Future[Outcome], object] = {}

    def submit(self, job: Job) -> "Future[Outcome]":
        """Begin a job as soon as the cluster has room."""
        there = self._ray.cluster_resources()
        for name, asked in (("CPU", job.cpus), ("GPU", job.gpus)):
            if asked > there.get(name, 0):
                # Ray would wait for such a machine, without a word.
                return _ended(
                    Outcome("failed", f"asks for {asked:g} {name}s, and the Ray cluster has only "
                            f"{there.get(name, 0):g} in all; change limits or add machines")
                )  # fmt: skip
        task = self._task.options(
            num_cpus=job.cpus, num_gpus=job.gpus, max_retries=_TRIES, name=job.name
        )
        reference = task.remote(job.to_json(), os.getcwd())
        answer: Future[Outcome] = Future()
        answer.set_running_or_notify_cancel()
        self._running[answer] = reference

        def ended(inner: "Future[Outcome]") -> None:
            self._running.pop(answer, None)
            error = inner.exception()
            answer.set_result(inner.result() if error is None else _lost(error))

        reference.future().add_done_callback(ended)
        return answer

    def stop(self) -> None:
        """End every job, let none begin, and wait until all have ended."""
        if not self._ray.is_initialized():
            return
        running = list(self._running.values())
        for reference in running:
            # An interrupt in the task, which ends its process in order.
            self._ray.cancel(reference)
        if running:
            self._ray.wait(running, num_returns=len(running), timeout=30)
        self._ray.shutdown()
        # A task that did not hear the interrupt has ended with its cluster, which answers no more.
        for answer in list(self._running):
            with contextlib.suppress(InvalidStateError):
                answer.set_result(Outcome("stopped", "Ray: ended with its cluster"))


def _require_reachable(address: str) -> None:
    """Ray itself looks for five minutes for a cluster that is not there.

    Raises:
        ConfigError: nobody listens at ``host:port``; other forms of address are left to Ray.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"no Ray cluster at {address}: {first_line(error)}; check --address, or start one "
            "with: ray start --head"
        ) from None


def _ended(outcome: Outcome) -> "Future[Outcome]":
    answer: Future[Outcome] = Future()
    answer.set_result(outcome)
    return answer


def _lost(error: BaseException) -> Outcome:
    cancelled = type(error).__name__ == "TaskCancelledError"
    # What the task itself raised, without Ray's frame of colours around it.
    cause = getattr(error, "cause", None) or error
    return Outcome("stopped" if cancelled else "lost", f"Ray: {first_line(cause)}")
