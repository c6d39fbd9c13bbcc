"""``reviosa probe`` on a made-up capture and a model of toy size."""

import json

import pytest


def test_every_task_has_a_number_or_a_reason(cli, capture_run, checkpoint, tmp_path):
    arguments = ("probe", capture_run, "--model", checkpoint, "--out", tmp_path / "out",
                 "--resamples", "50")  # fmt: skip
    shown = cli(*arguments, "--json")
    assert shown.code == 0, shown.err
    results = json.loads(shown.out)
    tasks = {task["task"]: task for task in results["tasks"]}
    assert list(tasks) == ["role", "interaction", "cell", "color", "shape", "verb"]
    assert results["layers"] == ["embedding", "L00", "L01", "L02", "norm"]
    for task in tasks.values():
        assert (task["reason"] is None) == (len(task["layers"]) == 5)
    assert tasks["interaction"]["n_videos"] == 2 and tasks["interaction"]["chosen"] is not None
    # Random weights: put into form, mostly without a target.
    assert results["n_unnamed"] > 0 and results["n_put_into_form"] == results["n_states"]
    kept = json.loads((tmp_path / "out" / "linear.json").read_text())
    assert kept == {"schema": 1, **results}
    again = cli(*arguments)
    assert again.code == 2 and "resume the run" in again.err
    # The states are all there: they are read, not recorded, and give the same numbers.
    states = tmp_path / "out" / "states" / "part-00000.safetensors"
    before = states.stat().st_mtime_ns
    table = cli(*arguments, "--resume")
    assert table.code == 0 and states.stat().st_mtime_ns == before
    assert "selectivity" in table.out and "interaction" in table.out
    assert "not named by the model, left out" in table.out
    assert json.loads((tmp_path / "out" / "linear.json").read_text()) == kept


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--limit", "1"], "got 1 video, expected at least 2"),
        (["--model", "{0}/nowhere"], "no such folder"),
        (["--data", "{0}/nowhere"], "no folder there"),
        (["--resamples", "0"], "resamples is 0; it must be at least 1"),
    ],
)
def test_bad_input_gets_one_line(cli, capture_run, tmp_path, arguments, words):
    given = [str(x).format(tmp_path) for x in arguments]
    shown = cli("probe", capture_run, "--out", tmp_path / "out", *given)
    assert shown.code == 2 and words in shown.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
