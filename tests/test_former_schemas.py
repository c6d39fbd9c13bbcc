"""Files of every schema there has been: read and gone on with, or refused in one line.

How they were made stands in tests/fixtures/former/make.py.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from probes import layout, results
from probes.analysis import analyse
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reviosa.errors import RunError
from reviosa.run_record import read_run

FORMER = Path(__file__).parent / "fixtures" / "former"
APP = Path(__file__).parents[1] / "streamlit_app.py"
CAPTURES = sorted(int(path.name.split("-")[1]) for path in FORMER.glob("capture-*"))
ANALYSES = sorted(int(path.stem.split("-")[1]) for path in FORMER.glob("analysis-*.json"))
READ = [schema for schema in CAPTURES if schema in layout.READABLE]
REFUSED = [schema for schema in CAPTURES if schema not in layout.READABLE]


def test_every_schema_but_the_present_has_its_files():
    assert set(range(1, layout.SCHEMA)) <= set(CAPTURES)
    assert set(range(1, results.SCHEMA)) <= set(ANALYSES)
    for schema in CAPTURES:
        run = FORMER / f"capture-{schema}"
        kept = pq.read_schema(layout.part(run, "samples", 0)).metadata[layout.SHAPE_KEY]
        assert f'"schema": {schema}'.encode() in kept


@pytest.mark.parametrize("schema", CAPTURES)
def test_headers_of_all_are_read(schema):
    header = read_run(FORMER / f"capture-{schema}")
    assert (header["kind"], header["status"]) == ("capture", "done")


@pytest.mark.parametrize("schema", READ)
def test_a_former_capture_is_read(schema):
    run = FORMER / f"capture-{schema}"
    store = CaptureStore(run)
    assert not store.problems and (store.num_layers, store.num_heads) == (2, 1)
    assert len(store.samples()) == 8
    names = pq.read_schema(layout.part(run, "heads", 0)).names[5:]
    assert {"visual_mass", "mask_share"} <= set(names)
    for name in ("visual_mass", "mask_share"):
        # Score k of row r of a chunk is (r + k) / 32; actors are its rows 0 and 2.
        k = names.index(name)
        values = store.head_array(name, "actor").values[:, 0, 0]
        np.testing.assert_allclose(values, [k / 32, (2 + k) / 32] * 2)
    np.testing.assert_allclose(store.head_array("lift", "target").jf, [0.25, 0.375, 0.5, 0.625])
    assert store.map("v1/0", "actor").values[0, 0, 0, 0] == pytest.approx(0.0625)
    assert store.prediction("v1", "0")["exp"] == "the cat"


@pytest.mark.parametrize("schema", READ)
def test_a_former_capture_is_analysed(schema):
    found = analyse(CaptureStore(FORMER / f"capture-{schema}"), resamples=10)
    # J&F of the eight rows is 0.25, 0.375, 0.5, 0.625, each twice: 0.4375 on average.
    assert found.protocols["rvos"].jf == pytest.approx(43.75)
    assert found.rankings["visual_mass"]["both"].pairs[0].layer == 0


@pytest.mark.parametrize("schema", REFUSED)
def test_a_capture_too_old_is_refused_part_by_part(schema):
    store = CaptureStore(FORMER / f"capture-{schema}")
    assert len(store.samples()) == 0 and len(store.problems) == 2
    for chunk, line in enumerate(store.problems):
        assert line.startswith(f"chunk {chunk} left out: samples/part-0000{chunk}.parquet has")
        assert f"has schema {schema}, expected one of" in line and "capture again" in line


@pytest.mark.parametrize("schema", ANALYSES)
def test_a_former_analysis_is_refused_in_one_line(schema):
    path = FORMER / f"analysis-{schema}.json"
    if schema == results.SCHEMA:
        assert AnalysisResults.load(path).counts.expressions == 4
        return
    with pytest.raises(RunError) as caught:
        AnalysisResults.load(path)
    assert f"schema {schema}, expected {results.SCHEMA}" in str(caught.value)
    assert "run the analysis again" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("fresh_caches")
@pytest.mark.parametrize("schema", CAPTURES)
def test_a_page_on_a_former_run(monkeypatch, tmp_path, schema):
    run = tmp_path / "runs" / "former"
    shutil.copytree(FORMER / f"capture-{schema}", run)
    shutil.copy(FORMER / f"analysis-{schema}.json", run / "analysis.json")
    monkeypatch.setattr(sys, "argv", [str(APP), str(tmp_path / "runs")])
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.switch_page("workbench/pages/layers.py").run()
    assert not app.exception and not app.error
    text = "\n".join(item.value for item in app.code)
    if schema in READ:
        assert len(app.get("vega_lite_chart")) >= 2
    else:
        assert f"chunk 0 left out: samples/part-00000.parquet has schema {schema}" in text
    if schema != results.SCHEMA:
        assert f"analysis.json: analysis results of schema {schema}" in text
