"""One candidate on the page of reviews: frames, words, verdict, and the form to change it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st

from reports.overlay import encode_jpeg
from reports.style import CAPTION_TYPE_TITLES, ROLE_TITLES
from reviosa.annotation.clips import sampled
from workbench.pages._frames import frame_slider, frame_strip
from workbench.pages._reviews import (
    UNDECIDED,
    Expression,
    objects_of,
    pictures_of,
    seen_of,
    strip_of,
)
from workbench.pages._shell import literal

__all__ = ["STATES", "edit_form", "frames", "heading"]

STATES: Final = {
    UNDECIDED: "undecided",
    "accept": "accepted",
    "edit": "edited",
    "reject": "rejected",
}
STRIP: Final = 10
"""Frames that are shown small."""
LONGEST: Final = 400
"""Characters of an expression."""


def heading(
    candidates: Mapping[str, Any],
    item: Expression,
    twin: Expression | None,
    open_twin: Callable[[], None],
) -> None:
    """What a candidate says and of whom, what the verification says of it, and its twin."""
    names = objects_of(candidates, item.clip_id)
    st.subheader(literal(item.text) or "(no words)")
    kind = CAPTION_TYPE_TITLES.get(item.caption_type, item.caption_type)
    st.caption(
        f"{literal(item.sample_id)}, {literal(kind)}, from the stage {literal(item.stage)}. "
        f"**{STATES[item.state]}**"
    )
    if item.state == "edit" and item.made != item.text:
        st.caption(f"As it was made: {literal(item.made)}")
    left, right = st.columns(2)
    for column, role, ids in (
        (left, "actor", item.actor_ids), (right, "target", item.target_ids),
    ):  # fmt: skip
        color = "blue" if role == "actor" else "orange"
        words = ", ".join(literal(_object(names, key)) for key in ids) or "none"
        column.write(f":{color}[**{ROLE_TITLES[role]}**]: {words}")
    if twin is not None:
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.write(f"Its twin ({STATES[twin.state]}): {literal(twin.text)}")
        button.button("Open the twin", key="open_twin", on_click=open_twin)
    if item.verdict != "pass":
        st.warning("The verification would leave it out:", icon=":material/rule:")
        st.code("\n".join(item.reasons) or "no reason given", language=None, wrap_lines=True)


def edit_form(
    candidates: Mapping[str, Any], item: Expression, save: Callable[[dict[str, Any]], None]
) -> None:
    """The form that changes a candidate; ``save`` is given what it should be.

    Its fields are made anew for another candidate and for another state of it.
    """
    names = objects_of(candidates, item.clip_id)
    keys = {
        name: f"edit_{name}|{item.sample_id}|{hash(item)}"
        for name in ("exp", "caption_type", "actor_ids", "target_ids")
    }

    def saved() -> None:
        given = {name: st.session_state[key] for name, key in keys.items()}
        save({**given, "exp": " ".join(given["exp"].split())})

    with st.form("edit_form", border=False):
        st.text_area("Expression", item.text, key=keys["exp"], max_chars=LONGEST, height=68)
        kind, actors, targets = st.columns(3)
        kinds = list(CAPTION_TYPE_TITLES)
        kind.selectbox(
            "Kind", kinds, kinds.index(item.caption_type) if item.caption_type in kinds else 0,
            key=keys["caption_type"], format_func=lambda name: CAPTION_TYPE_TITLES[name],
        )  # fmt: skip
        for column, role, ids in (
            (actors, "actor", item.actor_ids), (targets, "target", item.target_ids),
        ):  # fmt: skip
            column.multiselect(
                ROLE_TITLES[role], list(names), [key for key in ids if key in names],
                key=keys[f"{role}_ids"], format_func=lambda key: _object(names, key),
                placeholder="none",
            )  # fmt: skip
        st.form_submit_button("Save the edit", icon=":material/edit:", on_click=saved)


def frames(directory: Path, mark: tuple, item: Expression) -> None:
    """Draw a frame of the clip with the masks of both roles, beside all objects by number."""
    roles = (item.actor_ids, item.target_ids)
    seen = seen_of(directory, mark, item.clip_id, roles)
    if isinstance(seen, str):
        _no_pictures(seen)
        return
    frame = frame_slider(
        "review_frame", range(seen.frames), seen.first, (str(directory), item.sample_id, roles),
        "First comes the frame on which most of actor and target is seen.",
    )  # fmt: skip
    pictures = pictures_of(directory, mark, item.clip_id, roles, frame)
    if isinstance(pictures, str):
        _no_pictures(pictures)
        return
    left, right = st.columns(2)
    left.image(
        encode_jpeg(pictures[0]), caption="actor blue, target vermillion",
        alt=f"Frame {frame} with the masks of actor and target",
    )  # fmt: skip
    right.image(
        encode_jpeg(pictures[1]), caption="all objects of the clip by number",
        alt=f"Frame {frame} with all objects by number",
    )  # fmt: skip
    indices = sampled(0, seen.frames - 1, STRIP)
    if images := strip_of(directory, mark, item.clip_id, roles, indices):
        frame_strip(images, indices)


def _no_pictures(reason: str) -> None:
    st.info("There are no pictures of this clip.")
    st.code(reason, language=None, wrap_lines=True)


def _object(names: Mapping[int, str], key: int) -> str:
    return f"{key} {names[key]}" if key in names else f"{key} (not in the clip)"
