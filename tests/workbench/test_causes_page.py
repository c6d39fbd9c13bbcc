"""The page of causes on every kind of run, and what its charts draw."""

import json
import shutil
from pathlib import Path

import pytest

from probes.causal import summarise
from probes.causal.effects import lost_effects
from reviosa.process import locked_directory
from tests.fixtures_capture import LOOKING, set_status
from tests.fixtures_causes import COST, make_ablation, name_model
from tests.workbench.test_pages import open_page, words
from workbench.pages import _causes, _data
from workbench.pages._cause_charts import (
    CHOSEN,
    KEPT,
    curve_frame,
    effect_map_frame,
    single_estimates,
    subset_estimates,
)

pytestmark = pytest.mark.usefixtures("fresh_caches")

VIEWS = (
    "Silenced heads", "Who acts on whom", "Agreement of families", "Where roles are decided",
    "What the token knows",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, planted_runs, planted_dataset) -> Path:
    """A capture whose model is known, with an ablation and a role swap beside it."""
    folder = tmp_path_factory.mktemp("causes")
    shutil.copytree(planted_runs, folder / "runs")
    name_model(folder / "runs" / "planted")
    make_ablation(folder / "runs" / "ablation", planted_dataset, subsets=24)
    make_ablation(folder / "runs" / "roles", planted_dataset, "role-swap")
    return folder / "runs"


@pytest.fixture
def runs(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.parametrize("view", VIEWS)
def test_each_view(monkeypatch, made, view):
    app = open_page(monkeypatch, made, "causes", causes_view=view)
    assert app.title[0].value == "Causes"
    assert not app.error and not app.warning
    charts = {"Silenced heads": 9, "Who acts on whom": 7, "Agreement of families": 2}
    assert len(app.get("vega_lite_chart")) == charts.get(view, 0)
    if view in VIEWS[3:]:
        assert app.code[0].value.startswith("reviosa ")
    text = words(app)
    assert "nan" not in text.split() and "None" not in text.split()
    if view in charts:
        assert "n = " in text and "bootstrap over videos" in text


def test_what_one_pair_costs_is_drawn(made):
    """The score falls by 0.3 wherever the looking pair is silenced: 30 points, and 0 elsewhere."""
    results = summarise(made / "ablation", resamples=50)
    frame = effect_map_frame(single_estimates(results, "actor"))
    cells = {(row.layer, row.head): row.change for row in frame.itertuples()}
    assert cells[LOOKING] == pytest.approx(-100 * COST)
    assert all(value == pytest.approx(0) for pair, value in cells.items() if pair != LOOKING)
    # It is the first of the chosen pairs; random sets of its layer never are it alone.
    dose = curve_frame(results, "target", CHOSEN).set_index(["group", "heads"])
    assert dose.loc[("chosen pairs", 1), "change"] == pytest.approx(-100 * COST)
    assert dose.loc[("random, same layers", 1), "change"] == pytest.approx(0)
    assert dose.loc[("random, same layers", 1), "sets"] == 3
    # Kept alone it costs nothing; where nothing is kept it is silenced, too.
    kept = curve_frame(results, "actor", KEPT).set_index(["group", "heads"])
    assert kept.loc[("chosen pairs", 0), "change"] == pytest.approx(-100 * COST)
    assert kept.loc[("random, same layers", 0), "change"] == pytest.approx(-100 * COST)
    assert kept.loc[("chosen pairs", 1), "change"] == pytest.approx(0)
    most = min(subset_estimates(results, "actor").items(), key=lambda item: item[1].value)
    assert most[0] == LOOKING


def test_the_pair_that_does_most_is_opened_and_linked(monkeypatch, made):
    app = open_page(monkeypatch, made, "causes")
    assert app.selectbox(key="cause_pair").value == "L02H01"
    (link,) = [item.proto.query_string for item in app.get("page_link")]
    assert "run=planted" in link and "layer=2" in link and "head=1" in link
    app.selectbox(key="cause_pair").set_value("L03H03").run()
    assert not app.exception
    assert "layer=3" in app.get("page_link")[0].proto.query_string


def test_address_chooses_the_run(monkeypatch, made):
    app = open_page(monkeypatch, made, "causes", ablation="ablation")
    assert app.selectbox(key="ablation").value == "ablation"
    app = open_page(monkeypatch, made, "causes", ablation="../../etc")
    assert "No ablation run" in app.warning[0].value and app.get("vega_lite_chart")


def test_without_ablations_the_command_is_given(monkeypatch, planted_runs):
    for view in VIEWS:
        app = open_page(monkeypatch, planted_runs, "causes", causes_view=view)
        assert "reviosa" in app.code[0].value
        assert str(planted_runs / "planted") in app.code[0].value


def test_runs_of_another_model_are_not_shown(monkeypatch, runs):
    name_model(runs / "planted", "another")
    app = open_page(monkeypatch, runs, "causes")
    assert "No run over this model silences heads" in app.info[0].value


def test_running_and_stopped_runs_are_told(monkeypatch, runs):
    shutil.rmtree(runs / "roles")
    set_status(runs / "ablation", "running")
    app = open_page(monkeypatch, runs, "causes")
    assert "This run is stopped" in app.warning[0].value and app.get("vega_lite_chart")
    with locked_directory(runs / "ablation"):
        app = open_page(monkeypatch, runs, "causes")
    assert "This run is running" in app.warning[0].value


def test_failed_run_without_a_line_says_why(monkeypatch, runs):
    (runs / "ablation" / "effects.jsonl").unlink()
    set_status(runs / "ablation", "failed", "RuntimeError: out of *memory*")
    app = open_page(monkeypatch, runs, "causes")
    assert "failed" in app.warning[0].value
    assert app.code[0].value == "RuntimeError: out of *memory*"
    assert "No expression of this run is done" in app.info[0].value


@pytest.mark.parametrize("text", ['{"sample_id": "a"}\n', "[1]\n", "\x00\x01", '{"scores": 3}\n'])
def test_damaged_lines_are_no_traceback(monkeypatch, runs, text):
    (runs / "ablation" / "effects.jsonl").write_text(text)
    app = open_page(monkeypatch, runs, "causes")
    assert "effects.jsonl: got 0 of" in app.code[0].value and "--resume" in app.code[0].value


def test_a_finished_run_says_what_it_has_lost(monkeypatch, runs):
    path = runs / "ablation" / "effects.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert lost_effects(path.parent) is None
    path.write_text("".join([lines[0][:40], *lines[1:]]))
    app = open_page(monkeypatch, runs, "causes")
    assert f"{path}: got {len(lines) - 2} of {len(lines)} expressions" in app.code[0].value
    assert app.get("vega_lite_chart"), "the rest is shown"


def test_header_without_a_plan_is_one_line(monkeypatch, runs):
    path = runs / "ablation" / "run.json"
    header = json.loads(path.read_text())
    del header["config"]["ablations"]
    path.write_text(json.dumps(header))
    app = open_page(monkeypatch, runs, "causes")
    assert app.error[0].value == "This run cannot be shown."
    assert "run it again" in app.code[0].value


def test_effects_are_computed_once(runs, monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return summarise(*arguments, resamples=20)

    monkeypatch.setattr("probes.causal.summarise", counted)
    mark = _causes.causes_mark(runs / "ablation")
    for _ in range(3):
        _causes.ablation_of(runs / "ablation", mark)
    assert len(calls) == 1
    with (runs / "ablation" / "effects.jsonl").open("a") as file:
        file.write("\n")
    assert _causes.causes_mark(runs / "ablation") != mark


def test_runs_over_the_same_data_come_first(runs, planted_dataset):
    path = runs / "roles" / "run.json"
    header = json.loads(path.read_text())
    header["data"]["identity"] = "other"
    header["created"] = "2099-01-01T00:00:00+00:00"
    path.write_text(json.dumps(header))
    entries = _data.list_runs(runs)
    capture = next(entry for entry in entries if entry.kind == "capture")
    found = _causes.runs_beside(capture, entries)["ablate"]
    assert [entry.name for entry in found] == ["ablation", "roles"]
