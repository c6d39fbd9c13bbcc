"""Control tasks: labels that mean nothing, to see how much of a probe's accuracy is its own doing.

Hewitt and Liang (2019, arXiv 1909.03368) give each word type a label at random and ask a probe for
it. A probe that reads this as well as the true label tells of its own memory, not of the state.
Here the type is what a probe could recognise and know the label of by heart: the look of the role's
object, and for where it is, the object in its video (see :data:`probes.linear.facts.TASKS`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["control_labels", "share_met"]


def control_labels(
    labels: NDArray[np.intp], types: Sequence[str] | NDArray, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Labels at random, the same one for all samples of a type.

    Every class gets one type first, as long as there are types enough: one of the smallest, or a
    rare class would be blown up. Then type by type, largest first, a class is drawn with a chance
    in proportion to the samples that it still lacks. Where every type has one sample this permutes
    the labels; else the classes are about as frequent as the true ones.

    Args:
        labels: true classes, [sample], numbered from 0 without gaps.
        types: [sample].
        rng: the source of chance.

    Returns:
        [sample]; with fewer types than classes, some classes are absent.
    """
    _, codes = np.unique(np.asarray(types), return_inverse=True)
    sizes = np.bincount(codes)
    lacking = np.bincount(labels).astype(np.float64)
    classes = len(lacking)
    order = rng.permutation(len(sizes))
    order = order[np.argsort(sizes[order], kind="stable")]  # smallest first, equal ones at random
    given = np.zeros(len(sizes), dtype=np.intp)
    first = order[:classes]
    given[first] = rng.permutation(classes)[: len(first)]
    np.subtract.at(lacking, given[first], sizes[first])
    # Largest first of the others: what is left over at the end is small then.
    for kind in order[classes:][::-1]:
        left = np.maximum(lacking, 0)
        given[kind] = rng.choice(classes, p=left / left.sum())
        lacking[given[kind]] -= sizes[kind]
    return given[codes]


def share_met(types: Sequence[str] | NDArray, folds: NDArray[np.intp]) -> float:
    """Share of the samples whose type is met in the folds that a probe is fitted on.

    Without any, no probe could learn the control task by heart, and its accuracy says nothing.
    """
    names = np.asarray(types)
    met = [np.isin(names[folds == fold], names[folds != fold]) for fold in np.unique(folds)]
    return float(np.concatenate(met).mean())
