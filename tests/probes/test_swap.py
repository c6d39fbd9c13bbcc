"""Overlap of masks and of attention, by hand."""

import numpy as np
import pytest

from probes.swap import attention_overlap, mean_jaccard

FULL, EMPTY, LEFT = (
    np.array(rows, bool) for rows in ([[1, 1], [1, 1]], [[0, 0], [0, 0]], [[1, 0], [1, 0]])
)


def test_mean_jaccard():
    # Frame 1: 2 of 4 pixels. Frame 2: no mask in either, left out. Frame 3: one is empty, 0.
    found = mean_jaccard([FULL, EMPTY, LEFT], [LEFT, EMPTY, EMPTY])
    assert found == pytest.approx((0.5 + 0) / 2)
    assert mean_jaccard([EMPTY], [EMPTY]) is None
    assert mean_jaccard([], []) is None
    with pytest.raises(ValueError, match="shorter"):
        mean_jaccard([FULL, FULL], [FULL])


def test_attention_overlap():
    # p = (1/2, 1/2, 0), q = (0, 1/4, 3/4): min sums to 0 + 1/4 + 0.
    assert attention_overlap([2, 2, 0], [0, 1, 3]) == pytest.approx(0.25)
    assert attention_overlap([1, 3], [2, 6]) == pytest.approx(1)
    assert attention_overlap([1, 0], [0, 1]) == 0
    assert attention_overlap([0, 0], [1, 1]) is None
