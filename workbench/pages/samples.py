"""Samples: one expression at a time, as frames with truth, prediction and attention."""

import numpy as np
import pandas as pd
import streamlit as st

from reports.overlay import compose_frame, encode_jpeg, heat_scale
from reports.sample_pictures import SamplePictures, shown_pair
from reports.style import CAPTION_TYPE_TITLES, ROLE_TITLES, count, number, pair_label, per_cent
from workbench.pages._charts import frame_share_chart
from workbench.pages._data import frame_shares, pictures_of, sample_table
from workbench.pages._shell import Chosen, literal, opened_run, show

__all__ = ["render"]

ORDERS = {
    "worst": ("J&F, worst first", ["jf", "sample_id"], [True, True]),
    "best": ("J&F, best first", ["jf", "sample_id"], [False, True]),
    "share": ("mask share, highest first", ["mask_share", "sample_id"], [False, True]),
    "video": ("video", ["sample_id"], [True]),
}
LAYERS = {"prediction": "Prediction", "truth": "Truth", "attention": "Attention"}
# Heights in pixels of the chosen frame and of the frames of the strip. (A string here would be
# written to the page.)
BIG, SMALL = 400, 84


def render() -> None:
    """Draw the page."""
    st.title("Samples")
    chosen = opened_run()
    if chosen is None:
        return
    table = sample_table(chosen.directory, chosen.mark)
    role = st.segmented_control(
        "Role",
        ["actor", "target"],
        default="actor",
        required=True,
        key="role",
        bind="query-params",
        format_func=lambda name: ROLE_TITLES[name],
    )
    shown = _filtered(table[table.role == (role or "actor")])
    row = _chosen_row(table, shown, role or "actor")
    if row is not None:
        _sample(chosen, row)


def _filtered(rows: pd.DataFrame) -> pd.DataFrame:
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
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
    order = right.selectbox(
        "Order",
        list(ORDERS),
        key="order",
        bind="query-params",
        format_func=lambda name: ORDERS[name][0],
    )
    if wanted:
        rows = rows[rows.caption_type.isin(wanted)]
    if words:
        rows = rows[rows.expression.str.contains(words, case=False, regex=False)]
    _, columns, ascending = ORDERS[order or "worst"]
    return rows.sort_values(columns, ascending=ascending).reset_index(drop=True)


def _chosen_row(table: pd.DataFrame, shown: pd.DataFrame, role: str) -> dict | None:
    ids = shown.sample_id.tolist()

    def choose() -> None:
        rows = st.session_state["samples_table"].selection.rows
        if rows:
            st.session_state["sample"] = ids[rows[0]]

    if not len(shown):
        st.info("No sample fits.")
    else:
        st.dataframe(
            shown.assign(kind=shown.caption_type.replace(CAPTION_TYPE_TITLES))[
                ["sample_id", "jf", "mask_share", "mask_area", "kind", "expression"]
            ],
            hide_index=True,
            height=240 if len(shown) > 5 else "content",
            key="samples_table",
            on_select=choose,
            selection_mode="single-row",
            column_config={
                "sample_id": "sample",
                "jf": st.column_config.ProgressColumn(
                    "J&F", format="percent", min_value=0, max_value=1
                ),
                "mask_share": st.column_config.NumberColumn("mask share", format="%.3f"),
                "mask_area": st.column_config.NumberColumn("mask area", format="%.3f"),
            },
            alt=f"{count(len(shown), 'sample')} with J&F and mask share",
        )
        st.caption(
            f"{count(len(shown), 'sample')}. J\\&F of this role; 0 where its token is missing. "
            "Mask share: mean of all heads. Select a row to open the sample."
        )
        if not st.session_state.get("sample"):
            st.session_state["sample"] = ids[0]
    name = st.text_input("Sample", key="sample", bind="query-params", width=320)
    # Going back in the browser to an address without a sample empties the field.
    name = name or next(iter(ids), "")
    found = table[(table.sample_id == name) & (table.role == role)]
    if not len(found):
        if name:
            known = (table.sample_id == name).any()
            st.info(
                f"This sample has no {role}: only interactions have a target."
                if known
                else "This run has no such sample."
            )
        return None
    return found.iloc[0].to_dict()


def _sample(chosen: Chosen, row: dict) -> None:
    st.subheader(literal(row["expression"]))
    kind = CAPTION_TYPE_TITLES.get(row["caption_type"], row["caption_type"])
    st.caption(
        f"{ROLE_TITLES[row['role']]} of {literal(row['sample_id'])}, {kind}. J\\&F "
        f"{per_cent(row['jf'])} (J {per_cent(row['j'])}, F {per_cent(row['f'])}); mask share "
        f"{number(_known(row['mask_share']))}, mask area {number(_known(row['mask_area']))}."
    )
    st.caption("The model answered:")
    st.code(row["text"] or "(nothing)", language=None, wrap_lines=True)
    if not row["emitted"]:
        st.warning(
            f"The model gave no token for the {row['role']}; it has no mask and no attention."
        )
    indices = tuple(int(index) for index in row["frame_indices"])
    pictures = pictures_of(chosen.directory, chosen.mark, row["sample_id"], indices)
    if isinstance(pictures, str):
        st.info("There are no pictures of this sample.")
        st.code(pictures, language=None, wrap_lines=True)
        return
    _pictures(chosen, row["role"], pictures)


def _pictures(chosen: Chosen, role: str, pictures: SamplePictures) -> None:
    maps = pictures.attention.get(role)
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    pair = None
    if maps is not None:
        labels = {pair_label(*item): item for item in sorted(maps.pairs)}
        first = shown_pair(chosen.results.rankings["visual_mass"][role], maps.pairs)
        if st.session_state.get("pair") not in labels and first is not None:
            st.session_state["pair"] = pair_label(*first)
        picked = left.selectbox(
            "Attention of the pair",
            list(labels),
            index=None,
            required=True,
            key="pair",
            bind="query-params",
        )
        pair = labels.get(picked or "", first)
    else:
        left.caption("No attention map was kept for this sample.")
    show = middle.pills(
        "Show",
        list(LAYERS),
        selection_mode="multi",
        default=list(LAYERS),
        key="show",
        format_func=lambda name: LAYERS[name],
    )
    opacity = right.slider("Opacity of attention", 0.0, 1.0, 0.75, 0.05, key="opacity")
    values = maps.values[maps.pairs.index(pair)] if maps is not None and pair else None
    drawn = [
        _frame(pictures, place, role, set(show or ()), values, opacity)
        for place in range(len(pictures.frames))
    ]
    _viewer(role, pictures, drawn, values, pair)


def _frame(
    pictures: SamplePictures,
    place: int,
    role: str,
    show: set[str],
    values: np.ndarray | None,
    opacity: float,
) -> np.ndarray:
    heat = values if "attention" in show else None
    return compose_frame(
        pictures.frames[place],
        predicted={name: masks[place] for name, masks in pictures.predicted.items()}
        if "prediction" in show
        else {},
        truth={name: masks[place] for name, masks in pictures.truth.items() if name == role}
        if "truth" in show
        else {},
        attention=None if heat is None else heat[place],
        peak=1.0 if heat is None else heat_scale(heat),
        opacity=opacity,
        height=BIG,
    )


def _viewer(
    role: str,
    pictures: SamplePictures,
    drawn: list[np.ndarray],
    values: np.ndarray | None,
    pair: tuple[int, int] | None,
) -> None:
    indices = pictures.frame_indices
    if st.session_state.get("frame") not in indices:
        st.session_state["frame"] = indices[0]
    left, right = st.columns([3, 2], gap="large")
    with left:
        frame = indices[0]
        if len(indices) > 1:
            frame = st.select_slider("Frame", indices, key="frame", bind="query-params")
        st.image(
            encode_jpeg(drawn[indices.index(frame)], quality=90),
            width="stretch",
            alt=f"Frame {frame} with the chosen overlays",
        )
        st.caption(
            "Predicted: actor blue, target vermillion. White outline: the truth of this role. "
            "Attention: dark for none, yellow for the most."
        )
    with right:
        shares = () if values is None else frame_shares(indices, values, pictures.truth.get(role))
        if shares and pair is not None:
            st.markdown(f"**{pair_label(*pair)} by frame**")
            st.altair_chart(
                frame_share_chart(shares, role, frame),
                key="frame_shares",
                alt=f"How the attention of {pair_label(*pair)} is spread over the frames",
            )
            st.caption(
                "Grey: share of the pair's attention on vision tokens that falls on the frame. "
                "Coloured: the part on the true object. Black mark: what even attention would put "
                "there. One sample, so there is no interval."
            )
        elif values is not None:
            st.info("This pair puts no attention on the video here.")
    st.image(
        [encode_jpeg(image) for image in drawn],
        caption=[f"frame {index}" for index in indices],
        width=round(SMALL * drawn[0].shape[1] / drawn[0].shape[0]),
        alt=[f"Frame {index}" for index in indices],
    )


def _known(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


if __name__ == "__main__":
    show(render)
