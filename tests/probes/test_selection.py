import numpy as np
import pytest

from probes.ranking import rank_pairs
from probes.selection import UNSCORED, select, top_layer
from reviosa.errors import ConfigError
from reviosa.heads import PUBLISHED

# Layer means: 0.3, 0.5, 0.45. The single best pair, (2, 0), is not in the best layer.
SCORES = np.array([[0.2, 0.3, 0.4], [0.5, 0.6, 0.4], [0.9, 0.2, 0.25]])


@pytest.fixture
def ranking(table):
    return rank_pairs([table(np.stack([SCORES] * 4), metric="visual_mass")], 20)


def test_top_layer_then_its_best_heads(ranking):
    chosen = select(ranking, "top-layer", k=2, run="runs/a", data="abc")
    assert chosen.pairs == ((1, 1), (1, 0))
    assert (chosen.strategy, chosen.criterion, chosen.run, chosen.data) == (
        "top-layer", "visual_mass", "runs/a", "abc",
    )  # fmt: skip
    assert top_layer(ranking) == 1


def test_top_and_bottom_pairs(ranking):
    assert select(ranking, "top-pairs", k=3).pairs == ((2, 0), (1, 1), (1, 0))
    # 0.2 stands at (0, 0) and (2, 1): the tie goes to the lower layer.
    assert select(ranking, "bottom-pairs", k=3).pairs == ((0, 0), (2, 1), (2, 2))


def test_layers_at_the_top_and_at_the_bottom(ranking):
    # Means 0.3, 0.5, 0.45: layers 1 and 2 are the upper two; 0 and 2 the lower two, lowest first.
    assert select(ranking, "top-layers", k=1, layers=2).pairs == ((1, 1), (2, 0))
    assert select(ranking, "bottom-layers", k=2, layers=2).pairs == (
        (0, 2), (0, 1), (2, 0), (2, 2),
    )  # fmt: skip
    assert select(ranking, "top-layers", k=2, layers=1).pairs == (
        select(ranking, "top-layer", k=2).pairs
    )


def test_one_layer_and_its_best_heads(ranking):
    assert select(ranking, "layer", k=2, layer=0).pairs == ((0, 2), (0, 1))
    assert select(ranking, "layer", k=3, layer=2).pairs == ((2, 0), (2, 2), (2, 1))
    for layer in (None, 3, -1):
        with pytest.raises(ConfigError, match="the model has layers 0 to 2"):
            select(ranking, "layer", k=1, layer=layer)
    with pytest.raises(ConfigError, match="only 3 heads with a score in layer 0"):
        select(ranking, "layer", k=4, layer=0)


@pytest.mark.parametrize("strategy", UNSCORED)
def test_what_looks_at_no_score_needs_only_the_shape(ranking, strategy):
    if strategy == "published":
        assert select((24, 14), strategy, preset="1b") == PUBLISHED["1b"]
        return
    like = select(ranking, "top-layer", k=1)
    for seed in range(5):
        options = {"k": 2, "seed": seed, "like": like}
        assert select((3, 3), strategy, **options) == select(ranking, strategy, **options)


def test_a_ranked_strategy_without_scores_is_refused():
    with pytest.raises(ConfigError, match="top-pairs chooses by scores, got none"):
        select((3, 3), "top-pairs", k=1)


def test_a_layer_without_any_score_is_neither_at_the_top_nor_at_the_bottom(table):
    scores = SCORES.copy()
    scores[0] = np.nan
    ranking = rank_pairs([table(np.stack([scores] * 4), metric="visual_mass")], 20)
    assert select(ranking, "bottom-layers", k=1, layers=1).pairs == ((2, 0),)
    with pytest.raises(ConfigError, match="only 2 layers with a score"):
        select(ranking, "bottom-layers", k=1, layers=3)


def test_matched_random_heads_are_others_of_the_same_layers(ranking):
    like = select(ranking, "top-layers", k=1, layers=2)
    drawn = {select(ranking, "matched-random", like=like, seed=s).pairs for s in range(30)}
    for pairs in drawn:
        assert [layer for layer, _ in pairs] == [1, 2]
        assert not set(pairs) & set(like.pairs)
    assert len(drawn) == 4, "two other heads in each of two layers"
    with pytest.raises(ConfigError, match="needs the selection"):
        select(ranking, "matched-random")
    with pytest.raises(ConfigError, match="only 1 other heads in layer 1"):
        select(ranking, "matched-random", like=select(ranking, "top-layer", k=2))


def test_random_is_seeded_and_looks_at_no_score(ranking, table):
    first = select(ranking, "random", k=4, seed=7)
    assert first == select(ranking, "random", k=4, seed=7)
    assert len(set(first.pairs)) == 4 and first.criterion is None
    assert len({select(ranking, "random", k=4, seed=s).pairs for s in range(20)}) > 10
    other = rank_pairs([table(np.stack([SCORES.T[::-1].copy()] * 4), metric="lift")], 20)
    assert select(other, "random", k=4, seed=7).pairs == first.pairs


def test_published(table):
    small = rank_pairs([table(np.stack([SCORES] * 4))], 20)
    big = rank_pairs([table(np.zeros((2, 24, 14)))], 20)
    assert select(big, "published", preset="1b") == PUBLISHED["1b"]
    with pytest.raises(ConfigError, match="layer 22 does not exist: the model has 3 layers"):
        select(small, "published", preset="1b")
    with pytest.raises(ConfigError, match="presets 1b, 4b, got None"):
        select(big, "published")


@pytest.mark.parametrize(
    ("strategy", "k", "message"),
    [
        ("best", 4, "unknown strategy 'best'; choose one of top-layer"),
        ("top-pairs", 0, "k is 0"),
        ("top-layer", 4, "only 3 heads with a score in layer 1"),
        ("top-pairs", 10, "only 9 pairs with a score"),
        ("bottom-pairs", 10, "only 9 pairs with a score"),
        ("random", 10, "only 9 pairs"),
    ],
)
def test_what_cannot_be_chosen_is_refused(ranking, strategy, k, message):
    with pytest.raises(ConfigError, match=message):
        select(ranking, strategy, k=k)


def test_undefined_pairs_are_never_chosen_by_score(table):
    scores = SCORES.copy()
    scores[2, 0] = np.nan
    ranking = rank_pairs([table(np.stack([scores] * 4))], 20)
    assert select(ranking, "top-pairs", k=1).pairs == ((1, 1),)
    assert (2, 0) not in select(ranking, "bottom-pairs", k=8).pairs


def test_nothing_to_choose_from_says_why(table):
    empty = rank_pairs([table(np.zeros((0, 2, 2)), role="target")])
    with pytest.raises(ConfigError, match="role target: no sample with a defined value"):
        select(empty, "top-layer", k=1)
    with pytest.raises(ConfigError, match="only 0 pairs with a score"):
        select(empty, "top-pairs", k=1)
