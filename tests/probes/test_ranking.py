import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from probes.criteria import CRITERIA, KINDS
from probes.rank_statistics import ranks_and_top
from probes.ranking import rank, rank_pairs
from probes.selection import select
from reviosa.errors import ConfigError

LAYERS, HEADS = 4, 3


def planted(rng, samples=120, heads=((2, 1), (3, 0))):
    """Mask share: noise around the area for all pairs, far above it for the planted ones."""
    values = rng.normal(0.2, 0.05, (samples, LAYERS, HEADS))
    for offset, (layer, head) in enumerate(heads):
        values[:, layer, head] += 0.3 - 0.1 * offset
    return values


def test_the_outcome_family_ranks_by_correlation_with_jf(table):
    """L0H2 goes with J&F, L1H0 with the area alone, which J&F goes with, too."""
    rng = np.random.default_rng(0)
    area = rng.random(120)
    jf = area + rng.normal(0, 0.3, 120)
    values = rng.random((120, 2, 3))
    values[:, 0, 2] = jf - area + rng.normal(0, 0.1, 120)
    values[:, 1, 0] = area
    videos = [f"v{i // 2:02d}" for i in range(120)]

    def rank_by(name):
        return rank_pairs([table(values, videos=videos, jf=jf, area=area, metric=name)], 200)

    ranking = rank_by("jf_correlation")
    assert ranking.kind == "outcome" and ranking.uniform == 0
    for pair in ranking.pairs:
        expected = spearmanr(values[:, pair.layer, pair.head], jf)[0]
        assert pair.score == pytest.approx(expected)
    best = {(p.layer, p.head): p for p in ranking.pairs[:2]}
    assert set(best) == {(0, 2), (1, 0)}
    assert all(p.p < 0.05 and p.q < 0.05 and p.ci[0] > 0.3 for p in best.values())
    given_area = rank_by("jf_correlation_area")
    first = given_area.pairs[0]
    assert (first.layer, first.head) == (0, 2) and first.p < 0.05
    # The area itself has nothing left: undefined, and last.
    last = given_area.pairs[-1]
    assert (last.layer, last.head, last.score) == (1, 0, None)
    assert all(p.p > 0.05 for p in given_area.pairs[1:-1])
    both = rank_pairs(
        [table(values, videos=videos, jf=jf, area=area, metric="jf_correlation", role=role)
         for role in ("actor", "target")], 50,
    )  # fmt: skip
    assert both.pairs[0].score == pytest.approx(ranking.pairs[0].score)
    assert both.pairs[0].ci is not None and both.pairs[0].p is None


def test_planted_heads_lead_with_certain_ranks(table):
    ranking = rank_pairs([table(planted(np.random.default_rng(0)))], resamples=500, top_k=2)
    first, second, third = ranking.pairs[:3]
    assert [(p.layer, p.head) for p in (first, second)] == [(2, 1), (3, 0)]
    assert first.rank_ci == (1.0, 1.0) and second.rank_ci == (2.0, 2.0)
    assert first.p_top_k == second.p_top_k == 1.0
    # The ten others are noise: their order must not be claimed.
    assert third.p_top_k == 0.0 and third.rank_ci[1] > 6
    assert first.ci[0] <= first.score <= first.ci[1] and first.ci[0] > third.ci[1]


def test_content_blind_head_does_not_lead_by_lift(table):
    # A head with a fixed centre prior holds more of large masks. By area-free lift the head that
    # follows the object leads although its share is not the largest.
    rng = np.random.default_rng(1)
    area = rng.uniform(0.05, 0.5, 100)
    share = np.empty((100, 1, 3))
    share[:, 0, 0] = area  # looks everywhere alike
    share[:, 0, 1] = np.minimum(1.0, 1.1 * area)  # centre prior
    share[:, 0, 2] = np.minimum(1.0, 3.0 * area)  # follows the object
    ranking = rank_pairs([table(share / area[:, None, None], area=area, metric="lift")], 200)
    assert [p.head for p in ranking.pairs] == [2, 1, 0]
    assert ranking.uniform == 1.0 and ranking.pairs[-1].score == pytest.approx(1.0)


def test_scores_baseline_and_uniform_by_hand(table):
    # Pair (0,0): mean of 0.2, 0.4 = 0.3; (0,1): 0.1; baseline (0.3 + 0.1) / 2 = 0.2.
    ranking = rank_pairs(
        [table([[[0.2, 0.1]], [[0.4, 0.1]]], videos=["a", "b"], area=[0.1, 0.3])], 50
    )
    np.testing.assert_allclose(ranking.scores, [[0.3, 0.1]])
    assert ranking.baseline.value == pytest.approx(0.2)
    assert ranking.uniform == pytest.approx(0.2)
    assert (ranking.n_samples, ranking.n_videos, ranking.n_failed) == (2, 2, 0)


def test_both_roles_weigh_alike_whatever_their_counts(table):
    # Actor mean 0.2 over 4 samples, target mean 0.8 over 1: both = 0.5, pooled would be 0.32.
    actor = table(np.full((4, 1, 1), 0.2), videos=list("aabb"))
    target = table(np.full((1, 1, 1), 0.8), videos=["b"], role="target")
    ranking = rank_pairs([actor, target], 200)
    assert ranking.role == "both" and ranking.n_samples == 5 and ranking.n_videos == 2
    # In draws without video b the actor stands alone: 0.2.
    assert ranking.pairs[0].score == pytest.approx(0.5)
    assert ranking.pairs[0].ci == pytest.approx((0.2, 0.5))


def test_ties_share_their_rank_and_keep_the_order_of_layer_and_head(table):
    ranking = rank_pairs([table(np.full((6, 2, 2), 0.4))], 50, top_k=1)
    assert [(p.layer, p.head) for p in ranking.pairs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    # Four tied pairs: average rank (1 + 4) / 2, and one place among four.
    assert {p.rank for p in ranking.pairs} == {2.5}
    assert {p.p_top_k for p in ranking.pairs} == {0.25}


def test_ranks_and_top_by_hand():
    # Scores 5, 3, 3, 1, NaN and k = 2: the two 3s share ranks 2 and 3 and one place.
    ranks, inside = ranks_and_top(np.array([[5.0, 3, 3, 1, np.nan]]), 2)
    assert ranks.tolist() == [[1, 2.5, 2.5, 4, 5]]
    assert inside.tolist() == [[1, 0.5, 0.5, 0, 0]]


def test_one_video_gives_scores_without_intervals(table):
    ranking = rank_pairs([table([[[0.2, 0.3]], [[0.4, 0.1]]], videos=["a", "a"])])
    assert ranking.pairs[0].score is not None and ranking.pairs[0].rank == 1
    assert all(p.ci is None and p.rank_ci is None and p.p_top_k is None for p in ranking.pairs)
    assert "1 video" in ranking.reason and ranking.baseline.ci is None


def test_no_samples(table):
    ranking = rank_pairs([table(np.zeros((0, 2, 2)))])
    assert [p.score for p in ranking.pairs] == [None] * 4
    assert ranking.reason and ranking.baseline.value is None and ranking.uniform is None
    assert np.isnan(ranking.scores).all()


def test_rows_not_emitted_are_counted_and_left_out(table):
    values = np.full((4, 1, 2), 0.5)
    values[3] = np.nan
    ranking = rank_pairs([table(values)], 50)
    assert (ranking.n_samples, ranking.n_failed) == (3, 1)
    assert ranking.pairs[0].score == 0.5


def test_a_pair_that_is_never_defined_comes_last_without_a_rank(table):
    values = np.full((4, 1, 3), 0.5)
    values[:, 0, 0] = np.nan
    last = rank_pairs([table(values)], 50).pairs[-1]
    assert (last.head, last.score, last.rank, last.ci) == (0, None, None, None)


def test_same_seed_same_ranking_and_inputs_untouched(table):
    made = table(planted(np.random.default_rng(2), 20))
    kept = made.values.copy()
    assert rank_pairs([made], 100, seed=4) == rank_pairs([made], 100, seed=4)
    np.testing.assert_array_equal(made.values, kept)


@settings(max_examples=25)
@given(st.permutations(range(20)), st.permutations(range(HEADS)))
def test_ranking_follows_a_permutation_of_samples_and_heads(table_maker, samples, heads):
    values = planted(np.random.default_rng(3), 20)
    videos = np.array([f"v{i // 2}" for i in range(20)])
    base = rank_pairs([table_maker(values, videos=videos)], 60)
    moved = rank_pairs([table_maker(values[samples][:, :, heads], videos=videos[samples])], 60)
    # Head number h of the moved table is head heads[h] of the base.
    renamed = {(p.layer, heads[p.head]): p for p in moved.pairs}
    for pair in base.pairs:
        other = renamed[pair.layer, pair.head]
        assert other.score == pytest.approx(pair.score)
        assert (other.rank, other.p_top_k) == (pair.rank, pytest.approx(pair.p_top_k, abs=0.02))
        assert other.ci == pytest.approx(pair.ci)


@pytest.fixture(scope="session")
def table_maker():
    """The ``table`` fixture in a scope that hypothesis accepts."""
    from probes.store import HeadTable

    def make(values, videos):
        n = len(values)
        return HeadTable(
            "mask_share", "actor", values, tuple(map(str, range(n))), videos, np.zeros(n),
            np.full(n, 0.1), np.ones(n, bool),
        )  # fmt: skip

    return make


def test_json_is_what_the_command_promises(table):
    found = rank_pairs([table(planted(np.random.default_rng(0), 10))], 50).to_json()
    assert found["criterion"] == "mask_share" and found["role"] == "actor"
    first = found["pairs"][0]
    assert {"layer", "head", "score", "ci", "rank_ci"} <= set(first)
    assert isinstance(first["ci"], list) and len(first["rank_ci"]) == 2


def test_rank_reads_a_store_and_refuses_unknown_names(run, row, metrics):
    from probes.store import CaptureStore

    directory, writer = run()
    rows = [row(f"v{i}", "0", role) for i in range(3) for role in ("actor", "target")]
    writer.write_chunk(0, rows, metrics(len(rows)))
    store = CaptureStore(directory)
    # visual_mass of row i, layer 1, head 2 is 6 i + 5; actor rows are 0, 2, 4: mean 17.
    actor = rank(store, "visual_mass", "act", resamples=50)
    assert (actor.pairs[0].layer, actor.pairs[0].head, actor.pairs[0].score) == (1, 2, 17.0)
    assert rank(store, role="tar", resamples=50).pairs[0].score == 23.0
    assert rank(store, role="both", resamples=50).pairs[0].score == 20.0
    with pytest.raises(ConfigError, match="unknown criterion 'size'; choose one of visual_mass"):
        rank(store, "size")
    with pytest.raises(ConfigError, match="unknown role 'all'; choose act, tar or both"):
        rank(store, role="all")
    with pytest.raises(ConfigError, match="resamples is 0"):
        rank(store, resamples=0)


def test_every_criterion_says_what_it_is():
    assert {c.kind for c in CRITERIA.values()} == set(KINDS)
    assert all(c.title and c.description and c.unit for c in CRITERIA.values())


def test_the_lowest_entropy_ranks_first(table):
    """And the mean of a layer, the best k and the worst follow."""
    values = np.tile(np.array([[0.9, 0.2], [0.5, 0.4]]), (8, 1, 1))
    values += np.random.default_rng(0).normal(0, 0.01, values.shape)
    ranking = rank_pairs([table(values, metric="token_entropy")], 100, top_k=1)
    assert ranking.low_first and ranking.kind == "where" and ranking.uniform == 1.0
    order = [(p.layer, p.head) for p in ranking.pairs]
    assert order == [(0, 1), (1, 1), (1, 0), (0, 0)]
    assert ranking.pairs[0].p_top_k == 1 and ranking.pairs[0].rank_ci == (1, 1)
    assert select(ranking, "top-pairs", 2).pairs == ((0, 1), (1, 1))
    assert select(ranking, "bottom-pairs", 1).pairs == ((0, 0),)
    # Layer means 0.55 and 0.45: the second layer is the better one.
    assert select(ranking, "top-layer", 1).pairs == ((1, 1),)


def test_a_pair_that_stands_out_has_a_small_p_and_the_others_do_not(table):
    rng = np.random.default_rng(5)
    values = rng.normal(0.5, 0.1, (60, 4, 6))
    values[:, 2, 3] += 0.2
    ranking = rank_pairs([table(values)], 500)
    first, *others = ranking.pairs
    assert (first.layer, first.head) == (2, 3)
    assert first.p == pytest.approx(1 / 501) and first.q < 1e-4
    assert min(p.p for p in others) > 0.05
    # Drawn towards the mean, and still the first.
    assert max(p.shrunk for p in others) < first.shrunk < first.score
    assert ranking.split_half.median.jaccard > 0


def test_a_ranking_knows_its_equation_and_its_numbers(table):
    actor = table(np.full((4, 1, 2), 0.2), ids=["a/0", "a/1", "b/0", "c/0"])
    target = table(np.full((2, 1, 2), 0.4), ids=["a/0", "c/0"], role="target")
    ranking = rank_pairs([actor, target], 50)
    assert ranking.equation == CRITERIA["mask_share"].equation
    assert (ranking.n_samples, ranking.n_expressions) == (6, 4)
    # All pairs alike: nothing to tell apart, and nothing to test.
    assert all(p.p is None and p.q is None for p in ranking.pairs)
