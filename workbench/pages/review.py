"""Review: what the annotation pipeline wrote, to be accepted, changed or rejected by a person."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from reports.style import CAPTION_TYPE_TITLES, count
from reviosa.annotation.candidates import candidates_path
from reviosa.annotation.review import Decision, decide, stale_decisions, take_back
from reviosa.errors import ReviosaError
from workbench.pages._data import RunEntry, list_runs, runs_folder
from workbench.pages._review_view import STATES, edit_form, frames, heading
from workbench.pages._reviews import (
    UNDECIDED,
    Expression,
    candidates_mark,
    candidates_of,
    decisions_of,
    expression_of,
    going_in,
    rewrite_set,
    table_of,
)
from workbench.pages._runs import live_status
from workbench.pages._shell import STATUS_ICONS, choose, hold, literal, show

__all__ = ["render"]

LISTED: Final = 1000
"""Rows of the list; a set of 127,000 expressions is no table to scroll."""
VERDICTS: Final = {"all": "all", "pass": "passed", "fail": "failed"}
ORDERS: Final = {"open": "undecided first", "file": "by clip"}
_PROBLEM: Final = "review_problem"


def render() -> None:
    """Draw the page."""
    st.title("Review")
    runs = {entry.name: entry for entry in list_runs(runs_folder()) if entry.kind == "annotate"}
    if not runs:
        _nothing()
        return

    def title(name: str) -> str:
        status = "gone" if name not in runs else live_status(runs[name])
        return name if status == "done" else f"{name} ({status})"

    name = choose(
        "Annotation run", list(runs), "annotation", next(iter(runs)), title,
        "Runs of the annotation pipeline in the folder, newest first.",
    )  # fmt: skip
    _run(runs[name])


def _nothing() -> None:
    folder = runs_folder()
    if folder.is_dir():
        st.info("No annotation run lies in this folder yet:")
    else:
        st.info("There is no such folder of runs:")
    st.code(str(folder), language=None)
    st.write("A run that can be reviewed is made by:")
    st.code("reviosa annotate --help", language="bash")


def _run(entry: RunEntry) -> None:
    status = _banner(entry)
    if not candidates_path(entry.directory).is_file():
        st.info("This run has no candidates yet; they come when all its stages are done.")
        return
    mark = candidates_mark(entry.directory)
    candidates = candidates_of(entry.directory, mark)
    decisions = decisions_of(entry.directory)
    table = table_of(entry.directory, mark, decisions)
    _progress(table, len(stale_decisions(candidates, decisions)))
    if problem := st.session_state.pop(_PROBLEM, None):
        st.error("The decision was not kept.")
        st.code(problem, language=None, wrap_lines=True)
    shown = _filtered(table)
    name = _chosen_name(shown)
    item = expression_of(candidates, decisions, name)
    if item is None:
        if name:
            st.info("This run has no such expression.")
    else:
        twin = expression_of(candidates, decisions, item.twin) if item.twin else None
        heading(candidates, item, twin, lambda: _open(item.twin or name))
        _decide(entry, candidates, item, _next_open(shown, name))
        frames(entry.directory, mark, item)
    _finished_set(entry, status)


def _banner(entry: RunEntry) -> str:
    status = live_status(entry)
    icon = STATUS_ICONS.get(status, ":material/help:")
    if status == "running":
        st.info(
            "This run goes on. What is decided is kept, and counts when it writes the set.",
            icon=icon,
        )
    elif status != "done":
        st.warning(
            f"This run is not complete (status: {literal(status)}). What is decided is kept for "
            "when it goes on.",
            icon=icon,
        )
        if entry.error:
            st.code(entry.error, language=None, wrap_lines=True)
    return status


def _progress(table: pd.DataFrame, stale: int) -> None:
    total, done = len(table), int((table.state != UNDECIDED).sum())
    st.progress(
        done / total if total else 1.0,
        text=f"{done:,} of {total:,} decided; {going_in(table):,} would go into the set",
    )
    if stale:
        st.caption(
            f"{count(stale, 'decision')} of earlier expressions that are no candidates any more; "
            "they change nothing."
        )


def _filtered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that fit, those to decide first where that is asked for."""
    clip_column, kind_column, words_column = st.columns([2, 2, 2], vertical_alignment="bottom")
    with clip_column:
        clips = ["", *table["clip"].unique()]
        clip = choose(
            "Clip", clips, "clip", "", lambda name: name or "all clips", "Of the annotated videos."
        )
    kinds = [kind for kind in CAPTION_TYPE_TITLES if (table.caption_type == kind).any()]
    wanted = kind_column.multiselect(
        "Kind of expression", kinds, key="type", bind="query-params",
        format_func=lambda name: CAPTION_TYPE_TITLES[name], placeholder="all kinds",
    )  # fmt: skip
    words = words_column.text_input("Words in the expression", key="said", bind="query-params")
    verdict_column, state_column, order_column = st.columns([2, 4, 2], vertical_alignment="bottom")
    verdict = verdict_column.segmented_control(
        "Verification", list(VERDICTS), default="all", required=True, key="verdict",
        bind="query-params", format_func=lambda name: VERDICTS[name],
    )  # fmt: skip
    states = {"all": "all", **STATES}
    state = state_column.segmented_control(
        "Decision", list(states), default="all", required=True, key="state",
        bind="query-params", format_func=lambda name: states[name],
    )  # fmt: skip
    order = order_column.segmented_control(
        "Order", list(ORDERS), default="open", required=True, key="review_order",
        bind="query-params", format_func=lambda name: ORDERS[name],
    )  # fmt: skip
    if clip:
        table = table[table["clip"] == clip]
    if wanted:
        table = table[table.caption_type.isin(wanted)]
    if words:
        table = table[table.expression.str.contains(words, case=False, regex=False)]
    if verdict in ("pass", "fail"):
        table = table[table.verdict == verdict]
    if state in STATES:
        table = table[table.state == state]
    if order != "file":
        decided = table.state != UNDECIDED
        table = table.loc[decided.sort_values(kind="stable").index]
    return table


def _chosen_name(shown: pd.DataFrame) -> str:
    """The expression that is looked at, of the list or of the address."""
    names = shown["sample"].head(LISTED).tolist()

    def pick() -> None:
        picked = st.session_state["review_table"].selection.rows
        if picked:
            _open(names[picked[0]])

    if not names:
        st.info("No expression fits.")
    else:
        _table(shown, pick)
        hold("expression", bool, names[0])
    name = st.text_input("Expression", key="expression", bind="query-params", width=480)
    # Going back in the browser to an address without one empties the field.
    return name or next(iter(names), "")


def _table(shown: pd.DataFrame, pick: Callable[[], None]) -> None:
    rows = shown.head(LISTED)
    st.dataframe(
        rows.assign(
            caption_type=rows.caption_type.replace(CAPTION_TYPE_TITLES),
            state=rows.state.replace(STATES),
            verdict=rows.verdict.replace(VERDICTS),
        )[["state", "verdict", "caption_type", "expression", "sample", "reasons"]],
        hide_index=True,
        height=240 if len(rows) > 5 else "content",
        key="review_table",
        on_select=pick,  # pyright: ignore[reportArgumentType]
        selection_mode="single-row",
        column_config={
            "state": "decision", "verdict": "verification", "caption_type": "kind",
            "sample": "name", "reasons": "what the verification says",
        },
        alt=f"{count(len(rows), 'expression')} with decision and verification",
    )  # fmt: skip
    cut = f" The first {LISTED:,} are listed." if len(shown) > LISTED else ""
    st.caption(f"{count(len(shown), 'expression')}.{cut} Select a row to open it.")


def _next_open(shown: pd.DataFrame, name: str) -> str:
    """The undecided expression that follows in the order of the file, else the first; else it."""
    ordered = shown.sort_index()
    open_ones = ordered[(ordered.state == UNDECIDED) & (ordered["sample"] != name)]
    here = ordered.index[ordered["sample"] == name]
    after = open_ones[open_ones.index > here[0]] if len(here) else open_ones
    chosen: Sequence[str] = (after if len(after) else open_ones)["sample"].head(1).tolist()
    return chosen[0] if chosen else name


def _decide(
    entry: RunEntry, candidates: Mapping[str, Any], item: Expression, following: str
) -> None:
    """The buttons; after a decision the next undecided expression is opened."""

    def keep(decision: Decision) -> None:
        try:
            decide(entry.directory, candidates, item.sample_id, decision)
        except (ReviosaError, OSError) as error:
            st.session_state[_PROBLEM] = str(error)
        else:
            _open(following)

    def forget() -> None:
        try:
            take_back(entry.directory, item.sample_id)
        except (ReviosaError, OSError) as error:
            st.session_state[_PROBLEM] = str(error)

    with st.container(horizontal=True):
        st.button(
            "Accept", icon=":material/check:", type="primary", key="accept",
            on_click=lambda: keep(Decision.now("accept")),
        )  # fmt: skip
        st.button(
            "Reject", icon=":material/close:", key="reject",
            on_click=lambda: keep(Decision.now("reject")),
        )  # fmt: skip
        st.button(
            "Take back", icon=":material/undo:", key="take_back", on_click=forget,
            disabled=item.state == UNDECIDED, help="Forget what was decided about this one.",
        )  # fmt: skip
        st.button(
            "Next undecided", icon=":material/skip_next:", key="next", type="tertiary",
            on_click=lambda: _open(following), disabled=following == item.sample_id,
        )  # fmt: skip
    with st.expander("Edit", icon=":material/edit:"):
        edit_form(candidates, item, lambda content: keep(Decision.now("edit", content)))


def _open(sample_id: str) -> None:
    st.session_state["expression"] = sample_id


def _finished_set(entry: RunEntry, status: str) -> None:
    st.subheader("The data set")
    st.write(
        "What passed and was not rejected, and what was accepted or edited, goes into the folder "
        "set of the run when it is written anew."
    )
    pressed = st.button(
        "Write the set anew", icon=":material/save:", key="write_set", disabled=status == "running"
    )
    if pressed:
        try:
            with st.spinner("Writing the set"):
                made = rewrite_set(entry.directory)
        except (ReviosaError, OSError) as error:
            st.error("The set was not written; the one before is as it was.")
            st.code(str(error), language=None, wrap_lines=True)
        else:
            st.success(
                f"Written: {count(made['videos'], 'video')}, {count(made['objects'], 'object')}, "
                f"{count(made['expressions'], 'expression')}, of them "
                f"{count(made['interactions'], 'interaction')}."
            )


if __name__ == "__main__":
    show(render)
