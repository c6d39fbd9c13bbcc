"""The results page says what was found, whichever way it fell, and lets no text run away."""

import re
from xml.etree import ElementTree

from probes.study import study_runs
from reports.study import render_study, write_study
from tests.fixtures_sweep import CLAIM, PAIR, look, sweep, trial

HOSTILE = "b </td><script>alert(1)</script> | *beats* [a](http://example.org)"


def results(planted_results, says="b beats a"):
    looks = [look(0, 0.1, 0.2), look(5, 0.6, 0.2)]
    trials = [trial("a", s, attention=looks) for s in range(3)]
    trials += [trial("b", s, 0.02 + s / 1e4, pairs=(PAIR,), attention=looks) for s in range(3)]
    claims = [
        CLAIM | {"says": says, "paper": 1.5},
        CLAIM | {"says": "b is far better", "paper": 9.0},
    ]
    return study_runs([sweep(trials, claims)], [planted_results], resamples=100)


def test_every_claim_stands_with_its_numbers_and_verdict(planted_results):
    text, _ = render_study(results(planted_results), "page", "reviosa report x", "Results")
    row = next(line for line in text.splitlines() if line.startswith("| b beats a"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[1:4] == ["nowhere", "+1.5", "0.75"]
    assert cells[4].startswith("2.0 ")
    assert cells[6:] == ["2.0, 2.0, 2.0", "40 / 20", "reproduced"]
    assert "not reproduced" in next(x for x in text.splitlines() if x.startswith("| b is far"))
    assert "| B | L01H00 |" in text
    assert "trials/b2" in text, "numbers can be traced to their runs"


def test_the_page_shows_every_figure_that_it_writes(tmp_path, planted_results):
    path = write_study(results(planted_results), tmp_path / "page.md", "reviosa report x")
    shown = set(re.findall(r"\]\((page/[^)]+)\)", path.read_text()))
    written = {f"page/{file.name}" for file in (tmp_path / "page").iterdir()}
    assert shown == written
    for name in written - {"page/results.json"}:
        assert ElementTree.parse(tmp_path / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_same_results_give_the_same_bytes(tmp_path, planted_results):
    found = results(planted_results)
    for folder in ("one", "two"):
        write_study(found, tmp_path / folder / "page.md", "reviosa report x")
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert files
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_words_of_a_sweep_file_are_text_and_nothing_else(planted_results):
    text, _ = render_study(results(planted_results, HOSTILE), "page", "reviosa report x", "R")
    row = next(line for line in text.splitlines() if "alert(1)" in line)
    assert "<script>" not in text
    assert row.count(" | ") == 8, "the bar in the text starts no new cell"
    assert "\\*beats" in row and "\\[a]" in row
