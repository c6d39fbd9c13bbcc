"""The charts of a bundle: the dashboard's own, each with its table and the sentence under it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from probes.bootstrap import defined_mean
from probes.correlation import control_names
from probes.covariates import covariates
from probes.pair_sets import Beside, SetAccuracy, set_accuracy
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reports.style import ROLE_TITLES, count
from reviosa import ROLES
from workbench.bundle.files import chart_spec, write_chart, write_data, write_table
from workbench.pages._accuracy_charts import (
    association_chart,
    association_frame,
    bins_frame,
    points_frame,
    scatter_chart,
    strata_frame,
)
from workbench.pages._head_charts import head_map_chart, map_frame
from workbench.pages._layer_charts import association_chart as layer_association_chart
from workbench.pages._layer_charts import association_frame as layer_association_frame
from workbench.pages._layer_charts import profile_chart, profile_frame

__all__ = ["View", "write_accuracy", "write_layers", "write_maps"]

NOWHERE = (-1, -1)
"""The pair that is outlined: the page draws its own outline."""
SCORE = "mask_share"


@dataclass(frozen=True)
class View:
    """A chart of a page."""

    name: str
    """Of its files in ``data``."""
    title: str
    caption: str
    """What is drawn, n, and what an interval is."""


def write_layers(folder: Path, results: AnalysisResults) -> list[View]:
    """Attention by layer, and which layers go with better masks."""
    roles = [role for role in ROLES if results.layer_profile[role]]
    frame = profile_frame(results, roles)
    write_chart(folder, "layers", profile_chart(frame, results.num_layers, roles, None), frame)
    associations = layer_association_frame(results, roles)
    write_chart(folder, "layers-jf", layer_association_chart(associations, roles), associations)
    return [
        View(
            "layers",
            "Attention of the role tokens by layer",
            "Mean over the heads of a layer of the share of attention on vision tokens, and on all "
            f"other tokens. {_intervals(results, roles)}",
        ),
        View(
            "layers-jf",
            "Layers whose attention goes with better masks",
            "Rank correlation of a layer's mask share (mean of its heads) with J&F, given the mask "
            "area. An association, not a cause; not corrected for the number of layers. "
            f"{_intervals(results, roles)}",
        ),
    ]


def write_accuracy(folder: Path, results: AnalysisResults, store: CaptureStore) -> list[View]:
    """Attention on the object against J&F, for all heads and for the top layer."""
    views: list[View] = []
    samples = store.samples()
    texts = pd.Series(dict(zip(samples.sample_id, samples.expression, strict=True)), dtype=str)
    for role in ROLES:
        points = results.layer_profile[role]
        if SCORE not in store.criteria or not results.counts.roles[role].emitted:
            continue
        means = {
            name: defined_mean(store.head_array(name, role).flat, axis=1)
            for name in control_names(store.criteria)
        }
        beside = Beside(covariates(store, role), means)
        top = max(points, key=lambda point: point.vision.value or 0.0).layer
        pairs = [(top, head) for head in range(results.num_heads)]
        table = store.head_array(SCORE, role)
        for name, title, chosen in (
            ("all", "all heads", None),
            ("top", f"layer {top}, which looks at the video most", pairs),
        ):
            found = set_accuracy(table, chosen, beside, results.resamples, results.seed)
            file = f"accuracy-{role}-{name}"
            dots, bins = points_frame(found, texts), bins_frame(found)
            chart = scatter_chart(dots, bins, SCORE, role)
            write_data(folder / f"{file}.json", chart_spec(chart))
            write_table(folder / f"{file}.csv", dots)
            n = count(len(found.sample_ids), "sample")
            drawn = f"n = {n}, {found.n_excluded:,} without token, J&F or score."
            bars = (
                f"95 % intervals: bootstrap over videos, {found.resamples:,} resamples. An "
                "association, not a cause."
            )
            views.append(
                View(
                    file,
                    f"{ROLE_TITLES[role]}: mask share of {title} against J&F",
                    f"A dot a sample; large dots are means of quantile bins. {drawn} {bars}",
                )
            )
            if name == "all":
                views += _more(folder, file, role, found, f"{drawn} {bars}")
    return views


def _more(folder: Path, file: str, role: str, found: SetAccuracy, words: str) -> list[View]:
    views = []
    for kind, frame, title in (
        ("controls", association_frame(found, "Mask share"), "the score beside its controls"),
        ("groups", strata_frame(found), "among samples that are alike"),
    ):
        order = list(dict.fromkeys(frame["of"]))
        write_chart(folder, f"{file}-{kind}", association_chart(frame, role, order), frame)
        views.append(
            View(
                f"{file}-{kind}",
                f"{ROLE_TITLES[role]}: {title}",
                f"Rank correlation with J&F, plain and given the mask area. {words}",
            )
        )
    return views


def write_maps(folder: Path, results: AnalysisResults) -> None:
    """The map of every criterion and role, ``map-CRITERION-ROLE``."""
    for criterion, by_role in results.rankings.items():
        for role in by_role:
            chart = head_map_chart(results, criterion, role, NOWHERE)
            frame = map_frame(results, criterion, role)
            write_chart(folder, f"map-{criterion}-{role}", chart, frame)


def _intervals(results: AnalysisResults, roles: list[str]) -> str:
    parts = []
    for role in roles:
        vision = results.layer_profile[role][0].vision
        parts.append(
            f"{ROLE_TITLES[role]}: n = {count(vision.n, 'sample')} of "
            f"{count(vision.n_videos, 'video')}"
        )
    return (
        f"{100 * results.confidence:.0f} % intervals: bootstrap over videos, "
        f"{results.resamples:,} resamples. {'; '.join(parts) or 'no sample'}."
    )
