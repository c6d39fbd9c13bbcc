"""Does the attention of some pairs go with better masks? The paper's Fig. 6a for any set of pairs.

The same numbers as :mod:`probes.correlation` has of all heads, for any pair, layer or selection and
fast enough to be asked for by a click: ranks are taken once, over all samples, and a draw weighs
them. Point values are the same; intervals differ from those of ranks taken anew in every draw by
what ties and repeated videos change, which is little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.association import alike, estimate_of_draws, why_undefined
from probes.bins import quantile_bins
from probes.bootstrap import Estimate, defined_mean, draw_weights, video_codes
from probes.correlation import too_few
from probes.covariates import Covariates, groups
from probes.rank_statistics import fixed_rank_correlations
from probes.results import ScatterBin
from probes.store import HeadTable
from reviosa.errors import ConfigError

__all__ = ["Beside", "RankAssociation", "SetAccuracy", "SetStratum", "set_accuracy", "set_scores"]


@dataclass(frozen=True)
class RankAssociation:
    """Rank correlation of a score with J&F."""

    spearman: Estimate
    partial: Estimate
    """With the mask area taken out of both."""


@dataclass(frozen=True)
class SetStratum:
    """The same among samples that are alike in one thing."""

    variable: str
    level: str
    found: RankAssociation


@dataclass(frozen=True)
class Beside:
    """What the score of a set is set beside, of all samples of one role."""

    known: Covariates
    means: dict[str, NDArray[np.float64]]
    """Control criteria, mean over all heads: name to [sample]."""


@dataclass(frozen=True)
class SetAccuracy:
    """Everything that is shown about a set's attention and J&F, of one role."""

    metric: str
    role: str
    score: NDArray[np.float64]
    """[sample], mean over the pairs; of the samples that have a score and a J&F."""
    jf: NDArray[np.float64]
    mask_area: NDArray[np.float64]
    sample_ids: tuple[str, ...]
    overall: RankAssociation
    controls: dict[str, RankAssociation]
    """"mask_area": knows nothing of attention; "centre_share": only knows the middle of the frame;
    the others: criteria as means over all heads, see :attr:`Beside.means`."""
    strata: tuple[SetStratum, ...]
    bins: tuple[ScatterBin, ...]
    n_excluded: int
    """Samples without the role's token, J&F or score."""
    resamples: int


def set_scores(
    table: HeadTable, pairs: Sequence[tuple[int, int]] | None = None
) -> NDArray[np.float64]:
    """Mean over some pairs of each sample, over all when None; [sample].

    NaN where none of them has a value.

    Raises:
        ConfigError: no pair, or one that the model does not have.
    """
    if pairs is None:
        return defined_mean(table.flat, axis=1)
    _, layers, heads = table.values.shape
    odd = [pair for pair in pairs if not (0 <= pair[0] < layers and 0 <= pair[1] < heads)]
    if odd or not pairs:
        raise ConfigError(
            f"got {f'the pair {odd[0]}' if odd else 'no pair'}, expected pairs of {layers} layers "
            f"and {heads} heads; choose pairs of this model"
        )
    columns = [layer * heads + head for layer, head in pairs]
    return defined_mean(table.flat[:, columns], axis=1)


def set_accuracy(
    table: HeadTable,
    pairs: Sequence[tuple[int, int]] | None,
    beside: Beside,
    resamples: int = 2000,
    seed: int = 0,
) -> SetAccuracy:
    """Set a criterion of some pairs against the J&F of the same role.

    Args:
        table: the criterion, one role.
        pairs: over which its mean is taken; all when None.
        beside: of the same rows.
        resamples: draws over videos.
        seed: of the draws.

    Raises:
        ConfigError: no pair, or one that the model does not have.
    """
    score = set_scores(table, pairs)
    keep = np.asarray(table.emitted, bool) & np.isfinite(table.jf) & np.isfinite(score)
    score, jf, area = score[keep], table.jf[keep], table.mask_area[keep]
    names = np.asarray(table.video_ids)[keep]
    known = beside.known.take(keep)
    columns: Mapping[str, NDArray] = {
        "": score,
        "mask_area": area,
        "centre_share": known.centre_share,
        **{name: mean[keep] for name, mean in beside.means.items() if name != table.metric},
    }
    columns = {name: column for name, column in columns.items() if np.isfinite(column).any()}
    codes, n_videos = video_codes(names) if len(names) else (np.zeros(0, int), 0)
    weights = draw_weights(n_videos, resamples, seed) if n_videos > 1 else None
    found = dict(
        zip(columns, _associate(list(columns.values()), jf, area, codes, weights), strict=True)
    )
    none = Estimate(None, None, 0, 0, "no sample with a defined value")
    strata = []
    for variable, level, rows in groups(known) if len(score) else ():
        n, videos = int(rows.sum()), len(np.unique(codes[rows]))
        if reason := too_few(n, videos):
            few = Estimate(None, None, n, videos, reason)
            told = RankAssociation(few, few)
        else:
            (told,) = _associate([score[rows]], jf[rows], area[rows], codes[rows], weights)
        strata.append(SetStratum(variable, level, told))
    return SetAccuracy(
        metric=table.metric,
        role=table.role,
        score=score,
        jf=jf,
        mask_area=area,
        sample_ids=tuple(np.asarray(table.sample_ids, dtype=object)[keep]),
        overall=found.pop("", RankAssociation(none, none)),
        controls=found,
        strata=tuple(strata),
        bins=quantile_bins(score, jf, names, resamples, seed),
        n_excluded=int((~keep).sum()),
        resamples=resamples,
    )


def _associate(
    columns: Sequence[NDArray],
    jf: NDArray,
    area: NDArray,
    codes: NDArray,
    weights: NDArray | None,
) -> list[RankAssociation]:
    """Of each column [sample]; ``weights`` [draw, video], None where there is one video."""
    if not columns:
        return []
    one = np.ones((1, 1 + int(codes.max(initial=0)) if weights is None else weights.shape[1]))
    # The first draw holds every video once: it is the value itself.
    draws = one if weights is None else np.concatenate([one, weights])
    scores = np.column_stack([np.where(np.isfinite(area), column, np.nan) for column in columns])
    found: dict[int, RankAssociation] = {}
    for rows, places in alike(np.isfinite(scores)):
        of_rows = scores[rows][:, places], jf[rows], area[rows], codes[rows]
        drawn = fixed_rank_correlations(*of_rows, draws)
        n, n_videos = int(rows.sum()), len(np.unique(codes[rows]))
        for column, place in enumerate(places):
            why = why_undefined(of_rows[0][:, column], jf[rows])
            whys = why, why or _no_partial(area[rows], float(drawn[1][0, column]))
            found[place] = RankAssociation(
                *(
                    Estimate(None, None, n, n_videos, reason)
                    if reason
                    else estimate_of_draws(
                        float(kind[0, column]),
                        kind[1:, column] if n_videos > 1 else None,
                        n,
                        n_videos,
                    )
                    for reason, kind in zip(whys, drawn, strict=True)
                )
            )
    return [found[place] for place in range(len(columns))]


def _no_partial(area: NDArray, value: float) -> str | None:
    if np.ptp(area) == 0:
        return "the mask area is the same in all samples: nothing to control for"
    if len(area) < 4:
        return f"{len(area)} samples: a partial correlation needs at least 4"
    if not np.isfinite(value):
        return "the score or J&F orders the samples exactly as the mask area does"
    return None
