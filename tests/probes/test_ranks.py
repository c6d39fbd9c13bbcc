"""Ranks equal scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from probes.ranks import rankdata

# Few values, so that many are alike.
VALUES = st.sampled_from([-np.inf, -1.5, 0.0, -0.0, 2.0, 7.0, np.inf, np.nan])


@given(
    arrays(np.float64, array_shapes(min_dims=1, max_dims=2, max_side=6), elements=VALUES),
    st.sampled_from(["average", "min", "max"]),
    st.integers(0, 1),
)
def test_it_equals_scipy(values, method, axis):
    axis = min(axis, values.ndim - 1)
    expected = stats.rankdata(values, method=method, axis=axis)
    assert np.array_equal(rankdata(values, method, axis), expected, equal_nan=True)


def test_by_hand():
    # 1 and 1 share the ranks 1 and 2; nothing is ranked where a value is unknown.
    assert rankdata([1, 3, 1]).tolist() == [1.5, 3, 1.5]
    assert np.isnan(rankdata([[1, np.nan], [0, 2]])).tolist() == [[False, True], [False, True]]


def test_nothing_has_no_ranks():
    assert rankdata(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("module", ["analysis", "pair_sets", "comparison"])
def test_pages_load_no_scipy_stats(module):
    import subprocess
    import sys

    code = f"import sys, probes.{module}; print('scipy.stats' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
