"""Does attention on the object go with better masks? Rank correlation with J&F, and its controls.

Association, not cause: a large object is easier to segment *and* catches more attention by chance.
Partial correlations, strata and the controls tell what of it is left when size, place, sentence and
the mere amount of visual attention are the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.association import Association, Samples, pair_draws
from probes.bootstrap import Estimate, defined_mean, video_codes
from probes.covariates import COVARIATES, Covariates, covariates, groups
from probes.criteria import CRITERIA
from probes.multiplicity import smallest_detectable
from probes.ranking import role_names
from probes.store import CaptureStore, HeadTable
from reviosa.errors import ConfigError

__all__ = [
    "Association",
    "Correlation",
    "Stratum",
    "control_names",
    "correlate",
    "correlate_tables",
    "too_few",
]

_OWN = "visual_mass"
"""Held fixed for each pair with its own value."""
_BESIDE = ("visual_mass", "lift")
"""Controls that are no criteria of the control family."""
FEWEST = (10, 5)
"""Samples and videos that a stratum has at least: fewer say nothing about other videos."""


@dataclass(frozen=True)
class Stratum:
    """The correlation among samples that are alike in one thing."""

    variable: str
    level: str
    """A type of caption, or low, middle or high: a third of the samples each, about."""
    spearman: Estimate


@dataclass(frozen=True)
class Correlation:
    """Correlation of a head metric with the J&F of the same role."""

    metric: str
    outcome: str
    role: str
    overall: Association
    layers: tuple[Association, ...]
    pairs: tuple[Association, ...]
    """Layer by layer, head by head. Intervals are not corrected for their number, ``p`` is."""
    controls: dict[str, Association]
    """"mask_area": knows nothing of attention; "centre_share": only knows the middle of the frame;
    "visual_mass": knows nothing of the mask; "lift": mask share with the area divided out; and the
    control family of :data:`probes.criteria.CRITERIA`, as means over all heads."""
    strata: tuple[Stratum, ...]
    """Of the mean over all heads."""
    held_fixed: tuple[str, ...]
    """What :attr:`Association.adjusted` holds fixed, beside the score's own visual attention."""
    not_held: dict[str, str]
    """What could not be held fixed, and why."""
    n: int
    n_videos: int
    detectable: float | None
    """Smallest correlation that so many videos show with 80 % power, one test at 5 %."""
    pair_detectable: float | None
    """The same when all pairs are tested."""
    n_excluded: int
    """Rows left out: the role was not emitted, or its J&F is undefined."""
    resamples: int
    pair_resamples: int
    """Draws behind the intervals of single pairs; fewer than ``resamples`` in a large capture."""
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def correlate(
    store: CaptureStore,
    role: str = "actor",
    resamples: int = 2000,
    seed: int = 0,
    criterion: str = "mask_share",
) -> Correlation:
    """Correlate a criterion of every pair, layer and of all heads with J&F.

    Raises:
        ConfigError: unknown role, or "both": the roles differ in J&F and in attention, so that
            pooling them would show a correlation between roles, not between samples; or a criterion
            that the run was not scored by, or that is itself a correlation.
    """
    name, *others = role_names(role, store.roles)
    if others:
        raise ConfigError("correlations are computed role by role; choose act or tar")
    if criterion in CRITERIA and CRITERIA[criterion].kind == "outcome":
        raise ConfigError(
            f"got {criterion}, which is a correlation with J&F itself; choose a criterion of "
            "single samples, such as mask_share"
        )
    tables = store.head_tables(name, (criterion, *control_names(store.criteria)))
    return correlate_tables(tables[criterion], tables, covariates(store, name), resamples, seed)


def control_names(criteria: tuple[str, ...]) -> tuple[str, ...]:
    """Criteria of a run that a correlation is set beside."""
    known = [name for name in criteria if CRITERIA[name].kind == "control"]
    return tuple(name for name in (*_BESIDE, *known) if name in criteria)


def correlate_tables(
    share: HeadTable,
    tables: Mapping[str, HeadTable] | None = None,
    beside: Covariates | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Correlate ``share`` with its J&F, with intervals from a cluster bootstrap over videos.

    Args:
        share: the metric of interest, one role.
        tables: other criteria of the same rows; of these the controls are taken, and the visual
            mass that is held fixed.
        beside: of the same rows; without them the area alone is held fixed.
        resamples: draws for the overall number, the layers and the controls. Single pairs get as
            many as :func:`~probes.association.pair_draws` allows, at least 200.
        seed: of the draws.

    Returns:
        The record. Fewer than 3 samples, or a constant variable: None with the reason. One video:
        values without intervals. Ties share their average rank.
    """
    tables = tables or {}
    keep = np.asarray(share.emitted, bool) & np.isfinite(share.jf)
    values, flat = share.values[keep], share.flat[keep]
    _, layers, heads = values.shape
    names = np.asarray(share.video_ids)[keep]
    codes, n_videos = video_codes(names) if keep.any() else (np.zeros(0, int), 0)
    pair_resamples = pair_draws(resamples, len(values), layers * heads)
    area, known = share.mask_area[keep], None if beside is None else beside.take(keep)
    held, not_held = _held(known, area)
    fixed = np.column_stack([np.zeros((len(values), 0)), *held.values()])
    samples = Samples(share.jf[keep], area, fixed, codes, n_videos, seed)
    own = tables[_OWN].flat[keep] if _OWN in tables and share.metric != _OWN else None
    if own is not None and not np.isfinite(own[np.isfinite(flat)]).all():
        own, not_held[_OWN] = None, "unknown in some samples"

    def mean(columns: NDArray | None, axis: int) -> NDArray | None:
        return None if columns is None else defined_mean(columns, axis=axis)

    def one(column: NDArray, fixed: NDArray | None = None) -> Association:
        fixed = None if fixed is None else fixed[:, None]
        return samples.associate(column[:, None], [(None, None)], resamples, fixed)[0]

    overall = defined_mean(flat, axis=1)
    own_layers = None if own is None else own.reshape(values.shape)
    controls = {"mask_area": one(area)}
    if known is not None and np.isfinite(known.centre_share).any():
        controls["centre_share"] = one(known.centre_share)
    for name in control_names(tuple(tables)):
        if name != share.metric:
            controls[name] = one(defined_mean(tables[name].flat[keep], axis=1))
    return Correlation(
        metric=share.metric,
        outcome="jf",
        role=share.role,
        overall=one(overall, mean(own, 1)),
        layers=samples.associate(
            defined_mean(values, axis=2),
            [(layer, None) for layer in range(layers)],
            resamples,
            mean(own_layers, 2),
        ),
        pairs=samples.associate(
            flat, [divmod(index, heads) for index in range(layers * heads)], pair_resamples, own
        ),
        controls=controls,
        strata=_strata(samples, overall, known, resamples),
        held_fixed=(*held, *((_OWN,) if own is not None else ())),
        not_held=not_held,
        n=len(values),
        n_videos=n_videos,
        detectable=smallest_detectable(n_videos),
        pair_detectable=smallest_detectable(n_videos, max(1, layers * heads)),
        n_excluded=int((~keep).sum()),
        resamples=resamples,
        pair_resamples=pair_resamples,
        seed=seed,
    )


def _held(known: Covariates | None, area: NDArray) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Variables that can be held fixed, and why the others cannot."""
    values = {"mask_area": area} if known is None else known.values
    held, not_held = {}, {}
    for name, column in values.items():
        # Where the area is unknown there is no object to speak of, and no score either.
        column = np.where(np.isfinite(area), column, 0.0)
        if not np.isfinite(column).all():
            not_held[name] = "unknown in some samples"
        elif len(shown := column[np.isfinite(area)]) and np.ptp(shown) == 0:
            not_held[name] = "the same in all samples"
        else:
            held[name] = column
    if known is None:
        not_held |= {name: "not given" for name in COVARIATES if name != "mask_area"}
    return held, not_held


def _strata(
    samples: Samples, score: NDArray, known: Covariates | None, resamples: int
) -> tuple[Stratum, ...]:
    """The overall correlation within captions of a type, and within thirds of area and objects."""
    found = []
    for variable, level, rows in groups(known) if known is not None and len(score) else ():
        group = samples.take(rows)
        n, n_videos = int(np.isfinite(score[rows]).sum()), len(np.unique(group.codes))
        if reason := too_few(n, n_videos):
            found.append(Stratum(variable, level, Estimate(None, None, n, n_videos, reason)))
            continue
        (told,) = group.associate(score[rows, None], [(None, None)], resamples)
        found.append(Stratum(variable, level, told.spearman))
    return tuple(found)


def too_few(n: int, n_videos: int) -> str | None:
    """Why a stratum of so many samples and videos gets no number; None if it gets one."""
    if n >= FEWEST[0] and n_videos >= FEWEST[1]:
        return None
    return f"{n} samples of {n_videos} videos: a group needs {FEWEST[0]} of {FEWEST[1]}"
