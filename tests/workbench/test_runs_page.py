"""The page of runs: the list, one run opened, two compared; and what it fetches."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from reviosa.evaluation import SCORES_FILE
from reviosa.evaluation.protocols import RoleScore
from reviosa.evaluation.score_table import write_scores
from reviosa.process import locked_directory
from reviosa.run_record import open_run
from tests.fixtures_capture import set_status
from tests.workbench.test_pages import open_page, words
from workbench.pages import _data, _runs

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    shutil.copytree(planted_runs, tmp_path / "runs")
    return tmp_path / "runs"


def evaluation(directory: Path, shift: float = 0.0, data: str = "d", **config) -> Path:
    """Two videos with an interaction and a single object each; J rises by ``shift``."""
    scores = []
    for video, j in (("v0", 0.4), ("v1", 0.6)):
        rows = (("0", "actor", "unidirectional"), ("0", "target", "unidirectional"),
                ("1", "actor", "single"))  # fmt: skip
        for exp, role, kind in rows:
            scores.append(RoleScore(video, exp, role, kind, j + shift, j + shift, False))
    with open_run(directory, "evaluate", config, None, {"path": "/x/set/test", "identity": data}):
        write_scores(directory / SCORES_FILE, scores)
    return directory


def entry_of(folder: Path, name: str):
    return next(entry for entry in _data.list_runs(folder) if entry.name == name)


def test_finished_run(monkeypatch, planted_runs, planted_results):
    app = open_page(monkeypatch, planted_runs, "runs")
    assert app.title[0].value == "Runs"
    assert not app.error and not app.warning and not app.info
    assert app.selectbox(key="opened").value == "planted"
    shown = [metric.value for metric in app.metric]
    assert shown == [f"{score.jf:.1f}" for score in planted_results.protocols.values()]
    captions = " ".join(item.value for item in app.caption)
    for score in planted_results.protocols.values():
        assert f"n = {score.n} expressions" in captions
    assert "1 without token" in captions and "bootstrap over videos" in captions
    text = words(app)
    assert "nan" not in text.split() and "None" not in text.split()


def test_first_page_needs_no_torch(planted_runs):
    """Loading torch takes seconds, which the first page has no use for."""
    import subprocess
    import sys

    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"sys.argv = ['app', {str(planted_runs)!r}];"
        "app = AppTest.from_file('streamlit_app.py', default_timeout=120).run();"
        "assert not app.exception and app.metric, app; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.stdout.split()[-1] == "False"


def test_folder_without_runs(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path, "runs")
    assert "No run lies in this folder" in app.info[0].value
    assert "reviosa demo" in words(app) and str(tmp_path) in words(app)


def test_no_such_folder(monkeypatch, tmp_path):
    app = open_page(monkeypatch, tmp_path / "gone", "runs")
    assert "no such folder" in app.info[0].value


def test_running_run_is_told_from_a_killed_one(monkeypatch, runs):
    set_status(runs / "planted", "running")
    app = open_page(monkeypatch, runs, "runs")
    assert app.dataframe[0].value["status"].tolist() == ["stopped"]
    assert "no process goes on with it" in app.warning[0].value
    with locked_directory(runs / "planted"):
        app = open_page(monkeypatch, runs, "runs")
        assert app.dataframe[0].value["status"].tolist() == ["running"]
        assert "still going on" in app.warning[0].value
        # How far: the page looks at it again by itself.
        assert "planted: capture running" in words(app)


def test_running_run_with_nothing_yet(monkeypatch, runs):
    set_status(runs / "planted", "running")
    shutil.rmtree(runs / "planted" / "samples")
    app = open_page(monkeypatch, runs, "runs")
    assert "No part of this run is complete" in app.info[0].value and not app.metric


def test_failed_run_says_why(monkeypatch, runs):
    set_status(runs / "planted", "failed", "RuntimeError: out of *memory*")
    app = open_page(monkeypatch, runs, "runs")
    assert "status: failed" in app.error[0].value
    assert app.code[0].value == "RuntimeError: out of *memory*"
    assert app.metric  # of the parts before it ended


def test_unreadable_header_is_listed_and_opened(monkeypatch, runs):
    (runs / "torn").mkdir()
    (runs / "torn" / "run.json").write_text("{")
    app = open_page(monkeypatch, runs, "runs")
    table = app.dataframe[0].value
    assert dict(zip(table["run"], table["status"], strict=True)) == {
        "planted": "done", "torn": "unreadable",
    }  # fmt: skip
    assert "unreadable header" in table["error"][1]
    app.selectbox(key="opened").set_value("torn").run()
    assert not app.exception and "unreadable header" in app.code[0].value


def test_damaged_part_is_left_out_and_told(monkeypatch, runs):
    part = sorted((runs / "planted" / "samples").iterdir())[0]
    part.write_bytes(part.read_bytes()[:100])
    app = open_page(monkeypatch, runs, "runs")
    assert "could not be read" in app.warning[0].value
    assert part.name in app.code[-1].value and app.metric


def test_damaged_scores_are_one_line(monkeypatch, runs):
    evaluation(runs / "scored")
    (runs / "scored" / SCORES_FILE).write_bytes(b"no parquet")
    app = open_page(monkeypatch, runs, "runs", opened="scored")
    assert app.error[0].value == "The scores of this run cannot be shown."
    assert "cannot read the scores" in app.code[0].value


def test_list_is_filtered_and_ordered(monkeypatch, runs):
    evaluation(runs / "low", -0.3)
    evaluation(runs / "high", 0.3)
    app = open_page(monkeypatch, runs, "runs")
    app.multiselect(key="run_kinds").set_value(["evaluate"]).run()
    app.selectbox(key="run_order").set_value("rvos").run()
    assert app.dataframe[0].value["run"].tolist() == ["high", "low"]
    app.text_input(key="run_words").set_value("LOW set/test").run()
    assert app.dataframe[0].value["run"].tolist() == ["low"]
    app.text_input(key="run_words").set_value("no such (").run()
    assert not app.exception and app.info[0].value == "No run fits."


def test_scores_of_an_evaluation_by_hand(runs):
    # J = F = 0.4 and 0.6 in two videos alike: 50 in every protocol; 2 and 2 and 4 expressions.
    evaluation(runs / "scored")
    entry = entry_of(runs, "scored")
    scores = _runs.scores_of(entry.directory, entry.kind, _runs.scores_mark(entry))
    assert {name: (score.jf, score.n) for name, score in scores.items()} == {
        "actor": (pytest.approx(50), 2), "target": (pytest.approx(50), 2),
        "rvos": (pytest.approx(50), 4),
    }  # fmt: skip
    row = _runs.run_table([entry]).iloc[0]
    assert row.rvos == pytest.approx(50) and row.data == "set/test"


def test_two_runs_are_paired_over_what_both_have(monkeypatch, runs):
    evaluation(runs / "a", 0.1, limit=96)
    evaluation(runs / "b", limit=48)
    first, second = (entry_of(runs, name) for name in "ab")
    actor, _, rvos = _runs.paired_scores(first, second)
    # Each expression is 0.1 better: 10 points, without any spread.
    assert rvos.difference.value == pytest.approx(10) and rvos.difference.n == 4
    assert rvos.difference.ci == pytest.approx((10, 10))
    assert (actor.first.jf, actor.second.jf) == (pytest.approx(60), pytest.approx(50))
    assert _runs.settings_differences(first.header, second.header) == [("config.limit", "96", "48")]
    app = open_page(monkeypatch, runs, "runs", opened="a", compared="b")
    assert "a against b" in [item.value for item in app.subheader]
    assert len(app.get("vega_lite_chart")) == 1
    tables = [frame.value for frame in app.dataframe]
    paired = next(t for t in tables if "first less second" in t)
    assert paired["first less second"][2].startswith("+10.0")
    differing = next(t for t in tables if list(t.columns) == ["what", "a", "b"])
    assert differing.values.tolist() == [["config.limit", "96", "48"]]


def test_runs_over_other_data_are_not_paired(monkeypatch, runs):
    evaluation(runs / "a")
    evaluation(runs / "b", 0.1, data="elsewhere")
    found = _runs.paired_scores(entry_of(runs, "a"), entry_of(runs, "b"))
    assert all(pair.difference is None and "different data" in pair.reason for pair in found)
    app = open_page(monkeypatch, runs, "runs", opened="a", compared="b")
    assert "different data" in words(app)


def test_runs_without_scores_are_compared_by_settings(monkeypatch, runs):
    with open_run(runs / "t", "train", {"steps": 5}, 1):
        pass
    app = open_page(monkeypatch, runs, "runs", opened="t", compared="planted")
    assert "no scores to compare" in app.info[0].value
    assert "has no masks of its own" in words(app)
    differing = app.dataframe[-1].value
    assert {"kind", "seed", "config.steps"} <= set(differing["what"])


def test_names_from_the_address_are_only_looked_up(monkeypatch, runs):
    app = open_page(monkeypatch, runs, "runs", opened="../../etc", compared="../x")
    assert len(app.warning) == 2 and app.selectbox(key="opened").value == "planted"


def test_times_and_costs(runs):
    path = runs / "planted" / "run.json"
    header = json.loads(path.read_text())
    header |= {"created": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:40+00:00"}
    header["cost"] = {"wall_s": 12.5, "cpu_s": 1.0, "gpu_s": 0.0}
    path.write_text(json.dumps(header))
    assert _runs.seconds_of(entry_of(runs, "planted")) == 12.5
    del header["cost"]  # of an earlier version: from beginning to end
    path.write_text(json.dumps(header))
    assert _runs.seconds_of(entry_of(runs, "planted")) == 100
    header["created"] = "then"
    path.write_text(json.dumps(header))
    assert _runs.seconds_of(entry_of(runs, "planted")) is None
    assert pd.isna(_runs.run_table([entry_of(runs, "planted")]).created[0])


def test_progress_counts_what_is_there(runs, tmp_path):
    with open_run(runs / "ab", "ablate", {"samples": 4}, 0) as record:
        (record.directory / "effects.jsonl").write_text("{}\n{}\n{}\n")
    assert _runs.progress_of(entry_of(runs, "ab")) == (3, 4)
    assert _runs.progress_of(entry_of(runs, "planted")) is None  # its header says no number


def test_other_pages_go_on_with_a_capture(monkeypatch, runs):
    evaluation(runs / "scored")
    shutil.copytree(runs / "planted", runs / "twin")
    app = open_page(monkeypatch, runs, "runs", opened="twin")
    app.switch_page("workbench/pages/layers.py").run()
    assert not app.exception and not app.warning
    assert app.selectbox(key="run").value == "twin"
    app.switch_page("workbench/pages/runs.py").run()
    app.selectbox(key="opened").set_value("scored").run()
    app.switch_page("workbench/pages/layers.py").run()
    assert not app.exception and not app.warning
    assert app.selectbox(key="run").value == "twin"
