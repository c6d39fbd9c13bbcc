"""Jobs in processes: how they end, what bounds them, and that none is left behind."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from workbench.executors import Engine, Job, Outcome, Step, open_executor
from workbench.executors.process import run_job


def synth(folder, name="data"):
    """A short command that writes a data set."""
    return Step(("synth", str(folder / name), "--videos", "1", "--seed", "1"))


@pytest.fixture
def hanging(tmp_path):
    """A command that never ends: it reads what nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    return Step(("score", str(tmp_path / "pipe"), "--data", str(tmp_path)))


def job(tmp_path, *steps, **limits):
    return Job("a job", tmp_path / "job", steps, **limits)


def said(path, text, seconds=60):
    """Wait until ``text`` stands in a log."""
    deadline = time.monotonic() + seconds
    while not (path.is_file() and text in path.read_text()):
        assert time.monotonic() < deadline, f"{text!r} never came"
        time.sleep(0.05)


def processes_of(folder):
    """Processes whose command line names the folder."""
    found = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]


def test_a_job_gives_its_commands_in_order_and_writes_what_they_say(tmp_path):
    outcome = run_job(job(tmp_path, synth(tmp_path, "one"), synth(tmp_path, "two")))
    assert outcome == Outcome("done")
    assert (tmp_path / "one").is_dir() and (tmp_path / "two").is_dir()
    lines = (tmp_path / "job" / "log.txt").read_text().splitlines()
    given = [line for line in lines if line.startswith("$ reviosa synth")]
    assert [line.split()[3] for line in given] == [str(tmp_path / "one"), str(tmp_path / "two")]


def test_a_command_that_fails_ends_the_job_and_its_error_is_the_reason(tmp_path):
    bad = Step(("evaluate", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "run")))
    outcome = run_job(job(tmp_path, bad, synth(tmp_path)))
    assert outcome.status == "failed"
    assert str(tmp_path / "nothing") in outcome.reason and "error:" not in outcome.reason
    assert not (tmp_path / "data").exists()


def test_a_step_whose_run_is_done_is_left_out(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(
        '{"schema": 1, "kind": "train", "status": "done", "created": "", "config": {}, "seed": 0}'
    )
    outcome = run_job(job(tmp_path, Step(("synth", str(tmp_path / "data")), run)))
    assert outcome.status == "done" and not (tmp_path / "data").exists()


def test_a_folder_that_another_process_holds_is_busy(tmp_path):
    one = job(tmp_path, synth(tmp_path))
    one.folder.mkdir()
    with open(one.folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run_job(one).status == "busy"
    assert run_job(one).status == "done"


def test_a_job_that_hangs_is_ended_at_its_limit(tmp_path, hanging):
    outcome = run_job(job(tmp_path, hanging, minutes=0.1))
    assert outcome.status == "failed"
    assert outcome.reason == "still ran after its limit of 0.1 minutes"
    assert not processes_of(tmp_path)


def test_a_job_that_holds_too_much_memory_is_ended(tmp_path, hanging):
    # An interpreter with our packages holds more than 10 MB.
    outcome = run_job(job(tmp_path, hanging, memory_gb=0.01))
    assert outcome.status == "failed"
    assert outcome.reason.startswith("held 0.0") and "limit of 0.01 GB" in outcome.reason


def test_a_job_whose_process_is_killed_is_lost(tmp_path, hanging):
    one = job(tmp_path, hanging)
    killer = threading.Thread(
        target=lambda: (
            said(one.log, "$ reviosa"),
            [os.kill(pid, signal.SIGKILL) for pid in processes_of(tmp_path)],
        )
    )
    killer.start()
    outcome = run_job(one)
    killer.join()
    assert outcome.status == "lost" and "SIGKILL" in outcome.reason


def test_a_folder_that_cannot_be_made_is_a_failure_not_an_error(tmp_path):
    (tmp_path / "job").write_text("in the way")
    outcome = run_job(job(tmp_path, synth(tmp_path)))
    assert outcome.status == "failed" and "File exists" in outcome.reason


def test_no_process_outlives_the_one_that_started_it(tmp_path, hanging):
    code = (
        "import sys; from workbench.executors import Job;"
        "from workbench.executors.process import run_job; run_job(Job.from_json(sys.argv[1]))"
    )
    one = job(tmp_path, hanging)
    parent = subprocess.Popen([sys.executable, "-c", code, one.to_json()])
    said(one.log, "$ reviosa")
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while processes_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_pool_runs_so_many_at_a_time_and_stops_all(tmp_path, hanging):
    jobs = [Job(str(i), tmp_path / f"job-{i}", (hanging,)) for i in range(3)]
    with open_executor(Engine.local, tmp_path, workers=2, cpus=1) as (executor, cpus, gpus):
        assert (executor.places, cpus) == (2, 1)
        futures = [executor.submit(one) for one in jobs]
        said(jobs[0].log, "$ reviosa")
        said(jobs[1].log, "$ reviosa")
        assert not jobs[2].folder.exists()
    assert [future.result().status for future in futures[:2]] == ["stopped", "stopped"]
    assert futures[2].cancelled() and not processes_of(tmp_path)


def test_each_job_has_a_gpu_of_its_own_where_there_are_several(tmp_path, monkeypatch):
    from workbench.executors import local

    seen = []

    def note(one, stopping, environment):
        seen.append(environment["CUDA_VISIBLE_DEVICES"])
        barrier.wait(10)

    barrier = threading.Barrier(2)
    monkeypatch.setattr(local, "run_job", note)
    pool = local.LocalExecutor(2, ("GPU-a", "GPU-b"))
    for one in [pool.submit(job(tmp_path)) for _ in range(4)]:
        one.result()
    pool.stop()
    # Two at a time, never both on one.
    assert sorted(seen[:2]) == ["GPU-a", "GPU-b"] == sorted(seen[2:])
