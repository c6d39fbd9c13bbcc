"""Arms of a sweep against each other."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from probes.comparison import difference, mean_score


def rows(values, videos=None):
    names = [f"s{i}" for i in range(len(values))]
    videos = [f"v{i // 2}" for i in range(len(values))] if videos is None else videos
    return pd.DataFrame({"sample_id": names, "video_id": videos, "jf": values})


def test_the_mean_is_over_seeds_and_samples():
    found = mean_score({0: rows([0.2, 0.4, 0.6, 0.8]), 3: rows([0.4, 0.6, 0.8, 1.0])})
    # 100 x (0.5 + 0.7) / 2
    assert found.value == pytest.approx(60)
    assert found.seeds == {0: pytest.approx(50), 3: pytest.approx(70)}
    assert (found.n, found.n_videos, found.reason) == (4, 2, None)


def test_the_interval_is_students_over_videos_and_seeds():
    """Four videos of one sample each, all alike: only the seeds, 50 and 54, differ.

    Standard error of two seeds that are 4 apart: 2. One degree of freedom: t = 12.706.
    """
    found = mean_score({0: rows([0.5] * 4, list("abcd")), 1: rows([0.54] * 4, list("abcd"))})
    assert found.ci == pytest.approx((52 - 2 * 12.706, 52 + 2 * 12.706), abs=0.01)


def test_paired_differences_drop_what_the_arms_share():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 0.9, 60)
    low = {s: rows(hard) for s in range(3)}
    high = {s: rows(hard + 0.05 + 0.001 * s) for s in range(3)}
    gap = difference(high, low)
    # Points: 5.0, 5.1, 5.2.
    assert gap.value == pytest.approx(5.1)
    assert gap.ci is not None and 4.7 < gap.ci[0] < gap.ci[1] < 5.5
    alone = mean_score(low)
    assert alone.ci is not None and alone.ci[1] - alone.ci[0] > 10


def test_order_of_the_rows_does_not_matter():
    one, two = rows([0.1, 0.2, 0.3, 0.9]), rows([0.3, 0.1, 0.4, 0.5])
    shuffled = two.sample(frac=1, random_state=0)
    assert difference({0: one}, {0: shuffled}) == difference({0: one}, {0: two})


def test_only_common_seeds_are_compared():
    gap = difference({0: rows([0.5] * 4), 1: rows([0.9] * 4)}, {0: rows([0.4] * 4)})
    assert gap.seeds == {0: pytest.approx(10)}
    assert gap.reason == "1 seed: the interval and p hold the chance of the videos alone"


def test_one_video_has_no_interval():
    found = mean_score({0: rows([0.1, 0.3], ["v", "v"])})
    assert found.value == pytest.approx(20) and found.ci is None
    assert found.reason == "1 video: no interval"


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="different samples"):
        difference({0: rows([0.1, 0.2])}, {0: rows([0.1, 0.2, 0.3])})
    with pytest.raises(ValueError, match="different samples"):
        mean_score({0: rows([0.1, 0.2]), 1: rows([0.1])})
    for nothing in ({}, {0: rows([])}):
        with pytest.raises(ValueError, match="no seed or no sample"):
            mean_score(nothing)


def test_p_is_students_of_the_same_error():
    """As above: means 50 and 54 against 50, that is 0 and 4: mean 2, error 2, t = 1, 1 degree.

    Student's with one degree of freedom is Cauchy's: P(|T| > 1) = 1/2.
    """
    base = {s: rows([0.5] * 4, list("abcd")) for s in (0, 1)}
    gap = difference({0: rows([0.5] * 4, list("abcd")), 1: rows([0.54] * 4, list("abcd"))}, base)
    assert gap.value == pytest.approx(2)
    assert gap.p == pytest.approx(0.5)
    assert mean_score(base).p is None, "nobody asks whether a score is 0"


def test_with_one_seed_p_is_that_of_the_videos():
    """Differences 1, 2, 3 in three videos: t of 2 / (bootstrap error) with 2 degrees of freedom.

    The bootstrap's variance of the mean is that of 1, 2, 3 with n below, 2/3, over 3: 0.2222.
    """
    low = rows([0.5, 0.5, 0.5], list("abc"))
    gap = difference({0: rows([0.51, 0.52, 0.53], list("abc"))}, {0: low}, resamples=20000)
    assert gap.p == pytest.approx(2 * student.sf(2 / 0.2222**0.5, 2), rel=0.05)


@pytest.mark.parametrize(
    ("high", "why"),
    [([0.6] * 4, "nothing varies"), ([0.5] * 4, "the same arm twice")],
)
def test_no_p_where_nothing_varies(high, why):
    gap = difference({0: rows(high)}, {0: rows([0.5] * 4)})
    assert gap.p is None, why
    assert (
        difference({0: rows([0.1, 0.3], ["v", "v"])}, {0: rows([0.2, 0.2], ["v", "v"])}).p is None
    )


def null_gaps(rng, seeds, of_videos, of_seeds):
    """Differences of 40 videos of 3 expressions in points / 100, that are 0 on average."""
    videos = np.repeat(np.arange(40), 3)
    shared = rng.normal(0, of_videos, 40)[videos]
    names = [f"v{v}" for v in videos]
    made = {
        s: shared + rng.normal(0, of_seeds) + rng.normal(0, 0.05, len(videos)) for s in range(seeds)
    }
    return (
        {s: rows(0.5 + values, names) for s, values in made.items()},
        {s: rows(np.full(len(videos), 0.5), names) for s in made},
    )


@pytest.mark.parametrize(("of_videos", "of_seeds"), [(0.04, 0.0), (0.04, 0.01), (0.01, 0.02)])
def test_a_difference_that_is_not_there_is_found_at_its_level(of_videos, of_seeds):
    """300 null draws of three seeds at 5 %, as videos, both or seeds differ; p and interval agree.

    Measured with 600 draws: 3.5, 5.2 and 5.7 %; the bounds are 5 % with 2.8 standard errors.
    """
    rng = np.random.default_rng(1)
    found = 0
    for draw in range(300):
        gap = difference(*null_gaps(rng, 3, of_videos, of_seeds), resamples=200, seed=draw)
        assert gap.ci is not None and gap.p is not None
        assert (gap.p < 0.05) == (not gap.ci[0] <= 0 <= gap.ci[1])
        found += gap.p < 0.05
    assert 0.015 <= found / 300 <= 0.085


def test_one_seed_finds_what_another_would_not():
    """Where seeds differ as videos do, one seed alone is wrong in far more than 5 %: say so."""
    rng = np.random.default_rng(1)
    gaps = [difference(*null_gaps(rng, 1, 0.04, 0.02), resamples=200, seed=d) for d in range(100)]
    assert np.mean([gap.p < 0.05 for gap in gaps]) > 0.3
    assert all(gap.reason and "videos alone" in gap.reason for gap in gaps)


def test_the_interval_covers_the_truth_at_its_level():
    """True gap 1 point; videos (sd 4), seeds (sd 1) and samples differ. 300 draws: 95 % +- 3.8."""
    rng = np.random.default_rng(1)
    videos = np.repeat(np.arange(40), 3)
    hit = 0
    for draw in range(300):
        of_video = rng.normal(0, 0.04, 40)[videos]
        gaps = {
            s: 0.01 + of_video + rng.normal(0, 0.01) + rng.normal(0, 0.05, len(videos))
            for s in range(3)
        }
        names = [f"v{v}" for v in videos]
        gap = difference(
            {s: rows(0.5 + values, names) for s, values in gaps.items()},
            {s: rows(np.full(len(videos), 0.5), names) for s in gaps},
            resamples=200,
            seed=draw,
        )
        assert gap.ci is not None
        hit += gap.ci[0] <= 1 <= gap.ci[1]
    assert 0.91 <= hit / 300 <= 0.99
