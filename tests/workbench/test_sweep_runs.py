"""Sweeps in real processes: killed, shared, and on Ray."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from safetensors.torch import load_file

from reviosa.run_record import read_run
from workbench.sweeps.load import load_sweep
from workbench.sweeps.plan import parts, plan_trials

ARMS = {
    "plain": {"title": "no AML", "set": {"steps": 6, "save_steps": 2, "log_steps": 1}},
    "aml": {"title": "AML", "set": {"steps": 6, "save_steps": 2, "log_steps": 1},
            "heads": {"strategy": "top-layer", "k": 2}},
}  # fmt: skip
SETTINGS = {"arms": ARMS, "claims": None, "limits": {"cpus": 1}, "report_videos": 1}


def command(path, runs, *more):
    return [sys.executable, "-m", "workbench.cli", "sweep", str(path), "--out", str(runs), *more]


def start(path, runs, *more, log="sweep.txt"):
    runs.parent.mkdir(parents=True, exist_ok=True)
    with open(runs.parent / log, "ab") as said:
        return subprocess.Popen(command(path, runs, *more), stdout=subprocess.DEVNULL, stderr=said)


def workers_of(runs):
    """Processes of jobs, whose command lines name their folders."""
    found = subprocess.run(["pgrep", "-f", f"executors.worker.*{runs}"], capture_output=True)
    return [int(pid) for pid in found.stdout.split()]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


def results(path, runs):
    """Of each trial: its weights, and the scores of each of its evaluations."""
    found = {}
    for trial in plan_trials(load_sweep(path)):
        folder = runs / "trials" / trial.id
        assert {read_run(folder / part)["status"] for part in parts(trial)} == {"done"}
        weights = load_file(folder / "train" / "model" / "model.safetensors")
        scores = {p: pd.read_parquet(folder / p / "scores.parquet") for p in parts(trial)[1:]}
        lines = (folder / "train" / "log.jsonl").read_text().splitlines()
        assert [json.loads(x)["step"] for x in lines] == [1, 2, 3, 4, 5, 6], "each step once"
        found[trial.arm] = (weights, scores)
    return found


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for arm in one:
        (weights, scores), (others, other_scores) = one[arm], two[arm]
        assert weights.keys() == others.keys()
        assert all(weights[name].equal(others[name]) for name in weights), arm
        for name, table in scores.items():
            pd.testing.assert_frame_equal(table, other_scores[name])


@pytest.fixture
def path(sweep_file):
    return sweep_file(**SETTINGS)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the uninterrupted sweep lies, once it has been run."""
    return tmp_path_factory.mktemp("whole") / "runs"


@pytest.fixture
def whole(path, kept):
    """Results of a sweep that nothing interrupts, in two processes here."""
    if not kept.exists():
        assert start(path, kept, "--workers", "2").wait(280) == 0
    return results(path, kept)


@pytest.mark.slow
def test_killed_at_any_moment_a_sweep_goes_on_to_the_same_results(path, whole, tmp_path):
    runs = tmp_path / "runs"
    random.seed(20261126)
    for what in ("parent", "worker", "both"):
        parent = start(path, runs, "--workers", "2")
        # In a capture, a training or an evaluation, wherever this machine is by then.
        wait_for(lambda: workers_of(runs))
        time.sleep(random.uniform(1.0, 8.0))
        if what != "parent":
            for pid in workers_of(runs)[:1]:
                os.kill(pid, signal.SIGKILL)
        if what == "worker":
            time.sleep(random.uniform(0.0, 2.0))
            parent.terminate()
        else:
            parent.kill()
        parent.wait(60)
        # Nobody is left to whom a second start could come.
        wait_for(lambda: not workers_of(runs))
    assert start(path, runs, "--workers", "2").wait(280) == 0
    assert_equal(results(path, runs), whole)
    # Done is done.
    before = {p: p.stat().st_mtime_ns for p in runs.glob("trials/*/*/run.json")}
    assert start(path, runs).wait(120) == 0
    assert {p: p.stat().st_mtime_ns for p in runs.glob("trials/*/*/run.json")} == before


@pytest.mark.slow
def test_on_ray_the_results_are_the_same_also_where_a_worker_is_killed(path, whole, tmp_path):
    runs = tmp_path / "runs"
    sweep = start(path, runs, "--engine", "ray", "--workers", "2")
    trained = wait_for(lambda: list(runs.glob("trials/*/train/run.json")), 200)
    (victim, *_) = workers_of(trained[0].parents[1])
    with open(f"/proc/{victim}/stat") as file:
        ray_worker = int(file.read().rsplit(")", 1)[1].split()[1])
    os.kill(ray_worker, signal.SIGKILL)
    assert sweep.wait(280) == 0, (tmp_path / "sweep.txt").read_text()
    assert_equal(results(path, runs), whole)
    log = (trained[0].parents[1] / "log.txt").read_text()
    assert log.count("$ reviosa train") == 2, "begun again"


@pytest.mark.slow
def test_two_sweeps_at_once_share_trials_and_features(path, whole, sweep_file, tmp_path):
    runs = tmp_path / "runs"
    both = [start(path, runs, "--workers", "2", log=f"{n}.txt") for n in ("one", "two")]
    assert [process.wait(280) for process in both] == [0, 0]
    assert_equal(results(path, runs), whole)
    for log in runs.glob("trials/*/log.txt"):
        text = log.read_text()
        assert text.count("$ reviosa train") == 1 and text.count("$ reviosa evaluate") == 2
    said = [(tmp_path / f"{n}.txt").read_text() for n in ("one", "two")]
    assert sum("\ndone: plain" in text for text in said) == 1
    assert list((runs / "features").rglob("*.safetensors"))
