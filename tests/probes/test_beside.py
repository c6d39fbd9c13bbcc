"""Runs beside a capture are told by their kind, and all pairs silenced join the families."""

import csv

import numpy as np
import pytest

from probes.analysis import analyse
from probes.beside import read_beside, run_kind
from probes.causal import layer_ablations, single_ablations
from probes.causal.effects import append_effects, plan_to_json
from probes.report import ReportResults
from probes.store import CaptureStore
from reports.content import content
from reports.csv_files import write_csv
from reports.tables import family_table
from reviosa.errors import RunError
from reviosa.run_record import open_run
from tests.fixtures_capture import set_status
from tests.fixtures_report import report_of

SHAPE = (2, 3)
PAIRS = [(layer, head) for layer in range(2) for head in range(3)]


@pytest.fixture
def store(run, row, metrics):
    """Eight videos in which the pairs' AUROC rises from the first to the last."""
    directory, writer = run("capture")
    rng = np.random.default_rng(0)
    rows = [row(f"v{i}", "0", "actor", jf=rng.random(), mask_area=rng.random()) for i in range(8)]
    values = {name: rng.random((8, *SHAPE)) for name in metrics(1)}
    values["auroc"] = 0.5 + 0.05 * np.arange(6).reshape(SHAPE) + rng.normal(0, 0.01, (8, *SHAPE))
    writer.write_chunk(0, rows, {k: v.astype(np.float32) for k, v in values.items()})
    return CaptureStore(directory)


def ablation(directory, ablations, kind="mean"):
    """A pair costs the more the later it stands: -0.01, -0.02, ... -0.06."""
    config = {"kind": kind, "ablations": plan_to_json(ablations), "shape": list(SHAPE)}
    with open_run(directory, "ablate", config, 0):
        for video in range(8):
            cost = [
                -0.01 * sum(1 + PAIRS.index(pair) for pair in a.pairs) + 0.0001 * video
                for a in ablations
            ]
            scores = {"actor": [0.7, *(0.7 + c for c in cost)]}
            append_effects(directory, f"v{video}/0", f"v{video}", False, scores)
    return directory


def test_all_pairs_silenced_are_a_family_of_their_own(store, tmp_path):
    every = (*single_ablations(PAIRS), *layer_ablations(SHAPE))
    run = ablation(tmp_path / "every", every)
    beside = read_beside(store, [run], 100)
    (found,) = beside.families
    assert found.families == ("where", "ground truth", "gradient", "outcome", "causal")
    assert found.titles[-1] == "Silenced (mean)" and found.role == "actor"
    with_auroc = found.cells[4][1]
    assert with_auroc.value == 1 and with_auroc.ci[0] > 0.7 and with_auroc.n == 6
    table = family_table(found)
    assert table.columns[1:] == ("where", "ground truth", "gradient", "outcome")
    assert table.rows[0][0] == "AUROC (ground truth)"
    assert table.rows[-1][0] == "Silenced (mean) (causal)" and table.rows[-1][2].startswith("1.0")
    assert table.rows[0][2:] == ("", "", ""), "each two are told once"
    files = {
        path.stem: path
        for path in write_csv(report_of(analyse(store, 20), beside=beside), tmp_path / "csv")
    }
    assert {"families", "effects"} <= set(files) and "lens" not in files
    families = list(csv.DictReader(files["families"].read_text("utf-8").splitlines()))
    assert len(families) == 10, "five families, each two once"
    effects = list(csv.DictReader(files["effects"].read_text("utf-8").splitlines()))
    # Of both roles; nobody named a target, which leaves its cells empty.
    assert len(effects) == 2 * (6 + 2) and effects[0]["pairs"] == "0.0"
    assert effects[-1]["role"] == "target" and effects[-1]["change"] == ""
    # The first pair costs 0.01, less what the made-up videos differ by.
    assert float(effects[0]["change"]) == pytest.approx(-0.01 + 0.0001 * 3.5)


def test_the_report_says_where_each_run_came_from_and_which_is_not_done(store, tmp_path):
    runs = [ablation(tmp_path / at / "some", single_ablations(PAIRS[:2])) for at in "ab"]
    set_status(runs[1], "failed")
    beside = read_beside(store, runs, 20)
    assert list(beside.headers) == ["some", "some-2"]
    assert beside.headers["some"]["config"] == {"kind": "mean", "shape": [2, 3]}
    report = report_of(analyse(store, 20), beside=beside)
    assert ReportResults.from_json(report.to_json()).captures[0].beside.headers == beside.headers
    document = content(report)
    tables = [table for table in document.tables() if len(table.columns) == 2]
    facts = {table.title: dict(table.rows) for table in tables}
    assert facts["Run some"]["status"] == "done" and facts["Run some-2"]["status"] == "failed"
    assert facts["Run some"]["config: kind"] == "mean"
    (warning,) = [block.text for block in document.head if getattr(block, "kind", "") == "warning"]
    assert warning.startswith("The run some-2 is not complete (status: failed)")


def test_some_pairs_silenced_are_none(store, tmp_path):
    run = ablation(tmp_path / "some", single_ablations(PAIRS[:4]))
    beside = read_beside(store, [run], 50)
    assert len(beside.ablations) == 1 and "causal" not in beside.families[0].families


def test_other_runs_are_refused(store, tmp_path):
    with open_run(tmp_path / "train", "train", {}, 0):
        pass
    assert run_kind(tmp_path / "train") == "train" and run_kind(tmp_path / "none") is None
    with pytest.raises(RunError, match="kind 'train', expected one of ablate, lens, probe"):
        read_beside(store, [tmp_path / "train"])
    larger = [(layer, head) for layer in range(3) for head in range(4)]
    config = {"kind": "mean", "ablations": plan_to_json(single_ablations(larger)), "shape": [3, 4]}
    with open_run(tmp_path / "larger", "ablate", config, 0):
        append_effects(tmp_path / "larger", "v/0", "v", False, {"actor": [0.5] * 13})
    with pytest.raises(RunError, match="expected 2 layers of 3 heads as captured"):
        read_beside(store, [tmp_path / "larger"])


def test_runs_of_another_model_are_refused_and_of_other_data_named(run, row, metrics, tmp_path):
    header = {"model": {"identity": "abc"}, "data": {"identity": "d1"}, "summary": {"samples": 5}}
    directory, writer = run("captured", **header)
    rows = [row(f"v{i}", "0", "actor") for i in range(5)]
    writer.write_chunk(0, rows, metrics(5))
    store = CaptureStore(directory)

    def made(name, model, data, samples):
        config = {"kind": "mean", "ablations": [], "shape": [2, 3], "samples": samples}
        with open_run(tmp_path / name, "ablate", config, 0, data, model):
            pass
        return tmp_path / name

    same = made("same", {"identity": "abc"}, {"identity": "d1"}, 5)
    part = made("part", {"identity": "abc"}, {"identity": "d1"}, 3)
    other = made("other", {"identity": "abc"}, {"identity": "d2"}, 5)
    notes = read_beside(store, [same, part, other], 20).notes
    assert notes == (
        "The run part is over 3 expressions of the data, the capture over 5.",
        "The run other is over other data than the capture.",
    )
    shuffled = made("shuffled", {"identity": "abc-shuffled-1"}, {"identity": "d1"}, 5)
    with pytest.raises(RunError, match="of the model abc-shuffled-1, expected abc as captured"):
        read_beside(store, [shuffled], 20)
