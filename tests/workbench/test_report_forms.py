"""``reviosa report`` writes PDF and LaTeX, and fails where a condition does."""

import json
import sys

import pytest
from pypdf import PdfReader

from reports.canvas import Figure


@pytest.fixture(scope="module")
def record(planted_runs, tmp_path_factory):
    """The record of a report without samples' pictures: what the forms are made of."""
    from workbench.reporting import gather

    path = tmp_path_factory.mktemp("record") / "results.json"
    gather([planted_runs / "planted"], "reviosa report planted", None, 50).save(path)
    return path


@pytest.fixture
def of_one_size(monkeypatch):
    """Figures as they are: drawing them for each width takes most of the time."""
    monkeypatch.setattr(Figure, "at_width", lambda self, inches: self)


def test_conditions_are_printed_with_their_values(cli, record):
    jf = json.loads(record.read_text())["captures"][0]["results"]["protocols"]["actor"]["jf"]
    done = cli("report", record, "--check", f"actor.jf>={jf}", "--check", "actor.n > 0")
    assert done.code == 0
    assert f"pass  actor.jf>={jf}: {jf:g}" in done.out and "pass  actor.n > 0: " in done.out


def test_a_condition_that_fails_exits_1_behind_all_of_them(cli, record):
    done = cli("report", record, "--check", "actor.jf>100", "--check", "actor.n>0")
    assert done.code == 1
    # Above them stand the verdicts on claims.
    assert [line.split()[0] for line in done.out.splitlines()][-2:] == ["fail", "pass"]
    assert done.err == ""


def test_json_holds_the_conditions(cli, record):
    done = cli("report", record, "--check", "actor.jf>100", "--json")
    assert done.code == 1
    (held,) = json.loads(done.out)["conditions"]
    assert held["condition"] == "actor.jf>100" and held["passed"] is False and held["value"] < 100
    without = cli("report", record, "--csv", record.parent / "csv", "--json")
    assert "conditions" not in json.loads(without.out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--check", "actor.jf"], "expected NAME OP VALUE"),
        (["--check", "actor.jff>1"], "such as actor.jf"),
        ([], "got nothing to write or to check"),
        (["--pdf", "report.txt"], "expected .pdf"),
    ],
)
def test_bad_input_exits_2_with_one_line(cli, record, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = cli("report", record, *arguments)
    assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_pdf_and_latex_are_written_with_the_record_beside_them(cli, record, tmp_path, of_one_size):
    done = cli(
        "report", record, "--pdf", tmp_path / "a.pdf", "--latex", tmp_path / "tex",
        "--check", "actor.jf>100",
    )  # fmt: skip
    assert done.code == 1, "written, although a condition failed"
    words = " ".join(page.extract_text() for page in PdfReader(tmp_path / "a.pdf").pages)
    score = json.loads(record.read_text())["captures"][0]["results"]["protocols"]["actor"]
    assert f"{score['j']:.1f} {score['f']:.1f} {score['jf']:.1f}" in words
    assert (tmp_path / "a.json").read_bytes() == record.read_bytes()
    table = (tmp_path / "tex" / "tables" / "scores.tex").read_text()
    assert f"& {score['j']:.1f} & {score['f']:.1f} & {score['jf']:.1f} &" in table
    assert f"its numbers in {tmp_path / 'a.json'}" in done.out


def test_a_missing_typst_is_said_before_the_work(cli, tmp_path, planted_runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    done = cli("report", planted_runs / "planted", "--pdf", tmp_path / "a.pdf")
    assert done.code == 2 and "pip install 'reviosa-workbench[pdf]'" in done.err
    assert list(tmp_path.iterdir()) == []
