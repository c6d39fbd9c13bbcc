"""The page of layers: any criterion, one run against another, and what they may say together."""

import json
import shutil
from pathlib import Path

import pytest

from probes.layer_means import layer_means
from tests.fixtures_capture import make_capture, make_dataset
from tests.workbench.test_pages import open_page, words
from workbench.pages import _layer_charts

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    """The planted capture, another of the same data, and one of other videos."""
    folder = tmp_path / "runs"
    shutil.copytree(planted_runs, folder)
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    from reviosa.data import InterRVOSDataset

    make_capture(folder / "again", InterRVOSDataset(tmp_path / "data"), seed=1)
    make_capture(folder / "elsewhere", make_dataset(tmp_path / "other", videos=2, seed=5))
    return folder


def open_layers(monkeypatch, runs, **address):
    return open_page(monkeypatch, runs, "layers", run="planted", **address)


def test_a_criterion_by_layer(monkeypatch, planted_runs, planted_store):
    app = open_page(monkeypatch, planted_runs, "layers", by_layer="lift")
    assert app.selectbox(key="by_layer").value == "lift"
    assert app.selectbox(key="against").value == "none"
    assert app.query_params["against"] in ("none", ["none"])
    assert len(app.get("vega_lite_chart")) == 3
    means = layer_means(planted_store.head_array("lift", "actor"), 50)
    frame = _layer_charts.curves_frame({"planted": {"actor": means}})
    assert frame["value"].tolist() == pytest.approx([estimate.value for estimate in means])
    assert frame["value"].idxmax() == 2  # planted: layer 2 looks at the object
    assert frame.depth.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_criteria_of_correlations_are_not_offered(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "layers", by_layer="jf_correlation")
    assert "No criterion jf\\_correlation" in app.warning[0].value
    assert app.selectbox(key="by_layer").value == "mask_share"


def test_runs_on_the_same_data_are_paired(monkeypatch, runs):
    app = open_layers(monkeypatch, runs, against="again")
    assert "captured on the same data" in words(app)
    assert len(app.get("vega_lite_chart")) == 4 and not app.info
    assert "sample by sample" in words(app)


def test_runs_on_different_data_are_two_curves(monkeypatch, runs):
    app = open_layers(monkeypatch, runs, against="elsewhere")
    assert "captured on different data" in words(app)
    assert "are of different videos" in app.info[0].value
    assert len(app.get("vega_lite_chart")) == 3


def test_models_of_different_depth_are_drawn_by_relative_depth(monkeypatch, runs):
    from probes.bootstrap import Estimate

    two = tuple(Estimate(x, (x, x), 3, 2) for x in (0.1, 0.2))
    three = tuple(Estimate(x, (x, x), 3, 2) for x in (0.1, 0.3, 0.2))
    frame = _layer_charts.curves_frame({"a": {"actor": two}, "b": {"actor": three}})
    assert frame.depth.tolist() == [0, 1, 0, 0.5, 1]
    chart = _layer_charts.curves_chart(frame, "lift", None, ["actor"]).to_dict()
    assert "relative depth" in json.dumps(chart)


def test_another_run_that_cannot_be_read_is_told_and_the_page_goes_on(monkeypatch, runs):
    part = sorted((runs / "again" / "heads").iterdir())[0]
    content = bytearray(part.read_bytes())
    content[64 : len(content) // 2] = b"\0" * (len(content) // 2 - 64)
    part.write_bytes(content)
    app = open_layers(monkeypatch, runs, against="again")
    assert "could not be read and are left out" in app.warning[0].value
    assert "heads/part-00000.parquet" in app.code[0].value
    assert len(app.get("vega_lite_chart")) == 4


def test_another_run_that_is_gone_or_empty(monkeypatch, runs):
    app = open_layers(monkeypatch, runs, against="gone")
    assert "No other run gone" in app.warning[0].value
    shutil.rmtree(runs / "again" / "samples")
    app = open_layers(monkeypatch, runs, against="again")
    assert "nothing to compare" in app.info[0].value


def test_a_criterion_that_was_not_taken(monkeypatch, planted_runs):
    app = open_page(monkeypatch, planted_runs, "layers", by_layer="head_importance")
    assert "no defined value" in app.info[0].value


def test_roles_alone(monkeypatch, runs):
    for role in ("Actor", "Target"):
        app = open_layers(monkeypatch, runs, layers_role=role, against="again")
        assert len(app.get("vega_lite_chart")) == 4
