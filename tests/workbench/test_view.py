"""What every view offers: its numbers as CSV, its picture as SVG and PNG."""

import altair as alt
import pandas as pd
import pytest
import streamlit as st

from reports.csv_files import csv_text
from tests.workbench.test_pages import open_page
from workbench.pages._view import file_stem, picture


def line(rows: int) -> alt.Chart:
    data = pd.DataFrame({"x": range(rows), "y": range(rows)})
    return alt.Chart(data).mark_line().encode(x="x:Q", y="y:Q")


def test_picture_of_a_chart():
    svg = picture(line(3), "svg").decode()
    assert svg.startswith("<svg") and ">x<" in svg and ">y<" in svg  # titles of both axes
    assert picture(line(3), "png").startswith(b"\x89PNG")


def test_picture_of_more_rows_than_altair_allows_by_itself():
    assert picture(line(6000), "svg").startswith(b"<svg")


def test_markup_in_a_chart_is_text():
    data = pd.DataFrame({"x": [1], "name": ["</text><script>alert(1)</script>"]})
    svg = picture(alt.Chart(data).mark_bar().encode(x="x:Q", y="name:N"), "svg").decode()
    assert "<script" not in svg


def test_a_spreadsheet_runs_no_word():
    frame = pd.DataFrame({"words": ["=1+1", "plain", "-x", None], "score": [-1.5, 2, 3, 4]})
    # Numbers below zero are numbers; a missing word stays an empty cell.
    lines = csv_text(frame).splitlines()
    assert lines == ["words,score", "'=1+1,-1.5", "plain,2.0", "'-x,3.0", ",4.0"]


def test_name_of_a_file():
    assert file_stem("trials/a0 <b>/train") == "trials-a0--b--train"


@pytest.mark.usefixtures("fresh_caches")
@pytest.mark.parametrize("page", ["layers", "heads", "samples"])
def test_every_chart_of_a_page_can_be_taken_away(monkeypatch, planted_runs, page):
    drawn = []
    plain = st.altair_chart

    def note(chart, **options):
        drawn.append(chart)
        return plain(chart, **options)

    monkeypatch.setattr(st, "altair_chart", note)
    open_page(monkeypatch, planted_runs, page)
    assert drawn
    for chart in drawn:
        assert picture(chart, "svg").startswith(b"<svg")
