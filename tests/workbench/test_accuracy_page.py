"""Attention and accuracy: any heads, every state of a run, and the numbers of the analysis."""

import shutil
from pathlib import Path

import pytest

from reviosa.heads import HeadSelection
from tests.fixtures_capture import HOSTILE, make_capture, make_dataset, set_status
from tests.workbench.test_pages import open_page, words
from workbench.pages import _accuracy_charts, _measures
from workbench.pages._data import fingerprint

pytestmark = pytest.mark.usefixtures("fresh_caches")
PAGE = "accuracy"


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    shutil.copytree(planted_runs, tmp_path / "runs")
    return tmp_path / "runs"


def subheader(app) -> str:
    return app.subheader[0].value


def test_a_finished_run(monkeypatch, planted_runs, planted_results):
    app = open_page(monkeypatch, planted_runs, PAGE)
    assert app.title[0].value == "Attention and accuracy"
    assert not app.error and not app.warning and not app.info
    # Two roles: scatter, controls and groups.
    assert len(app.get("vega_lite_chart")) == 6
    text = words(app)
    assert "bootstrap over videos" in text and "n = " in text
    assert "nan" not in text.split() and "None" not in text.split()
    assert "of all heads" in subheader(app)
    for role in ("actor", "target"):
        value = planted_results.correlations[role].overall.spearman.value
        assert f"Spearman {value:.2f}".replace("-", "\N{MINUS SIGN}").replace(".", "\\.") in text


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ({"of": "layer", "layer": "2"}, "of layer 2"),
        ({"of": "pair", "layer": "2", "head": "1"}, "of L02H01"),
        ({"of": "gathered", "pairs": "2.1,0.3"}, "of 2 gathered pairs"),
        ({"of": "file", "file": "demo/heads.json"}, "of demo/heads\\.json"),
    ],
)
def test_every_kind_of_heads_and_reload(monkeypatch, runs, address, title):
    HeadSelection(((2, 1),)).save(runs / "demo" / "heads.json")
    app = open_page(monkeypatch, runs, PAGE, **address)
    assert title in subheader(app) and len(app.get("vega_lite_chart")) == 6
    shown = dict(app.query_params)
    assert {name: shown[name][0] if isinstance(shown[name], list) else shown[name]
            for name in address} == address  # fmt: skip
    before = words(app)
    app = open_page(monkeypatch, runs, PAGE, **address)
    assert words(app) == before


def test_the_planted_head_goes_with_better_masks(monkeypatch, planted_runs):
    directory = planted_runs / "planted"
    found = _measures.accuracy_of(
        directory, fingerprint(directory), "mask_share", "actor", ((2, 1),)
    )
    assert found.overall.partial.value > 0.5
    frame = _accuracy_charts.association_frame(found, "own")
    assert list(dict.fromkeys(frame.of))[:2] == ["own", "Mask area alone"]
    assert set(frame.kind) == {"plain", "given mask area"}
    strata = _accuracy_charts.strata_frame(found)
    assert strata.of.iloc[0] == "all samples"
    few = strata[strata.correlation.isna()]
    assert (few.reason != "").all()


def test_choices_that_hold_nothing_say_so(monkeypatch, runs):
    app = open_page(monkeypatch, runs, PAGE, of="file")
    assert "No heads file of this folder fits" in app.info[0].value
    app = open_page(monkeypatch, runs, PAGE, of="gathered")
    assert "No pair is gathered yet" in app.info[0].value
    app = open_page(monkeypatch, runs, PAGE, of="nonsense", measure="none")
    assert len(app.warning) == 2 and "of all heads" in subheader(app)
    app = open_page(monkeypatch, runs, PAGE, measure="head_importance")
    assert "no defined value" in app.info[0].value  # the made-up capture has no gradients


@pytest.mark.parametrize("criterion", ["visual_mass", "lift", "mask_share_shifted"])
@pytest.mark.parametrize("role", ["Actor", "Target"])
def test_each_family_and_role(monkeypatch, planted_runs, criterion, role):
    app = open_page(monkeypatch, planted_runs, PAGE, measure=criterion, accuracy_role=role)
    assert len(app.get("vega_lite_chart")) == 3


def test_expressions_are_text(monkeypatch, runs):
    app = open_page(monkeypatch, runs, PAGE, of="file", file=HOSTILE)
    assert all(not item.allow_html for item in app.markdown)
    assert "onerror=" not in "".join(item.value for item in app.markdown)


# Every state of a run.


def test_folders_without_runs(monkeypatch, tmp_path):
    assert "No capture run" in open_page(monkeypatch, tmp_path, PAGE).info[0].value
    assert "no such folder" in open_page(monkeypatch, tmp_path / "gone", PAGE).info[0].value


@pytest.mark.parametrize("status", ["running", "failed"])
@pytest.mark.parametrize("parts", [0, 1])
def test_unfinished_runs(monkeypatch, runs, status, parts):
    set_status(runs / "planted", status, "it *broke*" if status == "failed" else None)
    for folder in ("samples", "heads", "predictions", "maps"):
        for part in sorted((runs / "planted" / folder).iterdir())[parts:]:
            part.unlink()
    app = open_page(monkeypatch, runs, PAGE)
    told = app.warning[0].value if status == "running" else app.error[0].value
    assert ("no end yet" if status == "running" else "not complete") in told
    assert bool(app.get("vega_lite_chart")) == bool(parts)


def test_damage_is_told_without_a_traceback(monkeypatch, runs):
    part = sorted((runs / "planted" / "heads").iterdir())[0]
    content = bytearray(part.read_bytes())
    content[64 : len(content) // 2] = b"\0" * (len(content) // 2 - 64)
    part.write_bytes(content)
    app = open_page(monkeypatch, runs, PAGE)
    assert not app.exception and not app.error
    assert "Some parts of the run could not be read" in app.warning[0].value
    assert f"heads/{part.name}" in app.code[0].value
    assert app.get("vega_lite_chart")


def test_few_videos_and_a_silent_model(monkeypatch, tmp_path):
    dataset = make_dataset(tmp_path / "data", videos=2, seed=3)
    make_capture(tmp_path / "runs" / "few", dataset, maps=False)
    assert not open_page(monkeypatch, tmp_path / "runs", PAGE).error
    make_capture(tmp_path / "other" / "silent", dataset, silent=True)
    app = open_page(monkeypatch, tmp_path / "other", PAGE)
    assert "no defined value" in app.info[0].value
