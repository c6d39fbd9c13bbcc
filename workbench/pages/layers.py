"""Layers: how much each layer looks at the video (Fig. 6b), and what goes with better masks."""

import pandas as pd
import streamlit as st

from probes.bootstrap import Estimate
from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from reports.style import ROLE_TITLES, count, in_text, number, with_interval
from reviosa.errors import ReviosaError
from workbench.pages._data import (
    RunEntry,
    fingerprint,
    list_runs,
    results_of,
    runs_folder,
    store_of,
)
from workbench.pages._head_charts import map_frame
from workbench.pages._layer_charts import (
    association_chart,
    association_frame,
    curves_chart,
    curves_frame,
    differences_chart,
    differences_frame,
    profile_chart,
    profile_frame,
)
from workbench.pages._measures import RESAMPLES, layer_differences_of
from workbench.pages._shell import (
    Chosen,
    choose,
    choose_criterion,
    hold,
    interval_caption,
    literal,
    opened_run,
    show,
)
from workbench.pages._view import draw

__all__ = ["render"]

ROLE_CHOICES = {"both": ("actor", "target"), "actor": ("actor",), "target": ("target",)}
ALONE = "none"


def render() -> None:
    """Draw the page."""
    st.title("Layers")
    chosen = opened_run()
    if chosen is None:
        return
    picked = st.segmented_control(
        "Role token",
        list(ROLE_CHOICES),
        default="both",
        required=True,
        key="layers_role",
        bind="query-params",
        format_func=lambda role: ROLE_TITLES[role],
    )
    roles = [role for role in ROLE_CHOICES[picked or "both"] if chosen.results.layer_profile[role]]
    if not roles:
        st.info("No sample of this run has that role.")
        return
    _profile(chosen, roles)
    _criterion(chosen, roles)
    _associations(chosen, roles)


def _profile(chosen: Chosen, roles: list[str]) -> None:
    results = chosen.results
    layers = range(results.num_layers)
    first = next((top for role in roles if (top := results.top_layer[role]) is not None), None)
    if first is None:
        st.info("The model gave no role token in this run, so there is no attention to show.")
        return
    hold("at_layer", layers.__contains__, first)

    def pick() -> None:
        points = st.session_state["layer_profile"].selection.get("picked", [])
        if points:
            st.session_state["at_layer"] = int(points[0]["layer"])

    st.subheader("Attention on vision and on text tokens")
    # An address is read where its field is made, and the chart above it shows what it asks for.
    above = st.container()
    layer = st.selectbox(
        "Layer",
        list(layers),
        index=None,
        required=True,
        key="at_layer",
        bind="query-params",
        width=160,
    )
    # Going back in the browser to an address without a layer empties the field.
    layer = first if layer is None else layer
    data = profile_frame(results, roles)
    with above:
        draw(
            profile_chart(data, results.num_layers, roles, layer),
            "layer_profile",
            data,
            "Share of the role token's attention on vision tokens and on all other tokens, mean "
            "over heads and samples, as in the paper's Fig. 6b. Click near a point to choose its "
            f"layer. Bands: {interval_caption(results, roles)}",
            "; ".join(
                f"{ROLE_TITLES[role]}: most attention on vision tokens in layer "
                f"{results.top_layer[role]}"
                for role in roles
            ),
            pick,
        )
    _heads_of_layer(chosen, roles, layer)


def _heads_of_layer(chosen: Chosen, roles: list[str], layer: int) -> None:
    results = chosen.results
    for role in roles:
        vision = results.layer_profile[role][layer].vision
        st.write(
            f"{ROLE_TITLES[role]}: {with_interval(vision.value, vision.ci)} of the attention in "
            f"layer {layer} falls on vision tokens."
        )
    role = "both" if len(roles) == 2 else roles[0]
    table = map_frame(results, "visual_mass", role)
    table = table[table.layer == layer].sort_values("head")
    columns = st.columns([3, 1], vertical_alignment="top")
    columns[0].dataframe(
        pd.DataFrame(
            {
                "head": table["head"],
                "visual attention": table.score,
                "low": table.low,
                "high": table.high,
                "rank among all pairs": table["rank"],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in ("visual attention", "low", "high")
        },
        alt=f"Visual attention of each head of layer {layer}",
    )
    best = table.sort_values("score", ascending=False).head(1)
    head = int(best["head"].iloc[0]) if len(best) else 0
    query = {"run": chosen.entry.name, "layer": str(layer), "head": str(head)}
    columns[1].page_link(
        "workbench/pages/heads.py",
        label=f"Layer {layer} in Heads",
        icon=":material/grid_on:",
        query_params=query,
    )
    columns[1].page_link(
        "workbench/pages/accuracy.py",
        label=f"Layer {layer} against J\\&F",
        icon=":material/scatter_plot:",
        query_params={"run": chosen.entry.name, "of": "layer", "layer": str(layer)},
    )


def _criterion(chosen: Chosen, roles: list[str]) -> None:
    st.subheader("Any criterion by layer, and another run beside it")
    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    with left:
        criterion = choose_criterion(
            chosen,
            "by_layer",
            "Criteria of single samples; correlations with J&F by layer are drawn below.",
        )
    others = {
        entry.name: entry
        for entry in list_runs(runs_folder())
        if entry.kind == "capture" and entry.name != chosen.entry.name
    }
    with right:
        against = choose(
            "Other run",
            [ALONE, *others],
            "against",
            ALONE,
            lambda name: (
                "none"
                if name == ALONE
                else f"{name} ({others[name].status})"
                if name in others and others[name].status != "done"
                else name
            ),
            "Another capture run of the folder, drawn dashed beside this one.",
        )
    entry = CRITERIA[criterion]
    mine = _curves(chosen.results, criterion, roles)
    other = _other(others[against], criterion, roles) if against in others else None
    runs = {chosen.entry.name: mine} | ({} if other is None else {against: other})
    data = curves_frame(runs)
    if not data["value"].notna().any():
        st.info("This criterion has no defined value in this run.")
        return
    depths = {len(estimates) for curves in runs.values() for estimates in curves.values()}
    shared = chosen.results.num_layers if len(depths) == 1 else None
    apart = (
        ""
        if shared
        else " The models have different numbers of layers, so relative depth is drawn."
    )
    draw(
        curves_chart(data, criterion, shared, roles),
        "layer_criterion",
        data,
        f"{entry.title}: {entry.description} ({literal(entry.unit)}); mean over a layer's heads "
        f"and over samples. Bands: 95 % intervals, bootstrap over videos, "
        f"{chosen.results.resamples:,} resamples. {_sizes(data)}.{apart}",
        "; ".join(_highest(data, run, role) for run in runs for role in roles),
    )
    if other is not None:
        _against(chosen, others[against], criterion, roles, paired=shared is not None)


def _curves(
    results: AnalysisResults, criterion: str, roles: list[str]
) -> dict[str, tuple[Estimate, ...]]:
    """Means of layers by role; empty where the criterion was not taken."""
    by_role = results.layer_means.get(criterion, {})
    return {role: by_role.get(role, ()) for role in roles}


def _other(entry: RunEntry, criterion: str, roles: list[str]) -> dict | None:
    """Curves of the other run; None, told why, where it has none."""
    try:
        mark = fingerprint(entry.directory)
        curves = _curves(results_of(entry.directory, mark), criterion, roles)
        if problems := store_of(entry.directory, mark).problems:
            st.warning(f"Some parts of {literal(entry.name)} could not be read and are left out.")
            st.code("\n".join(problems), language=None, wrap_lines=True)
        if any(curves.values()):
            return curves
        st.info(f"No part of {literal(entry.name)} is complete, so there is nothing to compare.")
        return None
    except ReviosaError as error:
        st.warning(f"{literal(entry.name)} cannot be drawn beside it.")
        st.code(str(error), language=None, wrap_lines=True)
        return None


def _against(
    chosen: Chosen, other: RunEntry, criterion: str, roles: list[str], paired: bool
) -> None:
    """The difference, layer by layer, where the same videos were captured."""
    same = _data(chosen.results.run) is not None and _data(chosen.results.run) == _data(
        other.header
    )
    words = "the same data" if same else "different data"
    st.write(f"**{literal(chosen.entry.name)} less {literal(other.name)}**, captured on {words}.")
    if not paired:
        st.info("Models with different numbers of layers have no layer by layer difference.")
        return
    if not same:
        st.info(
            "The two curves are of different videos, so a difference between them may be the "
            "videos'. Capture both models on the same data to see it paired."
        )
        return
    mark = fingerprint(other.directory)
    try:
        curves = {
            role: layer_differences_of(
                chosen.directory, chosen.mark, other.directory, mark, criterion, role
            )
            for role in roles
        }
    except ReviosaError as error:
        st.info("There is no difference to show.")
        st.code(str(error), language=None, wrap_lines=True)
        return
    data = differences_frame(curves)
    title = in_text(CRITERIA[criterion].title)
    draw(
        differences_chart(data, roles, f"difference of {title}"),
        "layer_difference",
        data,
        f"Difference of {title}, sample by sample, mean over a layer's heads and over the samples "
        f"that both have. Lines: 95 % intervals, bootstrap over videos, {RESAMPLES:,} resamples; "
        f"not corrected for the number of layers. {_sizes(data)}.",
        f"Difference of {title} by layer",
    )


def _data(header: dict) -> str | None:
    data = header.get("data")
    return data.get("identity") if isinstance(data, dict) else None


def _sizes(data: pd.DataFrame) -> str:
    """The n of each line: the most that any layer has."""
    keys = ["run", "role"] if "run" in data and data.run.nunique() > 1 else ["role"]
    parts = []
    for name, rows in data.groupby(keys, sort=False):
        samples, videos = int(rows.samples.max()), int(rows.videos.max())
        label = literal(", ".join(str(part) for part in name))
        parts.append(f"{label}: n = {count(samples, 'sample')} of {count(videos, 'video')}")
    return "; ".join(parts)


def _highest(data: pd.DataFrame, run: str, role: str) -> str:
    rows = data[(data.run == run) & (data.role == ROLE_TITLES[role])].dropna(subset=["value"])
    if not len(rows):
        return f"{run}, {ROLE_TITLES[role]}: no value"
    top = rows.loc[rows["value"].idxmax()]
    return f"{run}, {ROLE_TITLES[role]}: highest in layer {top.layer} ({number(top['value'])})"


def _associations(chosen: Chosen, roles: list[str]) -> None:
    results = chosen.results
    st.subheader("Which layer's attention goes with better masks")
    overall = {role: results.correlations[role].overall for role in roles}
    data = association_frame(results, roles)
    draw(
        association_chart(data, roles),
        "layer_association",
        data,
        "Rank correlation of a layer's mask share (mean of its heads) with J\\&F, given the mask "
        "area: a large object is easier to segment and catches more attention by chance. "
        "An association, not a cause; not corrected for the number of layers. "
        f"{interval_caption(results, roles)}",
        "; ".join(
            f"{ROLE_TITLES[role]}: rank correlation over all heads, given mask area, "
            f"{number(item.partial.value, 2)}"
            for role, item in overall.items()
        ),
    )


if __name__ == "__main__":
    show(render)
