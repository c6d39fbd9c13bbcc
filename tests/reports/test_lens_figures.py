"""Curves over depth and the map of parts, drawn from results chosen by hand."""

import dataclasses
import re

import pytest

from probes.beside import Beside
from probes.bootstrap import Estimate
from probes.lens import Attribution, DepthPoint, LensResults, LensSeries
from reports.csv_files import write_csv
from reports.lens_figures import attribution_map, lens_curves
from tests.fixtures_report import html_of, report_of

NOTHING = Estimate(None, None, 0, 0, "no answer names a target")


def estimate(value):
    return Estimate(value, (value - 0.1, value + 0.1), 20, 8)


def series(name, over_end):
    points = tuple(
        DepthPoint(depth, *map(estimate, (depth / 2, 1.0, 1.0, 2.0, value)))
        for depth, value in enumerate(over_end)
    )
    return LensSeries(name, points, estimate(1.0))


def parts(most):
    """Two layers of three heads; L01H02 adds ``most``, the MLPs 40 in all."""
    heads = ((0.0, 0.1, 0.2), (0.0, 0.1, most))
    return Attribution(
        estimate(40.4 + most),
        estimate(0.0),
        tuple(tuple(map(estimate, row)) for row in heads),
        (estimate(15.0), estimate(25.0)),
    )


@pytest.fixture
def results():
    curves = {"actor": (0, 1, 2), "target": (0, 1, 2), "goes_on": (1, 3, 4), "ends": (1, -1, -5)}
    names = ("actor", "target", "goes_on", "ends", "decision")
    return LensResults(
        series={name: series(name, values) for name, values in curves.items()},
        parting=tuple(map(estimate, (0.0, 4.0, 9.0))),
        told_apart=estimate(1.3),
        attribution={name: parts(-1.0 - i) for i, name in enumerate(names)},
        n=40,
        n_videos=8,
        n_put_into_form=0,
        n_wrong=0,
        pattern_difference=1e-6,
        logit_difference=1e-5,
        remainder=1e-6,
        resamples=100,
        seed=0,
    )


def test_the_curves_say_where_it_is_decided(results):
    figure = lens_curves(results)
    assert figure is not None
    assert "[SEG_TAR] is first from depth 1.0 on" in figure.alt
    assert "told apart from depth 1.3 on" in figure.alt
    assert "40 expressions of 8 videos" in figure.caption
    svg = figure.svg()
    assert "answers with a target (n = 20)" in svg and "embedding" in svg


def test_the_map_names_the_head_that_writes_most_and_the_mlps_beside_it(results):
    figure = attribution_map(results)
    assert figure is not None
    # Decision is the fifth: -1 - 4. Heads 0.1 + 0.2 + 0.1 - 5, MLPs 15 + 25.
    assert "a target follows, less none: of the heads L01H02 adds most (\N{MINUS SIGN}5.00)" in (
        figure.alt
    )
    assert "heads \N{MINUS SIGN}4.6, MLPs 40.0, embedding 0.0" in figure.caption
    assert "15.0" in figure.svg() and "MLP" in figure.svg()


def test_without_answers_that_name_a_target_the_rest_is_drawn(results):
    none = tuple(DepthPoint(depth, *(NOTHING,) * 5) for depth in range(3))
    nothing = Attribution(NOTHING, NOTHING, ((NOTHING,) * 3,) * 2, (NOTHING,) * 2)
    less = dataclasses.replace(
        results,
        series={
            **results.series,
            "target": LensSeries("target", none, NOTHING),
            "goes_on": LensSeries("goes_on", none, NOTHING),
        },
        parting=(NOTHING,) * 3,
        told_apart=NOTHING,
        attribution={**results.attribution, "target": nothing, "decision": nothing},
    )
    figures = lens_curves(less), attribution_map(less)
    assert all(figure is not None for figure in figures)
    assert "n/a" in figures[0].alt and "answers without" in figures[0].svg()
    assert "no answer names a target" in figures[1].svg()
    assert "a target follows, less none: no value" in figures[1].alt


def test_nothing_read_draws_nothing(results):
    empty = dataclasses.replace(results, n=0)
    assert lens_curves(empty) is None and attribution_map(empty) is None


def test_the_report_has_a_section_and_csv_of_every_lens(results, planted_results, tmp_path):
    beside = Beside(lenses=(results, results), notes=("The run lens is over other data.",))
    page = html_of(planted_results, beside=beside)
    assert 'id="lens"' in page and 'href="#lens"' in page
    assert '<p class="warning">The run lens is over other data.</p>' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "two runs, and no id twice"
    assert 'id="lens"' not in html_of(planted_results)
    files = {
        path.stem: path for path in write_csv(report_of(planted_results, beside=beside), tmp_path)
    }
    rows = files["lens_heads"].read_text("utf-8").splitlines()
    # Two runs of five differences over two layers of three heads, and the header.
    assert len(rows) == 1 + 2 * 5 * 6
    assert rows[0].split(",")[:5] == ["run", "number", "difference", "layer", "head"]
    # Two runs of four places at three depths.
    assert len(files["lens"].read_text("utf-8").splitlines()) == 1 + 2 * 4 * 3
