import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.bootstrap import (
    cluster_bootstrap_means,
    defined_mean,
    draw_weights,
    estimate_mean,
    estimate_means,
    percentile_interval,
    video_codes,
    weighted_means,
)


def test_weighted_means_is_the_ratio_of_sums():
    # Video a holds 1, 2, video b holds 6. Taken (2, 0): 2 * 3 / 2 * 2 = 1.5; (1, 1): 9 / 3 = 3;
    # (0, 2): 6. A mean of video means would give 3.75 for (1, 1).
    codes, count = video_codes(["a", "a", "b"])
    weights = np.array([[2.0, 0], [1, 1], [0, 2]])
    assert count == 2
    assert weighted_means(np.array([1.0, 2, 6]), codes, weights).tolist() == [1.5, 3.0, 6.0]


def test_nan_is_left_out_and_a_draw_without_values_is_nan():
    codes, _ = video_codes(["a", "a", "b"])
    means = weighted_means(np.array([1.0, np.nan, np.nan]), codes, np.array([[1.0, 1], [0, 2]]))
    assert means[0] == 1.0 and np.isnan(means[1])


def test_draws_equal_drawing_whole_videos_one_by_one():
    values = np.array([0.1, 0.9, 0.4, 0.7, 0.2])
    videos = np.array(["b", "a", "b", "c", "a"])
    draws = cluster_bootstrap_means(values, videos, resamples=50, seed=3)
    for draw, counts in zip(draws, draw_weights(3, 50, 3), strict=True):
        taken = np.concatenate(
            [
                values[videos == name]
                for name, n in zip("abc", counts, strict=True)
                for _ in range(int(n))
            ]
        )
        assert draw == pytest.approx(taken.mean())


def test_spread_is_that_of_video_means():
    # 200 videos with 5 equal samples each: the mean's standard error is sd / sqrt(200), not
    # sd / sqrt(1000) as it were if expressions counted as independent.
    rng = np.random.default_rng(0)
    effect = rng.normal(size=200)
    values, videos = np.repeat(effect, 5), np.repeat(np.arange(200).astype(str), 5)
    draws = cluster_bootstrap_means(values, videos, 4000, seed=1)
    assert draws.std() == pytest.approx(effect.std() / np.sqrt(200), rel=0.05)


def test_same_seed_same_draws_and_another_seed_others():
    values, videos = np.random.default_rng(0).random((12, 3)), [f"v{i // 3}" for i in range(12)]
    kept = values.copy()
    first, again = (cluster_bootstrap_means(values, videos, 100, 5) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(values, kept)
    assert not np.array_equal(first, cluster_bootstrap_means(values, videos, 100, 6))


@given(st.permutations(range(10)))
def test_order_of_samples_does_not_matter(order):
    values = np.linspace(0, 1, 10) ** 2
    videos = np.array([f"v{i % 4}" for i in range(10)])
    moved = cluster_bootstrap_means(values[order], videos[order], 40, 0)
    np.testing.assert_allclose(moved, cluster_bootstrap_means(values, videos, 40, 0), rtol=1e-12)


@given(st.floats(-5, 5), st.floats(0.1, 10))
def test_interval_moves_with_shift_and_scale(shift, scale):
    values = np.array([0.0, 1, 3, 4, 8, 9])
    videos = list("aabbcd")
    base = estimate_mean(values, videos, 200)
    moved = estimate_mean(values * scale + shift, videos, 200)
    assert moved.value == pytest.approx(base.value * scale + shift)
    assert moved.ci == pytest.approx([bound * scale + shift for bound in base.ci])


def test_estimate_of_one_video_has_no_interval_but_a_reason():
    found = estimate_mean([1.0, 2.0], ["a", "a"])
    assert (found.value, found.ci, found.n, found.n_videos) == (1.5, None, 2, 1)
    assert "at least 2" in found.reason


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_estimate_of_nothing(values):
    found = estimate_mean(values, ["a", "b"][: len(values)])
    assert (found.value, found.ci, found.n) == (None, None, 0)
    assert "no sample" in found.reason


def test_estimate_counts_only_defined_values():
    columns = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]])
    first, second = estimate_means(columns, ["a", "b", "c"], 50)
    assert (first.value, first.n, first.n_videos) == (2.0, 2, 2)
    assert first.ci[0] <= 2.0 <= first.ci[1]
    assert (second.value, second.n, second.ci) == (5.0, 1, None)


def test_constant_values_have_an_interval_of_width_zero():
    assert estimate_mean([2.0] * 4, list("aabb"), 50).ci == (2.0, 2.0)


def test_percentile_interval():
    # 0..100 in steps of 1: the 2.5 and 97.5 per cent points are 2.5 and 97.5.
    low, high = percentile_interval(np.arange(101.0))
    assert (low, high) == pytest.approx((2.5, 97.5))
    half = np.column_stack([np.r_[np.arange(101.0), np.nan], np.full(102, np.nan)])
    low, high = percentile_interval(half)
    assert low[0] == pytest.approx(2.5) and np.isnan(low[1]) and np.isnan(high[1])


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    # Clustered data with true mean 0; 95 % nominal. 200 trials have a standard error of 1.5 %.
    rng = np.random.default_rng(11)
    hits = 0
    for trial in range(200):
        values = np.repeat(rng.normal(size=40), 4) + rng.normal(size=160)
        low, high = estimate_mean(values, np.repeat(np.arange(40), 4).astype(str), 300, trial).ci
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_draws_are_shared_and_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        draw_weights(3, 10, 0)[0, 0] = 5
    assert (draw_weights(3, 10, 0).sum(axis=1) == 3).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one video a sample"):
        cluster_bootstrap_means([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="at least 1"):
        draw_weights(0, 10, 0)


def test_defined_mean():
    found = defined_mean([[1.0, np.nan, 3.0], [np.nan] * 3], axis=1)
    assert found[0] == 2.0 and np.isnan(found[1])
