"""Samples whose masks and attention disagree."""

import numpy as np
import pytest

from probes.disagreement import rank_gap


def test_by_hand():
    # Ranks of quality 4 1 2 3, of attention 1 4 2 3; differences over n - 1 = 3.
    found = rank_gap([0.9, 0.1, 0.2, 0.3], [0.0, 0.8, 0.1, 0.4])
    assert found == pytest.approx([1.0, -1.0, 0.0, 0.0])


def test_ties_share_their_rank_and_the_unknown_is_left_out():
    # The third has no attention. Of the rest: quality 1.5 1.5, attention 1 2; n - 1 = 1.
    found = rank_gap([0.5, 0.5, 0.9], [0.1, 0.2, np.nan])
    assert found[:2] == pytest.approx([0.5, -0.5]) and np.isnan(found[2])


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_have_no_rank_to_compare(values):
    assert np.isnan(rank_gap(values, values)).all()
