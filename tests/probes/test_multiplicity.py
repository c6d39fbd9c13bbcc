"""Corrected p-values by hand, and at their nominal rate on null data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from probes.multiplicity import (
    benjamini_hochberg,
    holm,
    max_t_sign_flips,
    shrink,
    smallest_detectable,
    two_sided_p,
)


def test_benjamini_hochberg_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5: times 4/1, 4/2, 4/3, 4/4 = 0.04, 0.04, 0.04, 0.5.
    p = np.array([0.5, 0.02, np.nan, 0.01, 0.03])
    q = benjamini_hochberg(p)
    assert np.isnan(q[2])
    np.testing.assert_allclose(q[[0, 1, 3, 4]], [0.5, 0.04, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.5, never falling.
    p = np.array([0.5, 0.02, np.nan, 0.01, 0.03])
    q = holm(p)
    assert np.isnan(q[2])
    np.testing.assert_allclose(q[[0, 1, 3, 4]], [0.5, 0.06, 0.04, 0.06])
    np.testing.assert_allclose(holm(np.array([0.4, 0.4, 0.4])), 1.0)
    assert holm(np.array([0.03]))[0] == 0.03 and holm(np.zeros(0)).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms())
def test_holm_lies_between_the_p_and_bonferronis(values, random):
    p = np.array(values)
    q = holm(p)
    assert (q >= p).all() and (q <= np.minimum(len(p) * p, 1) + 1e-12).all()
    order = random.sample(range(len(p)), len(p))
    np.testing.assert_allclose(holm(p[order]), q[order])


def test_two_sided_p_is_students():
    values = np.random.default_rng(0).normal(0.3, 1, (9, 4))
    values[2, 1] = np.nan
    p = two_sided_p(values)
    for column in range(4):
        known = values[np.isfinite(values[:, column]), column]
        assert p[column] == pytest.approx(ttest_1samp(known, 0).pvalue)
    assert np.isnan(two_sided_p(np.ones((5, 1)))).all(), "no spread"
    assert np.isnan(two_sided_p(np.ones((1, 2)))).all(), "one video"


def test_all_flips_of_few_videos_give_the_exact_p():
    """Three videos, one column: of the eight flips two, all plus and all minus, reach |t|."""
    p = max_t_sign_flips(np.array([[1.0], [2.0], [3.0]]), flips=20000)
    assert p[0] == pytest.approx(2 / 8, abs=0.01)


def test_a_clear_difference_is_found_among_many():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (40, 200))
    values[:, 7] += 1.5
    p = max_t_sign_flips(values, flips=500)
    assert p[7] == pytest.approx(1 / 501) and (np.delete(p, 7) > 0.01).all()


def test_the_chance_of_any_false_finding_is_the_level():
    """400 draws of null data, 60 videos, 48 pairs with a shared part: 5 % within 3 to 7 %."""
    rng = np.random.default_rng(2)
    found = 0
    for draw in range(400):
        values = rng.normal(0, 1, (60, 48)) + rng.normal(0, 1, (60, 1))
        found += max_t_sign_flips(values, flips=199, seed=draw).min() <= 0.05
    assert 0.03 <= found / 400 <= 0.07


def test_what_cannot_be_tested_is_not_defined():
    values = np.array([[1.0, 2.0, np.nan, 0.0], [2.0, 2.0, np.nan, 0.0], [0.5, 2.0, 3.0, 0.0]])
    p = max_t_sign_flips(values, flips=50)
    assert np.isfinite(p[0]) and np.isnan(p[1:]).all()
    with pytest.raises(ValueError, match="at least 1"):
        max_t_sign_flips(values, flips=0)


def test_shrinkage_by_hand():
    # Spread 1 (variance of 1, 2, 3), noise 0.5^2: what is left 0.75, weight 0.75 / (0.75 + 0.25).
    shrunk = shrink(np.array([1.0, 2.0, 3.0, np.nan]), np.full(4, 0.5))
    np.testing.assert_allclose(shrunk[:3], [2 - 0.75, 2, 2 + 0.75])
    assert np.isnan(shrunk[3])
    # Noise explains everything: all at the mean. No noise: as they are.
    np.testing.assert_allclose(shrink(np.array([1.0, 2.0, 3.0]), np.full(3, 2.0)), 2.0)
    np.testing.assert_allclose(shrink(np.array([1.0, 2.0, 3.0]), np.zeros(3)), [1, 2, 3])


def test_shrunk_winners_are_nearer_to_the_truth():
    rng = np.random.default_rng(3)
    plain = drawn = 0.0
    for _ in range(50):
        truth = rng.normal(0, 0.5, 100)
        seen = truth + rng.normal(0, 1, 100)
        best = np.argsort(-seen)[:4]
        plain += (seen[best] - truth[best]).mean() / 50
        drawn += (shrink(seen, np.ones(100))[best] - truth[best]).mean() / 50
    assert plain > 1.2 and abs(drawn) < 0.3


def test_the_smallest_detectable_correlation():
    # (1.960 + 0.842) / sqrt(97) = 0.2845, tanh 0.277; 100 tests: (3.481 + 0.842) / sqrt(97).
    assert smallest_detectable(100) == pytest.approx(0.277, abs=1e-3)
    assert smallest_detectable(100, 100) == pytest.approx(np.tanh(4.322 / np.sqrt(97)), abs=1e-3)
    assert smallest_detectable(3) is None
