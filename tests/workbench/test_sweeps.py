"""Sweep files, their trials, and a small sweep from the file to the page."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from probes.sweeps import read_sweep
from reviosa.errors import ConfigError
from workbench.sweeps.load import load_sweep
from workbench.sweeps.plan import plan_trials
from workbench.sweeps.trials import trial_state

CLAIM = {"says": "AML <b>helps</b> | most", "source": "nowhere", "better": "aml/rvos",
         "than": "plain/rvos", "paper": 1.0}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {}}, "axes"),
        ({"arms": {}}, "arms"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"baseline": "none"}, "baseline is 'none'; choose one of plain, aml"),
        ({"name": "../up"}, "name"),
        (
            {"arms": {"plain": {"title": "a", "heads": {"strategy": "best"}}}, "claims": None},
            "strategy",
        ),
        (
            {"arms": {"plain": {"title": "a", "heads": {"strategy": "matched-random"}}},
             "claims": None},
            "matched-random needs like",
        ),
        (
            {"claims": [CLAIM | {"better": "aml/iou"}]},
            "'aml/iou', expected ARM/SCORE",
        ),
        ({"claims": [CLAIM | {"better": "aml/actor"}]}, "expected scores of the same masks"),
        ({"claims": [CLAIM | {"than": "plain/target"}]}, "that arm names no targets"),
        ({"claims": [CLAIM | {"than": "aml/target_by_prompt"}]}, "target_by_prompt: true"),
        ({"claims": [CLAIM | {"least": 1.0}]}, "either paper, whose half counts, or least"),
    ],
)  # fmt: skip
def test_a_bad_sweep_file_is_refused_before_anything_runs(
    cli, tmp_path, sweep_file, changes, message
):
    result = cli("sweep", sweep_file(**changes), "--out", tmp_path / "runs")
    assert result.code == 2
    assert message in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stepz": 3}, "stepz"),
        ({"seed": 3}, "'seed', which the sweep itself sets"),
        ({"steps": 0}, "steps"),
    ],
)
def test_a_bad_setting_of_an_arm_is_refused(cli, tmp_path, sweep_file, settings, message):
    arms = {"plain": {"title": "a", "set": settings}}
    result = cli("sweep", sweep_file(arms=arms, claims=None), "--list", "--out", tmp_path / "runs")
    assert result.code == 2 and message in result.err


def test_the_same_trial_twice_is_refused(sweep_file):
    arms = {"plain": {"title": "a"}, "again": {"title": "b"}}
    with pytest.raises(ConfigError, match="plain and again are the same trial"):
        plan_trials(load_sweep(sweep_file(arms=arms, claims=None)))


def test_an_id_holds_what_decides_the_result_and_nothing_else(sweep_file):
    def ids(**changes):
        return [t.id for t in plan_trials(load_sweep(sweep_file(**changes)))]

    plain, aml = ids()
    renamed = {
        "plain": {"title": "other words", "set": {"roles": "actor"}, "target_by_prompt": True},
        "aml": {"title": "A", "heads": {"strategy": "top-layer", "k": 2}},
    }
    assert ids(name="another", arms=renamed) == [plain, aml]
    assert ids(seeds=[0, 1])[:2] == [plain, aml]
    changed = {**renamed, "aml": {"title": "A", "heads": {"strategy": "top-layer", "k": 1}}}
    assert ids(arms=changed)[0] == plain and ids(arms=changed)[1] != aml
    assert not {plain, aml} & set(ids(report_videos=1))


def test_a_list_shows_trials_and_runs_nothing(cli, tmp_path, sweep_file):
    result = cli("sweep", sweep_file(), "--list", "--json", "--out", tmp_path / "runs")
    trials = json.loads(result.out)["trials"]
    assert [(t["arm"], t["seed"], t["status"]) for t in trials] == [
        ("plain", 0, "new"), ("aml", 0, "new"),
    ]  # fmt: skip
    assert not (tmp_path / "runs").exists()


def test_from_the_file_to_the_page(cli, tmp_path, sweep_file):
    """Two trainings of two steps, their evaluations, and the page made of them."""
    path, runs = sweep_file(), tmp_path / "runs"
    result = cli("sweep", path, "--out", runs, "--workers", 2, "--json", "--no-features")
    assert result.code == 0, result.err
    trials = json.loads(result.out)["trials"]
    assert [t["status"] for t in trials] == ["done", "done"]

    found = read_sweep(runs / "sweeps" / "small")
    assert not found.problems
    plain, aml = found.trials
    assert plain.pairs == () and len(aml.pairs) == 2
    assert len({layer for layer, _ in aml.pairs}) == 1
    assert "target_by_prompt" in plain.scores and "target_by_prompt" not in aml.scores
    assert {line["step"] for line in aml.attention} == {0, 1, 2}
    assert not (runs / "trials" / aml.id / "train" / "checkpoints").exists()

    # Done is done: nothing is trained again.
    before = (runs / "trials" / aml.id / "train" / "run.json").read_bytes()
    again = cli("sweep", path, "--out", runs, "--no-features")
    assert again.code == 0 and "2 done already" in again.err
    assert (runs / "trials" / aml.id / "train" / "run.json").read_bytes() == before

    capture = next(runs.glob("capture-*"))
    page = tmp_path / "docs" / "results.md"
    result = cli("report", runs / "sweeps" / "small", capture, "-o", page, "--resamples", 50)
    assert result.code == 0, result.err
    text = page.read_text()
    assert "AML &lt;b&gt;helps&lt;/b&gt; \\| most" in text
    for name in ("small-strategies.svg", "small-attention.svg", "results.json"):
        assert (page.parent / "results" / name).is_file()
        assert f"results/{name}" in text
    assert aml.id in text and capture.name in text

    # A trial that is lost is named, and the rest is shown.
    (runs / "trials" / plain.id / "evaluate" / "scores.parquet").unlink()
    (problem,) = read_sweep(runs / "sweeps" / "small").problems
    assert problem.startswith("plain, seed 0") and "evaluate again" in problem


def test_a_failed_trial_does_not_stop_the_others(cli, tmp_path, sweep_file):
    arms = {
        "plain": {"title": "a", "set": {"steps": 1}},
        "bad": {"title": "b", "set": {"steps": 2}},
    }
    path, runs = sweep_file(arms=arms, claims=None), tmp_path / "runs"
    folder = runs / "trials" / plan_trials(load_sweep(path))[1].id
    folder.mkdir(parents=True)
    (folder / "train").write_text("in the way")
    result = cli("sweep", path, "--out", runs, "--json", "--no-features")
    assert result.code == 1
    states = {t["arm"]: t["status"] for t in json.loads(result.out)["trials"]}
    assert states["plain"] == "done" and states["bad"] != "done"
    (line,) = [x for x in result.err.splitlines() if x.startswith("FAILED")]
    assert "bad, seed 0" in line and "log.txt" in line


@pytest.mark.slow
def test_a_stopped_sweep_goes_on(cli, tmp_path, sweep_file):
    path, runs = sweep_file(), tmp_path / "runs"
    command = [sys.executable, "-m", "workbench.cli", "sweep", str(path), "--out", str(runs),
               "--no-features"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(runs.glob("trials/*/train/run.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    # Not SIGINT: a suite that runs in the background hands it on as ignored.
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    config = load_sweep(path)
    states = [trial_state(trial, runs).status for trial in plan_trials(config)]
    assert "running" not in states and set(states) != {"done"}
    kept = json.loads((runs / "sweeps" / "small" / "status.json").read_text())
    assert [trial["status"] for trial in kept["trials"]] == states
    assert cli("sweep", path, "--out", runs, "--no-features").code == 0
    states = [trial_state(trial, runs).status for trial in plan_trials(config)]
    assert states == ["done", "done"]
