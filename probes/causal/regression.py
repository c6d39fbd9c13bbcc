"""Each head's effect beside many other losses: a linear model of what random subsets cost.

Silencing one head tells the least that it does, since others take over. Head attribution (arXiv
2509.17588, after component attribution, arXiv 2404.11534) silences random subsets of all heads and
regresses the change of the score on who was in them:

    change(subset) = intercept + sum of effect(head) over heads in the subset + rest

With subsets of rate 1/2 and no penalty, effect(head) tends to the mean change that silencing the
head makes over all subsets of the others (its Banzhaf value; Hammer and Holzman 1992): a head that
another one replaces counts in the half of the subsets that lack the other. Other rates weigh
the subsets by how likely they are.

The fit is ridge regression. Its penalty is chosen by generalised cross-validation in closed form
(Golub, Heath and Wahba 1979), and it is judged on subsets that it was not fitted to. The score is
the mean over expressions and the fit is linear in it, so a resample of the videos is fitted by one
matrix product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    draw_weights,
    interval,
    percentile_interval,
    video_codes,
    weighted_means,
)

__all__ = ["HeadEffect", "SubsetRegression", "regress_subsets"]

Matrix = NDArray[np.float64]
_PENALTIES = np.logspace(-2, 4, 25)
"""In units of the mean squared singular value of the design. The smallest takes 1 % of an effect;
smaller ones are chosen by chance where there are as many subsets as heads, and predict nothing."""
_FOLDS = 5
_ALIKE = 1e-9
"""Spread of mean changes below which they are called equal; scores are kept to 1e-6."""


@dataclass(frozen=True)
class HeadEffect:
    """What silencing a head changes, beside random losses of others."""

    layer: int
    head: int
    effect: Estimate
    """Undefined for a head that was silenced in no subset, or in all."""


@dataclass(frozen=True)
class SubsetRegression:
    """The linear model of one role."""

    role: str
    effects: tuple[HeadEffect, ...]
    """Head by head, layer by layer."""
    mean: Estimate
    """Mean change over the subsets: what the effects deviate from. Near minus the whole score
    nothing is left to tell heads apart by; a lower rate leaves more."""
    r2: Estimate
    """Share of the subsets' variance that the model predicts on subsets it was not fitted to, five
    parts in turn; at or below 0 the effects say nothing. Its interval is over videos."""
    n_subsets: int
    rate: float
    """Share of heads that a subset silences, counted over the subsets."""
    penalty: float
    """Of the ridge regression, added to the squared singular values of the centred design."""
    kept: float
    """Share of an effect that the penalty leaves, mean over heads: 0.6 means that effects, and
    their intervals, are drawn towards 0 to about 0.6 of what more subsets would show."""
    note: str | None
    """What a reader must know before the effects, such as fewer subsets than heads."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def regress_subsets(
    silenced: NDArray[np.bool_],
    change: Matrix,
    videos: Sequence[str] | NDArray,
    role: str,
    resamples: int = 2000,
    seed: int = 0,
) -> SubsetRegression:
    """Fit the linear model; see the module.

    An interval covers other videos and other subsets: to the mean changes of each resample of the
    videos, each subset's leave-one-out residual is added with a random sign (wild bootstrap), as
    what the linear model leaves unexplained would fall differently in other subsets.

    Args:
        silenced: [subset, layer, head].
        change: change of the score of each expression, [expression, subset].
        videos: [expression].
        role: whose scores they are.
        resamples: bootstrap draws.
        seed: of the draws, and of the parts of the cross-validation.

    Raises:
        ValueError: no expression, or another number of subsets; fewer than 5.
    """
    count, layers, heads = silenced.shape
    if not len(change) or change.shape[1] != count or count < _FOLDS:
        raise ValueError(
            f"changes of shape {change.shape} for {count} subsets; give at least one expression, "
            f"a column a subset and at least {_FOLDS} subsets"
        )
    design = silenced.reshape(count, -1).astype(float)
    codes, n_videos = video_codes(videos)
    cost = weighted_means(change, codes, np.ones((1, n_videos)))[0]
    drawn = weighted_means(change, codes, draw_weights(n_videos, resamples, seed))
    fit = _fit(design, cost)
    wild = np.random.default_rng([seed, 1]).choice((-1.0, 1.0), size=drawn.shape)
    low, high = percentile_interval((drawn + wild * fit.left_out(cost)) @ fit.effects.T)
    found = fit.effects @ cost
    varied = np.ptp(design, axis=0) > 0

    def estimate(value: float, ci: tuple[float, float] | None) -> Estimate:
        if n_videos < 2:
            return Estimate(value, None, len(change), n_videos, ONE_VIDEO)
        return Estimate(value, ci, len(change), n_videos)

    def effect(index: int) -> Estimate:
        if not varied[index]:
            return Estimate(None, None, 0, 0, "silenced in no subset, or in all of them")
        return estimate(float(found[index]), (float(low[index]), float(high[index])))

    r2 = _r2_of_left_out(design, np.vstack([cost[None], drawn]), seed)
    return SubsetRegression(
        role,
        tuple(HeadEffect(*divmod(i, heads), effect(i)) for i in range(layers * heads)),
        estimate(float(cost.mean()), interval(drawn.mean(axis=1))),
        estimate(float(r2[0]), interval(r2[1:]))
        if np.isfinite(r2[0])
        else Estimate(None, None, 0, 0, "all subsets change the score alike"),
        count,
        float(design.mean()),
        fit.penalty,
        fit.kept,
        f"{count} subsets for {layers * heads} heads: too few to tell every head apart; "
        "draw several for each head"
        if count <= layers * heads
        else None,
    )


@dataclass(frozen=True)
class _Fit:
    """Ridge regression with a free intercept, as operators on outcomes [row]."""

    effects: Matrix
    """[column, row]: outcomes to effects. Rows sum to 0, so a constant has no effect."""
    fitted: Matrix
    """[row, row]: outcomes to fitted outcomes."""
    penalty: float
    kept: float

    def left_out(self, outcome: Matrix) -> Matrix:
        """What each row lies off the fit to all others with the same penalty, [row]."""
        return (outcome - self.fitted @ outcome) / (1 - np.diag(self.fitted))


def _fit(design: Matrix, outcome: Matrix) -> _Fit:
    """The fit whose penalty has the least generalised cross-validation error for ``outcome``."""
    rows = len(design)
    left, sizes, right = np.linalg.svd(design - design.mean(axis=0), full_matrices=False)
    # Centring leaves a direction of no length where there are as many columns as rows.
    real = sizes > sizes.max(initial=0) * 1e-10
    left, sizes, right = left[:, real], sizes[real], right[real]
    scale = float((sizes**2).mean()) if len(sizes) else 1.0
    along = left.T @ outcome
    rest = float(((outcome - outcome.mean()) ** 2).sum() - (along**2).sum())
    shares = sizes**2 / (sizes**2 + scale * _PENALTIES[:, None])  # [penalty, direction]
    errors = np.maximum(rest, 0.0) + (((1 - shares) * along) ** 2).sum(axis=1)
    best = int(np.argmin(errors / (rows - 1 - shares.sum(axis=1)) ** 2))
    penalty = float(scale * _PENALTIES[best])
    return _Fit(
        (right.T * (sizes / (sizes**2 + penalty))) @ left.T,
        (left * shares[best]) @ left.T + 1 / rows,
        penalty,
        float(shares[best].sum() / max(design.shape[1], 1)),
    )


def _r2_of_left_out(design: Matrix, outcomes: Matrix, seed: int) -> Matrix:
    """1 - squared error / squared error of the mean, on rows left out in turn.

    The penalty of each turn is that of the first outcome, chosen without the rows left out.

    Args:
        design: [row, column].
        outcomes: [outcome, row].
        seed: of the parts.

    Returns:
        [outcome]; NaN where the rows are alike.
    """
    rows = len(design)
    order = np.random.default_rng(seed).permutation(rows)
    error, spread = np.zeros(len(outcomes)), np.zeros(len(outcomes))
    for part in np.array_split(order, _FOLDS):
        rest = np.setdiff1d(order, part)
        seen, mean = outcomes[:, rest], outcomes[:, rest].mean(axis=1, keepdims=True)
        effects = seen @ _fit(design[rest], outcomes[0, rest]).effects.T
        predicted = mean + effects @ (design[part] - design[rest].mean(axis=0)).T
        error += ((outcomes[:, part] - predicted) ** 2).sum(axis=1)
        spread += ((outcomes[:, part] - mean) ** 2).sum(axis=1)
    alike = np.ptp(outcomes, axis=1) < _ALIKE
    return np.where(alike, np.nan, 1 - error / np.where(alike, 1.0, spread))
