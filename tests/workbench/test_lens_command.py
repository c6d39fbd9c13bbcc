"""``reviosa lens`` on the shipped model and two videos."""

import json

import pytest

from probes.capture import capture
from reviosa.data import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.model import load


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lens")
    write_synthetic(folder / "data", 2, 3, WorldConfig(frames=6, max_expressions=4))
    dataset = InterRVOSDataset(folder / "data")
    capture(*load("nano"), dataset, folder / "run", maps="none", identity={"name": "nano"})
    return folder


def test_depths_and_heads(cli, captured, tmp_path):
    arguments = ("lens", captured / "run", "--out", tmp_path / "out", "--resamples", 50)
    shown = cli(*arguments, "--json")
    assert shown.code == 0, shown.err
    results = json.loads(shown.out)
    assert results["n_videos"] == 2 and results["n"] > 2
    actor = results["series"]["actor"]["points"]
    assert [point["depth"] for point in actor] == list(range(9))
    assert actor[-1]["first"]["value"] == 1.0, "answers are greedy"
    assert results["pattern_difference"] <= 1e-5
    assert json.loads((tmp_path / "out" / "run.json").read_text())["kind"] == "lens"
    again = cli(*arguments)
    assert again.code == 2 and "resume the run" in again.err
    table = cli(*arguments, "--resume")
    assert table.code == 0, table.err
    assert "after L07" in table.out and "MLP 1" in table.out and "whole difference" in table.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "{0}/nowhere"], "no such folder"),
        (["--data", "{0}/nowhere"], "nowhere"),
    ],
)
def test_bad_input_gets_one_line(cli, captured, tmp_path, arguments, words):
    given = [str(x).format(captured) for x in arguments]
    shown = cli("lens", captured / "run", "--out", tmp_path / "out", *given)
    assert shown.code == 2 and words in shown.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
