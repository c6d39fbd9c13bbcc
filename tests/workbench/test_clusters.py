"""The same jobs on a Ray cluster of this machine, and as batch jobs."""

import os
import signal
import subprocess
import time

import pytest

from reviosa.errors import ConfigError
from workbench.executors import Engine, Job, Step, open_executor
from workbench.executors.slurm import SlurmExecutor

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's and submitit's own, of no concern here


def synth(folder, videos=1):
    return (Step(("synth", str(folder), "--videos", str(videos), "--seed", "1")),)


def bad(tmp_path):
    return (Step(("evaluate", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "run"))),)


def started_by(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


@pytest.mark.slow  # a sweep on Ray, worker killed, is in the suite: test_sweep_runs.py
def test_ray_runs_jobs_and_replaces_a_worker_that_is_killed(tmp_path):
    jobs = [
        Job("good", tmp_path / "good", synth(tmp_path / "a")),
        Job("bad", tmp_path / "bad", bad(tmp_path)),
        Job("long", tmp_path / "long", synth(tmp_path / "b", videos=60)),
    ]
    with open_executor(Engine.ray, tmp_path, workers=3, cpus=1) as (executor, cpus, _):
        assert (executor.places, cpus) == (3, 1)
        futures = [executor.submit(job) for job in jobs]
        # The worker of the long job: the parent of its process.
        (process,) = wait_for(lambda: started_by(str(tmp_path / "long")))
        log = tmp_path / "long" / "log.txt"
        wait_for(lambda: log.is_file() and "$ reviosa" in log.read_text())
        with open(f"/proc/{process}/stat") as file:
            worker = int(file.read().rsplit(")", 1)[1].split()[1])
        os.kill(worker, signal.SIGKILL)
        outcomes = [future.result(timeout=120) for future in futures]
        assert outcomes[0].status == "done" and (tmp_path / "a").is_dir()
        assert outcomes[1].status == "failed" and str(tmp_path / "no") in outcomes[1].reason
        # Run again by Ray; or found busy, where its first process was still ending, which the
        # sweep then comes back to.
        assert outcomes[2].status in ("done", "busy")
        if outcomes[2].status == "done":
            assert log.read_text().count("$ reviosa synth") == 2
    assert not started_by(str(tmp_path / "long"))


def test_ray_that_is_stopped_leaves_no_process_behind(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    hanging = (Step(("score", str(tmp_path / "pipe"), "--data", str(tmp_path))),)
    with open_executor(Engine.ray, tmp_path, workers=1, cpus=1) as (executor, _, _):
        future = executor.submit(Job("hangs", tmp_path / "job", hanging))
        wait_for(lambda: (tmp_path / "job" / "log.txt").is_file())
        wait_for(lambda: "$ reviosa" in (tmp_path / "job" / "log.txt").read_text())
    assert future.result(timeout=60).status in ("stopped", "lost")
    wait_for(lambda: not started_by(str(tmp_path / "job")), 40)


def test_no_ray_at_the_address_is_one_line(tmp_path):
    with (
        pytest.raises(ConfigError, match="no Ray cluster at 127.0.0.1:1.*--address"),
        open_executor(Engine.ray, tmp_path, address="127.0.0.1:1"),
    ):
        pass


def test_batch_jobs_end_as_other_jobs_do(tmp_path):
    """submitit's own stand-in for SLURM runs a batch job as a process of this machine."""
    executor = SlurmExecutor(2, tmp_path / "slurm", {}, cluster="local")
    good = executor.submit(Job("good", tmp_path / "good", synth(tmp_path / "a")))
    wrong = executor.submit(Job("bad", tmp_path / "bad", bad(tmp_path)))
    assert good.result(timeout=120).status == "done" and (tmp_path / "a").is_dir()
    assert wrong.result(timeout=120).status == "failed"
    executor.stop()


@pytest.mark.slow
def test_batch_jobs_that_are_stopped_leave_no_process_behind(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    hanging = (Step(("score", str(tmp_path / "pipe"), "--data", str(tmp_path))),)
    executor = SlurmExecutor(1, tmp_path / "slurm", {}, cluster="local")
    future = executor.submit(Job("hangs", tmp_path / "job", hanging))
    wait_for(lambda: (tmp_path / "job" / "log.txt").is_file())
    wait_for(lambda: "$ reviosa" in (tmp_path / "job" / "log.txt").read_text())
    executor.stop()
    assert future.result(timeout=10).status == "stopped"
    wait_for(lambda: not started_by(str(tmp_path / "job")), 40)


def test_no_slurm_here_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ConfigError, match="cannot use SLURM.*sbatch"),
        open_executor(Engine.slurm, tmp_path),
    ):
        pass
