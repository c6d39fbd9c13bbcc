"""From a ranking to the pairs that are supervised, ablated or swept."""

import numpy as np

from probes.bootstrap import defined_mean
from probes.ranking import Ranking
from reviosa.errors import ConfigError
from reviosa.heads import PUBLISHED, HeadSelection

__all__ = ["STRATEGIES", "select", "top_layer"]

STRATEGIES = ("top-layer", "top-pairs", "bottom-pairs", "random", "published")


def select(
    ranking: Ranking,
    strategy: str,
    k: int = 4,
    seed: int = 0,
    run: str | None = None,
    data: str | None = None,
    preset: str | None = None,
) -> HeadSelection:
    """Choose ``k`` pairs.

    Args:
        ranking: scores of all pairs; higher is better.
        strategy: "top-layer": the layer with the highest mean over heads, then its best k heads
            (the paper's protocol as far as it is public, REVIOSA 8.3); "top-pairs" and
            "bottom-pairs": the best or worst k of all; "random": k of all pairs, drawn with
            ``seed``; "published": the release's list for ``preset``.
        k: number of pairs.
        seed: of "random" alone.
        run: name of the capture run, kept in the selection.
        data: identity of the data set, kept in the selection.
        preset: "1b" or "4b", for "published" alone.

    Returns:
        The pairs, best first ("bottom-pairs": worst first; "random": in the order of layer and
        head). Ties go to the lower layer, then the lower head. Undefined pairs are never chosen,
        except by "random", which looks at no score.

    Raises:
        ConfigError: unknown strategy or preset, k below 1 or above what there is.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"unknown strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}")
    if strategy == "published":
        return _published(ranking, preset)
    if k < 1:
        raise ConfigError(f"k is {k}; choose at least 1 pair")
    pairs = [(p.layer, p.head) for p in ranking.pairs]
    defined = [(p.layer, p.head) for p in ranking.pairs if p.score is not None]
    if strategy == "random":
        chosen = _random(sorted(pairs), _enough(k, len(pairs), "pairs"), seed)
    elif strategy == "top-pairs":
        chosen = defined[: _enough(k, len(defined), "pairs with a score")]
    elif strategy == "bottom-pairs":
        scores = ranking.scores
        worst = sorted(defined, key=lambda pair: (scores[pair], pair))
        chosen = worst[: _enough(k, len(defined), "pairs with a score")]
    else:
        layer = top_layer(ranking)
        heads = [pair for pair in defined if pair[0] == layer]
        chosen = heads[: _enough(k, len(heads), f"heads with a score in layer {layer}")]
    criterion = None if strategy == "random" else ranking.criterion
    return HeadSelection(tuple(chosen), strategy, criterion, run, data)


def top_layer(ranking: Ranking) -> int:
    """The layer with the highest mean score over its defined heads; a tie goes to the lower one.

    Raises:
        ConfigError: no pair has a score.
    """
    scores = ranking.scores
    if not np.isfinite(scores).any():
        raise ConfigError(
            f"no pair has a {ranking.criterion} score for role {ranking.role}: "
            f"{ranking.reason or 'all are undefined'}; capture more samples or choose another role"
        )
    means = np.nan_to_num(defined_mean(scores, axis=1), nan=-np.inf)
    return int(np.argmax(means))


def _random(pairs: list[tuple[int, int]], k: int, seed: int) -> list[tuple[int, int]]:
    picks = np.random.default_rng(seed).choice(len(pairs), size=k, replace=False)
    return [pairs[index] for index in sorted(picks)]


def _enough(k: int, available: int, what: str) -> int:
    if k > available:
        raise ConfigError(f"k is {k}, but there are only {available} {what}; choose a smaller k")
    return k


def _published(ranking: Ranking, preset: str | None) -> HeadSelection:
    if preset not in PUBLISHED:
        raise ConfigError(
            f"the published pairs exist for the presets {', '.join(PUBLISHED)}, got {preset!r}; "
            "name one, or choose another strategy"
        )
    selection = PUBLISHED[preset]
    if ranking.pairs:
        layers, heads = ranking.scores.shape
        selection.validate(layers, heads)
    return selection
