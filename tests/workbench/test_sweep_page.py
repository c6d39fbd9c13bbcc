"""The pages of sweeps and of trainings on finished, running, failed, damaged and absent ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from probes.answer import sweep_answer
from probes.sweeps import read_sweep
from reviosa.errors import RunError
from reviosa.io import write_json
from reviosa.process import locked_directory
from tests.fixtures_capture import HOSTILE
from tests.fixtures_sweep_runs import (
    write_run,
    write_scored,
    write_status,
    write_sweep,
    write_training,
    write_trial,
)
from tests.workbench.test_pages import open_page, words
from workbench.pages import _sweep_charts, _sweeps, _trainings
from workbench.sweeps.answer import write_answer

PAIR = (2, 1)
ARMS = {"a": "no AML", "b": "best pair"}


pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(tmp_path) -> Path:
    """A finished sweep of two arms and two seeds; b is ahead by 10 points, less one by seed."""
    runs = tmp_path / "runs"
    for seed in (0, 1):
        write_trial(runs, f"a{seed}", noise=seed)
        write_trial(runs, f"b{seed}", 0.10 + 0.01 * seed, (PAIR,), noise=seed)
    write_sweep(runs, "small", ARMS)
    write_status(runs, "small", dict.fromkeys(("a0", "b0", "a1", "b1"), {}), seconds_left=None)
    return runs


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def tables(app, column: str):
    return next(table.value for table in app.dataframe if column in table.value)


def specs(app) -> str:
    """All that charts hold, but not their data."""
    return "\n".join(chart.proto.spec for chart in app.get("vega_lite_chart"))


# Sweeps.


def test_a_finished_sweep(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "sweeps")
    assert app.title[0].value == "Sweeps"
    assert not app.error and not app.warning and not app.info
    text = words(app)
    assert app.query_params["sweep"] in ("small", ["small"])
    assert "Best on the selection split" in text and "L02H01" in text
    # 2 expressions of each of 6 videos; two seeds.
    assert "n \\= 12 expressions of 6 videos, 2 seeds" in text
    assert "95 % intervals hold the chance of videos and of seeds" in text
    gaps = tables(app, "corrected p")
    # 10 and 11 points ahead.
    assert gaps.difference.tolist() == pytest.approx([10.5] * 3)
    assert set(gaps.seeds) == {2} and set(gaps.expressions) == {12}
    trials = tables(app, "id")
    assert trials.status.tolist() == ["done"] * 4 and trials.id.tolist() == ["a0", "b0", "a1", "b1"]
    assert len(app.get("vega_lite_chart")) == 2
    names = [button.label for button in app.get("download_button")]
    view = ["Download data (CSV)", "Download picture (SVG)", "Download picture (PNG)"]
    assert names == [*view, *view, "Download the heads file", "Download trials (CSV)"]


def test_one_score_by_its_address(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "sweeps", sweep="small", sweep_score="Target")
    assert tables(app, "corrected p").score.tolist() == ["Target"]


def test_numbers_of_the_page_are_the_answers(runs):
    answer = sweep_answer(read_sweep(runs / "sweeps" / "small"))
    frame = _sweep_charts.difference_frame(answer, ("rvos",))
    contrast = answer.arm("b").to_baseline["rvos"]
    assert frame.p.tolist() == [contrast.gap.p]
    assert frame["corrected p"].tolist() == [contrast.corrected_p]
    assert (frame.low[0], frame.high[0]) == contrast.gap.ci
    scores = _sweep_charts.score_frame(answer, answer.metrics)
    assert len(scores) == 6 and scores.jf[0] == answer.arm("a").scores["actor"].value


def test_the_answer_that_was_left_is_used_while_nothing_it_rests_on_changes(runs):
    folder = runs / "sweeps" / "small"
    write_answer(folder, sweep_answer(read_sweep(folder), resamples=20))
    found = _sweeps.answer_of(runs, "small", _sweeps.sweep_mark(runs, "small"))
    assert found.kept and found.answer.resamples == 20
    # A trial was evaluated again: later than the answer.
    later = (folder / "answer.json").stat().st_mtime_ns + 1_000_000
    os.utime(runs / "trials" / "b1" / "evaluate" / "scores.parquet", ns=(later, later))
    found = _sweeps.answer_of(runs, "small", _sweeps.sweep_mark(runs, "small"))
    assert not found.kept and found.answer.resamples == 2000


def test_an_answer_whose_trial_is_gone_or_that_is_damaged_is_computed_anew(runs):
    folder = runs / "sweeps" / "small"
    write_answer(folder, sweep_answer(read_sweep(folder), resamples=20))
    (runs / "trials" / "b1" / "evaluate" / "run.json").unlink()
    found = _sweeps.answer_of(runs, "small", _sweeps.sweep_mark(runs, "small"))
    assert not found.kept and found.answer.arm("b").missing == (1,)
    (folder / "answer.json").write_text("{")
    found = _sweeps.answer_of(runs, "small", _sweeps.sweep_mark(runs, "small"))
    assert not found.kept


def test_a_running_sweep(monkeypatch, runs):
    write_sweep(runs, "small", {**ARMS, "c": "random"})
    going = {"status": "running", "part": "train", "step": 20, "loss": 2.5, "seconds": 65.0}
    ends = {"a0": {}, "b0": {}, "a1": {}, "b1": {}, "c0": going, "c1": {"status": "waiting"}}
    write_status(runs, "small", ends)
    write_training(runs / "trials" / "c0" / "train", done=20, status="running")
    app = open_page(monkeypatch, runs, "sweeps")
    (bar,) = app.get("progress")
    assert bar.proto.text.replace("\\", "") == (
        "4 of 6 trials done, 1 running, 1 waiting, about 1 min 30 s left"
    )
    table = tables(app, "does")
    assert table.to_dict("records") == [
        {"arm": "random", "seed": 0, "does": "train", "step": "20 of 40", "loss": 2.5,
         "time": "1 min 5 s"}
    ]  # fmt: skip
    assert not app.warning and "So far: not all trials are done" in words(app)
    assert tables(app, "id").status.tolist()[2] == "running"
    assert "no finished trial" in specs(app) or "random" in specs(app)


def test_a_sweep_whose_process_is_gone_is_stopped(monkeypatch, runs):
    ends = {"a0": {}, "b0": {}, "a1": {"status": "waiting"}, "b1": {"status": "running"}}
    write_status(runs, "small", ends, pid=dead_process())
    for name in ("a1", "b1"):
        (runs / "trials" / name / "evaluate" / "run.json").unlink()
    app = open_page(monkeypatch, runs, "sweeps")
    assert "no process goes on with it" in app.warning[0].value
    assert tables(app, "id").status.tolist() == ["done", "done", "not begun", "stopped"]


def test_a_trial_that_another_process_holds_is_said_to_run_there(runs):
    write_status(runs, "small", {"a0": {"status": "running"}}, pid=dead_process())
    with locked_directory(runs / "trials" / "a0"):
        progress = _sweeps.read_progress(runs, "small")
    assert progress is not None
    assert progress.state == "stopped" and progress.counts == {"elsewhere": 1}


@pytest.mark.parametrize(
    ("host", "updated", "state"),
    [
        ("elsewhere", None, "running"),
        ("elsewhere", "2026-01-01T00:00:00+00:00", "stopped"),
        (None, "2026-01-01T00:00:00+00:00", "stopped"),  # the number was given to another process
    ],
)
def test_a_status_file_that_is_written_no_more(runs, host, updated, state):
    fields = {"updated": updated} if updated else {}
    if host:
        fields["process"] = {"host": host, "pid": dead_process()}
    write_status(runs, "small", {"a0": {"status": "running"}}, **fields)
    progress = _sweeps.read_progress(runs, "small")
    assert progress is not None and progress.state == state


def test_failed_and_cut_trials_are_shown_as_such(monkeypatch, runs):
    folder = write_sweep(runs, "small", {**ARMS, "c": "cut arm", "d": "failed arm"})
    halving = {"schema": 1, "metric": "rvos", "rungs": [
        {"step": 20, "scores": {"a0": 40.0, "a1": 41.0, "b0": 50.0, "b1": 51.0, "c0": 30.0,
         "c1": 32.0, "d0": None, "d1": None}, "kept": ["a", "b", "d"], "cut": ["c"]}]}  # fmt: skip
    write_json(folder / "halving.json", halving)
    cut, failed = {"status": "cut"}, {"status": "failed", "reason": f"RuntimeError: {HOSTILE}"}
    ends = dict.fromkeys(("a0", "b0", "a1", "b1"), {})
    write_status(runs, "small", ends | {"c0": cut, "c1": cut, "d0": failed, "d1": failed})
    app = open_page(monkeypatch, runs, "sweeps")
    assert app.error[0].value.startswith("2 trials failed")
    assert f"failed arm, seed 0 (d0): RuntimeError: {HOSTILE}" in app.code[0].value
    rungs = tables(app, "then")
    # (30 + 32) / 2 for the arm that was cut; nothing of the one that failed.
    assert rungs.then.tolist() == ["trained on"] * 3 + ["cut"]
    assert rungs["J&F there"].tolist()[:2] == [40.5, 50.5] and rungs["J&F there"].iloc[3] == 31.0
    assert np.isnan(rungs["J&F there"].iloc[2])
    assert "1 of 4 arms cut early" in words(app)
    trials = tables(app, "id").set_index("id")
    assert trials.status["c0"] == "cut early" and trials.status["d1"] == "failed"


def test_no_sweep_no_folder(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path, "sweeps")
    assert "No sweep lies in this folder" in app.info[0].value
    assert "reviosa sweep" in words(app)
    app = open_page(monkeypatch, tmp_path / "gone", "sweeps")
    assert "no such folder" in app.info[0].value


def test_a_sweep_without_a_finished_trial(monkeypatch, tmp_path):
    write_sweep(tmp_path, "small", ARMS)
    app = open_page(monkeypatch, tmp_path, "sweeps")
    assert "No trial is finished" in app.info[0].value
    assert tables(app, "id").status.tolist() == ["not done"] * 4


def test_a_sweep_from_before_the_status_file(monkeypatch, runs):
    (runs / "sweeps" / "small" / "status.json").unlink()
    app = open_page(monkeypatch, runs, "sweeps")
    assert "kept no status file" in words(app) and not app.error
    assert len(app.get("vega_lite_chart")) == 2


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"schema": 7}', '{"schema": 1}',
     '{"schema":1,"name":"x","baseline":"a","arms":{"a":1},"config":{},"trials":[3]}',
     '{"schema":1,"name":"x","baseline":"a","arms":{},"config":[],"trials":[{"id":"a0"}]}',
     '{"schema":1,"name":"x","baseline":"zz","arms":{"a":"A","b":"B"},"config":{},'
     '"trials":[{"id":"a0","arm":"a","seed":0}]}'],
)  # fmt: skip
@pytest.mark.parametrize("file", ["sweep.json", "status.json", "halving.json"])
def test_damaged_files_are_told_without_a_traceback(monkeypatch, runs, file, text):
    (runs / "sweeps" / "small" / file).write_text(text)
    app = open_page(monkeypatch, runs, "sweeps")
    assert app.error[0].value == "This run cannot be shown."
    assert file in words(app)


def test_text_from_files_is_text(monkeypatch, runs):
    write_sweep(runs, "small", {"a": HOSTILE, "b": f"$x$ {HOSTILE}"})
    app = open_page(monkeypatch, runs, "sweeps")
    assert all(not item.allow_html for item in app.markdown)
    shown = [str(item.value) for kind in ("markdown", "caption") for item in app.get(kind)]
    assert any("onerror" in text for text in shown)
    # Each sign of Markdown and HTML has a backslash before it.
    assert not any("<img" in text.replace("\\<img", "") for text in shown)
    assert not any("![" in text.replace("\\!\\[", "") for text in shown)


def test_no_address_leads_out_of_the_folder(monkeypatch, runs, tmp_path):
    write_sweep(tmp_path / "other", "secret", ARMS)
    for asked in ("../../other/sweeps/secret", str(tmp_path / "other/sweeps/secret"), "gone"):
        app = open_page(monkeypatch, runs, "sweeps", sweep=asked)
        assert app.selectbox(key="sweep").value == "small"
        assert app.warning[0].value.startswith("No sweep ")


@pytest.mark.parametrize("name", ["../secret", "..", "", "/etc", 3])
def test_no_trial_of_a_file_leads_out_of_the_folder(runs, name):
    trials = [{"id": name, "arm": "a", "seed": 0}]
    write_sweep(runs, "small", ARMS, trials=trials)
    with pytest.raises(RunError, match="trial id"):
        _sweeps.answer_of(runs, "small", ())


def test_the_sweep_that_changed_last_comes_first_and_the_address_wins(monkeypatch, runs):
    write_sweep(runs, "later", ARMS)
    future = (runs / "sweeps" / "small" / "status.json").stat().st_mtime_ns + 10**9
    os.utime(runs / "sweeps" / "later" / "sweep.json", ns=(future, future))
    app = open_page(monkeypatch, runs, "sweeps")
    assert app.selectbox(key="sweep").options == ["later", "small"]
    assert app.selectbox(key="sweep").value == "later"
    app = open_page(monkeypatch, runs, "sweeps", sweep="small")
    assert app.selectbox(key="sweep").value == "small"


def test_arms_of_one_title_stay_apart(runs):
    write_sweep(runs, "small", {"a": "same", "b": "same"})
    labels = _sweep_charts.arm_labels(sweep_answer(read_sweep(runs / "sweeps" / "small")))
    assert list(labels.values()) == ["same (a)", "\N{BLACK STAR} same (b)"]


# Training.


def test_a_training_of_a_trial(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "training", training="trials/b0/train")
    assert not app.error and not app.warning and not app.info
    shown = app.selectbox(key="training").options
    assert "small: best pair, seed 0 \N{EM DASH} trials/b0/train" in shown
    text = words(app)
    assert "40 of 40 optimiser steps logged\\. Supervised pairs\\: L02H01" in text
    assert "n \\= 10 expressions of 5 videos, selection split \\(Actor, Target, RVOS\\)" in text
    assert app.multiselect(key="watched_pairs").value == ["L02H01"]
    # Sum, two parts, J&F, attention and last look of either role.
    assert len(app.get("vega_lite_chart")) == 8
    names = [button.label for button in app.get("download_button")]
    view = ["Download data (CSV)", "Download picture (SVG)", "Download picture (PNG)"]
    assert names == view * 8


def test_a_training_that_was_not_watched_or_evaluated(monkeypatch, tmp_path):
    write_training(tmp_path / "bare", attention=False)
    app = open_page(monkeypatch, tmp_path, "training")
    said = [item.value for item in app.info]
    assert any("No finished evaluation" in text for text in said)
    assert any("No attention was watched" in text for text in said)
    assert len(app.get("vega_lite_chart")) == 3 and "Supervised pairs\\: none" in words(app)


def test_pairs_by_the_address_and_by_default(monkeypatch, runs):
    app = open_page(
        monkeypatch, runs, "training", training="trials/b0/train", watched_pairs="L00H01"
    )
    assert app.multiselect(key="watched_pairs").value == ["L00H01"]
    app = open_page(
        monkeypatch, runs, "training", training="trials/a0/train", watched_pairs="L02H01"
    )
    assert app.multiselect(key="watched_pairs").value == ["L02H01"]
    # No pair is supervised: those with the most at the end, 0.1 layer + 0.01 head.
    app = open_page(monkeypatch, runs, "training", training="trials/a0/train")
    assert app.multiselect(key="watched_pairs").value == ["L02H01", "L02H00", "L01H01"]
    app.multiselect(key="watched_pairs").set_value([]).run()
    assert not app.exception and len(app.get("vega_lite_chart")) == 8


def test_default_pairs_follow_the_run(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "training", training="trials/a0/train")
    app.selectbox(key="training").set_value("trials/b0/train").run()
    assert app.multiselect(key="watched_pairs").value == ["L02H01"]
    app.multiselect(key="watched_pairs").set_value(["L00H00"]).run()
    app.selectbox(key="training").set_value("trials/a0/train").run()
    assert app.multiselect(key="watched_pairs").value == ["L00H00"]


def test_a_run_of_another_shape_drops_pairs_it_has_not(monkeypatch, runs):
    look = {"step": 0, "role": "actor", "mask_share": [[0.1, 0.2]]}
    small = write_training(runs / "small-model", attention=False)
    (small / "attention.jsonl").write_text(json.dumps(look))
    app = open_page(monkeypatch, runs, "training", training="trials/b0/train")
    app.multiselect(key="watched_pairs").set_value(["L00H00", "L02H00"]).run()
    app.selectbox(key="training").set_value("small-model").run()
    assert not app.exception and app.multiselect(key="watched_pairs").value == ["L00H00"]


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        ("running", "warning", "no process goes on with it"),
        ("failed", "error", "status: failed"),
        ("stopped", "warning", "stopped before its end"),
    ],
)
def test_a_training_that_has_not_ended_well(monkeypatch, tmp_path, status, kind, says):
    error = "RuntimeError: <b>out</b> of *memory*" if status == "failed" else None
    write_training(tmp_path / "run", done=20, status=status, error=error)
    app = open_page(monkeypatch, tmp_path, "training")
    assert says in app.get(kind)[0].value
    assert error is None or app.code[0].value == error
    assert "20 of 40 optimiser steps" in words(app)


def test_a_training_that_goes_on(monkeypatch, tmp_path):
    folder = write_training(tmp_path / "run", done=0, status="running", attention=False)
    with locked_directory(folder):
        app = open_page(monkeypatch, tmp_path, "training")
    assert "goes on" in app.info[0].value and "No loss was logged yet" in app.info[1].value


def test_damaged_logs_are_left_out(monkeypatch, tmp_path):
    folder = write_training(tmp_path / "run", attention=False)
    good = {"step": 10, "loss": 2.0, "loss_text": float("nan")}
    odd = [{"step": "ten", "loss": 1}, {"step": 20, "loss": HOSTILE}, {"step": True}]
    text = "\n".join(json.dumps(line) for line in [good, *odd])
    (folder / "log.jsonl").write_text(text + '\n{"step": 30, "lo')
    frame = _trainings.losses_of(folder, ())
    assert frame.step.tolist() == [10, 20] and np.isnan(frame.loss[1])
    looks = [{"step": 0, "role": "actor", "mask_share": [[0.1], [0.2]]},
             {"step": 5, "role": "actor", "mask_share": [[0.1, 0.3]]},
             {"step": 6, "role": "nobody", "mask_share": [[0.1], [0.2]]},
             {"step": 7, "role": "actor", "mask_share": "x"}]  # fmt: skip
    (folder / "attention.jsonl").write_text("\n".join(json.dumps(look) for look in looks))
    app = open_page(monkeypatch, tmp_path, "training")
    assert "3 lines of the log left out" in words(app)
    assert "In 1 logged step a loss is missing or no number" in words(app)
    (folder / "attention.jsonl").write_bytes(b"\xff\x00")
    app = open_page(monkeypatch, tmp_path, "training")
    assert "no line that can be read" in app.info[-1].value


def test_evaluations_by_place_and_by_name(runs):
    entries = _data_runs(runs)
    entry = next(item for item in entries if item.name == "trials/b0/train")
    write_scored(runs / "trials" / "b0" / "rungs" / "step-000020", 0.05)
    other = {"name": "x", "path": str(entry.directory / "model")}
    write_scored(runs / "once-more", 0.2)
    write_run(runs / "once-more", "evaluate", model=other)
    write_run(runs / "trials" / "b0" / "selection", "evaluate", status="running")
    scores, problems = _trainings.evaluations_of(entry, _data_runs(runs), 40)
    places = scores.drop_duplicates(["split", "step"])[["split", "step"]].values.tolist()
    assert places == [["reporting split", 40], ["selection split", 20], ["once-more", 40]]
    assert problems == ["selection is running"]


def _data_runs(runs):
    from workbench.pages._data import list_runs

    return list_runs(runs)


def test_no_training(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path, "training")
    assert "No training run lies in this folder" in app.info[0].value
    app = open_page(monkeypatch, tmp_path, "training", training="../../etc")
    assert not app.exception


def test_no_address_of_a_training_leads_out(monkeypatch, runs, tmp_path):
    write_training(tmp_path / "other")
    app = open_page(monkeypatch, runs, "training", training="../other")
    assert app.warning[0].value.startswith("No training run ")
    assert app.selectbox(key="training").value.startswith("trials/")


def test_the_capture_chosen_elsewhere_is_kept(monkeypatch, planted_runs):
    """The pages of sweeps and trainings have no selector of captures, and must not lose it."""
    app = open_page(monkeypatch, planted_runs, "layers", run="planted")
    app.switch_page("workbench/pages/training.py").run()
    assert not [box for box in app.selectbox if box.key == "run"]
    app.switch_page("workbench/pages/layers.py").run()
    assert app.selectbox(key="run").value == "planted"
