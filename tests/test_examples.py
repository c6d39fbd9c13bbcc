"""The notebook's cells run, in order and in one namespace, and show what the report shows."""

import ast
import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from pypdf import PdfReader

from reports.canvas import Figure

NOTEBOOK = Path(__file__).parent.parent / "examples" / "analysis.ipynb"


def run(cells):
    """Execute cells as a notebook does; what each one's last expression shows."""
    names: dict = {}
    shown = []
    for cell in cells:
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, NOTEBOOK.name, "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names))
    return names, [value for value in shown if value is not None]


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(notebook, planted_runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("notebook") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REVIOSA_CAPTURE", str(planted_runs / "planted"))
        patch.setenv("REVIOSA_OUT", str(out))
        return *run([cell for cell in notebook.cells if cell.cell_type == "code"]), out


def test_it_is_kept_without_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_it_shows_the_figures_with_their_captions(executed):
    _, shown, _ = executed
    figures = [value for value in shown if isinstance(value, Figure)]
    assert [figure.name for figure in figures] == [
        "layer-profile", "map-lift", "ranking-lift-both", "share-against-jf",
        "correlation-by-layer",
    ]  # fmt: skip
    for figure in figures:
        page = figure._repr_html_()
        assert figure.svg() in page and "<figcaption>" in page and "n = " in page


def test_its_tables_hold_the_numbers_of_the_analysis(executed):
    names, shown, _ = executed
    scores, ranking = (value for value in shown if isinstance(value, pd.DataFrame))
    assert scores.loc["actor", "J&F"] == names["results"].protocols["actor"].jf
    # What is planted: L02H01 looks at the object.
    assert list(ranking.iloc[0][["layer", "head"]]) == [2, 1]


def test_it_writes_a_report_and_a_figure_of_a_column(executed):
    names, _, out = executed
    assert "<h1>" in (out / "report.html").read_text()
    assert json.loads(names["record"].read_text())["schema"] == names["report"].schema
    assert all(outcome.passed for outcome in names["outcomes"])
    (page,) = PdfReader(out / "lift.pdf").pages
    assert float(page.mediabox.width) == pytest.approx(72 * 3.25)


def test_text_in_a_figure_of_a_notebook_is_escaped(executed):
    figure = next(value for value in executed[1] if isinstance(value, Figure))
    hostile = Figure("x", "<script>", '"><img src=x>', '"onload="', figure.plot)
    page = hostile._repr_html_()
    assert "<script>" not in page and "<img" not in page and 'aria-label="&#34;onload' in page
