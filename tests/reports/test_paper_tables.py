"""Rows of one's own beside the published ones."""

import csv
import io

from reports.paper_tables import beside_published, scored_row, table_csv, table_markdown
from reviosa.evaluation.published import TABLES

FULL = {
    "actor": {"J": 71.04, "F": 72.0, "J&F": 71.52, "n": 3},
    "target": {"J": None, "F": None, "J&F": None, "n": 0},
    "rvos": {"J": 60.0, "F": 62.06, "J&F": 61.03, "n": 9},
}


def test_table_2():
    table = TABLES[2]
    shown = beside_published(table, [scored_row(table, "=mine|", FULL, "")])
    assert shown.header == (
        "system",
        "Actor J", "Actor F", "Actor J&F",
        "Target J", "Target F", "Target J&F",
        "RVOS J", "RVOS F", "RVOS J&F",
        "numbers",
    )  # fmt: skip
    assert len(shown.rows) == 9
    assert shown.rows[0] == (
        "ReferFormer", "59.1", "59.9", "59.5", "-", "-", "-", "52.0", "53.2", "52.6", "published",
    )  # fmt: skip
    assert shown.rows[-1] == (
        "=mine|", "71.0", "72.0", "71.5", "-", "-", "-", "60.0", "62.1", "61.0", "scored here",
    )  # fmt: skip

    markdown = table_markdown(shown, ["Of other data."])
    assert "| =mine\\| | 71.0 |" in markdown
    assert markdown.endswith("* Of other data.\n")
    assert markdown.count("\n| ") == 11

    read = list(csv.reader(io.StringIO(table_csv(shown))))
    assert read[-1][0] == "'=mine|"
    assert read[-1][4:7] == ["", "", ""]
    assert {row[-1] for row in read[1:-1]} == {"published"}


def test_table_4_has_targets_alone():
    table = TABLES[4]
    target = {"J": 20.0, "F": 30.0, "J&F": 25.0, "n": 3}
    shown = beside_published(table, [scored_row(table, "mine", {**FULL, "target": target}, "")])
    assert shown.rows[-1] == ("mine", "20.0", "30.0", "25.0", "scored here")
    assert shown.rows[-2] == ("Sa2VA-4B", "21.2", "27.2", "24.2", "published")


def test_table_5_has_the_benchmark_that_was_scored():
    table = TABLES[5]
    shown = beside_published(table, [scored_row(table, "mine", FULL, "Ref-DAVIS")])
    assert shown.header[1:-1] == ("MeViS valid", "MeViS valid_u", "Ref-YouTube-VOS", "Ref-DAVIS")
    assert shown.rows[-1] == ("mine", "-", "-", "-", "61.0", "scored here")
    assert shown.rows[3][1:5] == ("42.4", "50.1", "60.3", "66.2")
