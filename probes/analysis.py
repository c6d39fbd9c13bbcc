"""From a capture store to all results that are shown: :func:`analyse`."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from probes.bins import quantile_bins
from probes.bootstrap import Estimate, defined_mean
from probes.correlation import Correlation, control_names, correlate_tables
from probes.covariates import covariates
from probes.layer_means import layer_means
from probes.notes import write_notes
from probes.protocol_scores import protocol_scores
from probes.ranking import Ranking, rank_pairs
from probes.results import (
    AnalysisResults,
    Counts,
    LayerPoint,
    RoleCount,
    SampleCard,
    ScatterBin,
    ScatterPoint,
)
from probes.selection import top_layer
from probes.store import CaptureStore, HeadTable
from reviosa.data.records import ROLES
from reviosa.errors import ConfigError

__all__ = ["analyse"]

SHOWN = 6
"""Best and worst samples per role."""

AT_ONCE = 6
"""Criteria that are read in one go."""
_USED = ("visual_mass", "text_mass", "mask_share", "lift")

Tables = dict[str, dict[str, HeadTable]]
"""role, metric."""


def analyse(
    store: CaptureStore,
    resamples: int = 2000,
    seed: int = 0,
    evaluation: dict[str, Any] | None = None,
) -> AnalysisResults:
    """Compute everything that a report or a page shows about a capture run.

    Args:
        store: the run.
        resamples: bootstrap draws over videos behind every interval.
        seed: of the draws; the same store and seed give the same results.
        evaluation: scores of a separate ``reviosa evaluate`` run, kept beside these.

    Returns:
        The results; an empty store gives the same records with nothing in them.

    Raises:
        ConfigError: ``resamples`` below 1.
        RunError: a part is damaged inside.
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1")
    samples = store.samples()
    tables: Tables = {role: store.head_tables(role, _kept(store.criteria)) for role in ROLES}
    rankings, means = _criteria(store, tables, resamples, seed)
    tops = {role: _top_layer(rankings["visual_mass"][role]) for role in ROLES}
    correlations: dict[str, Correlation] = {
        role: correlate_tables(
            tables[role]["mask_share"], tables[role], covariates(store, role), resamples, seed
        )
        for role in ROLES
    }
    scatter = {role: _scatter(tables[role]["mask_share"], tops[role]) for role in ROLES}
    cards = {role: _cards(samples.loc[samples.role == role, :], tables[role]) for role in ROLES}
    counts = _counts(samples)
    protocols = protocol_scores(samples, resamples, seed)
    supervised = _supervised(store.run)
    return AnalysisResults(
        name=store.directory.resolve().name,
        run=store.run,
        num_layers=store.num_layers,
        num_heads=store.num_heads,
        resamples=resamples,
        seed=seed,
        confidence=0.95,
        counts=counts,
        protocols=protocols,
        layer_profile={
            role: _profile(means, role) if counts.roles[role].rows else () for role in ROLES
        },
        layer_means=means,
        top_layer=tops,
        maps={
            criterion: {role: _map(ranking.scores) for role, ranking in by_role.items()}
            for criterion, by_role in rankings.items()
        },
        rankings=rankings,
        correlations=correlations,
        scatter=scatter,
        bins={role: _bins(scatter[role], resamples, seed) for role in ROLES},
        best={role: cards[role][0] for role in ROLES},
        worst={role: cards[role][1] for role in ROLES},
        supervised_pairs=supervised,
        notes=write_notes(
            store.run, counts, protocols, rankings, correlations, supervised, store.problems
        ),
        problems=store.problems,
        evaluation=evaluation,
    )


def _kept(criteria: tuple[str, ...]) -> tuple[str, ...]:
    """Criteria that more than one part of the analysis needs; the others are read in turn."""
    wanted = {*_USED, *control_names(criteria)}
    return tuple(name for name in criteria if name in wanted)


def _criteria(
    store: CaptureStore, kept: Tables, resamples: int, seed: int
) -> tuple[dict[str, dict[str, Ranking]], dict[str, dict[str, tuple[Estimate, ...]]]]:
    """Rankings and means of layers of every criterion.

    Read some at a time: all tables of a large capture together would take a gigabyte.
    """
    rankings, means = {}, {}
    for start in range(0, len(store.criteria), AT_ONCE):
        names = store.criteria[start : start + AT_ONCE]
        others = [name for name in names if name not in kept[ROLES[0]]]
        read = {role: store.head_tables(role, others) for role in ROLES}
        for name in names:
            tables = {role: (kept[role] | read[role])[name] for role in ROLES}
            rankings[name] = {
                role: rank_pairs([tables[role]], resamples, seed) for role in ROLES
            } | {"both": rank_pairs([tables[role] for role in ROLES], resamples, seed)}
            means[name] = {role: layer_means(tables[role], resamples, seed) for role in ROLES}
    return rankings, means


def _top_layer(ranking: Ranking) -> int | None:
    try:
        return top_layer(ranking)
    except ConfigError:
        return None


def _counts(samples: pd.DataFrame) -> Counts:
    roles = {}
    for role in ROLES:
        of_role = samples[samples.role == role]
        emitted = of_role.emitted.astype(bool)
        forced = int(of_role.put_into_form.astype(bool).sum())
        roles[role] = RoleCount(len(emitted), int(emitted.sum()), int((~emitted).sum()), forced)
    interactions = samples[samples.caption_type == "unidirectional"]
    return Counts(
        videos=samples.video_id.nunique(),
        expressions=samples.sample_id.nunique(),
        interactions=interactions.sample_id.nunique(),
        roles=roles,
    )


def _profile(
    means: dict[str, dict[str, tuple[Estimate, ...]]], role: str
) -> tuple[LayerPoint, ...]:
    points = zip(means["visual_mass"][role], means["text_mass"][role], strict=True)
    return tuple(LayerPoint(layer, *point) for layer, point in enumerate(points))


def _map(scores: NDArray[np.float64]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(_number(score) for score in layer) for layer in scores)


def _scatter(share: HeadTable, layer: int | None) -> tuple[ScatterPoint, ...]:
    mean = defined_mean(share.flat, axis=1)
    top = (
        np.full(len(mean), np.nan)
        if layer is None
        else defined_mean(share.values[:, layer], axis=1)
    )
    shown = np.flatnonzero(share.emitted & np.isfinite(mean) & np.isfinite(share.jf))
    return tuple(
        ScatterPoint(
            share.sample_ids[i], str(share.video_ids[i]), share.role, float(mean[i]),
            _number(top[i]), _number(share.mask_area[i]), float(share.jf[i]),
        )
        for i in shown
    )  # fmt: skip


def _bins(points: tuple[ScatterPoint, ...], resamples: int, seed: int) -> tuple[ScatterBin, ...]:
    return quantile_bins(
        np.array([point.mask_share for point in points]),
        np.array([point.jf for point in points]),
        np.array([point.video_id for point in points]),
        resamples,
        seed,
    )


def _cards(
    rows: pd.DataFrame, tables: dict[str, HeadTable]
) -> tuple[tuple[SampleCard, ...], tuple[SampleCard, ...]]:
    """Best and worst cards. ``rows`` and the tables are in the same order."""
    share, lift = (defined_mean(tables[metric].flat, axis=1) for metric in ("mask_share", "lift"))
    cards = []
    for index, row in enumerate(rows.to_dict("records")):
        values = {name: row[name] for name in SampleCard.__dataclass_fields__ if name in row}
        for name in ("j", "f", "jf"):
            values[name] = (_number(row[name]) or 0.0) if row["emitted"] else 0.0
        values["mask_area"] = _number(row["mask_area"])
        values["emitted"] = bool(row["emitted"])
        cards.append(
            SampleCard(**values, mask_share=_number(share[index]), lift=_number(lift[index]))
        )
    half = (len(cards) + 1) // 2
    emitted = [card for card in cards if card.emitted]
    best = sorted(emitted, key=lambda card: (-card.jf, card.sample_id))[: min(SHOWN, half)]
    chosen = {card.sample_id for card in best}
    rest = [card for card in cards if card.sample_id not in chosen]
    worst = sorted(rest, key=lambda card: (card.jf, card.sample_id))[:SHOWN]
    return tuple(best), tuple(worst)


def _supervised(run: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    model = run.get("model")
    pairs = model.get("supervised_pairs") if isinstance(model, dict) else None
    return tuple((int(layer), int(head)) for layer, head in pairs or ())


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
