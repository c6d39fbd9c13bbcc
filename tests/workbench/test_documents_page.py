"""The page Reports: what can be chosen, what is built, and what is refused in one line."""

import shutil
import zipfile
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from probes.report import ReportResults
from reviosa.errors import ConfigError
from tests.fixtures_capture import set_status
from tests.workbench.test_pages import open_page
from workbench.exports import FORMS, export_report, kept_exports
from workbench.pages import documents
from workbench.reporting import gather

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture
def runs(planted_runs, tmp_path, monkeypatch) -> Path:
    shutil.copytree(planted_runs, tmp_path / "runs")
    shutil.copytree(planted_runs.parent / "data", tmp_path / "data")
    # Two thousand draws belong to the command's own tests.
    monkeypatch.setattr(documents, "gather", lambda r, c, h: gather(r, c, h, resamples=20))
    return tmp_path / "runs"


def opened(monkeypatch, folder: Path, **address: str) -> AppTest:
    app = open_page(monkeypatch, folder, "documents", **address)
    app.default_timeout = 240  # a report is built
    return app


def checked(app: AppTest) -> AppTest:
    assert not app.exception, [item.message for item in app.exception]
    return app


def build(app: AppTest) -> AppTest:
    (button,) = [item for item in app.button if item.label == "Build"]
    return checked(button.click().run())


def test_a_report_is_built_and_offered(monkeypatch, runs):
    app = opened(monkeypatch, runs)
    assert app.multiselect(key="report_runs").value == ["planted"]
    app.pills(key="report_forms").set_value(["html", "csv"])
    app.text_input(key="report_heading").set_value("<i>Mine</i>")
    app.text_input(key="report_name").set_value("first one")
    app = build(app)
    folder = runs / "exports" / "first one"
    assert sorted(path.name for path in folder.iterdir()) == [
        "csv.zip", "report.html", "results.json",
    ]  # fmt: skip
    record = ReportResults.load(folder / "results.json")
    assert record.heading == "<i>Mine</i>"
    assert record.command.startswith("reviosa report ") and str(runs / "planted") in record.command
    assert "&lt;i&gt;Mine&lt;/i&gt;" in (folder / "report.html").read_text()
    with zipfile.ZipFile(folder / "csv.zip") as archive:
        assert "rankings.csv" in archive.namelist() and archive.testzip() is None
    labels = [item.proto.label for item in app.get("download_button")]
    assert labels == ["HTML", "CSV", "results.json"]
    again = build(app)
    assert "an earlier report has" in again.code[-1].value


def test_an_address_asks_for_a_report(monkeypatch, runs):
    app = opened(
        monkeypatch, runs, report_runs="planted", report_forms="Markdown", report_heading="Mine"
    )
    assert app.multiselect(key="report_runs").value == ["planted"]
    assert app.pills(key="report_forms").value == ["markdown"]
    assert app.text_input(key="report_heading").value == "Mine"
    app = opened(monkeypatch, runs, report_runs="gone")
    assert app.multiselect(key="report_runs").value == [] and "gone" in app.warning[0].value
    # What is chosen by hand stands in the address by name, whatever the status of the run.
    app.multiselect(key="report_runs").set_value(["planted"]).run()
    assert "planted" in app.query_params["report_runs"] and not app.warning


@pytest.mark.parametrize("name", ["../out", "/tmp/x", "a/b", ".hidden"])
def test_a_name_that_is_none_is_one_line(monkeypatch, runs, name):
    before = sorted(runs.parent.rglob("*"))
    app = opened(monkeypatch, runs)
    app.text_input(key="report_name").set_value(name)
    app = build(app)
    assert "expected letters" in app.code[-1].value and "\n" not in app.code[-1].value
    assert sorted(runs.parent.rglob("*")) == before


def test_no_run_and_no_form_are_one_line(monkeypatch, runs):
    app = opened(monkeypatch, runs)
    app.multiselect(key="report_runs").set_value([])
    assert "got no run" in build(app).code[-1].value
    app.multiselect(key="report_runs").set_value(["planted"])
    app.pills(key="report_forms").set_value([])
    assert "got no form" in build(app).code[-1].value
    assert not (runs / "exports").exists()


def test_exports_that_are_a_link_to_outside_are_not_written(monkeypatch, runs, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (runs / "exports").symlink_to(tmp_path / "elsewhere")
    app = build(opened(monkeypatch, runs))
    assert "expected a path below" in app.code[-1].value
    assert not list((tmp_path / "elsewhere").iterdir())
    assert kept_exports(runs) == []


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_runs(monkeypatch, tmp_path, made):
    folder = tmp_path / "runs"
    if made:
        folder.mkdir()
    app = opened(monkeypatch, folder)
    assert app.info and "reviosa demo" in [item.value for item in app.code]


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_is_not_whole_says_so(monkeypatch, runs, status):
    set_status(runs / "planted", status, "RuntimeError: out of memory")
    app = opened(monkeypatch, runs)
    assert app.multiselect(key="report_runs").options == [f"planted (capture, {status})"]
    shutil.rmtree(runs / "planted" / "samples")
    app.multiselect(key="report_runs").set_value(["planted"])
    app = build(app)  # a report of nothing, or a line that says why there is none
    assert not app.error


@pytest.mark.slow
def test_every_form_is_written(planted_runs, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.latex.VENUES", {"neurips": 5.5})  # the others are drawn alike
    runs = [planted_runs / "planted"]
    steps: list[str] = []
    folder = export_report(
        tmp_path / "all", lambda: gather(runs, "x", None, 20), list(FORMS), steps.append
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "csv.zip", "latex.zip", "markdown.zip", "report.html", "report.pdf", "results.json",
    ]  # fmt: skip
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert steps == ["Analysing the runs", *(f"Writing {form.title}" for form in FORMS.values())]
    with zipfile.ZipFile(folder / "markdown.zip") as archive:
        assert "report.md" in archive.namelist()
        assert any(name.startswith("report/") for name in archive.namelist())


def test_a_report_that_fails_leaves_nothing(planted_runs, tmp_path, monkeypatch):
    def broken(document, path):
        raise OSError("disk full")

    monkeypatch.setattr("reports.html.write_html", broken)
    with pytest.raises(OSError, match="disk full"):
        export_report(
            tmp_path / "x", lambda: gather([planted_runs / "planted"], "x", None, 20), ["html"]
        )
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match="got no form"):
        export_report(tmp_path / "x", lambda: gather([], "x"), [])
