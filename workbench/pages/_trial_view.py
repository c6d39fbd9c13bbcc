"""How the page Try it draws what came out: masks and attention on frames, words, what moved."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from reports.overlay import compose_frame, encode_jpeg, heat_scale
from reports.style import MISSING, ROLE_TITLES, count, number, pair_label, per_cent
from reviosa import ROLES
from workbench.pages._frames import (
    BIG,
    SMALL,
    brightest,
    frame_files,
    frame_slider,
    frame_strip,
    patches_frame,
)
from workbench.pages._shell import literal
from workbench.pages._token_chips import is_frame, word_chips
from workbench.pages._trial import Source
from workbench.pages._view import csv_button
from workbench.tryout import Looked, Meeting, Trial, compare, moved_words

__all__ = ["draw_trials", "moved_frame"]

TOP = "top layer"


def draw_trials(source: Source, trials: Sequence[Trial]) -> None:
    role, choice, frame, opacity = _controls(source, trials)
    if choice == TOP:
        # Of the first sentence, for both: two layers could not be compared.
        layers = [looked.top_layer for trial in trials for looked in trial.looked.values()]
        choice = f"layer {layers[0]}" if layers else choice
    columns = st.columns(len(trials), gap="large")
    for place, (column, trial) in enumerate(zip(columns, trials, strict=True)):
        with column:
            _result(source, trial, place, role, choice, frame, opacity)
    if len(trials) == 2:
        _moved(trials[0], trials[1], choice)
    if source.dataset is None:
        st.caption("The address of this page does not hold your file; open it again to come back.")


def _controls(source: Source, trials: Sequence[Trial]) -> tuple[str, str, int, float]:
    one, two, three, four = st.columns([3, 4, 4, 3], vertical_alignment="bottom")
    role = one.segmented_control(
        "Token of the", list(ROLES), default="actor", required=True,
        key="look_role", bind="query-params", format_func=lambda name: ROLE_TITLES[name],
    )  # fmt: skip
    shape = next((looked.maps.shape[:2] for t in trials for looked in t.looked.values()), (0, 0))
    heads = [TOP, *(f"layer {layer}" for layer in range(shape[0]))]
    heads += [pair_label(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    if st.session_state.get("look_at") not in heads:
        st.session_state["look_at"] = TOP
    choice = two.selectbox(
        "Head", heads, key="look_at", bind="query-params",
        format_func=lambda name: f"mean of the {name}" if name == TOP else (
            f"mean of {name}" if name.startswith("layer") else name
        ),
        help="The top layer is the one that puts most attention on the video.",
    )  # fmt: skip
    seen = trials[0].result.frame_indices
    with three:
        frame = frame_slider(
            "try_frame", range(source.frames.num_frames), _first_frame(trials[0], role or "actor"),
            source.key, f"The language model saw the frames {', '.join(map(str, seen))}.",
        )  # fmt: skip
    opacity = four.slider(
        "Opacity of attention", 0.0, 1.0, 0.6, 0.05, key="try_opacity", bind="query-params"
    )
    return role or "actor", choice or TOP, frame, opacity


def _first_frame(trial: Trial, role: str) -> int:
    """The frame that the role's token looked at most."""
    seen, looked = trial.result.frame_indices, trial.looked.get(role)
    return seen[0] if looked is None else brightest(looked.maps[looked.top_layer].sum(axis=0), seen)


def _result(
    source: Source, trial: Trial, place: int, role: str, choice: str, frame: int, opacity: float
) -> None:
    st.markdown(f"**{literal(trial.expression)}**")
    st.code(trial.result.text or "(nothing)", language=None, wrap_lines=True)
    if trial.result.babble is not None:
        st.warning("The model named no role by itself; the likelier proper answer was taken.")
        st.code(trial.result.babble or "(nothing)", language=None, wrap_lines=True)
    looked = trial.looked.get(role)
    values = None if looked is None else _weights(looked, choice)[0]
    seen = trial.result.frame_indices
    big = _frame(source, trial, role, frame, values, opacity, BIG)
    st.image(
        encode_jpeg(big, quality=90), width="stretch",
        alt=f"Frame {frame} with masks and attention",
    )  # fmt: skip
    truth = " White outline: truth." if _truth(source, trial, frame) else ""
    heat = "" if frame in seen else " The language model did not see this frame: no attention."
    left, right = st.columns([8, 1], vertical_alignment="top")
    left.caption(f"Frame {frame}. Actor blue, target vermillion.{truth}{heat}")
    with right:
        frame_files(
            f"try_{place}", f"sentence-{place + 1}-{role}-frame-{frame}", lambda: big,
            {} if looked is None else _numbers(trial, looked, choice),
        )  # fmt: skip
    small = [_frame(source, trial, role, index, values, opacity, SMALL) for index in seen]
    frame_strip(small, seen)
    if looked is None:
        st.info(f"The model named no {role}, so no token looked for it.")
        return
    words = _weights(looked, choice)[1]
    video = sum(w for word, w in zip(trial.words, words, strict=True) if is_frame(word))
    st.html(word_chips(trial.words, words.tolist()))
    st.caption(
        f"{_head_title(choice)}: {per_cent(float(video))} % of the {role} token's attention lies "
        "on the video. Words: dark for none, yellow for the most, by the square root of the "
        "weight; point at one for its share. One sentence, so there is no interval."
    )


def _weights(looked: Looked, choice: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[frame, row, column] and [word] of a head, or the mean of a layer's heads."""
    if choice.startswith("layer "):
        layer = int(choice.removeprefix("layer "))
        return looked.maps[layer].mean(axis=0), looked.words[layer].mean(axis=0)
    layer, head = (int(part) for part in choice[1:].split("H"))
    return looked.maps[layer, head], looked.words[layer, head]


def _numbers(trial: Trial, looked: Looked, choice: str) -> dict[str, pd.DataFrame]:
    maps, words = _weights(looked, choice)
    return {
        "attention": patches_frame(trial.result.frame_indices, maps),
        "tokens": pd.DataFrame({"token": trial.words, "attention": words}),
    }


def _head_title(choice: str) -> str:
    return f"Mean of the heads of {choice}" if choice.startswith("layer ") else choice


def _truth(source: Source, trial: Trial, frame: int) -> dict[str, NDArray[np.bool_]]:
    """Truth of a sentence that the data set holds, where there is truth of that frame."""
    if source.dataset is None or not source.dataset.has_truth:
        return {}
    for sample in source.dataset.samples:
        same = sample.expression.text == trial.expression
        if same and sample.video.video_id == source.key:
            if frame not in sample.video.truth_frames:
                return {}
            roles = ROLES if sample.expression.is_interaction else ROLES[:1]
            return {role: sample.masks(ROLES.index(role), [frame])[0] for role in roles}
    return {}


def _frame(
    source: Source, trial: Trial, role: str, frame: int, values: NDArray | None, opacity: float,
    height: int,
) -> NDArray[np.uint8]:  # fmt: skip
    seen = trial.result.frame_indices
    heat = values[seen.index(frame)] if values is not None and frame in seen else None
    return compose_frame(
        source.frames.read_frames([frame])[0],
        predicted=trial.masks(frame),
        truth=_truth(source, trial, frame),
        attention=heat,
        peak=1.0 if values is None else heat_scale(values),
        opacity=opacity,
        height=height,
    )


def moved_frame(meetings: Sequence[Meeting]) -> pd.DataFrame:
    """One row a role of either sentence: overlap of masks and of attention."""
    return pd.DataFrame(
        [(m.first, m.second, m.masks, m.attention) for m in meetings],
        columns=["first sentence", "second sentence", "mask J", "attention overlap"],
    )


def _moved(first: Trial, second: Trial, choice: str) -> None:
    st.subheader("What moved")
    meetings = compare(first, second, lambda looked: _weights(looked, choice)[0])
    st.write(literal(moved_words(meetings)) or "No role was named in both.")
    if not meetings:
        return
    frame = moved_frame(meetings)
    shown = frame.assign(
        **{
            name: [number(None if pd.isna(x) else x) for x in frame[name]]
            for name in ("mask J", "attention overlap")
        }
    )
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.dataframe(shown, hide_index=True, alt="Overlap of the roles of both sentences")
    with right:
        csv_button(frame, "what-moved.csv", "table")
    st.caption(
        f"Mask J: mean over {count(len(first.result.tracks[0] or ()), 'frame')} of the video, "
        "frames without either mask left out. Attention overlap: 1 where both tokens look at the "
        f"same patches alike, 0 where they share none. {MISSING}: not defined. One video, so there "
        "is no interval."
    )
