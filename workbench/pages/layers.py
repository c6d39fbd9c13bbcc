"""Layers: how much each layer looks at the video (Fig. 6b), and what goes with better masks."""

import pandas as pd
import streamlit as st

from reports.style import ROLE_TITLES, number, with_interval
from workbench.pages._charts import association_chart, layer_profile_chart, map_frame
from workbench.pages._shell import Chosen, interval_caption, opened_run, show

__all__ = ["render"]

ROLE_CHOICES = {"both": ("actor", "target"), "actor": ("actor",), "target": ("target",)}


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
    _associations(chosen, roles)


def _profile(chosen: Chosen, roles: list[str]) -> None:
    results = chosen.results
    layers = range(results.num_layers)
    first = next((top for role in roles if (top := results.top_layer[role]) is not None), None)
    if first is None:
        st.info("The model gave no role token in this run, so there is no attention to show.")
        return
    if st.session_state.get("at_layer") not in layers:
        st.session_state["at_layer"] = first

    def choose() -> None:
        points = st.session_state["layer_profile"].selection.get("picked", [])
        if points:
            st.session_state["at_layer"] = int(points[0]["layer"])

    st.subheader("Attention on vision and on text tokens")
    st.altair_chart(
        layer_profile_chart(results, roles, st.session_state["at_layer"]),
        key="layer_profile",
        on_select=choose,
        alt="; ".join(
            f"{ROLE_TITLES[role]}: most attention on vision tokens in layer "
            f"{results.top_layer[role]}"
            for role in roles
        ),
    )
    st.caption(
        "Share of the role token's attention on vision tokens and on all other tokens, mean over "
        "heads and samples, as in the paper's Fig. 6b. Click near a point to choose its layer. "
        f"Bands: {interval_caption(results, roles)}"
    )
    _heads_of_layer(chosen, roles, first)


def _heads_of_layer(chosen: Chosen, roles: list[str], first: int) -> None:
    results = chosen.results
    layer = st.selectbox(
        "Layer",
        list(range(results.num_layers)),
        index=None,
        required=True,
        key="at_layer",
        bind="query-params",
        width=160,
    )
    # Going back in the browser to an address without a layer empties the field.
    layer = first if layer is None else layer
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
    columns[1].page_link(
        "workbench/pages/heads.py",
        label=f"Open layer {layer} in Heads",
        icon=":material/grid_on:",
        query_params={"run": chosen.entry.name, "layer": str(layer), "head": str(head)},
    )


def _associations(chosen: Chosen, roles: list[str]) -> None:
    results = chosen.results
    st.subheader("Which layer's attention goes with better masks")
    overall = {role: results.correlations[role].overall for role in roles}
    st.altair_chart(
        association_chart(results, roles),
        key="layer_association",
        alt="; ".join(
            f"{ROLE_TITLES[role]}: rank correlation over all heads, given mask area, "
            f"{number(item.partial.value, 2)}"
            for role, item in overall.items()
        ),
    )
    st.caption(
        "Rank correlation of a layer's mask share (mean of its heads) with J\\&F, given the mask "
        "area: a large object is easier to segment and catches more attention by chance. "
        "An association, not a cause; not corrected for the number of layers. "
        f"{interval_caption(results, roles)}"
    )


if __name__ == "__main__":
    show(render)
