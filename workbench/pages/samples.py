"""Samples: one expression at a time, as frames with truth, prediction and attention."""

import pandas as pd
import streamlit as st

from reports.style import CAPTION_TYPE_TITLES, ROLE_TITLES, count, pair_label
from workbench.pages._data import RunEntry, fingerprint, sample_table
from workbench.pages._sample_view import one_sample
from workbench.pages._samples import looking_pair, other_captures, sample_list
from workbench.pages._shell import Chosen, choose, hold, opened_run, show
from workbench.pages._view import csv_button

__all__ = ["render"]

# Value of the second run that is none. (Bare strings would be written to the page.)
NOBODY = "-"
# Words, columns, rising or falling; a column with a bar in front is ordered by its size.
ORDERS = {
    "worst": ("J&F, worst first", "jf", True),
    "best": ("J&F, best first", "jf", False),
    "share": ("mask share, highest first", "mask_share", False),
    "small": ("mask area, smallest first", "mask_area", True),
    "large": ("mask area, largest first", "mask_area", False),
    "roles": ("actor and target furthest apart", "|role_gap", False),
    "looks": ("mask and attention disagree most", "|look_gap", False),
    "runs": ("the two runs furthest apart", "|run_gap", False),
    "video": ("video", "sample_id", True),
}
TOKENS = {"all": "all", "given": "token given", "missing": "token missing"}


def render() -> None:
    """Draw the page."""
    st.title("Samples")
    chosen = opened_run()
    if chosen is None:
        return
    first, second = st.columns([1, 2], vertical_alignment="bottom")
    role = first.segmented_control(
        "Role",
        ["actor", "target"],
        default="actor",
        required=True,
        key="role",
        bind="query-params",
        format_func=lambda name: ROLE_TITLES[name],
    )
    role = role or "actor"
    with second:
        other = _second_run(chosen)
    mark = fingerprint(other.directory) if other else ()
    rows = sample_list(
        chosen.directory, chosen.mark, role, other.directory if other else None, mark
    )
    shown, order = _filtered(rows, other)
    row = _chosen_row(chosen, rows, shown, role, order, other)
    if row is not None:
        one_sample(chosen, row, other)


def _second_run(chosen: Chosen) -> RunEntry | None:
    others = other_captures(chosen.entry)
    if not others:
        return None
    name = choose(
        "Second run", [NOBODY, *others], "second", NOBODY,
        lambda name: "no second run" if name == NOBODY else name,
        "Captures over the same data: to order by the difference and to set side by side.",
    )  # fmt: skip
    return others.get(name)


def _filtered(rows: pd.DataFrame, other: RunEntry | None) -> tuple[pd.DataFrame, str]:
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom")
    types = [name for name in CAPTION_TYPE_TITLES if (rows.caption_type == name).any()]
    wanted = left.multiselect(
        "Kind of expression",
        types,
        key="kinds",
        bind="query-params",
        format_func=lambda name: CAPTION_TYPE_TITLES[name],
        placeholder="all kinds",
    )
    words = middle.text_input("Words in the expression", key="words", bind="query-params")
    orders = [name for name in ORDERS if name != "runs" or other is not None]
    if st.session_state.get("order") not in orders:
        st.session_state["order"] = orders[0]
    order = right.selectbox(
        "Order",
        orders,
        key="order",
        bind="query-params",
        format_func=lambda name: ORDERS[name][0],
    )
    left, right = st.columns([3, 3], vertical_alignment="bottom")
    token = left.segmented_control(
        "Token of the role",
        list(TOKENS),
        default="all",
        required=True,
        key="token",
        bind="query-params",
        format_func=lambda name: TOKENS[name],
    )
    low, high = right.slider(
        "Mask area, per cent of the frames",
        0,
        100,
        (0, 100),
        key="area",
        bind="query-params",
        help="Share of the patches of the sampled frames that the true object covers.",
    )
    if wanted:
        rows = rows[rows.caption_type.isin(wanted)]
    if words:
        rows = rows[rows.expression.str.contains(words, case=False, regex=False)]
    if token != "all":
        rows = rows[rows.emitted.astype(bool) == (token == "given")]
    if (low, high) != (0, 100):
        rows = rows[(100 * rows.mask_area).between(low, high)]
    order = order or "worst"
    _, column, rising = ORDERS[order]
    values = rows[column.removeprefix("|")]
    if column.startswith("|"):
        values = values.abs()
    rows = rows.assign(_by=values).sort_values(["_by", "sample_id"], ascending=[rising, True])
    return rows.drop(columns="_by").reset_index(drop=True), order


def _chosen_row(
    chosen: Chosen,
    rows: pd.DataFrame,
    shown: pd.DataFrame,
    role: str,
    order: str,
    other: RunEntry | None,
) -> dict | None:
    ids = shown.sample_id.tolist()

    def pick() -> None:
        picked = st.session_state["samples_table"].selection.rows
        if picked:
            st.session_state["sample"] = ids[picked[0]]

    if not len(shown):
        st.info("No sample fits.")
    else:
        _table(chosen, shown, role, order, other, pick)
        hold("sample", bool, ids[0])
    name = st.text_input("Sample", key="sample", bind="query-params", width=320)
    # Going back in the browser to an address without a sample empties the field.
    name = name or next(iter(ids), "")
    found = rows[rows.sample_id == name]
    if not len(found):
        if name:
            known = (sample_table(chosen.directory, chosen.mark).sample_id == name).any()
            st.info(
                f"This sample has no {role}: only interactions have a target."
                if known
                else "This run has no such sample."
            )
        return None
    return found.iloc[0].to_dict()


def _table(
    chosen: Chosen,
    shown: pd.DataFrame,
    role: str,
    order: str,
    other: RunEntry | None,
    pick: object,
) -> None:
    columns = ["sample_id", "jf"]
    columns += ["other_jf", "run_gap"] if other is not None else []
    columns += {"roles": ["role_gap"], "looks": ["looked", "look_gap"]}.get(order, [])
    table = shown.assign(kind=shown.caption_type.replace(CAPTION_TYPE_TITLES))[
        [*columns, "mask_share", "mask_area", "kind", "expression"]
    ]
    signed = {"format": "%+.2f"}
    st.dataframe(
        table,
        hide_index=True,
        height=240 if len(shown) > 5 else "content",
        key="samples_table",
        on_select=pick,  # pyright: ignore[reportArgumentType]
        selection_mode="single-row",
        placeholder="n/a",
        column_config={
            "sample_id": "sample",
            "jf": st.column_config.ProgressColumn(
                "J&F", format="percent", min_value=0, max_value=1
            ),
            "other_jf": st.column_config.NumberColumn("J&F of the second", format="percent"),
            "run_gap": st.column_config.NumberColumn("less the second", **signed),
            "role_gap": st.column_config.NumberColumn("actor less target", **signed),
            "looked": st.column_config.NumberColumn("best pair's mask share", format="%.3f"),
            "look_gap": st.column_config.NumberColumn("disagreement", **signed),
            "mask_share": st.column_config.NumberColumn("mask share", format="%.3f"),
            "mask_area": st.column_config.NumberColumn("mask area", format="%.3f"),
        },
        alt=f"{count(len(shown), 'sample')} with J&F and mask share",
    )
    left, right = st.columns([7, 2], vertical_alignment="top")
    left.caption(
        f"{count(len(shown), 'sample')}. J\\&F of this role; 0 where its token is missing. Mask "
        f"share: mean of all heads. {_order_words(chosen, role, order)}Select a row to open the "
        "sample."
    )
    with right:
        csv_button(table, "samples.csv", "list")


def _order_words(chosen: Chosen, role: str, order: str) -> str:
    if order == "roles":
        return "Actor less target: J\\&F of both roles of one expression, 0 to 1. "
    if order == "runs":
        return "Less the second: J\\&F of this run less that of the second, 0 to 1. "
    if order != "looks":
        return ""
    pair = looking_pair(chosen.directory, chosen.mark, role)
    name = "no pair" if pair is None else pair_label(*pair)
    return (
        f"Disagreement: rank by J\\&F less rank by the mask share of {name}, the pair that looks "
        "at the object most on average, over all samples of the role, −1 to 1. Above "
        "0 the mask is better than where the pair looks; below 0 it looks there and the mask is "
        "worse. "
    )


if __name__ == "__main__":
    show(render)
