"""Agreement of measures by hand, and that its interval comes from the same videos."""

import numpy as np
import pytest

from probes.families import (
    Merits,
    compare_families,
    compare_runs,
    merits_of_effects,
    merits_of_tables,
)
from reviosa.errors import ConfigError


def measure(values, draws=None, videos=5, family="where"):
    values = np.asarray(values, float)
    draws = None if draws is None else np.asarray(draws, float)
    return Merits(family, "title", values, draws, videos)


def test_agreement_is_spearman_over_pairs_in_each_draw():
    # Orders 0 1 2 3 and 1 0 3 2: rho = 1 - 6 * 4 / (4 * 15) = 0.6; a third turns the first round.
    first = measure([4, 3, 2, 1], [[4, 3, 2, 1], [1, 2, 3, 4]])
    second = measure([3, 4, 1, 2], [[3, 4, 1, 2]] * 2)
    found = compare_families("actor", [first, second, measure([1, 2, 3, 4])], 2)
    ((), (one,), (turned, third)) = found.cells
    assert one.value == pytest.approx(0.6) and one.n == 4
    # Draws 0.6 and -0.6: the interval lies 2.5 % inside of both.
    assert one.ci == pytest.approx((-0.6 + 0.03, 0.6 - 0.03))
    assert turned.value == pytest.approx(-1) and turned.ci is None and "2 videos" in turned.reason
    assert third.value == pytest.approx(-0.6)


def test_what_cannot_be_compared_says_why():
    nan = np.nan
    few = compare_families("actor", [measure([1, 2, nan, nan]), measure([1, 2, 3, nan])], 2)
    assert "2 pairs with both" in few.cells[1][0].reason
    flat = compare_families("actor", [measure([1, 1, 1]), measure([1, 2, 3])], 2)
    assert "the same for all pairs" in flat.cells[1][0].reason


def test_low_scores_are_good_where_the_criterion_says_so(table):
    rng = np.random.default_rng(0)
    values = rng.random((12, 2, 3))
    high = merits_of_tables([table(values, metric="auroc")], 50)
    low = merits_of_tables([table(values, metric="token_entropy")], 50)
    np.testing.assert_allclose(low.values, -high.values)
    np.testing.assert_allclose(low.draws, -high.draws)
    assert (high.family, low.family) == ("ground truth", "where")
    # The same scores, once turned: the order is the opposite one in every draw.
    (cell,) = compare_families("actor", [high, low], 50).cells[1]
    assert cell.value == -1 and cell.ci == (-1, -1)


def test_the_cost_of_silencing_a_pair_is_its_merit():
    change = np.array([[-0.2, 0.1], [-0.4, 0.3], [-0.3, 0.0]])
    videos = np.array(["a", "a", "b"])
    found = merits_of_effects("mean", [(0, 1), (1, 0)], change, videos, (2, 2), 20)
    # Means -0.3 and 0.4 / 3 over expressions; the others were not silenced.
    np.testing.assert_allclose(found.values, [np.nan, 0.3, -0.4 / 3, np.nan])
    assert found.draws.shape == (20, 4) and found.n_videos == 2
    swap = merits_of_effects("role-swap", [(0, 1), (1, 0)], change, videos, (2, 2), 20)
    np.testing.assert_allclose(swap.values, -found.values)
    none = merits_of_effects("mean", [(0, 1)], np.zeros((0, 1)), np.array([], str), (2, 2), 20)
    assert np.isnan(none.values).all() and none.draws is None


def test_two_runs_of_one_model_agree_and_of_two_shapes_cannot(table):
    rng = np.random.default_rng(1)
    truth = np.linspace(0, 1, 12).reshape(3, 4)
    runs = [[table(truth + rng.normal(0, 0.1, (60, 3, 4)), metric="auroc")] for _ in range(2)]
    found = compare_runs(runs[0], runs[1], k=3, resamples=200)
    assert found.spearman.value > 0.9 and found.spearman.ci[0] > 0.8
    assert found.best.jaccard == 1 and (found.criterion, found.role, found.k) == (
        "auroc",
        "actor",
        3,
    )
    noise = [table(rng.random((60, 3, 4)), metric="auroc")]
    low, high = compare_runs(runs[0], noise, resamples=200).spearman.ci
    assert low < 0.5 and high < 0.9
    with pytest.raises(ConfigError, match="3 layers of 4 heads and 2 layers of 4 heads"):
        compare_runs(runs[0], [table(rng.random((60, 2, 4)), metric="auroc")])
