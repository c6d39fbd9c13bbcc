"""The bundle: its numbers are the run's, every word is text, every link is relative and there."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures_capture import HOSTILE, make_capture, make_dataset
from workbench.bundle import write_bundle
from workbench.bundle.write import folder_names
from workbench.reporting import gather


@pytest.fixture(scope="module")
def bundle(planted_runs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "made"
    runs = [planted_runs / "planted"]
    size = write_bundle(gather(runs, "reviosa report", "<b>Title</b>", 50), runs, folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert (size.files, size.bytes) == (len(files), sum(p.stat().st_size for p in files))
    return folder


@pytest.fixture(scope="module")
def run(bundle) -> Path:
    return bundle / "run-planted"


def read(path: Path):
    return json.loads(path.read_text())


def test_every_pair_has_its_file_with_the_stores_numbers(run, planted_store, planted_dataset):
    files = sorted((run / "data" / "pairs").iterdir())
    assert [path.stem for path in files] == [
        f"L{i:02d}H{j:02d}" for i in range(4) for j in range(4)
    ]
    samples = read(run / "data" / "samples.json")["rows"]
    pair = read(run / "data" / "pairs" / "L02H01.json")
    for role in ("actor", "target"):
        table = planted_store.head_array("mask_share", role)
        values = table.values[:, 2, 1]
        known = values[np.isfinite(values)]
        found = pair["spread"]["mask_share"]["roles"][role]
        assert found["n"] == len(known) == sum(found["counts"])
        place, score = found["highest"][0]
        assert score == pytest.approx(known.max(), rel=1e-5)
        best = table.sample_ids[int(np.nanargmax(values))]
        assert samples[place][:2] == [best, role]
        assert found["lowest"][0][1] == pytest.approx(known.min(), rel=1e-5)
    row = next(s for s in pair["scores"] if s["criterion"] == "mask_share" and s["role"] == "actor")
    actors = planted_store.head_array("mask_share", "actor").values[:, 2, 1]
    assert row["score"] == pytest.approx(np.nanmean(actors), rel=1e-5)


def test_samples_are_worst_first_with_their_pictures(run, planted_store):
    table = read(run / "data" / "samples.json")
    assert table["columns"][:2] == ["sample", "role"]
    scores = [row[4] for row in table["rows"]]
    assert scores == sorted(scores) and len(scores) == len(planted_store.samples())
    pictures = [row[7] for row in table["rows"] if row[7]]
    assert pictures
    for picture in pictures:
        assert (run / picture["file"]).read_bytes()[:2] == b"\xff\xd8"  # JPEG
    assert table["rows"][0][7]  # the very worst has one


def test_what_is_undefined_is_null_and_not_zero(run):
    chart = read(run / "data" / "map-head_importance-both.json")  # needs gradients
    rows = next(iter(chart["datasets"].values()))
    assert {row["score"] for row in rows} == {None}
    pair = read(run / "data" / "pairs" / "L00H00.json")
    assert next(s for s in pair["scores"] if s["criterion"] == "head_importance")["score"] is None


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [
            value for key, value in attrs if key in ("href", "src", "data-chart") and value
        ]


def test_links_are_relative_and_lead_to_files(bundle):
    pages = sorted(bundle.rglob("*.html"))
    assert [page.name for page in pages] == [
        "index.html", "accuracy.html", "heads.html", "layers.html", "samples.html",
    ]  # fmt: skip
    for page in pages:
        links = Links()
        links.feed(page.read_text())
        assert links.found
        for link in links.found:
            if link in ("#", "data:,"):
                continue
            assert not re.match(r"[a-z]+:|/", link), link
            assert (page.parent / link.partition("?")[0]).is_file(), link


def test_no_page_holds_markup_of_data(bundle):
    """Words of models and files stand in JSON, which scripts set as text; or are escaped."""
    pages = [page.read_text() for page in sorted(bundle.rglob("*.html"))]
    assert not any("<b>Title</b>" in page for page in pages)
    assert "&lt;b&gt;Title&lt;/b&gt;" in pages[0]
    assert not any("onerror" in page or "</script><img" in page for page in pages)
    texts = [row[6] for row in read(bundle / "run-planted/data/samples.json")["rows"]]
    assert HOSTILE in texts
    for script in (bundle / "assets").glob("*.js"):
        if script.name != "vega.js":
            words = script.read_text()
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", words
            )


def test_tables_keep_numbers_in_full(run, planted_results):
    lines = (run / "data" / "layers.csv").read_text().splitlines()
    point = planted_results.layer_profile["actor"][0].vision
    first = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert float(first["share"]) == point.value


@pytest.mark.slow
def test_the_command_writes_it_and_says_how_large(cli, planted_runs, tmp_path):
    result = cli("report", planted_runs / "planted", "--bundle", tmp_path / "b", "--resamples", 20)
    assert result.code == 0, result.err
    assert re.search(r"bundle in .*, \d+ files of \d+\.\d MB", result.out.replace("\n", " "))
    again = cli("report", planted_runs / "planted", "--bundle", tmp_path / "b", "--resamples", 20)
    assert again.code == 2 and "expected a new folder" in again.err
    nothing = cli("report", planted_runs / "planted")
    assert nothing.code == 2 and "nothing to write" in nothing.err


def test_runs_of_one_name_have_folders_of_their_own():
    assert folder_names(["planted", "other", "planted"]) == [
        "run-planted", "run-other", "run-planted-2",
    ]  # fmt: skip


def test_a_model_that_names_no_role(tmp_path):
    dataset = make_dataset(tmp_path / "data", videos=2, seed=3)
    runs = [make_capture(tmp_path / "silent", dataset, silent=True)]
    write_bundle(gather(runs, "x", None, 20), runs, tmp_path / "b")
    assert "nothing to draw" in (tmp_path / "b/run-silent/accuracy.html").read_text()
    pair = read(tmp_path / "b/run-silent/data/pairs/L00H00.json")
    assert {score["score"] for score in pair["scores"]} == {None}
