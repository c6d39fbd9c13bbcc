"""The selection that is gathered by clicking: kept in the address, shown as chips, saved."""

import json
import shlex

import streamlit as st

from reports.style import count, pair_label
from reviosa.errors import ReviosaError
from reviosa.heads import HeadSelection
from workbench.pages._data import runs_folder
from workbench.pages._selections import (
    free_name,
    is_taken,
    pairs_text,
    read_pairs,
    save_selection,
)
from workbench.pages._shell import Chosen, literal

__all__ = ["KEY", "gathered", "keep_gathered", "save_form", "toggle"]

Pair = tuple[int, int]
KEY, PARAMETER, LAST = "gathered", "pairs", "gathered_in_address"
NAME, OUTCOME = "selection_name", "selection_outcome"
# The widget, the address, and what was last written to it. Pages without the widget forget it, so
# the last of them brings the pairs back.


def gathered(shape: tuple[int, int]) -> list[Pair]:
    """The gathered pairs, from the address where that is newer; told are pairs that do not exist.

    Call it once, before anything that changes or shows them; then :func:`keep_gathered`.
    """
    asked, last = st.query_params.get(PARAMETER), st.session_state.get(LAST)
    if asked is not None and asked != last:
        pairs, odd = read_pairs(asked, shape)
        st.session_state[KEY] = [pair_label(*pair) for pair in pairs]
    elif KEY not in st.session_state:
        pairs, odd = read_pairs(last or "", shape)
        st.session_state[KEY] = [pair_label(*pair) for pair in pairs]
    else:
        labels = _labels(shape)
        odd = [label for label in st.session_state[KEY] if label not in labels]
        st.session_state[KEY] = [label for label in st.session_state[KEY] if label in labels]
    if odd:
        st.warning(
            f"Left out of the selection, as this model of {shape[0]} layers and {shape[1]} heads "
            f"has no such pair: {literal(', '.join(odd))}."
        )
    labels = _labels(shape)
    return [labels[label] for label in st.session_state[KEY]]


def toggle(pair: Pair) -> None:
    """Add a pair, or take it out; for callbacks of clicks."""
    label = pair_label(*pair)
    held = list(st.session_state.get(KEY) or ())
    st.session_state[KEY] = [x for x in held if x != label] if label in held else [*held, label]


def keep_gathered(shape: tuple[int, int]) -> list[Pair]:
    """The chips, of which each can be taken out; writes what is left to the address."""
    labels = _labels(shape)
    chosen = st.multiselect(
        "Gathered pairs",
        list(labels),
        key=KEY,
        placeholder="none yet: click cells while gathering, or type a pair such as L02H01",
        help="Layer and head, both from 0, in the order in which they were gathered.",
    )
    pairs = [labels[label] for label in chosen]
    remember(pairs)
    return pairs


def remember(pairs: list[Pair]) -> None:
    """Write pairs to the address, so that a copy of it opens the same."""
    text = pairs_text(pairs)
    st.session_state[LAST] = text
    if st.query_params.get(PARAMETER, "") != text:
        if text:
            st.query_params[PARAMETER] = text
        else:
            del st.query_params[PARAMETER]


def save_form(chosen: Chosen, criterion: str, pairs: list[Pair]) -> None:
    """Save the gathered pairs as a heads file below the runs, or download them."""
    data = chosen.results.run.get("data") or {}
    selection = HeadSelection(
        tuple(pairs), "manual", criterion, chosen.entry.name, data.get("identity")
    )
    if NAME not in st.session_state:
        st.session_state[NAME] = free_name(runs_folder(), "selection")
    left, middle, right, end = st.columns([3, 1, 1.2, 1], vertical_alignment="bottom")
    left.text_input(
        "Name of the heads file",
        key=NAME,
        help="Letters, digits, dash, underscore and dot; no dot in front.",
    )
    middle.button(
        "Save", key="save_selection", icon=":material/save:", width="stretch",
        on_click=_save, args=(selection, False),
    )  # fmt: skip
    right.download_button(
        "Download",
        json.dumps(selection.to_json(), indent=2) + "\n",
        file_name="heads.json",
        mime="application/json",
        icon=":material/download:",
        key="download_selection",
        on_click="ignore",
        width="stretch",
    )
    end.button(
        "Clear", key="clear_selection", icon=":material/close:", width="stretch", on_click=_clear
    )
    _outcome(selection)


def _save(selection: HeadSelection, replace: bool) -> None:
    """What came of it is told by the page that is drawn next."""
    folder, name = runs_folder(), st.session_state[NAME].strip().removesuffix(".json")
    try:
        if not replace and is_taken(folder, name):
            st.session_state[OUTCOME] = "taken", name
            return
        path = save_selection(folder, name, selection, replace)
    except ReviosaError as error:
        st.session_state[OUTCOME] = "failed", str(error)
        return
    st.session_state[OUTCOME] = "saved", str(path)


def _outcome(selection: HeadSelection) -> None:
    what, text = st.session_state.pop(OUTCOME, ("", ""))
    if what == "taken":
        st.warning(f"The name {literal(text)} is taken: give another name, or replace that file.")
        st.button(
            f"Replace {literal(text)}", key="replace_selection", icon=":material/save:",
            on_click=_save, args=(selection, True),
        )  # fmt: skip
    elif what == "failed":
        st.error("The selection was not saved.")
        st.code(text, language=None, wrap_lines=True)
    elif what == "saved":
        st.success(f"Saved {count(len(selection.pairs), 'pair')}; train and ablate take it with:")
        st.code(f"--heads {shlex.quote(text)}", language="bash")


def _clear() -> None:
    st.session_state[KEY] = []


def _labels(shape: tuple[int, int]) -> dict[str, Pair]:
    return {
        pair_label(layer, head): (layer, head)
        for layer in range(shape[0])
        for head in range(shape[1])
    }
