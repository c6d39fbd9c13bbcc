"""Agreement of rankings by hand, and split halves of planted and of pure noise."""

import numpy as np
import pytest

from probes.bootstrap import weighted_means
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


def halves(values, codes, videos, k, layers=2, **options):
    layer = np.arange(values.shape[1]) % layers
    return split_half(
        lambda weights: weighted_means(values, codes, weights), videos, layer, k, **options
    )


def test_a_strong_ranking_repeats_and_noise_does_not():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 3)
    noise = rng.normal(0, 1, (120, 30))
    strong = halves(noise + 0.1 * np.arange(30), codes, 40, 4)
    assert strong.median.spearman > 0.9 and strong.median.jaccard > 0.3
    assert strong.median.spearman < strong.reliability < 1
    weak = halves(noise, codes, 40, 4)
    assert weak.low.spearman < 0 < weak.high.spearman and abs(weak.median.spearman) < 0.3


def test_the_same_seed_gives_the_same_splits_and_few_videos_none():
    values, codes = np.random.default_rng(1).normal(0, 1, (10, 6)), np.arange(10) // 2
    again = [halves(values, codes, 5, 2, splits=20, seed=3) for _ in range(2)]
    assert again[0] == again[1]
    assert halves(values[:6], codes[:6], 3, 2) is None
    turned = halves(-values, codes, 5, 2, low_first=True, splits=20, seed=3)
    assert turned.median == again[0].median
    assert turned.held_out.held_out == pytest.approx(-again[0].held_out.held_out)


def test_the_best_of_noise_is_no_better_on_other_videos():
    """Winner's curse: chosen by one half they look good there, and are like all on the other."""
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 1, (40, 60))
    found = halves(noise, np.arange(40), 40, 3).held_out
    # The best 3 of 60 means of 20 values lie some 1.9 standard errors up: 1.9 / sqrt(20) = 0.42.
    assert found.chosen > 0.3 and abs(found.held_out) < 0.2
    assert found.gain_range[0] < 0 < found.gain_range[1]


def test_what_the_layer_explains_is_no_gain():
    """All heads of layer 1 are alike and good; one head of layer 0 is better than its layer."""
    values = np.tile([0.0, 5.0, 0.0, 5.0, 9.0, 5.0], (8, 1))  # layers 0 1 0 1 0 1
    values = values + np.random.default_rng(3).normal(0, 1e-3, values.shape)
    one = halves(values, np.arange(8), 8, 1).held_out
    assert one.held_out == pytest.approx(9, abs=0.01)
    assert one.same_layers == pytest.approx(3, abs=0.01), "the mean of 0, 0 and 9"
    # The two best: 9 of layer 0, gain 6, and one of layer 1, gain 0: 3 on average.
    two = halves(values, np.arange(8), 8, 2).held_out
    assert two.held_out - two.same_layers == pytest.approx(3, abs=0.01)
    assert two.gain == pytest.approx(3, abs=0.01)
    assert two.gain_range == pytest.approx((3, 3), abs=0.01)
    # Where low is good, the best is lower than its layer: a gain, too.
    low = halves(-values, np.arange(8), 8, 2, low_first=True).held_out
    assert low.gain == pytest.approx(3, abs=0.01) and low.held_out < low.same_layers
    assert halves(values, np.arange(8), 8, 7).held_out.chosen is None, "fewer pairs than k"
