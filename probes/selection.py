"""From a ranking to the pairs that are supervised, ablated or swept."""

import numpy as np

from probes.bootstrap import defined_mean
from probes.ranking import Ranking
from reviosa.errors import ConfigError
from reviosa.heads import PUBLISHED, HeadSelection

__all__ = ["STRATEGIES", "UNSCORED", "select", "top_layer"]

STRATEGIES = (
    "top-layer", "top-layers", "bottom-layers", "layer", "top-pairs", "bottom-pairs", "random",
    "matched-random", "published",
)  # fmt: skip
UNSCORED = ("random", "matched-random", "published")
"""Strategies that look at no score and need only the shape of the model."""


def select(
    ranking: Ranking | tuple[int, int],
    strategy: str,
    k: int = 4,
    seed: int = 0,
    run: str | None = None,
    data: str | None = None,
    preset: str | None = None,
    layers: int = 3,
    like: HeadSelection | None = None,
    layer: int | None = None,
) -> HeadSelection:
    """Choose ``k`` pairs, or ``k`` in each of several layers.

    Args:
        ranking: scores of all pairs; of a criterion whose low scores are good, "highest" and
            "best" below mean the lowest. For the strategies of :data:`UNSCORED` (layers, heads of
            each) will do.
        strategy: "top-layer": the layer with the highest mean over heads, then its best k heads
            (the paper's protocol as far as it is public, REVIOSA 8.3); "top-layers" and
            "bottom-layers": the ``layers`` layers with the highest or lowest mean, then the best k
            heads of each (the paper's Fig. 6c); "layer": the best k heads of ``layer``;
            "top-pairs" and "bottom-pairs": the best or worst k of all; "random": k of all pairs,
            drawn with ``seed``; "matched-random": as many heads of each layer as ``like`` has,
            drawn among those that it does not have; "published": the release's list for ``preset``.
        k: number of pairs, of each layer where there are several.
        seed: of the random strategies.
        run: name of the capture run, kept in the selection.
        data: identity of the data set, kept in the selection.
        preset: "1b" or "4b", for "published" alone.
        layers: number of layers, for "top-layers" and "bottom-layers".
        like: the selection that "matched-random" is a control of.
        layer: which one, for "layer" alone.

    Returns:
        The pairs, best first ("bottom-pairs": worst first; layer after layer; random ones in the
        order of layer and head). Ties go to the lower layer, then the lower head. Undefined pairs
        are never chosen, except at random, which looks at no score.

    Raises:
        ConfigError: unknown strategy or preset, k or layers below 1 or above what there is, a layer
            that does not exist, "matched-random" without ``like``, "layer" without ``layer``, or no
            scores where they are needed.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"unknown strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}")
    shape = ranking if isinstance(ranking, tuple) else ranking.scores.shape
    if strategy == "published":
        return _published(shape, preset)
    if strategy == "matched-random":
        return HeadSelection(_matched(shape, like, seed), strategy, None, run, data)
    if k < 1 or layers < 1:
        raise ConfigError(f"k is {k} of {layers} layers; choose at least 1 pair of 1 layer")
    if strategy == "random":
        return HeadSelection(_random(shape, k, seed), strategy, None, run, data)
    if isinstance(ranking, tuple):
        raise ConfigError(f"{strategy} chooses by scores, got none; give the ranking of a capture")
    defined = [(p.layer, p.head) for p in ranking.pairs if p.score is not None]
    if strategy == "layer":
        chosen = _best_of(defined, _existing(layer, len(ranking.scores)), k)
    elif strategy == "top-pairs":
        chosen = defined[: _enough(k, len(defined), "pairs with a score")]
    elif strategy == "bottom-pairs":
        merits = ranking.merits
        worst = sorted(defined, key=lambda pair: (merits[pair], pair))
        chosen = worst[: _enough(k, len(defined), "pairs with a score")]
    else:
        order = _layer_order(ranking)
        if strategy == "bottom-layers":
            order.reverse()
        count = 1 if strategy == "top-layer" else _enough(layers, len(order), "layers with a score")
        chosen = []
        for one in order[:count]:
            chosen += _best_of(defined, one, k)
    return HeadSelection(tuple(chosen), strategy, ranking.criterion, run, data)


def top_layer(ranking: Ranking) -> int:
    """The layer with the highest mean score over its defined heads; a tie goes to the lower one.

    Raises:
        ConfigError: no pair has a score.
    """
    return _layer_order(ranking)[0]


def _layer_order(ranking: Ranking) -> list[int]:
    """Layers with a score, the best mean over heads first."""
    means = defined_mean(ranking.merits, axis=1)
    if not np.isfinite(means).any():
        raise ConfigError(
            f"no pair has a {ranking.criterion} score for role {ranking.role}: "
            f"{ranking.reason or 'all are undefined'}; capture more samples or choose another role"
        )
    return [int(i) for i in np.argsort(-means, kind="stable") if np.isfinite(means[i])]


def _best_of(best_first: list[tuple[int, int]], layer: int, k: int) -> list[tuple[int, int]]:
    heads = [pair for pair in best_first if pair[0] == layer]
    return heads[: _enough(k, len(heads), f"heads with a score in layer {layer}")]


def _existing(layer: int | None, layers: int) -> int:
    if layer is None or not 0 <= layer < layers:
        raise ConfigError(f"layer is {layer}, but the model has layers 0 to {layers - 1}; name one")
    return layer


def _matched(
    shape: tuple[int, ...], like: HeadSelection | None, seed: int
) -> tuple[tuple[int, int], ...]:
    if like is None:
        raise ConfigError("matched-random needs the selection that it is a control of; give one")
    layers, heads = shape
    like.validate(layers, heads)
    rng = np.random.default_rng(seed)
    chosen: list[tuple[int, int]] = []
    for layer in like.layers:
        others = [(layer, head) for head in range(heads) if (layer, head) not in like.pairs]
        wanted = heads - len(others)
        size = _enough(wanted, len(others), f"other heads in layer {layer}")
        picks = rng.choice(len(others), size, replace=False)
        chosen += [others[index] for index in sorted(picks)]
    return tuple(chosen)


def _random(shape: tuple[int, ...], k: int, seed: int) -> tuple[tuple[int, int], ...]:
    layers, heads = shape
    size = _enough(k, layers * heads, "pairs")
    picks = np.random.default_rng(seed).choice(layers * heads, size=size, replace=False)
    return tuple((int(index) // heads, int(index) % heads) for index in sorted(picks))


def _enough(k: int, available: int, what: str) -> int:
    if k > available:
        raise ConfigError(f"k is {k}, but there are only {available} {what}; choose a smaller k")
    return k


def _published(shape: tuple[int, ...], preset: str | None) -> HeadSelection:
    if preset not in PUBLISHED:
        raise ConfigError(
            f"the published pairs exist for the presets {', '.join(PUBLISHED)}, got {preset!r}; "
            "name one, or choose another strategy"
        )
    selection = PUBLISHED[preset]
    layers, heads = shape
    # A capture without any sample does not know the model's shape.
    return selection.validate(layers, heads) if layers else selection
