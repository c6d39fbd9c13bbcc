import csv
import math

from probes.criteria import CRITERIA
from reports.csv_files import write_csv
from reports.fact_tables import flatten, provenance_table
from reports.summary import summary
from reports.tables import (
    correlation_table,
    criteria_table,
    protocol_table,
    ranking_table,
)
from tests.fixtures_capture import HOSTILE
from tests.fixtures_report import report_of


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_protocols_carry_n_and_what_is_missing(planted_results):
    table = protocol_table(planted_results)
    assert [row[0] for row in table.rows] == ["Actor", "Target", "RVOS"]
    counts = planted_results.counts
    assert [row[6] for row in table.rows] == [
        str(counts.interactions), str(counts.interactions), str(counts.expressions),
    ]  # fmt: skip
    assert table.rows[1][7] == "1"  # the fixture leaves one target out
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_ranking_names_the_planted_head_and_marks_supervision(planted_results):
    table = ranking_table(planted_results, "lift")
    assert table.rows[0][1] == "L02H01 (supervised)"
    assert len(table.rows) == 12
    assert "1 sample without token" in table.caption
    assert "A head that looks everywhere alike: 1.000." in table.caption


def test_undefined_correlation_is_not_a_zero(planted_results):
    rows = correlation_table(planted_results, "actor").rows
    control = next(row for row in rows if row[0].startswith("mask area alone"))
    assert control[3:6] == ("n/a",) * 3  # area given area is nothing


def test_provenance_holds_the_header(planted_results):
    rows = dict(provenance_table(planted_results).rows)
    assert rows["data: identity"] == planted_results.run["data"]["identity"]
    assert rows["model: name"] == "planted"
    assert rows["seed of the run"] == "0"


def test_flatten_names_nested_settings():
    value = {"a": {"b": {"c": [1, None]}, "d": "x"}, "e": {}}
    assert flatten(value) == [("a.b.c", "[1, null]"), ("a.d", "x"), ("e", "{}")]


def test_all_criteria_stand_side_by_side_with_their_families(planted_results):
    """The planted head leads what compares with its mask; sinks were never looked at."""
    table = criteria_table(planted_results, "actor")
    by_name = {row[1]: row for row in table.rows}
    assert "Sink share (lowest)" not in by_name
    for name in ("Mask share", "AUROC", "Soft IoU", "Lift over area"):
        assert by_name[name][0] == "ground truth" and by_name[name][2] == "L02H01"
    assert by_name["Share of a shifted mask"][0] == "control"
    assert by_name["Visual attention"][:3] == ("where", "Visual attention", "L01H00")
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_csv_holds_every_number_unrounded(planted_results, tmp_path):
    files = {
        path.stem: read(path) for path in write_csv(report_of(planted_results), tmp_path / "new")
    }
    assert set(files) == {
        "protocols", "layer_profile", "rankings", "correlations", "strata", "scatter", "samples",
        "claims",
    }  # fmt: skip
    # Every criterion x (actor, target, both) x 16 pairs.
    assert len(files["rankings"]) == len(CRITERIA) * 3 * 16
    row = next(
        r for r in files["rankings"]
        if (r["criterion"], r["role"], r["layer"], r["head"]) == ("lift", "both", "2", "1")
    )  # fmt: skip
    assert float(row["score"]) == planted_results.rankings["lift"]["both"].pairs[0].score
    assert len(files["layer_profile"]) == 2 * 4
    # Per role: overall, 4 layers, 16 pairs; beside them the mask's area, the prior of the middle,
    # visual mass, lift and the control family.
    controls = 4 + sum(c.kind == "control" for c in CRITERIA.values())
    assert len(files["correlations"]) == 2 * (1 + 4 + 16 + controls)
    assert {r["variable"] for r in files["strata"]} == {"caption_type", "mask_area", "objects"}
    area = next(r for r in files["correlations"] if r["metric"] == "mask_area")
    assert area["given_area"] == "" and math.isfinite(float(area["spearman"]))
    shown = planted_results.scatter["actor"] + planted_results.scatter["target"]
    assert len(files["scatter"]) == len(shown)


def test_csv_keeps_text_whole(planted_results, tmp_path):
    (path,) = [p for p in write_csv(report_of(planted_results), tmp_path) if p.stem == "samples"]
    texts = {row["text"] for row in read(path)}
    assert texts <= {HOSTILE, "It is [SEG_ACT]."}


def test_summary_has_the_key_numbers(planted_results):
    text = " ".join(summary(planted_results))
    score = planted_results.protocols["target"].jf
    assert f"{score:.1f}" in text
    assert "first pair is L01H00" in text
    assert "layer 1" in text
    assert "nan" not in text and "None" not in text
