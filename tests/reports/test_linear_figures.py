"""What linear probes read, drawn layer by layer."""

import pytest

from probes.beside import Beside
from probes.bootstrap import Estimate
from probes.linear.accuracy import LayerAccuracy, TaskAccuracy
from probes.linear.results import ProbeResults
from reports.csv_files import write_csv
from reports.linear_figures import layer_curves
from tests.fixtures_report import html_of, report_of

LAYERS = ("embedding", "L00", "L01", "norm")


def estimate(value, n=40):
    return Estimate(value, (value - 0.05, value + 0.05), n, 8)


def task(name, values, unsaid=None, reason=None):
    nothing = Estimate(None, None, 0, 0, "no sample with a defined value")
    layers = tuple(
        LayerAccuracy(
            estimate(value), estimate(0.3), estimate(value - 0.3),
            nothing if unsaid is None else estimate(unsaid, 12),
        )
        for value in values
    )  # fmt: skip
    return TaskAccuracy(
        task=name, classes={"a": 20, "b": 20}, left_out={}, n=40, n_videos=8, layers=layers,
        majority=estimate(0.5) if layers else None, chosen=layers[-1] if layers else None,
        chosen_layers=(3, 3), readable_from=1 if layers else None,
        seen_from=None if unsaid is None else 2, types=9, types_met=0.5, fits=10, unfinished=0,
        reason=reason,
    )  # fmt: skip


def results(*tasks):
    questions = {task.task: f"which {task.task}" for task in tasks}
    return ProbeResults(LAYERS, tasks, {}, questions, 40, 0, 0, 5, 3, 200, 0)


@pytest.fixture
def figure():
    tasks = (
        task("role", [1.0, 1.0, 1.0, 1.0]),
        task("color", [0.4, 0.6, 0.8, 0.95], unsaid=0.7),
        task("cell", [0.2, 0.3, 0.4, 0.5]),
        task("verb", [], reason="1 of 1 classes held by 2 videos or more; a probe needs 2"),
    )
    return layer_curves(results(*tasks))


def test_each_task_has_a_panel_with_its_controls(figure):
    svg = figure.svg()
    for name in ("role", "color", "cell"):
        assert f"{name} (2 classes, n = 40)" in svg
    assert "too few classes or videos" in svg
    for line in ("accuracy", "control labels", "most frequent class"):
        assert svg.count(f">{line}<") == 1, "one legend for all panels"
    assert ">where the words do not tell it<" in svg
    assert ">emb<" in svg and ">norm<" in svg


def test_words_say_what_was_found_and_what_it_does_not_mean(figure):
    assert "color: 95.0 % at the layer chosen in training, 65.0 [60.0, 70.0] points above" in (
        figure.alt
    )
    assert "first at L00, without the words at L01" in figure.alt and "verb" not in figure.alt
    assert "does not say that the model reads it" in figure.caption
    assert "5 folds of 8 videos" in figure.caption and "Role: which role" in figure.caption


def test_many_layers_are_not_all_named_and_nothing_is_not_drawn():
    deep = tuple(f"L{i:02d}" for i in range(34))
    many = results(task("role", [0.5] * 36))
    figure = layer_curves(
        ProbeResults(("embedding", *deep, "norm"), many.tasks, {}, many.questions, 1, 0, 0, 5, 3,
                     200, 0)
    )  # fmt: skip
    svg = figure.svg()
    assert ">emb<" in svg and ">norm<" in svg and svg.count(">L") <= 9
    assert layer_curves(results(task("verb", [], reason="none"))) is None
    assert layer_curves(results()) is None


def test_the_report_has_a_section_and_csv_of_linear_probes(planted_results, tmp_path):
    beside = Beside(linear=(results(task("role", [0.5, 0.7, 0.9, 1.0])),))
    page = html_of(planted_results, beside=beside)
    assert 'id="linear"' in page and 'href="#linear"' in page
    (path,) = [
        p
        for p in write_csv(report_of(planted_results, beside=beside), tmp_path)
        if p.stem == "linear"
    ]
    rows = [row.split(",") for row in path.read_text("utf-8").splitlines()]
    assert [row[3] for row in rows[1:]] == list(LAYERS)
    assert [float(row[4]) for row in rows[1:]] == [0.5, 0.7, 0.9, 1.0]
