import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from probes.rank_statistics import partial_correlation, spearman_draws, weighted_ranks

small = st.lists(st.integers(0, 4), min_size=4, max_size=12)


def test_ranks_by_hand():
    # 10 twice, 20 once, 10 again as another sample, 30 not drawn: copies 10, 10, 10, 20 have the
    # ranks (1 + 2 + 3) / 3 = 2 and 4.
    values = np.array([10.0, 20, 10, 30])
    ranks = weighted_ranks(values, np.array([[2.0], [1], [1], [0]]))
    assert ranks[:3, 0].tolist() == [2, 4, 2]


@given(small)
def test_weights_of_one_give_ordinary_average_ranks(values):
    values = np.array(values, dtype=float)
    found = weighted_ranks(values, np.ones((len(values), 1)))[:, 0]
    np.testing.assert_allclose(found, rankdata(values))


@settings(max_examples=60)
@given(st.data())
def test_every_draw_equals_scipy_on_the_repeated_sample(data):
    n = data.draw(st.integers(4, 12))
    column = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    x, y = (np.array(data.draw(column), dtype=float) for _ in range(2))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    first, second = np.repeat(x, weights), np.repeat(y, weights)
    found = spearman_draws(x, y, weights[:, None].astype(float))[0]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second)[0], abs=1e-12)


def test_partial_by_hand():
    # (0.5 - 0.6 * 0.4) / sqrt((1 - 0.36) (1 - 0.16)) = 0.26 / sqrt(0.64 * 0.84).
    found = partial_correlation(np.array([0.5]), np.array([0.6]), np.array([0.4]))
    assert found[0] == pytest.approx(0.26 / np.sqrt(0.5376))


def test_partial_equals_the_correlation_of_residual_ranks():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    x, y = z + rng.normal(size=200), z + rng.normal(size=200)
    ranks = [rankdata(v) for v in (x, y, z)]
    left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    pairs = [(x, y), (x, z), (y, z)]
    found = partial_correlation(*(np.array([spearmanr(*pair)[0]]) for pair in pairs))
    assert found[0] == pytest.approx(np.corrcoef(*left)[0, 1])


@pytest.mark.parametrize("xz", [1.0, -1.0])
def test_partial_is_undefined_when_x_follows_z(xz):
    assert np.isnan(partial_correlation(np.array([0.5]), np.array([xz]), np.array([0.5])))
