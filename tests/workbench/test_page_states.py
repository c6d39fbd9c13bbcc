"""What pages say of parts that cannot be read, of old analyses and of runs too large to analyse."""

import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from probes.analysis import analyse
from probes.layout import FOLDERS, part
from probes.store import CaptureStore
from workbench.pages import _data

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """What is said of a run does not hang on the draws behind its intervals."""
    monkeypatch.setattr(_data, "analyse", partial(analyse, resamples=20))


@pytest.fixture
def runs(planted_runs, tmp_path) -> Path:
    """A copy of the finished run with its data, to be damaged."""
    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    return tmp_path / "runs"


def open_page(monkeypatch, folder: Path, page: str, **address: str) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page(f"workbench/pages/{page}.py")
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, [item.message for item in app.exception]
    return app


def told(app: AppTest) -> str:
    return "\n".join(item.value for item in app.code)


DAMAGE = {
    "deleted": lambda path: path.unlink(),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "zeroed inside": lambda path: path.write_bytes(
        (content := path.read_bytes())[:200] + bytes(len(content) // 2 - 200)
        + content[len(content) // 2 :]
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "damage", "page"),
    [
        ("heads", "deleted", "heads"), ("heads", "cut off", "samples"),
        ("heads", "zeroed", "layers"), ("heads", "zeroed inside", "heads"),
        ("samples", "deleted", "samples"), ("samples", "cut off", "layers"),
        ("samples", "zeroed", "heads"), ("samples", "zeroed inside", "samples"),
    ],
)  # fmt: skip
def test_a_damaged_part_is_named_and_the_rest_is_shown(monkeypatch, runs, folder, damage, page):
    path = part(runs / "planted", folder, 0)
    DAMAGE[damage](path)
    app = open_page(monkeypatch, runs, page)
    assert app.get("vega_lite_chart") and not app.error
    if (folder, damage) == ("samples", "deleted"):
        return  # a chunk without it was never finished: it does not exist
    assert "could not be read and are left out" in app.warning[0].value
    assert f"chunk 0 left out: {folder}/{path.name}" in told(app)


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "deleted"])
@pytest.mark.parametrize("folder", ["maps", "predictions"])
def test_damaged_maps_and_predictions_are_named(monkeypatch, runs, planted_store, folder, damage):
    sample = planted_store.samples().sample_id[0]  # of the first chunk
    DAMAGE[damage](part(runs / "planted", folder, 0))
    app = open_page(monkeypatch, runs, "samples", sample=sample)
    assert not app.error
    assert f"{folder} of chunk 0 left out" in told(app)
    assert not app.info, "the frames are there all the same"


@pytest.mark.parametrize("damage", ["cut off", "zeroed"])
def test_a_damaged_header_takes_only_its_own_run(monkeypatch, runs, damage):
    shutil.copytree(runs / "planted", runs / "other")
    DAMAGE[damage](runs / "other" / "run.json")
    app = open_page(monkeypatch, runs, "heads")
    assert app.selectbox(key="run").options == ["planted"] and not app.error


@pytest.mark.parametrize("damage", ["cut off", "zeroed"])
def test_a_damaged_analysis_is_computed_anew_and_told(monkeypatch, runs, planted_results, damage):
    path = runs / "planted" / "analysis.json"
    planted_results.save(path)
    DAMAGE[damage](path)
    app = open_page(monkeypatch, runs, "layers")
    assert len(app.get("vega_lite_chart")) >= 2
    assert "analysis.json: " in told(app)


def test_all_parts_of_a_kind_gone(monkeypatch, runs):
    for folder in FOLDERS:
        if folder != "samples":
            shutil.rmtree(runs / "planted" / folder)
    app = open_page(monkeypatch, runs, "heads")
    assert "nothing to show" in app.info[0].value
    assert "chunk 0 left out: heads/part-00000.parquet: it is missing" in told(app)


def test_a_large_run_is_analysed_when_asked_for(monkeypatch, runs):
    monkeypatch.setattr(_data, "S_PER_CELL", 1.0)
    app = open_page(monkeypatch, runs, "heads")
    assert "There is no analysis of this run yet" in app.info[0].value
    assert not app.get("vega_lite_chart")
    app.button(key="compute").click().run()
    assert not app.exception and not app.info and len(app.get("vega_lite_chart")) == 3
    # Another reader finds it computed.
    assert not open_page(monkeypatch, runs, "layers").info


def test_an_analysis_of_an_older_state_is_shown_as_such(monkeypatch, runs):
    """Two chunks analysed, then the third arrives; the numbers shown say of which they are."""
    monkeypatch.setattr(_data, "S_PER_CELL", 1.0)
    run = runs / "planted"
    last = sorted((run / "samples").iterdir())[-1]
    content = last.read_bytes()
    last.unlink()
    store = CaptureStore(run)
    analyse(store, resamples=20).save(run / "analysis.json")
    before = len(store.samples())
    last.write_bytes(content)
    now = len(CaptureStore(run).samples())
    assert before < now
    app = open_page(monkeypatch, runs, "samples")
    assert f"older state of this run: {before:,} of now {now:,}" in app.warning[0].value
    assert len(app.dataframe[0].value) > before / 2
    app.button(key="compute").click().run()
    assert not app.exception and not app.warning
