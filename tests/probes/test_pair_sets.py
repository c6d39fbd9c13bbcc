"""Attention of any pairs against J&F: the same numbers as the long way, by hand where small."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from probes.association import correlation_draws
from probes.bins import quantile_bins
from probes.bootstrap import draw_weights, estimate_mean
from probes.correlation import correlate_tables
from probes.covariates import Covariates, covariates, groups
from probes.layer_means import layer_differences, layer_means
from probes.pair_sets import Beside, set_accuracy, set_scores
from probes.rank_statistics import fixed_rank_correlations
from probes.store import HeadTable
from reviosa.errors import ConfigError


def table(values, jf=None, videos=None, ids=None, area=None) -> HeadTable:
    values = np.asarray(values, float)
    n = len(values)
    return HeadTable(
        metric="mask_share",
        role="actor",
        values=values,
        sample_ids=tuple(ids or (f"s{i}" for i in range(n))),
        video_ids=np.array([f"v{i}" for i in range(n)] if videos is None else videos),
        jf=np.linspace(0, 1, n) if jf is None else np.asarray(jf, float),
        mask_area=np.linspace(1, 0, n) ** 2 if area is None else np.asarray(area, float),
        emitted=np.ones(n, bool),
    )


def beside(n: int, area=None) -> Beside:
    area = np.linspace(0, 1, n) if area is None else area
    values = {
        name: area if name == "mask_area" else np.arange(n) % 3.0
        for name in ("mask_area", "objects", "centrality", "words", "query_position")
    }
    return Beside(Covariates(values, np.array(["single"] * n), np.full(n, np.nan)), {})


def test_scores_are_means_over_the_named_pairs():
    # Two layers of two heads; sample 1 has no value in head (1, 0).
    values = [[[1.0, 2.0], [3.0, 6.0]], [[0.0, 4.0], [np.nan, 8.0]]]
    assert set_scores(table(values), [(0, 1), (1, 0)]).tolist() == [2.5, 4.0]
    assert set_scores(table(values)).tolist() == [3.0, 4.0]
    for wrong, what in (([], "no pair"), ([(2, 0)], r"the pair \(2, 0\)")):
        with pytest.raises(ConfigError, match=f"got {what}, expected pairs of 2 layers and 2 head"):
            set_scores(table(values), wrong)


@pytest.mark.parametrize("role", ["actor", "target"])
def test_all_pairs_give_the_values_of_the_analysis(planted_store, role):
    tables = planted_store.head_tables(role)
    known = covariates(planted_store, role)
    long = correlate_tables(tables["mask_share"], tables, known, resamples=50)
    means = {"lift": set_scores(tables["lift"])}
    short = set_accuracy(tables["mask_share"], None, Beside(known, means), resamples=50)
    for mine, other in (
        (short.overall, long.overall),
        (short.controls["lift"], long.controls["lift"]),
        (short.controls["mask_area"], long.controls["mask_area"]),
    ):
        assert mine.spearman.value == pytest.approx(other.spearman.value)
        assert mine.partial.value == pytest.approx(other.partial.value)
        assert (mine.spearman.n, mine.spearman.n_videos) == (
            other.spearman.n, other.spearman.n_videos,
        )  # fmt: skip
    # The intervals are of ranks taken once, which is near to ranks taken anew.
    assert short.overall.spearman.ci == pytest.approx(long.overall.spearman.ci, abs=0.15)
    assert [(x.variable, x.level) for x in short.strata] == [
        (x.variable, x.level) for x in long.strata
    ]
    for mine, other in zip(short.strata, long.strata, strict=True):
        assert mine.found.spearman.value == pytest.approx(other.spearman.value)
        assert mine.found.spearman.reason == other.spearman.reason
    assert short.controls["mask_area"].partial.value is None  # nothing left of itself
    assert short.n_excluded == long.n_excluded


def test_one_pair_is_the_analysis_of_that_pair(planted_store):
    tables = planted_store.head_tables("actor")
    long = correlate_tables(tables["mask_share"], tables, resamples=20)
    known = Beside(covariates(planted_store, "actor"), {})
    short = set_accuracy(tables["mask_share"], [(2, 1)], known, resamples=20)
    (pair,) = [item for item in long.pairs if (item.layer, item.head) == (2, 1)]
    assert short.overall.spearman.value == pytest.approx(pair.spearman.value)
    assert short.overall.spearman.value > 0.5  # planted


def test_small_and_flat_choices_say_why():
    flat = set_accuracy(table(np.ones((6, 1, 1))), None, beside(6), 10)
    assert flat.overall.spearman.reason == "the score is the same in all samples"
    two = set_accuracy(table([[[1.0]], [[2.0]]]), None, beside(2), 10)
    assert "at least 3 are needed" in two.overall.spearman.reason
    none = set_accuracy(table(np.full((4, 1, 1), np.nan)), None, beside(4), 10)
    assert none.overall.spearman.reason == "no sample with a defined value"
    assert none.n_excluded == 4 and not len(none.score) and none.bins == ()
    one = set_accuracy(
        table(np.arange(5.0).reshape(5, 1, 1), videos=["v"] * 5, area=[0, 3, 1, 4, 2]),
        None, beside(5), 10,
    )  # fmt: skip
    assert one.overall.spearman.value == pytest.approx(1) and one.overall.spearman.ci is None


def test_fixed_ranks_are_the_long_way_of_every_draw():
    rng = np.random.default_rng(0)
    codes, scores = rng.integers(0, 30, 200), rng.integers(0, 9, (200, 3)) * 1.0
    outcome, area = scores[:, 0] + rng.random(200) * 9, rng.random(200)
    weights = np.concatenate([np.ones((1, 30)), draw_weights(30, 40, 0)])
    plain, partial = fixed_rank_correlations(scores, outcome, area, codes, weights)
    assert plain == pytest.approx(correlation_draws(scores, outcome, None, codes, weights))
    assert partial == pytest.approx(correlation_draws(scores, outcome, area, codes, weights))
    assert plain[0] == pytest.approx([spearmanr(x, outcome).statistic for x in scores.T])


def test_a_draw_of_too_few_samples_has_no_correlation():
    x = np.array([[1.0], [2.0], [3.0]])
    weights = np.array([[1.0, 1.0, 1.0], [3.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    plain, partial = fixed_rank_correlations(
        x, np.array([3.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0]), np.arange(3), weights
    )
    # Ranks 1 2 3 against 3 1 2: 1 - 6 (4 + 1 + 1) / (3 x 8) = -1/2.
    assert plain[0, 0] == pytest.approx(-0.5) and np.isnan(plain[1:]).all()
    assert np.isnan(partial).all()


def test_groups_hold_each_sample_once_in_each_thing():
    known = beside(9).known
    found = groups(known)
    assert [(variable, level) for variable, level, _ in found] == [
        ("caption_type", "single"),
        *(("mask_area", level) for level in ("low", "middle", "high")),
        *(("objects", level) for level in ("low", "middle", "high")),
    ]
    for variable in ("mask_area", "objects"):
        rows = [rows for name, _, rows in found if name == variable]
        assert np.sum(rows, axis=0).tolist() == [1] * 9


def test_bins_hold_each_sample_once_and_have_its_means():
    rng = np.random.default_rng(1)
    score, jf = rng.random(40), rng.random(40)
    videos = np.repeat([f"v{i}" for i in range(10)], 4)
    bins = quantile_bins(score, jf, videos, 100)
    assert len(bins) == 5  # 40 // 8
    for part in bins:
        inside = (score >= part.lo) & (score <= part.hi)
        assert part.jf.value == pytest.approx(jf[inside].mean())
        assert part.jf.n == inside.sum() and part.jf.n_videos == len(set(videos[inside]))
        assert part.jf.ci[0] <= part.jf.value <= part.jf.ci[1]
    assert sum(part.jf.n for part in bins) == 40
    assert quantile_bins(score[:15], jf[:15], videos[:15]) == ()


# Layers.


def test_layer_means_by_hand():
    # Two samples, two layers of two heads; head (1, 1) of the second sample has no value.
    values = [[[0.0, 0.2], [0.4, 0.6]], [[0.2, 0.4], [0.8, np.nan]]]
    first, second = layer_means(table(values), 50)
    assert first.value == pytest.approx((0.1 + 0.3) / 2) and first.n == first.n_videos == 2
    assert second.value == pytest.approx((0.5 + 0.8) / 2)
    assert layer_means(table(np.zeros((0, 0, 0)))) == ()
    (none,) = layer_means(table(np.full((2, 1, 2), np.nan)))
    assert none.value is None and none.reason


def test_layer_differences_pair_samples_by_name():
    mine = table(np.array([0.5, 0.7, 0.9]).reshape(3, 1, 1), ids=("a", "b", "c"))
    other = table(np.array([0.1, 0.2]).reshape(2, 1, 1), ids=("c", "a"))
    (found,) = layer_differences(mine, other, 50)
    # a: 0.5 - 0.2, c: 0.9 - 0.1; b is not in the other run.
    assert found.value == pytest.approx((0.3 + 0.8) / 2) and found.n == 2
    expected = estimate_mean([0.3, 0.8], mine.video_ids[[0, 2]], 50)
    assert found.ci == pytest.approx(expected.ci)


def test_runs_that_cannot_be_paired_say_so():
    mine = table(np.zeros((2, 2, 1)))
    with pytest.raises(ConfigError, match="got 2 and 3 layers"):
        layer_differences(mine, table(np.zeros((2, 3, 1))))
    with pytest.raises(ConfigError, match="no sample in common"):
        layer_differences(mine, table(np.zeros((2, 2, 1)), ids=("x", "y")))
