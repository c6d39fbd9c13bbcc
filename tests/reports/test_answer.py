"""The tables, figure and words that a sweep ends with say what was computed, however it fell."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from probes.answer import sweep_answer
from probes.halving import Halving, Rung
from probes.sweeps import Cost
from reports.answer_figures import strategies
from reports.answer_tables import (
    brief_difference_table,
    brief_score_table,
    difference_table,
    score_table,
)
from reports.answer_words import answer_words, small_p
from tests.fixtures_report import markdown_of, report_of
from tests.fixtures_sweep import PAIR, sweep, trial

RULES = {"b": {"strategy": "top-pairs"}, "c": {"strategy": "matched-random", "like": "b"}}
HOSTILE = "</text><script>alert(1)</script> | *b* [a](x) $\\bad$"


def answer(gain=0.02, chosen=0.05, **fields):
    """Arms a, b, its control c with one seed of two, d that was cut and e that failed."""
    trials = [trial("a", s, 0.002 * s, selection=0.0) for s in (0, 1)]
    trials += [trial("b", s, gain - 0.002 * s, (PAIR,), selection=chosen + s / 1e3) for s in (0, 1)]
    trials += [trial("c", 0, pairs=((1, 1),), selection=0.0)]
    rung = Rung(25, {"d0": 30.0, "d1": 31.0}, ("a", "b", "c", "e"), ("d",))
    costs = {"a0": Cost(1, 1000, 0), "a1": Cost(1, 500, 0), "d0": Cost(1, 200, 0)}
    return sweep_answer(
        sweep(trials, arms=list("abcde"), rules=RULES, halving=Halving("rvos", (rung,)),
              costs=costs, **fields),
        resamples=200,
    )  # fmt: skip


def test_the_score_table_has_every_arm_and_what_became_of_it():
    table = score_table(answer())
    assert table.columns == ("arm", "supervised pairs", "RVOS", "selection", "CPU s")
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == [
        "A", "B", "C (1 of 2 seeds)", "D (cut at step 25, 30.5 on selection)",
        "E (no finished trial)",
    ]  # fmt: skip
    assert rows["A"][0] == "none" and rows["B"][0] == "L01H00"
    assert rows["A"][3] == "1,500" and rows["B"][3] == "n/a"
    assert rows["D (cut at step 25, 30.5 on selection)"] == ("n/a", "n/a", "n/a", "200")
    # 1,700 s of three trials.
    assert "1,700 in all, 567 a trial" in table.caption
    assert "40 expressions of 20 videos, 2 seeds" in table.caption


def test_columns_that_nothing_is_known_of_are_left_out():
    table = score_table(sweep_answer(sweep([trial("a", 0)]), resamples=50))
    assert table.columns == ("arm", "supervised pairs", "RVOS")


def test_the_difference_table_has_a_row_for_every_comparison():
    rows = difference_table(answer()).rows
    assert [row[:2] for row in rows] == [("B", "A"), ("B", "C"), ("C", "A")]
    # 2.0 and 1.6 points: mean 1.8.
    assert rows[0][2].startswith("+1.8 [") and ", p 0." in rows[0][2]


def test_the_brief_tables_fit_a_terminal():
    scores, gaps = brief_score_table(answer()), brief_difference_table(answer())
    assert scores.columns == ("arm", "RVOS", "selection", "CPU s")
    assert "\N{PLUS-MINUS SIGN}" in scores.rows[0][1] and " " not in scores.rows[0][1]
    assert gaps.columns == ("arm", "less baseline", "p", "less random", "p")
    assert gaps.rows[0][1].startswith("+1.8\N{PLUS-MINUS SIGN}")
    alone = brief_difference_table(sweep_answer(sweep([trial("a", 0), trial("b", 0)])))
    assert alone.columns == ("arm", "less baseline", "p")


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (0.05, "better, though as the largest of several it flatters"),
        (-0.05, "even the best arm is worse than none"),
        (0.0, "the interval holds 0, so nothing shows that it helps"),
    ],
)
def test_the_words_follow_the_interval_on_the_selection_split(chosen, words):
    """Only b has pairs; on the reporting split it is better in every case."""
    made = [trial("a", s, selection=0.001 * s) for s in (0, 1)]
    made += [trial("b", s, 0.02 + s / 1e3, (PAIR,), selection=chosen + 0.0005) for s in (0, 1)]
    text = " ".join(answer_words(sweep_answer(sweep(made))))
    assert "Best on the selection split: “B” (L01H00), RVOS" in text
    assert words in text
    assert "On the reporting split: RVOS" in text and "over “A”" in text


def test_what_is_missing_is_said():
    text = " ".join(answer_words(answer()))
    assert "1 of 5 arms cut early, by RVOS on the selection split: 1 at step 25." in text
    assert "Where one seed is done, interval and p hold the chance of the videos alone" in text
    none = answer_words(sweep_answer(sweep([trial("a", 0), trial("a", 1)])))
    assert none == ("No pairs are chosen: no finished trial supervises any pair.",)


def test_the_figure_marks_what_was_cut_what_failed_and_what_is_best():
    figure = strategies(answer())
    assert figure is not None
    svg = figure.svg()
    for text in ("cut at step 25, 30.5 on selection", "no finished trial", "C (1 of 2 seeds)",
                 "\N{BLACK STAR} B"):  # fmt: skip
        assert text in svg
    assert "Dashed: “A”." in figure.caption and "n = 40 expressions of 20 videos" in figure.caption
    assert "D: cut at step 25" in figure.alt


def test_dozens_of_arms_stand_in_the_order_of_their_score_with_whole_labels():
    """Thirty arms whose gain goes up and down; the figure grows, and no label leaves it."""
    names = [f"a{i:02d}" for i in range(30)]
    gains = {name: 0.01 * (i * 7 % 30) for i, name in enumerate(names)}
    made = sweep([trial(n, 0, gains[n]) for n in names], baseline="a00")
    long = {name: f"{name} the best four pairs of layer twelve by AUROC" for name in names}
    figure = strategies(sweep_answer(replace(made, arms=long), resamples=20))
    assert figure is not None
    axes = figure.plot.axes[0]
    labels = axes.get_yticklabels()
    shown = [label.get_text().split()[0] for label in labels]
    assert shown == sorted(names, key=lambda name: -gains[name])
    boxes = [label.get_window_extent() for label in labels]
    assert min(box.x0 for box in boxes) >= 0
    tops = [box.y0 for box in boxes[:-1]]
    assert all(upper >= box.y1 for upper, box in zip(tops, boxes[1:], strict=True)), "they overlap"
    assert "In the order of RVOS." in figure.caption


def test_one_arm_is_drawn_and_none_is_not():
    assert strategies(sweep_answer(sweep([trial("a", 0)]))) is not None
    assert strategies(sweep_answer(sweep([], arms=["a"]))) is None


def test_titles_are_text_and_nothing_else():
    made = sweep([trial("a", s) for s in (0, 1)] + [trial("b", 0, 0.01), trial("b", 1)], [])
    made = replace(made, arms={"a": "A", "b": HOSTILE})
    text, files = markdown_of(sweeps=[made])
    figure = strategies(sweep_answer(made, resamples=50))
    assert "<script>" not in text
    assert text.count("\\*b\\* \\[a](x) \\$\\\\bad\\$") == 3, "both tables and the list of trials"
    tree = ElementTree.fromstring(figure.svg())
    assert not [node for node in tree.iter() if node.tag.endswith("script")]
    assert "alert(1)" in "".join(tree.itertext())


def test_the_page_shows_the_answer():
    made = sweep([trial("a", s, 0.01 * s) for s in (0, 1)], [])
    text, files = markdown_of(sweeps=[made])
    assert list(files) == ["made-up-strategies.svg"]
    assert "page/made-up-strategies.svg" in text
    assert "No pairs are chosen" in text
    json.dumps(report_of(sweeps=[made]).to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("p", "text"),
    [(None, "n/a"), (1.0, "1"), (0.0213, "0.021"), (0.00099, "<0.001"), (0.0, "<0.001")],
)
def test_small_p_are_not_told_apart(p, text):
    assert small_p(p) == text
