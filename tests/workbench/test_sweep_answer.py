"""The files and the lines that a sweep ends with."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from probes.answer import load_answer, sweep_answer
from reviosa.errors import RunError
from reviosa.heads import HeadSelection
from tests.fixtures_sweep import PAIR, sweep, trial
from workbench.sweeps.answer import finish, print_answer, write_answer

KEPT = Path(__file__).parents[2] / "docs" / "results" / "runs"


def chosen(*gains):
    trials = [trial("a", s, selection=0.0) for s in (0, 1)]
    trials += [trial("b", s, 0.01 * s, (PAIR,), selection=g) for s, g in enumerate(gains)]
    return sweep_answer(sweep(trials, arms=["a", "b"]), resamples=50)


def test_the_answer_the_figure_and_the_heads_file_are_written(tmp_path):
    answer = chosen(0.01, 0.02)
    write_answer(tmp_path, answer)
    assert {path.name for path in tmp_path.iterdir()} == {
        "answer.json", "strategies.svg", "best-heads.json",
    }  # fmt: skip
    assert load_answer(tmp_path / "answer.json") == answer
    assert HeadSelection.load(tmp_path / "best-heads.json").pairs == (PAIR,)
    assert ElementTree.parse(tmp_path / "strategies.svg").getroot().tag.endswith("svg")


def test_what_a_later_answer_does_not_have_is_taken_away(tmp_path):
    """Best pairs of an earlier answer beside one that chose none would be taken for its own."""
    write_answer(tmp_path, chosen(0.01, 0.02))
    write_answer(tmp_path, sweep_answer(sweep([], arms=["a"])))
    assert {path.name for path in tmp_path.iterdir()} == {"answer.json"}


def test_an_answer_of_kept_runs_from_before(tmp_path, capsys):
    """A copy of the kept sweep of table 3, which has no selection scores, less one trial."""
    sweeps = tmp_path / "sweeps" / "table-3"
    sweeps.mkdir(parents=True)
    (sweeps / "sweep.json").write_text((KEPT / "sweeps/table-3/sweep.json").read_text())
    (tmp_path / "trials").mkdir()
    lost = "e374b5ed54db"
    for folder in (KEPT / "trials").iterdir():
        if folder.name != lost:
            (tmp_path / "trials" / folder.name).symlink_to(folder)
    answer = finish(tmp_path, "table-3")
    assert answer.arm("roles").missing == (1,)
    assert answer.best is None and answer.cost is None
    print_answer(sweeps, answer)
    said = capsys.readouterr()
    assert f"mind: roles, seed 1 ({lost})" in said.err
    assert "role tokens (2 of 3 seeds)" in said.out
    assert "No pairs are chosen" in said.out and "best-heads.json" not in said.out
    value = json.loads((sweeps / "answer.json").read_text())
    assert [arm["arm"] for arm in value["arms"]] == [
        "seg", "seg+aml", "roles", "roles+aml",
    ]  # fmt: skip


def test_the_best_pairs_and_the_files_are_named(tmp_path, capsys):
    answer = chosen(0.01, 0.02)
    write_answer(tmp_path, answer)
    print_answer(tmp_path, answer)
    said = capsys.readouterr().out
    assert "Best on the selection split: “B” (L01H00)" in said
    assert f"in {tmp_path}: answer.json, strategies.svg, best-heads.json" in said


def test_a_sweep_without_a_finished_trial_says_so(tmp_path, capsys):
    answer = sweep_answer(sweep([], arms=["a"], problems=("a, seed 0 (a0): train is failed",)))
    print_answer(tmp_path, answer)
    said = capsys.readouterr()
    assert "no trial is finished, so there is no answer yet" in said.out
    assert "mind: a, seed 0" in said.err


def test_thirty_arms_fit_a_terminal_of_a_hundred_columns(monkeypatch, capsys):
    names = [f"a{i:02d}" for i in range(30)]
    every = ("actor", "target", "rvos", "target_by_prompt")
    rules = {"a01": {"strategy": "top-pairs"}, "a02": {"strategy": "matched-random", "like": "a01"}}
    trials = [trial(n, s, i / 1e3 * (1 + s), scores=every, selection=0.0)
              for i, n in enumerate(names) for s in (0, 1)]  # fmt: skip
    made = sweep(trials, baseline="a00", rules=rules)
    made.arms.update({n: f"{n} the best four pairs of layer twelve by AUROC" for n in names})
    answer = sweep_answer(made, resamples=20)
    from rich.console import Console

    # A terminal of that width, as rich sees one.
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    print_answer(Path("x"), answer)
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert max(map(len, table)) <= 100
    cells = [line.strip("│").split("│") for line in table if "a07" in line]
    assert [len(row) for row in cells] == [6, 5], "scores, and differences"
    for row in cells:
        # No number is torn: every cell that holds one is whole.
        assert all("\N{PLUS-MINUS SIGN}" in cell or "." in cell or cell.strip() in ("", "1", "n/a")
                   for cell in row[1:])  # fmt: skip


def test_a_sweep_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"sweep\.json"):
        finish(tmp_path, "none")
