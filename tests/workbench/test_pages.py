"""Every page on every kind of run, as Streamlit runs it; and what the pages fetch."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from probes.results import AnalysisResults
from tests.fixtures_capture import HOSTILE, make_capture, make_dataset, set_status
from workbench.pages import _data
from workbench.pages._shell import literal

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"
PAGES = ("layers", "heads", "samples")


pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    """A copy of the finished run with its data, to be changed."""
    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    return tmp_path / "runs"


def open_page(monkeypatch, folder: Path, page: str, **address: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.run()
    for name, value in address.items():
        app.query_params[name] = value
    app.switch_page(f"workbench/pages/{page}.py").run()
    assert not app.exception, [item.message for item in app.exception]
    return app


def words(app: AppTest) -> str:
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "code")
    return "\n".join(str(item.value) for kind in kinds for item in app.get(kind))


@pytest.mark.parametrize("page", PAGES)
def test_finished_run(monkeypatch, planted_runs, page):
    app = open_page(monkeypatch, planted_runs, page)
    assert app.title[0].value == page.capitalize()
    assert not app.error and not app.warning and not app.info, words(app)
    assert app.selectbox(key="run").value == "planted"
    charts = {"layers": 3, "heads": 3, "samples": 1}
    assert len(app.get("vega_lite_chart")) == charts[page]
    text = words(app)
    assert "nan" not in text.split() and "None" not in text.split()
    # Beside every chart over samples stands its n and what the interval is.
    if page in ("layers", "heads"):
        assert "bootstrap over videos" in text and "n = " in text


@pytest.mark.parametrize("page", PAGES)
def test_folder_without_runs(monkeypatch, tmp_path, page):
    app = open_page(monkeypatch, tmp_path, page)
    assert "No capture run lies in this folder" in app.info[0].value
    assert "reviosa demo" in words(app) and str(tmp_path) in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_no_such_folder(monkeypatch, tmp_path, page):
    app = open_page(monkeypatch, tmp_path / "gone", page)
    assert "no such folder" in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_running_run_with_nothing_yet(monkeypatch, runs, page):
    set_status(runs / "planted", "running")
    shutil.rmtree(runs / "planted" / "samples")
    app = open_page(monkeypatch, runs, page)
    assert "no end yet" in app.warning[0].value
    assert "nothing to show" in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_running_run_shows_what_is_complete(monkeypatch, runs, page):
    set_status(runs / "planted", "running")
    for folder in ("samples", "heads", "predictions", "maps"):
        for part in sorted((runs / "planted" / folder).iterdir())[1:]:
            part.unlink()
    app = open_page(monkeypatch, runs, page)
    assert "no end yet" in app.warning[0].value
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_failed_run_says_why(monkeypatch, runs, page):
    set_status(runs / "planted", "failed", "RuntimeError: out of *memory*")
    shutil.rmtree(runs / "planted" / "samples")
    app = open_page(monkeypatch, runs, page)
    assert "not complete (status: failed)" in app.error[0].value
    assert app.code[0].value == "RuntimeError: out of *memory*"


def test_address_opens_a_pair(monkeypatch, planted_runs):
    app = open_page(
        monkeypatch, planted_runs, "heads", layer="2", head="1", criterion="Lift over area"
    )
    assert app.subheader[0].value == "L02H01"
    table = app.dataframe[0].value
    assert list(table["rank (interval)"])[3].startswith("1 (")  # lift: the planted head leads
    assert "AML trained this pair" in words(app)


def test_heads_opens_the_best_pair_where_the_address_names_none(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "heads")
    assert app.subheader[0].value == "L01H00"  # planted: most visual attention
    app = open_page(monkeypatch, planted_runs, "heads", layer="77", head="1")
    assert app.subheader[0].value.startswith("L01")


def test_pair_is_changed_by_its_numbers(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "heads")
    app.number_input(key="layer").set_value(3).run()
    app.number_input(key="head").set_value(2).run()
    assert not app.exception and app.subheader[0].value == "L03H02"


@pytest.mark.parametrize("role", ["actor", "target", "both"])
@pytest.mark.parametrize(
    "criterion", ["visual_mass", "mask_share", "jf_correlation", "mask_share_shifted"]
)
def test_each_family_and_role(monkeypatch, planted_runs, criterion, role):
    app = open_page(monkeypatch, planted_runs, "heads")
    app.session_state["criterion"] = criterion
    app.session_state["heads_role"] = role
    app.run()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 3


def test_a_criterion_that_was_not_taken_is_shown_as_such(monkeypatch, planted_runs):
    """The made-up capture holds no gradients: an empty map, and no samples to draw."""
    app = open_page(monkeypatch, planted_runs, "heads")
    app.session_state["criterion"] = "head_importance"
    app.run()
    assert not app.exception
    assert "no defined value" in app.info[0].value
    captions = " ".join(item.value for item in app.caption)
    assert "is of the mask loss, to first order" in captions


def test_extreme_samples_link_to_their_page(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "heads", layer="2", head="1")
    links = [item.proto.query_string for item in app.get("page_link")]
    links = [link for link in links if "sample=" in link]
    assert len(links) == 10
    assert all("run=planted" in link and "pair=L02H01" in link for link in links)
    assert all("role=Actor" in link or "role=Target" in link for link in links)


def test_samples_are_worst_first(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "samples")
    scores = app.dataframe[0].value["jf"].tolist()
    assert scores == sorted(scores) and len(scores) > 10
    app.selectbox(key="order").set_value("best").run()
    assert app.dataframe[0].value["jf"].tolist() == sorted(scores, reverse=True)


def test_samples_are_filtered(monkeypatch, planted_runs, planted_dataset):
    app = open_page(monkeypatch, planted_runs, "samples")
    app.multiselect(key="kinds").set_value(["unidirectional"]).run()
    assert len(app.dataframe[0].value) == len(planted_dataset.interactions)
    app.text_input(key="words").set_value("no such words (").run()
    assert not app.exception and app.info[0].value == "No sample fits."


def test_answer_of_the_model_is_text(monkeypatch, planted_runs, planted_dataset):
    sample = planted_dataset.samples[0].expression.sample_id
    app = open_page(monkeypatch, planted_runs, "samples", sample=sample)
    assert HOSTILE in [item.value for item in app.code]
    assert all(not item.allow_html for item in app.markdown)
    assert "onerror" not in "".join(item.value for item in app.markdown)


def test_missing_target_is_told(monkeypatch, planted_runs, planted_dataset):
    sample = planted_dataset.interactions[-1].expression.sample_id
    app = open_page(monkeypatch, planted_runs, "samples", sample=sample, role="Target")
    assert "no token for the target" in app.warning[0].value
    assert "No attention map was kept" in words(app)


def test_sample_that_does_not_exist(monkeypatch, planted_runs, planted_dataset):
    app = open_page(monkeypatch, planted_runs, "samples", sample="none/0")
    assert app.info[0].value == "This run has no such sample."
    alone = next(s for s in planted_dataset.samples if not s.expression.is_interaction)
    name = alone.expression.sample_id
    app = open_page(monkeypatch, planted_runs, "samples", sample=name, role="Target")
    assert "has no target" in app.info[0].value


def test_data_gone(monkeypatch, runs, tmp_path):
    (tmp_path / "data").rename(tmp_path / "away")
    header = json.loads((runs / "planted" / "run.json").read_text())
    header["data"]["path"] = str(tmp_path / "nowhere")
    (runs / "planted" / "run.json").write_text(json.dumps(header))
    app = open_page(monkeypatch, runs, "samples")
    assert "no pictures" in app.info[0].value
    assert "not at hand" in app.code[-1].value
    # Put back where the page says, it is found without starting anew.
    (tmp_path / "away").rename(tmp_path / "nowhere")
    app.run()
    assert not app.info and "not at hand" not in " ".join(code.value for code in app.code)


def test_run_without_maps_or_interactions(monkeypatch, tmp_path):
    dataset = make_dataset(tmp_path / "data", videos=2, seed=3)
    make_capture(tmp_path / "runs" / "bare", dataset, maps=False)
    app = open_page(monkeypatch, tmp_path / "runs", "samples")
    assert "No attention map was kept" in words(app)
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize("page", PAGES)
def test_model_that_names_no_role(monkeypatch, tmp_path, page):
    dataset = make_dataset(tmp_path / "data", videos=2, seed=3)
    make_capture(tmp_path / "runs" / "silent", dataset, silent=True)
    open_page(monkeypatch, tmp_path / "runs", page)


def test_several_runs_newest_finished_first_and_address_wins(monkeypatch, runs):
    for name, created, status in (
        ("old", "2020-01-01T00:00:00+00:00", "done"),
        ("sweep/new", "2099-01-01T00:00:00+00:00", "failed"),
    ):
        shutil.copytree(runs / "planted", runs / name)
        header = json.loads((runs / name / "run.json").read_text())
        header.update(created=created, status=status)
        (runs / name / "run.json").write_text(json.dumps(header))
    app = open_page(monkeypatch, runs, "layers")
    assert app.selectbox(key="run").value == "planted"
    assert app.selectbox(key="run").options == ["sweep/new (failed)", "planted", "old"]
    assert app.query_params["run"] in ("planted", ["planted"])
    app = open_page(monkeypatch, runs, "layers", run="old")
    assert app.selectbox(key="run").value == "old"
    app.selectbox(key="run").set_value("sweep/new").run()
    assert app.query_params["run"] in ("sweep/new", ["sweep/new"]) and app.error
    app = open_page(monkeypatch, runs, "layers", run="gone")
    assert app.selectbox(key="run").value == "planted"
    assert "No run gone" in app.warning[0].value


# What the pages fetch.


def test_runs_folder_prefers_the_argument(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app"])
    monkeypatch.delenv("REVIOSA_RUNS", raising=False)
    assert _data.runs_folder() == Path("runs")
    monkeypatch.setenv("REVIOSA_RUNS", "/elsewhere")
    assert _data.runs_folder() == Path("/elsewhere")
    monkeypatch.setattr(sys, "argv", ["app", "given"])
    assert _data.runs_folder() == Path("given")


def test_a_run_directory_may_be_given_itself(planted_runs):
    (entry,) = _data.list_runs(planted_runs / "planted")
    assert entry.name == "planted" and entry.directory == planted_runs / "planted"


def test_left_results_are_used_while_they_fit(runs, planted_results):
    run = runs / "planted"
    header = json.loads((run / "run.json").read_text())
    marked = {**planted_results.to_json(), "run": header, "notes": ["read from the file"]}
    AnalysisResults.from_json(marked).save(runs / "analysis.json")
    found = _data.results_of(run, _data.fingerprint(run))
    assert found.notes == ("read from the file",)
    # Another header, so another capture: computed anew.
    set_status(run, "running")
    fresh = _data.results_of(run, _data.fingerprint(run))
    assert fresh.notes != ("read from the file",) and fresh.run["status"] == "running"
    # Not even JSON: computed anew.
    (runs / "analysis.json").write_text("{")
    assert _data.results_of(run, (*_data.fingerprint(run), "x")).counts == fresh.counts


def test_fingerprint_changes_when_a_part_arrives(runs):
    run = runs / "planted"
    before = _data.fingerprint(run)
    part = sorted((run / "samples").iterdir())[-1]
    content, state = part.read_bytes(), part.stat()
    part.unlink()
    assert _data.fingerprint(run) != before
    part.write_bytes(content)
    os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert _data.fingerprint(run) == before


def test_pair_values_are_the_stores(planted_runs, planted_store):
    run = planted_runs / "planted"
    table = planted_store.head_array("lift", "target")
    found = _data.pair_values(run, _data.fingerprint(run), "lift", "target", 2, 1)
    values = dict(zip(table.sample_ids, table.values[:, 2, 1], strict=True))
    assert len(found) == np.isfinite(table.values[:, 2, 1]).sum()
    for row in found.to_dict("records"):
        assert row["value"] == pytest.approx(values[row["sample_id"]])
    both = _data.pair_values(run, _data.fingerprint(run), "lift", "both", 2, 1)
    assert set(both.role) == {"actor", "target"} and len(both) > len(found)


def test_frame_shares_by_hand():
    # Two frames of 2 x 2 patches; weights sum to 8, of which frame 5 holds 2 and frame 9 holds 6.
    attention = np.array([[[1.0, 1.0], [0.0, 0.0]], [[0.0, 3.0], [0.0, 3.0]]])
    # Truth of 4 x 4 pixels: frame 5 covers the upper left patch, frame 9 half of the upper right.
    truth = np.zeros((2, 4, 4), bool)
    truth[0, :2, :2] = True
    truth[1, 0, 2:] = True
    first, second = _data.frame_shares((5, 9), attention, truth)
    assert (first.frame, second.frame) == (5, 9)
    assert (first.share, second.share) == pytest.approx((0.25, 0.75))
    assert first.on_object == pytest.approx(1 / 8)
    assert second.on_object == pytest.approx(3 * 0.5 / 8)
    # Even attention: 4 of 16 pixels, and 2 of 16, each of one frame of two.
    assert (first.area, second.area) == pytest.approx((0.25 / 2, 0.125 / 2))


def test_frame_shares_without_truth_or_attention():
    (share,) = _data.frame_shares((0,), np.ones((1, 2, 2)), None)
    assert share.share == 1.0 and share.on_object is None and share.area is None
    assert _data.frame_shares((0,), np.zeros((1, 2, 2)), None) == ()


def test_literal_disarms_markdown():
    assert literal("![x](http://a.b) *b* $c$ :red[d]\n# e") == (
        r"\!\[x\]\(http\://a\.b\) \*b\* \$c\$ \:red\[d\] \# e"
    )
    assert literal("the red star") == "the red star"
