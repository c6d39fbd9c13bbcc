"""Planted heads: what is known to be there is found, and nothing else leads."""

import numpy as np
import pytest

from probes.criteria import SCORED, View, head_metrics
from probes.ranking import rank_pairs

GRID, FRAMES, WORDS = 6, 2, 4
LOOKING, BLIND, CENTRE = (1, 2), (0, 0), (0, 1)


def planted(rng, videos=30, layers=2, heads=4):
    """Rows over one object a video: one head follows it, one is even, one loves the centre."""
    y, x = np.mgrid[:GRID, :GRID]
    centre = np.exp(-((x - 2.5) ** 2 + (y - 2.5) ** 2) / 4)
    found = {name: [] for name in SCORED}
    for _ in range(videos):
        # Objects of any size, more often near the middle, as in photographs.
        cy, cx = np.clip(rng.normal(2.5, 1.5, 2), 0, 5)
        mask = ((x - cx) ** 2 + (y - cy) ** 2 <= rng.uniform(0.6, 2.2) ** 2).astype(float)
        mask = np.stack([mask, np.roll(mask, 1, axis=1)])
        maps = rng.dirichlet(np.full(mask.size, 0.3), (layers, heads)).reshape(
            layers, heads, *mask.shape
        )
        maps[BLIND], maps[CENTRE] = 1, centre
        maps[LOOKING] = mask + rng.uniform(0, 0.5, mask.shape)
        maps /= maps.sum(axis=(2, 3, 4), keepdims=True)
        rows = np.concatenate(
            [0.6 * maps.reshape(layers, heads, -1), np.full((layers, heads, WORDS), 0.1)], axis=-1
        )
        keys = np.arange(rows.shape[-1]) < mask.size
        view = View(rows, keys, mask.shape, mask.ravel(), sinks=np.zeros((layers, mask.size), bool))
        for name, value in head_metrics(view).items():
            found[name].append(value)
    return {name: np.stack(values) for name, values in found.items()}


@pytest.mark.parametrize("seed", range(5))
def test_blind_and_centred_heads_never_lead_an_area_free_criterion(table, seed):
    values = planted(np.random.default_rng(seed))
    videos = [f"v{i}" for i in range(30)]
    for name in (c.name for c in SCORED.values() if c.area_free):
        ranking = rank_pairs([table(values[name], videos=videos, metric=name)], 200, top_k=1)
        best = ranking.pairs[0]
        assert (best.layer, best.head) == LOOKING, name
        assert best.p_top_k > 0.9
        even = next(p for p in ranking.pairs if (p.layer, p.head) == BLIND)
        assert even.score == pytest.approx(SCORED[name].even, abs=0.2)


def test_rank_intervals_hold_the_true_ranks(table):
    """200 draws of 40 videos x 3 expressions, 12 pairs of which 4 are good: the true ranks lie in
    95 % intervals at least as often as they say. Measured: 0.99, the interval of a rank is wide."""
    truth = np.array([0.6, 0.5, 0.4, 0.3, *np.linspace(0.2, 0.1, 8)])
    held, first = [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = truth + rng.normal(0, 0.15, (120, 12))
        values += np.repeat(rng.normal(0, 0.1, (40, 12)), 3, axis=0)
        videos = np.repeat([f"v{i:02d}" for i in range(40)], 3)
        ranking = rank_pairs([table(values.reshape(120, 3, 4), videos=videos)], 200)
        first += {(p.layer, p.head) for p in ranking.pairs[:4]} == {(0, h) for h in range(4)}
        for pair in ranking.pairs:
            low, high = pair.rank_ci
            held.append(low <= 1 + 4 * pair.layer + pair.head <= high)
    assert np.mean(held) >= 0.93
    assert first >= 190, "the four good pairs are the first four"
