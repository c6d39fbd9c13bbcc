"""A page in Markdown says what was found, whichever way it fell, and lets no text run away."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from reports.content import content
from reports.markdown import write_markdown
from tests.fixtures_report import markdown_of, report_of
from tests.fixtures_sweep import CLAIM, PAIR, look, sweep, trial

HOSTILE = "b </td><script>alert(1)</script> | *beats* [a](http://example.org)"


def made(says="b beats a"):
    looks = [look(0, 0.1, 0.2), look(5, 0.6, 0.2)]
    trials = [trial("a", s, attention=looks) for s in range(3)]
    trials += [trial("b", s, 0.02 + s / 1e4, pairs=(PAIR,), attention=looks) for s in range(3)]
    claims = [
        CLAIM | {"says": says, "paper": 1.5},
        CLAIM | {"says": "b is far better", "paper": 9.0},
    ]
    return [sweep(trials, claims)]


def test_every_claim_stands_with_its_numbers_and_verdict(planted_results):
    text, _ = markdown_of(planted_results, sweeps=made())
    row = next(line for line in text.splitlines() if line.startswith("| b beats a"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[1:4] == ["nowhere", "reproduced", "points of J&amp;F"]
    assert cells[4].startswith("2.0 ")
    assert cells[5:] == ["2.0, 2.0, 2.0", "+1.5", "0.75", "40 / 20"]
    assert "not reproduced" in next(x for x in text.splitlines() if x.startswith("| b is far"))
    # b scores 2 points more than a: its cells are the best of each column.
    row = next(x for x in text.splitlines() if x.startswith("| B | L01H00 |"))
    cells = row.strip("| ").split(" | ")
    assert cells[2:] and all(cell.startswith("**") for cell in cells[2:])
    assert "trials/b2" in text, "numbers can be traced to their runs"


def test_the_page_shows_every_picture_that_it_writes(tmp_path, planted_results):
    document = content(report_of(planted_results, sweeps=made()))
    path = write_markdown(document, tmp_path / "page.md")
    shown = set(re.findall(r"\]\((page/[^)]+)\)", path.read_text()))
    written = {f"page/{file.name}" for file in (tmp_path / "page").iterdir()}
    assert shown == written | {"page/results.json"}, "the record is written beside the page"
    for name in written:
        assert ElementTree.parse(tmp_path / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_words_of_a_sweep_file_are_text_and_nothing_else(planted_results):
    text, _ = markdown_of(planted_results, sweeps=made(HOSTILE))
    row = next(line for line in text.splitlines() if "alert(1)" in line)
    assert "<script>" not in text
    assert row.count(" | ") == 8, "the bar in the text starts no new cell"
    assert "\\*beats" in row and "\\[a]" in row


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("# no heading", "\\# no heading"),
        ("1. no item", "1\\. no item"),
        ("- no item", "\\- no item"),
        ("> no quote", "\\&gt; no quote"),
        ("a_b _c_ `d` $e$", "a_b \\_c\\_ \\`d\\` \\$e\\$"),
    ],
)
def test_words_make_no_heading_list_quote_or_formula(said, shown):
    found = sweep([trial("a", 0)], [])
    found = replace(found, config={**found.config, "note": said})
    assert f"\n{shown}\n" in markdown_of(sweeps=[found]).text


def test_a_command_cannot_end_its_own_block():
    assert "\n````\na ``` b\n````\n" in markdown_of(command="a ``` b").text
