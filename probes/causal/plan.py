"""Which heads are silenced together."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from reviosa.errors import ConfigError

__all__ = [
    "MIN_SUBSETS",
    "Ablation",
    "Pair",
    "keep_ablations",
    "layer_ablations",
    "set_ablations",
    "single_ablations",
    "subset_ablations",
]

Pair = tuple[int, int]
KEPT = ("kept", "random kept")
MIN_SUBSETS = 10
"""Two for each of the five parts of the cross-validation."""


@dataclass(frozen=True)
class Ablation:
    """A set of heads that are silenced together, or kept while all others are silenced."""

    name: str
    """``L03H04`` of a single pair, ``chosen 3`` of the best three, ``random 3.07`` of a control."""
    group: str
    """``single``, ``layer``, ``chosen``, ``random``, ``least`` or ``subset``; or ``kept`` and
    ``random kept``, whose pairs are not silenced but all others."""
    pairs: tuple[Pair, ...]

    def silenced(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Which heads of a model of that shape are silenced, [layer, head]."""
        named = np.zeros(shape, dtype=bool)
        for layer, head in self.pairs:
            named[layer, head] = True
        return ~named if self.group in KEPT else named


def single_ablations(pairs: Sequence[Pair]) -> tuple[Ablation, ...]:
    """Each pair by itself."""
    return tuple(
        Ablation(f"L{layer:02d}H{head:02d}", "single", ((layer, head),)) for layer, head in pairs
    )


def layer_ablations(shape: tuple[int, int]) -> tuple[Ablation, ...]:
    """All heads of each layer together."""
    layers, heads = shape
    return tuple(
        Ablation(f"L{layer:02d}", "layer", tuple((layer, head) for head in range(heads)))
        for layer in range(layers)
    )


def set_ablations(
    chosen: Sequence[Pair],
    shape: tuple[int, int],
    draws: int = 20,
    seed: int = 0,
    least: Sequence[Pair] = (),
) -> tuple[Ablation, ...]:
    """The first k of the chosen pairs for every k, and what they are compared with.

    Args:
        chosen: pairs, best first.
        shape: layers and heads of the model.
        draws: different random sets for each k, with as many heads of each layer as the first k
            have; all that there are where there are fewer. They may share heads with the first k,
            but are never the same set.
        seed: of the draws.
        least: pairs from the other end of the ranking, worst first; the first k of them, too, as
            far as they reach.

    Raises:
        ConfigError: a pair that does not exist, or one twice; or a layer all of whose heads are
            chosen, so that no other set is like it.
    """
    _require_pairs(chosen, shape)
    _require_pairs(least, shape)
    rng = np.random.default_rng(seed)
    made: list[Ablation] = []
    for k in range(1, len(chosen) + 1):
        made.append(Ablation(f"chosen {k}", "chosen", tuple(chosen[:k])))
        if k <= len(least):
            made.append(Ablation(f"least {k}", "least", tuple(least[:k])))
        for draw, pairs in enumerate(_alike(chosen[:k], shape[1], draws, rng)):
            made.append(Ablation(f"random {k}.{draw:02d}", "random", pairs))
    return tuple(made)


def keep_ablations(
    chosen: Sequence[Pair], shape: tuple[int, int], draws: int = 20, seed: int = 0
) -> tuple[Ablation, ...]:
    """The first k of the chosen pairs kept while every other head of every layer is silenced.

    Whether the chosen heads are enough, which silencing them does not tell: a set that is as good
    as random sets of its size and layers explains nothing (sufficiency against random circuits,
    arXiv 2410.13032). The first one keeps no head at all, from which the others climb.

    Args:
        chosen: pairs, best first.
        shape: layers and heads of the model.
        draws: random sets for each k, those that :func:`set_ablations` draws with the same seed.
        seed: of the draws.

    Raises:
        ConfigError: as :func:`set_ablations`.
    """
    _require_pairs(chosen, shape)
    rng = np.random.default_rng(seed)
    made = [Ablation("kept 0", "kept", ())]
    for k in range(1, len(chosen) + 1):
        made.append(Ablation(f"kept {k}", "kept", tuple(chosen[:k])))
        for draw, pairs in enumerate(_alike(chosen[:k], shape[1], draws, rng)):
            made.append(Ablation(f"random kept {k}.{draw:02d}", "random kept", pairs))
    return tuple(made)


def subset_ablations(
    shape: tuple[int, int], count: int, rate: float = 0.5, seed: int = 0
) -> tuple[Ablation, ...]:
    """Random subsets of all heads, each head in each with probability ``rate``.

    Args:
        shape: layers and heads of the model.
        count: number of subsets; several for each head tell heads apart.
        rate: how likely a head is silenced. Where half of the heads leave no mask at all, nothing
            is told apart; a lower rate stays nearer to the whole model.
        seed: of the draws.

    Raises:
        ConfigError: fewer than 10 subsets, or a rate that is not between 0 and 1.
    """
    if count < MIN_SUBSETS:
        raise ConfigError(
            f"got {count} subsets, expected at least {MIN_SUBSETS}; several for each of the "
            f"{shape[0] * shape[1]} heads tell them apart"
        )
    if not 0 < rate < 1:
        raise ConfigError(
            f"got a rate of {rate:g}, expected more than 0 and less than 1; "
            "0.5 silences every second head"
        )
    drawn = np.random.default_rng(seed).random((count, *shape)) < rate
    return tuple(
        Ablation(
            f"subset {index:04d}",
            "subset",
            tuple((int(layer), int(head)) for layer, head in np.argwhere(mask)),
        )
        for index, mask in enumerate(drawn)
    )


def _require_pairs(pairs: Sequence[Pair], shape: tuple[int, int]) -> None:
    layers, heads = shape
    odd = [pair for pair in pairs if not (0 <= pair[0] < layers and 0 <= pair[1] < heads)]
    if odd or len(set(pairs)) < len(pairs):
        what = f"the pair {odd[0]}" if odd else "a pair twice"
        raise ConfigError(
            f"got {what}, expected different pairs of {layers} layers and {heads} heads; "
            "choose pairs of this model"
        )


def _alike(
    first: Sequence[Pair], heads: int, draws: int, rng: np.random.Generator
) -> list[tuple[Pair, ...]]:
    """Random sets with as many heads of each layer as ``first`` has, none of them the same."""
    counts = Counter(layer for layer, _ in first)
    if all(count == heads for count in counts.values()):
        raise ConfigError(
            f"the first {len(first)} pairs are all heads of their layers; no random set of the "
            "same layers is another one, choose fewer"
        )
    others = math.prod(math.comb(heads, count) for count in counts.values()) - 1
    if others <= draws:
        # There are no more: each of them once.
        by_layer = [
            [tuple((layer, head) for head in some) for some in combinations(range(heads), count)]
            for layer, count in counts.items()
        ]
        every = [tuple(pair for part in parts for pair in part) for parts in product(*by_layer)]
        return [pairs for pairs in every if set(pairs) != set(first)]
    sets: dict[tuple[Pair, ...], None] = {}
    while len(sets) < draws:
        pairs = tuple(
            (layer, int(head))
            for layer, count in counts.items()
            for head in sorted(rng.choice(heads, count, replace=False))
        )
        if set(pairs) != set(first):
            sets[pairs] = None
    return list(sets)
