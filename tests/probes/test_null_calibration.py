"""Without any effect, is anything found in 5 % of the data sets, as the corrected p-values say?"""

import numpy as np
import pytest

from probes.correlation import correlate_tables
from probes.covariates import COVARIATES, Covariates
from probes.ranking import rank_pairs

VIDEOS, EXPRESSIONS, LAYERS, HEADS, DRAWS = 60, 5, 4, 12, 400


def clustered(rng, *shape):
    """Noise that expressions of a video share in good part, [sample, ...]."""
    effect = np.repeat(rng.normal(size=(VIDEOS, *shape)), EXPRESSIONS, axis=0)
    return effect + rng.normal(size=(VIDEOS * EXPRESSIONS, *shape))


def lowest_p(made, permutations, seed, field, tables=None, beside=None):
    pairs = correlate_tables(made, tables, beside, permutations, seed).pairs
    return min(getattr(pair, field) for pair in pairs)


@pytest.mark.slow
def test_family_wise_error_on_clustered_null_data(table):
    """60 videos of 5 expressions, 48 heads, 400 draws: a finding at 5 % in 3 to 7 % of them.

    Heads share a part of their noise, and expressions of a video do. With the area, and with all
    that is held fixed, the null is harder: heads and J&F both go with the area, the number of
    objects and each pair's own visual mass, and have nothing else in common. Measured: 4.75 %
    (19 of 400) of means, and of correlations plain, given the area and given all alike.
    """
    n = VIDEOS * EXPRESSIONS
    videos = np.repeat(np.arange(VIDEOS), EXPRESSIONS)
    found = {"mean": 0, "plain": 0, "partial": 0, "adjusted": 0}
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        values = clustered(rng, LAYERS, HEADS) + 0.7 * clustered(rng)[:, None, None]
        area = clustered(rng)
        jf = clustered(rng)
        made = table(values, videos=videos, jf=jf, area=area)
        ranking = rank_pairs([made], 500, seed=seed)
        found["mean"] += min(p.p for p in ranking.pairs) <= 0.05
        found["plain"] += lowest_p(made, 500, seed, "p") <= 0.05
        by_area = table(values + area[:, None, None], videos=videos, jf=jf + area, area=area)
        found["partial"] += lowest_p(by_area, 500, seed, "partial_p") <= 0.05
        known = {name: clustered(rng) for name in COVARIATES} | {"mask_area": area}
        # What is held fixed for each pair alone: its own visual mass, which J&F goes with, too.
        visual = clustered(rng, LAYERS, HEADS)
        both = area + known["objects"]
        confounded = table(
            values + both[:, None, None] + visual, videos=videos,
            jf=jf + both + 3 * visual.mean(axis=(1, 2)), area=area,
        )  # fmt: skip
        tables = {"visual_mass": table(visual, videos=videos, metric="visual_mass")}
        beside = Covariates(known, np.array(["single"] * n), clustered(rng))
        found["adjusted"] += lowest_p(confounded, 500, seed, "adjusted_p", tables, beside) <= 0.05
    rates = {name: count / DRAWS for name, count in found.items()}
    assert all(0.03 <= rate <= 0.07 for rate in rates.values()), rates
