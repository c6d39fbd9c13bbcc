"""``reviosa ablate`` on the shipped model and two videos."""

import json

import pytest

from probes.capture import capture
from reviosa.data import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.heads import HeadSelection
from reviosa.model import load


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablate")
    write_synthetic(folder / "data", 2, 3, WorldConfig(frames=6, max_expressions=4))
    dataset = InterRVOSDataset(folder / "data")
    capture(*load("nano"), dataset, folder / "run", maps="none", identity={"name": "nano"})
    HeadSelection(((4, 4), (3, 3)), "by hand").save(folder / "heads.json")
    return folder


def test_pairs_sets_and_their_controls(cli, captured, tmp_path):
    arguments = ("ablate", captured / "run", "--heads", captured / "heads.json", "--draws", "3")
    shown = cli(*arguments, "--out", tmp_path / "out", "--json")
    assert shown.code == 0, shown.err
    results = json.loads(shown.out)
    assert results["kind"] == "mean"
    actor = {e["name"]: e for e in results["effects"] if e["role"] == "actor"}
    assert list(actor) == ["L04H04", "L03H03", "chosen 1", "chosen 2", "random 1", "random 2"]
    assert actor["chosen 1"]["change"] == actor["L04H04"]["change"], "the same set, told twice"
    assert actor["chosen 2"]["over_random"]["value"] is not None
    again = cli(*arguments, "--out", tmp_path / "out")
    assert again.code == 2 and "resume the run" in again.err
    # All is done, so going on prints the same at once.
    table = cli(*arguments, "--out", tmp_path / "out", "--resume")
    assert table.code == 0 and "less random sets" in table.out and "chosen 2" in table.out
    # The report of the capture has it as a section.
    page = tmp_path / "report.html"
    shown = cli("report", captured / "run", tmp_path / "out", "-o", page, "--resamples", "50")
    assert shown.code == 0, shown.err
    assert "dose-mean" in page.read_text(encoding="utf-8")
    alone = cli("report", tmp_path / "out", "-o", tmp_path / "none.html")
    assert alone.code == 2 and "got no capture beside it" in alone.err


def test_what_is_kept_the_least_and_random_subsets(cli, captured, tmp_path):
    HeadSelection(((0, 0), (1, 1)), "by hand").save(tmp_path / "least.json")
    arguments = (
        "ablate", captured / "run", "--heads", captured / "heads.json", "--draws", "2", "--keep",
        "--least", tmp_path / "least.json", "--subsets", "12", "--rate", "0.2",
        "--out", tmp_path / "out",
    )  # fmt: skip
    shown = cli(*arguments, "--json")
    assert shown.code == 0, shown.err
    assert shown.err.index("recording what others write ...") < shown.err.index("silencing heads")
    results = json.loads(shown.out)
    names = {e["name"] for e in results["effects"]}
    assert {"least 2", "kept 0", "kept 2", "random kept 2"} <= names
    model = results["subsets"][0]
    assert (model["role"], model["n_subsets"], len(model["effects"])) == ("actor", 12, 48)
    assert 0.1 < model["rate"] < 0.3 and "12 subsets for 48 heads" in model["note"]
    table = cli(*arguments, "--resume")
    assert table.code == 0, table.err
    assert "R2 on subsets left out" in table.out and "mind: 12 subsets for 48 heads" in table.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --heads FILE or --all"),
        (["--all", "--heads", "{0}/heads.json"], "either --heads FILE or --all"),
        (["--all", "--limit", "1"], "takes outputs from other videos and there is 1"),
        (["--all", "--model", "{0}/nowhere"], "no such folder"),
        (["--heads", "{0}/nowhere.json"], "nowhere.json"),
        (["--heads", "{0}/heads.json", "--draws", "-1"], "-1 draws"),
        (["--subsets", "5"], "5 subsets, expected at least 10"),
        (["--subsets", "50", "--rate", "1"], "a rate of 1"),
        (["--all", "--keep"], "go with --heads FILE"),
        (["--heads", "{0}/heads.json", "--least", "{0}/nowhere.json"], "nowhere.json"),
    ],
)
def test_bad_input_gets_one_line(cli, captured, tmp_path, arguments, words):
    given = [str(x).format(captured) for x in arguments]
    shown = cli("ablate", captured / "run", "--out", tmp_path / "out", *given)
    assert shown.code == 2 and words in shown.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
