"""The demo on a model of toy size: whole, repeatable, resumable."""

import contextlib
import json
import shutil

import pytest
import torch

from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.heads import HeadSelection
from reviosa.model import model_identity, save
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.run_record import read_run
from tests.reviosa.conftest import tiny_config
from workbench.demo import SEED, run_demo

SMALL = ("--videos", 2)


@pytest.fixture
def run(cli, tmp_path, checkpoint):
    def call(*arguments):
        return cli("demo", "--model", checkpoint, "--out", tmp_path / "demo", *SMALL, *arguments)

    return call


@pytest.fixture(scope="module")
def made(tmp_path_factory, checkpoint):
    """A finished demo."""
    folder = tmp_path_factory.mktemp("made") / "demo"
    run_demo(folder, lambda step: contextlib.nullcontext(lambda done, of: None), str(checkpoint), 2)
    return folder


@pytest.fixture
def finished(made, tmp_path):
    """A copy of a finished demo where ``run`` works."""
    return shutil.copytree(made, tmp_path / "demo")


def test_it_ends_with_a_report_and_does_nothing_twice(run, tmp_path, monkeypatch):
    first = run("--json")
    assert first.code == 0, first.err
    report = tmp_path / "demo" / "report.html"
    summary = json.loads(first.out)
    assert summary["report"] == str(report) and report.is_file()
    assert summary["protocols"]["rvos"]["n"] > 0
    chosen = summary["selection"]["pairs"]
    assert len({layer for layer, _ in chosen}) == 1 and len(chosen) == 4, "one layer's four heads"
    # Silenced heads and exchanged roles lie beside it, and the report tells of both.
    assert summary["causes"] == [str(tmp_path / "demo" / name) for name in ("ablation", "roles")]
    for folder in summary["causes"]:
        header = read_run(folder)
        assert (header["kind"], header["status"]) == ("ablate", "done")
        assert header["config"]["kind"] in report.read_text(encoding="utf-8")
    assert HeadSelection.load(summary["heads"]).pairs == tuple((i, j) for i, j in chosen)

    def never(*arguments, **options):
        raise AssertionError("done already")

    for place in (
        "reviosa.data.synthetic.write_synthetic",
        "probes.capture.capture",
        "probes.analysis.analyse",
        "probes.causal.ablate",
        "workbench.reporting.make_report",
    ):
        monkeypatch.setattr(place, never)
    second = run("--json")
    assert (second.code, second.out) == (0, first.out)


def test_it_prints_where_things_are(finished, run, tmp_path):
    result = run()
    assert result.code == 0
    assert f"report     {tmp_path / 'demo' / 'report.html'}" in result.out
    assert f"dashboard {tmp_path / 'demo'}" in result.out.splitlines()[-1]
    assert (
        f"synth_{SEED}_00000" in (tmp_path / "demo" / "data" / "meta_expressions.json").read_text()
    )


@pytest.mark.slow
def test_a_stopped_capture_is_gone_on_with(run, tmp_path, monkeypatch):
    import probes.capture

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(probes.capture, "_capture_part", stop)
        stopped = run()
    assert stopped.code == 130
    assert "go on with the same command" in stopped.err
    assert not (tmp_path / "demo" / "report.html").exists()
    assert run().code == 0
    assert (tmp_path / "demo" / "report.html").is_file()


@pytest.mark.slow
def test_a_capture_of_another_model_is_made_anew(cli, finished, tmp_path):
    """New weights come with a new version; the old capture would stop the demo for ever."""
    torch.manual_seed(1)
    config = tiny_config()
    other = tmp_path / "other"
    save(ReviosaModel(config), ReviosaProcessor.for_config(config, nano_tokenizer()), other)
    result = cli("demo", "--model", other, "--out", tmp_path / "demo", *SMALL)
    assert result.code == 0
    assert "it is made anew" in result.err
    for part in ("capture", "ablation"):
        header = read_run(tmp_path / "demo" / part)
        assert header["model"]["identity"] == model_identity(other)


def test_another_folder_is_not_written_into(run, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.tex").write_text("x")
    result = run()
    assert result.code == 2
    assert "other files" in result.err
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["thesis.tex"]


def test_another_number_of_videos_is_refused(finished, run):
    result = run("--videos", 3)
    assert result.code == 2
    assert "got 2 videos, expected 3" in result.err
