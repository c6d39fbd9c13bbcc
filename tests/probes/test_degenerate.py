"""What no statistic can tell has a defined result: no warning, no traceback, and the reason."""

import json
import math

import numpy as np
import pytest

from probes._json import plain
from probes.beside import read_beside
from probes.correlation import correlate_tables
from probes.families import compare_families, merits_of_tables
from probes.ranking import rank_pairs

N = 16


def whole(rng):
    return rng.random((N, 2, 3))


def one_nan_pair(rng):
    values = whole(rng)
    values[:, 0, 1] = np.nan
    return values


CASES = {
    "nan in a pair": {"values": one_nan_pair},
    "nan everywhere": {"values": lambda rng: np.full((N, 2, 3), np.nan)},
    "a constant criterion": {"values": lambda rng: np.full((N, 2, 3), 0.25)},
    "ties": {"values": lambda rng: rng.integers(0, 2, (N, 2, 3)).astype(float)},
    "one video": {"values": whole, "videos": ["v"] * N},
    "two videos": {"values": whole, "videos": ["v", "w"] * (N // 2)},
    "constant J&F": {"values": whole, "jf": np.full(N, 0.5)},
    "no J&F": {"values": whole, "jf": np.full(N, np.nan)},
    "no area": {"values": whole, "area": np.full(N, np.nan)},
    "no sample": {"values": lambda rng: np.zeros((0, 2, 3))},
    "one sample": {"values": lambda rng: rng.random((1, 2, 3))},
}


@pytest.fixture(params=CASES)
def made(request, table):
    case = dict(CASES[request.param])
    values = case.pop("values")(np.random.default_rng(0))

    def make(metric):
        return table(values, metric=metric, **case)

    return request.param, make


@pytest.mark.parametrize("metric", ["auroc", "token_entropy", "jf_correlation", "role_contrast"])
def test_rankings_are_defined(made, metric):
    name, make = made
    ranking = rank_pairs([make(metric)], 60)
    text = json.dumps(ranking.to_json(), allow_nan=False)
    assert len(ranking.pairs) == 6 and "NaN" not in text
    undefined = [p for p in ranking.pairs if p.score is None]
    for pair in undefined:
        assert pair.ci is None and pair.p is None and pair.rank is None
    if name in ("nan everywhere", "no sample"):
        assert len(undefined) == 6 and ranking.reason and ranking.baseline.value is None
    if name == "nan in a pair":
        assert [(p.layer, p.head) for p in undefined] == [(0, 1)]
        assert ranking.pairs[-1] is undefined[0], "undefined pairs come last"
    if name == "a constant criterion" and metric != "jf_correlation":
        # All tied: each has the mean rank, the same chance to be among the best 4, and no p.
        for pair in ranking.pairs:
            assert pair.rank == 3.5 and pair.p is None
            assert pair.p_top_k == pytest.approx(4 / 6)
    if name in ("one video", "one sample"):
        assert "1 video" in ranking.reason and all(p.ci is None for p in ranking.pairs)
    if metric == "jf_correlation" and name in ("a constant criterion", "constant J&F", "no J&F"):
        assert len(undefined) == 6


def test_correlations_are_defined(made):
    name, make = made
    found = correlate_tables(make("mask_share"), {"visual_mass": make("visual_mass")}, None, 60)
    json.dumps(plain(found), allow_nan=False)
    estimate = found.overall.spearman
    if estimate.value is None:
        assert estimate.reason and estimate.ci is None
    else:
        assert -1 <= estimate.value <= 1 and (estimate.ci or estimate.reason)
    if name in (
        "nan everywhere",
        "no sample",
        "a constant criterion",
        "constant J&F",
        "one sample",
    ):
        assert estimate.value is None


def test_agreement_is_defined(made):
    _, make = made
    measures = [merits_of_tables([make(name)], 60) for name in ("auroc", "jf_correlation")]
    (cell,) = compare_families("actor", measures, 60).cells[1]
    assert (cell.value is None) == bool(cell.reason and "interval" not in cell.reason)
    if cell.value is not None:
        assert math.isfinite(cell.value)


def test_data_without_interactions_and_roles_that_are_never_named(run, row, metrics):
    """A report on them is made elsewhere; here nothing is left of the target, and nothing fails."""
    from probes.analysis import analyse
    from probes.store import CaptureStore

    directory, writer = run("capture")
    rows = [row(f"v{i}", "0", "actor", caption_type="single") for i in range(5)]
    writer.write_chunk(0, rows, metrics(5))
    store = CaptureStore(directory)
    results = analyse(store, 30)
    assert results.rankings["auroc"]["target"].pairs[0].score is None
    assert results.correlations["target"].n == 0
    assert [f.role for f in read_beside(store, (), 30).families] == ["actor"]

    silent, writer = run("silent")
    rows = [row(f"v{i}", "0", "actor", emitted=False, jf=0.0) for i in range(5)]
    nothing = {name: values * np.nan for name, values in metrics(5).items()}
    writer.write_chunk(0, rows, nothing)
    store = CaptureStore(silent)
    assert analyse(store, 30).rankings["auroc"]["actor"].n_failed == 5
    assert read_beside(store, (), 30).families == ()
