"""Runs put together into reports: which go together, what is damaged, and the same bytes again."""

import csv
import json
import shutil

import pytest

from probes.report import ReportResults
from probes.results import SCHEMA
from reports.content import content
from reviosa.errors import RunError
from tests.fixtures_capture import make_capture, set_status
from workbench.reporting import gather

DRAWS = ("--resamples", "20")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, dataset):
    """Two captures over the same data, and a copy of the first that is damaged and not finished."""
    folder = tmp_path_factory.mktemp("several")
    make_capture(folder / "one", dataset)
    make_capture(folder / "two", dataset, seed=1)
    shutil.copytree(folder / "one", folder / "broken")
    (folder / "broken" / "heads" / "part-00000.parquet").write_bytes(b"torn")
    set_status(folder / "broken", "running")
    return folder


def words(results: ReportResults) -> str:
    return repr(content(results))


def test_captures_stand_side_by_side_and_then_one_by_one(runs):
    results = gather([runs / "one", runs / "two"], "reviosa report", resamples=20)
    document = content(results)
    assert [s.name for s in document.sections if s.name.startswith("run")] == [
        "runs", "run-one", "run-two",
    ]  # fmt: skip
    tables = {table.name: table for table in document.tables()}
    scores = tables["runs"]
    assert [row[0] for row in scores.rows] == ["one", "two"]
    for column, name in ((2, "actor"), (3, "target"), (4, "rvos")):
        jf = [part.results.protocols[name].jf for part in results.captures]
        assert scores.rows[0][column].startswith(f"{jf[0]:.1f} [")
        assert (jf.index(max(jf)), column) in scores.best and len(scores.best) == 3
        gap = results.contrasts[0].gaps[name]
        assert gap.value == pytest.approx(jf[1] - jf[0]), "second less first, the same expressions"
    assert len(tables["differences"].rows) == 3
    agreement = results.contrasts[0].agreements
    assert [found.criterion for found in agreement] == ["visual_mass", "mask_share", "auroc"]
    assert all(found.spearman.n == 16 for found in agreement)
    assert "one-layer-profile" in {figure.name for figure in document.figures()}


def test_runs_over_other_data_are_not_compared(runs, tmp_path):
    from tests.fixtures_capture import make_dataset

    other = make_capture(tmp_path / "other", make_dataset(tmp_path / "data", videos=1, seed=9))
    results = gather([runs / "one", other], "reviosa report", resamples=20)
    assert results.contrasts[0].gaps == {}
    assert "other against one: J&F, as the runs are over other data." in words(results)
    assert {t.name: t for t in content(results).tables()}["runs"].best == frozenset()


def test_a_damaged_part_and_an_unfinished_run_are_named_and_the_rest_is_shown(runs):
    results = gather([runs / "broken"], "reviosa report", resamples=20)
    text = words(results)
    assert "not complete (status: running)" in text
    assert "without 1 part that could not be read" in text and "chunk 0 left out" in text
    assert results.captures[0].results.counts.expressions > 0, "the other parts are there"


@pytest.mark.parametrize("folder", ["maps", "predictions"])
def test_what_only_the_pictures_need_is_named_as_well(runs, tmp_path, folder):
    run = shutil.copytree(runs / "one", tmp_path / "run")
    for path in (run / folder).iterdir():
        path.write_bytes(b"torn")
    results = gather([run], "reviosa report", resamples=20)
    (part,) = results.captures
    assert part.results.protocols["actor"].jf is not None
    assert part.pictures and f"{folder} of chunk 0 left out" in words(results)


def test_a_run_that_cannot_be_read_is_left_out_by_name(runs, tmp_path, capsys):
    gone = tmp_path / "gone"
    shutil.copytree(runs / "two", gone)
    (gone / "run.json").write_text("{")
    results = gather([runs / "one", gone], "reviosa report", resamples=20)
    assert len(results.captures) == 1 and str(gone) in results.problems[0]
    assert f"Left out: {results.problems[0]}." in words(results)
    assert "left out" in capsys.readouterr().err
    with pytest.raises(RunError, match=r"run\.json"):
        gather([gone], "reviosa report", resamples=20)


def test_a_run_of_another_kind_or_model_is_refused(runs, tmp_path):
    def of(kind, model):
        path = tmp_path / kind / model
        path.mkdir(parents=True)
        header = json.loads((runs / "one" / "run.json").read_text())
        header |= {"kind": kind, "model": {"identity": model}}
        (path / "run.json").write_text(json.dumps(header))
        return path

    with pytest.raises(RunError, match="kind 'train', expected capture, ablate"):
        gather([runs / "one", of("train", "m")], "reviosa report", resamples=20)
    one = tmp_path / "named"
    shutil.copytree(runs / "one", one)
    header = json.loads((one / "run.json").read_text())
    (one / "run.json").write_text(json.dumps({**header, "model": {"identity": "mine"}}))
    with pytest.raises(RunError, match="of the model other, expected that of"):
        gather([one, of("lens", "other")], "reviosa report", resamples=20)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".html", ".md"])
def test_the_same_runs_give_the_same_bytes_and_so_does_the_record(cli, runs, tmp_path, suffix):
    def made(source, folder):
        result = cli("report", source, "-o", tmp_path / folder / f"page{suffix}", *DRAWS,
                     "--csv", tmp_path / folder / "csv")  # fmt: skip
        assert result.code == 0, result.err
        found = tmp_path / folder
        return {p.relative_to(found): p.read_bytes() for p in found.rglob("*") if p.is_file()}

    first = made(runs / "one", "first")
    record = "page.json" if suffix == ".html" else "page/results.json"
    assert {str(path) for path in first} >= {f"page{suffix}", record, "csv/rankings.csv"}
    assert made(runs / "one", "second") == first
    assert made(tmp_path / "first" / record, "third") == first, "without the runs"
    assert not any(str(tmp_path).encode() in content for content in first.values())


def test_a_record_stands_alone_and_says_its_version(cli, runs, tmp_path):
    page = tmp_path / "page.html"
    assert cli("report", runs / "one", "-o", page, *DRAWS).code == 0
    record = tmp_path / "page.json"
    both = cli("report", record, runs / "one", "-o", page)
    assert both.code == 2 and "expected the record of a report alone" in both.err
    value = json.loads(record.read_text())
    record.write_text(json.dumps({**value, "schema": 99}))
    other = cli("report", record, "-o", page)
    assert other.code == 2 and "got schema 99, expected 1" in other.err
    value["captures"][0]["results"]["schema"] = 3
    record.write_text(json.dumps(value))
    older = cli("report", record, "-o", page)
    assert older.code == 2 and f"a capture of schema 3, expected {SCHEMA}" in older.err


def test_a_spreadsheet_runs_no_expression(cli, dataset, tmp_path):
    run = make_capture(tmp_path / "=1+1", dataset)
    result = cli("report", run, "-o", tmp_path / "p.html", "--csv", tmp_path / "csv", *DRAWS)
    assert result.code == 0, result.err
    with open(tmp_path / "csv" / "protocols.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {"'=1+1"}
    assert all(float(row["J&F"]) >= 0 for row in rows), "numbers stay numbers"
