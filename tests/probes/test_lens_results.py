"""Results of the lens from lines whose numbers were chosen by hand."""

import json

import numpy as np
import pytest

from probes.lens import read_lines, summarise
from probes.lens.results import settled_depth
from reviosa.io import append_jsonl
from reviosa.run_record import open_run


def site(over_end, rank=(3, 1, 1), part=0.0):
    """Two layers of two heads; head (1, 0) adds ``part``, all else nothing but the embedding."""
    return {
        "position": 5,
        "token": 1,
        "against": 2,
        "probability": [0.1, 0.5, 0.9],
        "rank": list(rank),
        "over_rival": [-1.0, 1.0, 2.0],
        "over_end": list(over_end),
        "total": 1.0 + part,
        "embedding": 1.0,
        "heads": [[0.0, 0.0], [part, 0.0]],
        "mlps": [0.0, 0.0],
        "remainder": -1e-6,
    }


def line(video, number, over_end, part, names_target, rank=(3, 1, 1), interaction=None):
    sites = {"actor": site((0, 0, 0), rank), "fork": site(over_end, part=part)}
    if names_target:
        sites["target"] = site((0, 1, 2))
    return {
        "sample_id": f"{video}/{number}",
        "video_id": video,
        "interaction": names_target if interaction is None else interaction,
        "names_target": names_target,
        "put_into_form": False,
        "pattern_difference": 1e-6 * (1 + number),
        "logit_difference": 1e-5,
        "sites": sites,
    }


@pytest.fixture
def run(tmp_path):
    def make(lines):
        config = {"samples": len(lines), "layers": 2, "heads": 2}
        with open_run(tmp_path / "run", "lens", config, None):
            for each in lines:
                append_jsonl(tmp_path / "run" / "lens.jsonl", each)
        return tmp_path / "run"

    return make


@pytest.mark.parametrize(
    ("holds", "depth"),
    [
        ([0, 0, 1, 1], 2),
        ([1, 0, 0, 1], 3),
        ([1, 1, 1, 1], 0),
        ([1, 1, 1, 0], np.nan),
        ([0, 0, 0, 0], np.nan),
    ],
)
def test_what_holds_at_the_end_has_held_since(holds, depth):
    assert settled_depth(np.array([holds], dtype=bool)) == pytest.approx(depth, nan_ok=True)


def test_means_and_the_difference_between_answers_that_go_on_and_that_end(run):
    lines = [
        line("a", 0, (1.0, 3.0, 4.0), 2.0, True),
        line("a", 1, (1.0, 1.0, -2.0), -1.0, False),
        line("b", 2, (1.0, 5.0, 6.0), 4.0, True, rank=(3, 2, 1)),
        line("b", 3, (1.0, -1.0, -4.0), -3.0, False, rank=(2, 1, 2), interaction=True),
    ]
    results = summarise(run(lines), resamples=100)
    assert (results.n, results.n_videos, results.n_wrong, results.n_put_into_form) == (4, 2, 1, 0)
    assert results.pattern_difference == pytest.approx(4e-6)
    assert results.remainder == pytest.approx(1e-6)
    # Depth by depth: (1, 1) less (1, 1); (3, 5) less (1, -1); (4, 6) less (-2, -4).
    assert [e.value for e in results.parting] == [0.0, 4.0, 8.0]
    assert results.parting[1].ci is not None and results.parting[1].ci[0] > 0
    # The midpoints are 1, 2 and 1: at depth 1 all lie on their own side.
    assert results.told_apart.value == 1.0 and results.told_apart.n == 4
    # The sign of the log-odds: above 0 from the embedding on; below it at the end, and from 1 on.
    assert results.series["goes_on"].settled.value == 0.0
    assert results.series["ends"].settled.value == 1.5
    # First from depth 1, 1 and 2 on; the last is not first at the end.
    actor = results.series["actor"]
    assert actor.settled.value == pytest.approx(4 / 3) and actor.settled.n == 3
    assert [p.first.value for p in actor.points] == [0.0, 0.75, 0.75]
    assert actor.points[0].rank.value == pytest.approx(11 / 4)
    assert results.series["target"].points[0].over_end.n == 2
    # Head (1, 0): mean 3 where the answer goes on, -2 where it ends.
    heads = results.attribution["decision"].heads
    assert [[e.value for e in row] for row in heads] == [[0.0, 0.0], [5.0, 0.0]]
    assert results.attribution["decision"].total.value == 5.0
    assert results.attribution["decision"].embedding.value == 0.0
    assert results.attribution["ends"].heads[1][0].value == -2.0
    json.dumps(results.to_json(), allow_nan=False)


def test_a_draw_of_videos_takes_both_kinds_of_answer(run):
    """Each video's two answers lie 2 apart, whatever the video; only paired draws know that."""
    lines = []
    for number, (video, base) in enumerate([("a", 0.0), ("b", 10.0), ("c", 50.0)]):
        lines.append(line(video, 2 * number, (0.0, base, base + 2.0), 0.0, True))
        lines.append(line(video, 2 * number + 1, (0.0, base, base), 0.0, False))
    last = summarise(run(lines), resamples=200).parting[-1]
    assert last.value == pytest.approx(2.0) and last.ci == pytest.approx((2.0, 2.0))


@pytest.mark.parametrize(
    ("names_target", "reason"),
    [(True, "every answer names a target"), (False, "no answer names a target")],
)
def test_one_kind_of_answer_has_no_difference(run, names_target, reason):
    lines = [line(video, i, (1, 1, 1), 0.0, names_target) for i, video in enumerate("ab")]
    results = summarise(run(lines), resamples=20)
    assert results.parting[0].reason == results.told_apart.reason == reason
    assert results.attribution["decision"].heads[0][0].value is None
    nothing = results.series["ends" if names_target else "goes_on"]
    assert len(nothing.points) == 3 and nothing.settled.value is None


def test_one_video_has_no_interval(run):
    lines = [line("a", 0, (1, 2, 3), 0.0, True), line("a", 1, (1, 0, -1), 0.0, False)]
    results = summarise(run(lines), resamples=20)
    assert results.parting[2].value == 4.0 and results.parting[2].ci is None
    assert "1 video" in results.parting[2].reason


def test_no_expression_yet(run):
    results = summarise(run([]), resamples=20)
    assert results.n == 0 and results.pattern_difference is None
    assert results.series["actor"].points[0].probability.value is None
    assert read_lines("nowhere") == []
