"""One sample on the page: frames with overlays, attention by frame and by token, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from probes.store import AttentionMap, TextAttention
from reports.overlay import compose_frame, encode_jpeg, heat_scale
from reports.sample_pictures import SamplePictures, shown_pair
from reports.style import CAPTION_TYPE_TITLES, ROLE_TITLES, count, number, pair_label, per_cent
from workbench.pages._charts import frame_share_chart, frame_share_frame
from workbench.pages._data import (
    RunEntry,
    fingerprint,
    frame_shares,
    pictures_of,
    sample_table,
)
from workbench.pages._frames import (
    BIG,
    SMALL,
    brightest,
    frame_files,
    frame_slider,
    frame_strip,
    patches_frame,
)
from workbench.pages._samples import text_of
from workbench.pages._shell import Chosen, hold, literal
from workbench.pages._token_chips import token_chips, tokens_frame, weights_of
from workbench.pages._view import draw

__all__ = ["one_sample"]

LAYERS = {"prediction": "Prediction", "truth": "Truth", "attention": "Attention"}
BESIDE = {"alone": "Alone", "pair": "Another pair", "role": "The other role", "run": "Second run"}

FRAME_WORDS = (
    "Predicted: actor blue, target vermillion. White outline: the truth of this role. "
    "Attention: dark for none, yellow for the most of the pair in this sample."
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class Side:
    """One of the things that are looked at: a run, a role and a pair of one expression."""

    title: str
    name: str
    """For the keys of its elements."""
    directory: Path
    sample_id: str
    role: str
    pair: Pair | None
    pictures: SamplePictures

    @property
    def maps(self) -> AttentionMap | None:
        """The kept maps of the role."""
        return self.pictures.attention.get(self.role)

    @property
    def values(self) -> np.ndarray | None:
        """Attention of the pair, [frame, row, column]; None where it was not kept."""
        if self.maps is None or self.pair not in self.maps.pairs:
            return None
        return self.maps.values[self.maps.pairs.index(self.pair)]

    @cached_property
    def text(self) -> TextAttention | None:
        """Attention on text tokens; None where it was not kept."""
        return text_of(self.directory, self.sample_id, self.role)


def one_sample(chosen: Chosen, row: dict, other: RunEntry | None) -> None:
    """Draw one sample of a capture; ``row`` is of the list, ``other`` a run to set beside."""
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
    _pictures(chosen, row, pictures, other)


def _pictures(chosen: Chosen, row: dict, pictures: SamplePictures, other: RunEntry | None) -> None:
    role = row["role"]
    maps = pictures.attention.get(role)
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    pair = None
    if maps is not None:
        first = shown_pair(chosen.results.rankings["visual_mass"][role], maps.pairs)
        with left:
            pair = _pair_choice("Attention of the pair", "pair", maps, first)
    else:
        left.caption("No attention map was kept for this sample.")
    show = middle.pills(
        "Show",
        list(LAYERS),
        selection_mode="multi",
        default=list(LAYERS),
        key="show",
        bind="query-params",
        format_func=lambda name: LAYERS[name],
    )
    opacity = right.slider(
        "Opacity of attention", 0.0, 1.0, 0.75, 0.05, key="opacity", bind="query-params"
    )
    mine = Side(
        ROLE_TITLES[role] if pair is None else f"{ROLE_TITLES[role]}, {pair_label(*pair)}",
        "first", chosen.directory, row["sample_id"], role, pair, pictures,
    )  # fmt: skip
    second = _beside(chosen, mine, other)
    _viewer([mine] if second is None else [mine, second], set(show or ()), opacity)


def _pair_choice(words: str, key: str, maps: AttentionMap, first: Pair | None) -> Pair | None:
    labels = {pair_label(*item): item for item in sorted(maps.pairs)}
    if first is not None:
        hold(key, labels.__contains__, pair_label(*first))
    picked = st.selectbox(
        words, list(labels), index=None, required=True, key=key, bind="query-params"
    )
    return labels.get(picked or "", first)


def _beside(chosen: Chosen, mine: Side, other: RunEntry | None) -> Side | None:
    """What is set beside; None where nothing is asked for, or it is not there."""
    roles = [role for role in ("actor", "target") if role in mine.pictures.truth]
    offered = ["alone"]
    offered += ["pair"] if mine.maps is not None and len(mine.maps.pairs) > 1 else []
    offered += ["role"] if len(roles) > 1 else []
    offered += ["run"] if other is not None else []
    if len(offered) == 1:
        return None
    if st.session_state.get("beside") not in offered:
        st.session_state["beside"] = "alone"
    left, right = st.columns([4, 2], vertical_alignment="bottom")
    what = left.segmented_control(
        "Side by side with",
        offered,
        required=True,
        key="beside",
        bind="query-params",
        format_func=lambda name: BESIDE[name],
    )
    if what == "pair" and mine.maps is not None:
        rest = [pair for pair in sorted(mine.maps.pairs) if pair != mine.pair]
        with right:
            pair = _pair_choice("Second pair", "pair2", mine.maps, rest[0])
        title = (
            ROLE_TITLES[mine.role]
            if pair is None
            else f"{ROLE_TITLES[mine.role]}, {pair_label(*pair)}"
        )
        return Side(title, "second", mine.directory, mine.sample_id, mine.role, pair, mine.pictures)
    if what == "role":
        role = next(role for role in roles if role != mine.role)
        kept = role in mine.pictures.attention
        if not kept:
            st.info(f"No attention map of the {role} was kept for this sample.")
        title = ROLE_TITLES[role] + (f", {pair_label(*mine.pair)}" if mine.pair and kept else "")
        return Side(title, "second", mine.directory, mine.sample_id, role, mine.pair, mine.pictures)
    if what == "run" and other is not None:
        return _other_run(mine, other)
    return None


def _other_run(mine: Side, other: RunEntry) -> Side | None:
    mark = fingerprint(other.directory)
    table = sample_table(other.directory, mark)
    found = table[(table.sample_id == mine.sample_id) & (table.role == mine.role)]
    if not len(found):
        st.info("The second run has no such sample and role.")
        return None
    row = found.iloc[0]
    indices = tuple(int(index) for index in row["frame_indices"])
    pictures = pictures_of(other.directory, mark, mine.sample_id, indices)
    if isinstance(pictures, str):
        st.info("There are no pictures of this sample in the second run.")
        st.code(pictures, language=None, wrap_lines=True)
        return None
    maps = pictures.attention.get(mine.role)
    kept = maps is not None and mine.pair in maps.pairs
    if not kept:
        st.info("The second run kept no attention map of this pair for this sample.")
    title = f"{other.name}: J&F {per_cent(float(row['jf']))}"
    return Side(
        title, "second", other.directory, mine.sample_id, mine.role,
        mine.pair if kept else None, pictures,
    )  # fmt: skip


def _viewer(sides: Sequence[Side], show: set[str], opacity: float) -> None:
    mine = sides[0]
    indices = mine.pictures.frame_indices
    # Of the others the attention may hardly be seen.
    first = indices[0] if mine.values is None else brightest(mine.values, indices)
    frame = frame_slider("frame", indices, first, (mine.directory, mine.sample_id, mine.role))
    if len(sides) == 1:
        left, right = st.columns([3, 2], gap="large")
        with left:
            _frame(sides[0], frame, show, opacity, FRAME_WORDS)
        with right:
            _shares(sides[0], frame)
        _strip(sides[0], show, opacity)
        _text(sides[0])
        return
    for column, side in zip(st.columns(2, gap="large"), sides, strict=True):
        with column:
            st.markdown(f"**{literal(side.title)}**")
            _frame(side, frame, show, opacity)
            _shares(side, frame)
            _strip(side, show, opacity)
            _text(side)
    st.caption(FRAME_WORDS)


def _composed(
    side: Side, place: int, show: set[str], opacity: float, height: int = BIG
) -> np.ndarray:
    pictures, heat = side.pictures, side.values if "attention" in show else None
    return compose_frame(
        pictures.frames[place],
        predicted={name: masks[place] for name, masks in pictures.predicted.items()}
        if "prediction" in show
        else {},
        truth={name: masks[place] for name, masks in pictures.truth.items() if name == side.role}
        if "truth" in show
        else {},
        attention=None if heat is None else heat[place],
        peak=1.0 if heat is None else heat_scale(heat),
        opacity=opacity,
        height=height,
    )


def _frame(side: Side, frame: int, show: set[str], opacity: float, words: str = "") -> None:
    indices = side.pictures.frame_indices
    # Another run may have looked at other frames: the nearest of them.
    place = int(np.argmin(np.abs(np.array(indices) - frame)))
    if indices[place] != frame:
        st.caption(f"Nearest frame of this run: {indices[place]}.")
    st.image(
        encode_jpeg(_composed(side, place, show, opacity), quality=90),
        width="stretch",
        alt=f"Frame {indices[place]} with the chosen overlays",
    )
    left, right = st.columns([12, 1], vertical_alignment="top")
    if words:
        left.caption(words)
    with right:
        height = max(BIG, side.pictures.frames.shape[1])
        frame_files(
            side.name,
            f"{side.sample_id}-{side.role}-frame-{indices[place]}",
            lambda: _composed(side, place, show, opacity, height),
            _numbers(side),
        )


def _numbers(side: Side) -> dict[str, pd.DataFrame]:
    """Attention of the pair on the patches of all frames and on the text, where it was kept."""
    if side.values is None or side.pair is None:
        return {}
    tables = {"attention": patches_frame(side.pictures.frame_indices, side.values)}
    return tables | ({} if side.text is None else {"tokens": tokens_frame(side.text, side.pair)})


def _shares(side: Side, frame: int) -> None:
    values = side.values
    if values is None or side.pair is None:
        return
    indices = side.pictures.frame_indices
    shares = frame_shares(indices, values, side.pictures.truth.get(side.role))
    if not shares:
        st.info("This pair puts no attention on the video here.")
        return
    label = pair_label(*side.pair)
    st.markdown(f"**{label} by frame**")
    draw(
        frame_share_chart(shares, side.role, frame),
        "frame_shares" if side.name == "first" else "frame_shares_2",
        frame_share_frame(shares, frame),
        "Grey: share of the pair's attention on vision tokens that falls on the frame. "
        "Coloured: the part on the true object. Black mark: what even attention would put "
        "there. One sample, so there is no interval.",
        f"How the attention of {label} is spread over the frames",
    )


def _strip(side: Side, show: set[str], opacity: float) -> None:
    indices = side.pictures.frame_indices
    # Twice the height that they are shown at, for screens with dense pixels.
    images = [_composed(side, place, show, opacity, 2 * SMALL) for place in range(len(indices))]
    frame_strip(images, indices)


def _text(side: Side) -> None:
    """The text tokens that the role token looked back on."""
    values = side.values
    if values is None or side.pair is None:
        return
    st.markdown(f"**{pair_label(*side.pair)} on the text**")
    found = side.text
    if found is None:
        st.info(
            "Attention on text tokens was not kept: this run is of an earlier version. Capture "
            "again to have it."
        )
        return
    weights = weights_of(found, side.pair)
    by_frame = [float(frame.sum()) for frame in values]
    st.html(token_chips(found, side.pair, by_frame))
    st.caption(
        f"Everything that the {side.role}'s token could look back on, in order: "
        f"{count(len(weights), 'text token')} hold {per_cent(float(weights.sum()), 2)} % of its "
        f"attention, the video {per_cent(sum(by_frame), 2)} %. Dark for none, yellow for the most "
        f"({per_cent(float(weights.max(initial=0.0)), 2)} %), by the square root of the weight; "
        "hold the pointer on a token for its weight."
    )


def _known(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
