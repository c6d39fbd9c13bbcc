"""Agreement of rankings by hand, and split halves of planted and of pure noise."""

import numpy as np
import pytest

from probes.stability import agreement, split_half


def test_agreement_by_hand():
    # Orders 0 1 2 3 and 1 0 3 2: rank differences 1, 1, 1, 1: rho = 1 - 6 * 4 / (4 * 15) = 0.6.
    first, second = np.array([4.0, 3, 2, 1]), np.array([3.0, 4, 1, 2])
    assert agreement(first, second, 2).spearman == pytest.approx(0.6)
    # Best two are {0, 1} in both; best one is 0 and 1.
    assert agreement(first, second, 2).jaccard == 1 and agreement(first, second, 2).kuncheva == 1
    assert agreement(first, second, 1).jaccard == 0
    # Kuncheva: (0 * 4 - 1) / (1 * 3).
    assert agreement(first, second, 1).kuncheva == pytest.approx(-1 / 3)


def test_three_of_four_shared():
    # Best three of five: {0, 1, 2} and {0, 1, 3}: two shared, Jaccard 2/4, (2 * 5 - 9) / (3 * 2).
    found = agreement(np.array([5.0, 4, 3, 2, 1]), np.array([5.0, 4, 2, 3, 1]), 3)
    assert found.jaccard == pytest.approx(0.5) and found.kuncheva == pytest.approx(1 / 6)


def test_undefined_pairs_are_left_out():
    nan = np.nan
    found = agreement(np.array([4.0, nan, 2, 1]), np.array([4.0, 9, 2, 1]), 2)
    assert found.spearman == pytest.approx(1.0) and found.jaccard == 1
    assert agreement(np.array([nan, nan]), np.array([1.0, 2]), 1).spearman is None
    assert agreement(np.ones(3), np.arange(3.0), 4).jaccard is None, "fewer pairs than k"
    with pytest.raises(ValueError, match="rankings of one model"):
        agreement(np.ones(3), np.ones(4), 1)


def test_a_strong_ranking_repeats_and_noise_does_not():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 3)
    noise = rng.normal(0, 1, (120, 30))
    strong = split_half([(noise + 0.1 * np.arange(30), codes)], 40, k=4)
    assert strong.median.spearman > 0.9 and strong.median.jaccard > 0.3
    assert strong.median.spearman < strong.reliability < 1
    weak = split_half([(noise, codes)], 40, k=4)
    assert weak.low.spearman < 0 < weak.high.spearman and abs(weak.median.spearman) < 0.3


def test_the_same_seed_gives_the_same_splits_and_few_videos_none():
    values, codes = np.random.default_rng(1).normal(0, 1, (10, 6)), np.arange(10) // 2
    again = [split_half([(values, codes)], 5, k=2, splits=20, seed=3) for _ in range(2)]
    assert again[0] == again[1]
    assert split_half([(values[:6], codes[:6])], 3, k=2) is None
    turned = split_half([(-values, codes)], 5, k=2, low_first=True, splits=20, seed=3)
    assert turned == again[0]
