"""Sweeps on disks that fail, and with a training that diverges."""

import json
import subprocess
from contextlib import contextmanager

import pytest

from workbench.sweeps.load import load_sweep
from workbench.sweeps.plan import plan_trials

SETTINGS = {"claims": None, "limits": {"cpus": 1}, "report_videos": 1}


@contextmanager
def mounted(folder, *options):
    """A small file system of its own in a folder; skips where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    made = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if subprocess.run(made, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not allowed here, so no disk can be made full")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_read_only_folder_and_a_training_that_diverges_fail_alone(cli, sweep_file, tmp_path):
    plain = {"steps": 2}
    arms = {
        "good": {"title": "good", "set": plain},
        "wild": {"title": "wild", "set": {**plain, "steps": 8, "learning_rate": 1e30}},
        "shut": {"title": "shut", "set": {**plain, "learning_rate": 2e-5}},
    }
    path = sweep_file(**{**SETTINGS, "arms": arms, "baseline": "good"})
    runs = tmp_path / "runs"
    ids = {trial.arm: trial.id for trial in plan_trials(load_sweep(path))}
    with mounted(runs / "trials" / ids["shut"], "ro", "size=1m"):
        result = cli("sweep", path, "--out", runs, "--json")
        assert result.code == 1
        trials = {t["arm"]: t for t in json.loads(result.out)["trials"]}
        assert trials["good"]["status"] == "done"
        assert trials["wild"]["status"] == trials["shut"]["status"] == "failed"
        assert "diverged at step" in trials["wild"]["reason"]
        assert "Read-only file system" in trials["shut"]["reason"]
        assert [x.split(",")[0] for x in result.err.splitlines() if x.startswith("FAILED")]
    # With the folder open again only what failed is to be run, and only if that is asked for.
    result = cli("sweep", path, "--out", runs, "--json")
    trials = {t["arm"]: t["status"] for t in json.loads(result.out)["trials"]}
    assert trials == {"good": "done", "wild": "failed", "shut": "done"}, "shut kept no failure"


def test_a_full_disk_is_named_and_the_sweep_ends(cli, sweep_file, tmp_path):
    arms = {"plain": {"title": "plain", "set": {"steps": 2}}}
    path = sweep_file(**{**SETTINGS, "arms": arms})
    runs = tmp_path / "runs"
    with mounted(runs, "size=300k"):
        result = cli("sweep", path, "--out", runs, "--json")
        assert result.code == 1
        (trial,) = json.loads(result.out)["trials"]
        assert trial["status"] == "failed" and "No space left on device" in trial["reason"]
        mended = subprocess.run(["mount", "-o", "remount,size=200m", str(runs)])
        assert mended.returncode == 0
        result = cli("sweep", path, "--out", runs, "--json", "--retry-failed")
        assert result.code == 0, result.err
        assert json.loads(result.out)["trials"][0]["status"] == "done"


def test_a_read_only_folder_of_runs_is_one_line(cli, sweep_file, tmp_path):
    path = sweep_file(**SETTINGS)
    runs = tmp_path / "runs"
    with mounted(runs, "ro"):
        result = cli("sweep", path, "--out", runs)
    assert result.code == 2
    assert result.err.count("\n") == 1 and "Read-only file system" in result.err
