"""Runs: every run of the folder, one of them opened, and any two compared."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from reports.style import (
    MISSING,
    PROTOCOL_TITLES,
    count,
    interval,
    number,
)
from reports.summary import model_name, summary
from reports.tables import PROTOCOL_WORDS
from reviosa.errors import ReviosaError
from workbench.pages._comparison_view import compared, pairs_table
from workbench.pages._data import (
    RunEntry,
    fingerprint,
    kept_results_of,
    list_runs,
    runs_folder,
    store_of,
)
from workbench.pages._runs import (
    data_name,
    header_rows,
    live_status,
    progress_of,
    run_table,
    score_rows,
    scores_mark,
    scores_of,
    seconds_of,
)
from workbench.pages._shell import STATUS_ICONS, choose, literal, show
from workbench.pages._sweeps import trial_names
from workbench.pages._view import csv_button

__all__ = ["render"]

# Value of the second selector that compares with nothing. (Bare strings would be written out.)
NOBODY = "-"
EVERY_S = 4
ORDERS = {
    "newest": ("newest first", ["created"], [False]),
    "name": ("name", ["run"], [True]),
    "rvos": ("J&F RVOS, best first", ["rvos", "run"], [False, True]),
    "actor": ("J&F Actor, best first", ["actor", "run"], [False, True]),
    "target": ("J&F Target, best first", ["target", "run"], [False, True]),
    "seconds": ("time taken, longest first", ["seconds", "run"], [False, True]),
}


def render() -> None:
    """Draw the page."""
    st.title("Runs")
    folder = runs_folder()
    runs = list_runs(folder)
    if not runs:
        _nothing()
        return
    st.caption(f"{count(len(runs), 'run')} in {literal(str(folder))}")
    going = [entry for entry in runs if live_status(entry) == "running"]
    if going:
        st.fragment(_watch, run_every=EVERY_S)(_state(runs))
    _list(runs)
    by_name = {entry.name: entry for entry in runs}
    titles = {entry.name: _title(entry) for entry in runs}
    left, right = st.columns(2)
    with left:
        name = choose(
            "Run", list(by_name), "opened", _default(runs), lambda run: titles.get(run, run),
            "The run that is opened below; a capture is also what the other pages show.",
        )  # fmt: skip
    with right:
        others = [NOBODY, *(other for other in by_name if other != name)]
        other = choose(
            "Compare with", others, "compared", NOBODY,
            lambda run: "no other run" if run == NOBODY else titles.get(run, run),
            "Scores side by side, and what differs in settings, data, code and versions.",
        )  # fmt: skip
    if by_name[name].kind == "capture":
        # Where the sidebar of the other pages goes on; its own selector is not on this page.
        st.session_state["run_in_address"] = name
    show(lambda: _opened(by_name[name], runs))
    if other != NOBODY:
        show(lambda: compared(by_name[name], by_name[other]))


def _nothing() -> None:
    folder = runs_folder()
    if folder.is_dir():
        st.info("No run lies in this folder yet:")
    else:
        st.info("There is no such folder of runs:")
    st.code(str(folder), language=None)
    st.write("One command makes a first run with everything in it:")
    st.code("reviosa demo", language="bash")


def _default(runs: Sequence[RunEntry]) -> str:
    """The capture that the other pages show, else the newest finished one, else the newest run."""
    captures = [entry.name for entry in runs if entry.kind == "capture"]
    for name in (st.query_params.get("run"), st.session_state.get("run_in_address")):
        if name in captures:
            return name
    done = (e.name for e in runs if e.kind == "capture" and e.status == "done")
    return next(done, runs[0].name)


def _title(entry: RunEntry) -> str:
    status = live_status(entry)
    return f"{entry.name} ({entry.kind}{'' if status == 'done' else f', {status}'})"


def _state(runs: Sequence[RunEntry]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((entry.name, live_status(entry)) for entry in runs))


def _watch(drawn: tuple[tuple[str, str], ...]) -> None:
    """How far runs are; drawn again by itself. A run that ends or begins redraws the page."""
    runs = list_runs(runs_folder())
    if _state(runs) != drawn:
        st.rerun()
    for entry in runs:
        if live_status(entry) != "running":
            continue
        took = _duration(seconds_of(entry))
        done = progress_of(entry)
        words = f"{literal(entry.name)}: {entry.kind} running, {took}"
        if done is None:
            st.markdown(f":material/progress_activity: {words}")
        else:
            what = "step" if entry.kind == "train" else "expression"
            st.progress(done[0] / done[1], f"{words}, {done[0]:,} of {count(done[1], what)}")


def _list(runs: list[RunEntry]) -> None:
    table = run_table(runs)
    kinds, states, words, order = st.columns([3, 3, 3, 3], vertical_alignment="bottom")
    wanted = kinds.multiselect(
        "Kind", sorted(set(table.kind)), key="run_kinds", bind="query-params",
        placeholder="all kinds",
    )  # fmt: skip
    status = states.multiselect(
        "Status", sorted(set(table.status)), key="run_status", bind="query-params",
        placeholder="any status",
    )  # fmt: skip
    asked = words.text_input("Words in name, model or data", key="run_words", bind="query-params")
    sorting = order.selectbox(
        "Order", list(ORDERS), key="run_order", bind="query-params",
        format_func=lambda name: ORDERS[name][0],
    )  # fmt: skip
    if wanted:
        table = table[table.kind.isin(wanted)]
    if status:
        table = table[table.status.isin(status)]
    for word in (asked or "").lower().split():
        text = table.run + " " + table.model.fillna("") + " " + table.data.fillna("")
        table = table[text.str.lower().str.contains(word, regex=False)]
    _, columns, ascending = ORDERS[sorting or "newest"]
    table = table.sort_values(columns, ascending=ascending, kind="stable").reset_index(drop=True)
    if not len(table):
        st.info("No run fits.")
        return
    names = table.run.tolist()

    def pick() -> None:
        rows = st.session_state["runs_table"].selection.rows
        if rows:
            st.session_state["opened"] = names[rows[0]]
            st.session_state["compared"] = names[rows[1]] if len(rows) > 1 else NOBODY

    shown = table if (table.error != "").any() else table.drop(columns="error")
    if not (table.gpu_seconds > 0).any():
        shown = shown.drop(columns="gpu_seconds")
    jf = {
        name: st.column_config.NumberColumn(f"J&F {title}", format="%.1f", help="Per cent")
        for name, title in PROTOCOL_TITLES.items()
    }
    st.dataframe(
        shown,
        hide_index=True,
        height=320 if len(table) > 8 else "content",
        key="runs_table",
        on_select=pick,
        selection_mode="multi-row",
        placeholder=MISSING,
        column_config={
            **jf,
            "created": st.column_config.DatetimeColumn("begun, UTC", format="YYYY-MM-DD HH:mm"),
            "seconds": st.column_config.NumberColumn(
                "took, s",
                format="%.0f",
                help="Wall clock over all its sessions; so far, if it runs",
            ),
            "gpu_seconds": st.column_config.NumberColumn("GPU, s", format="%.0f"),
        },
        alt=f"{count(len(table), 'run')} with kind, status, model, data, scores and cost",
    )
    left, right = st.columns([7, 2], vertical_alignment="top")
    left.caption(
        f"{count(len(table), 'run')}. J\\&F in per cent, mean over expressions; a missing token "
        f"counts as 0; {MISSING} where a run has no masks of whole videos. Select one row to open "
        "the run below, two rows to compare them."
    )
    with right:
        csv_button(table, "runs.csv", "runs")


def _opened(entry: RunEntry, runs: Sequence[RunEntry]) -> None:
    st.subheader(literal(entry.name))
    status = live_status(entry)
    icon = STATUS_ICONS.get(status, ":material/help:")
    said = [f"{icon} {status}", entry.kind]
    if entry.header:
        said += [f"model {literal(model_name(entry.header))}"]
    if data := data_name(entry.header):
        said += [f"data {literal(data)}"]
    if (took := seconds_of(entry)) is not None:
        said += [f"{'for' if status == 'running' else 'took'} {_duration(took)}"]
    st.markdown(" \N{MIDDLE DOT} ".join(said))
    _banner(entry, status)
    parts = entry.name.split("/")
    if len(parts) == 3 and parts[0] == "trials":
        trial = trial_names(runs_folder()).get(parts[1])
        st.caption(f"Trial of the sweep {literal(trial)}." if trial else "Trial of a sweep.")
    if entry.status == "unreadable":
        return
    _links(entry, runs)
    rows = score_rows(entry.directory, entry.kind, scores_mark(entry))
    if isinstance(rows, str):
        st.error("The scores of this run cannot be shown.")
        st.code(rows, language=None, wrap_lines=True)
    else:
        _scores(entry, rows)
    if entry.kind == "capture":
        _said(entry)
    with st.expander("Provenance: model, data, code, versions, settings, cost"):
        pairs_table(
            pd.DataFrame(header_rows(entry.header), columns=["what", "value"]),
            "Where the run came from",
        )


def _banner(entry: RunEntry, status: str) -> None:
    if status == "running":
        st.warning(
            "This run is still going on. Numbers, if any, are of the parts that are complete.",
            icon=STATUS_ICONS["running"],
        )
    elif status == "stopped":
        st.warning(
            "This run was stopped before its end, and no process goes on with it. Numbers, if any, "
            "are of the parts that are complete; the same command with --resume goes on.",
            icon=STATUS_ICONS["stopped"],
        )
    elif status != "done":
        st.error(
            f"This run is not complete (status: {literal(status)}).",
            icon=STATUS_ICONS.get(status, ":material/help:"),
        )
    if entry.error:
        st.code(entry.error, language=None, wrap_lines=True)


def _links(entry: RunEntry, runs: Sequence[RunEntry]) -> None:
    """The pages that show more of a run."""
    links: list[tuple[str, str, dict[str, str]]] = []
    if entry.kind == "capture":
        links = [
            (page, icon, {"run": entry.name})
            for page, icon in (
                ("layers", ":material/layers:"), ("heads", ":material/grid_on:"),
                ("samples", ":material/movie:"), ("causes", ":material/bolt:"),
            )
        ]  # fmt: skip
    elif entry.kind == "train":
        links = [("training", ":material/show_chart:", {"training": entry.name})]
    elif entry.kind in ("ablate", "lens", "probe"):
        model = (entry.header.get("model") or {}).get("identity")
        for other in runs:
            captured = other.header.get("model")
            if other.kind != "capture" or not isinstance(captured, dict) or model is None:
                continue
            if captured.get("identity") == model:
                links = [("causes", ":material/bolt:", {"run": other.name})]
                break
    for column, (page, icon, address) in zip(st.columns(6), links, strict=False):
        column.page_link(
            f"workbench/pages/{page}.py", label=page.capitalize(), icon=icon, query_params=address
        )


def _scores(entry: RunEntry, rows: pd.DataFrame) -> None:
    if not len(rows):
        if entry.kind in ("capture", "evaluate"):
            st.info("No part of this run is complete, so there is no score to show.")
        elif entry.kind == "train":
            st.caption(
                "A training has no masks of its own: its model is scored by an evaluation, a run "
                "of its own."
            )
        return
    scores = scores_of(entry.directory, entry.kind, scores_mark(entry))
    for column, (name, score) in zip(st.columns(3), scores.items(), strict=True):
        column.metric(
            f"J\\&F {PROTOCOL_TITLES[name]}",
            number(score.jf, 1),
            help=f"Per cent; {PROTOCOL_WORDS[name]}.",
            border=True,
        )
        column.caption(
            f"{interval(score.jf_ci, 1)}, n = {count(score.n, 'expression')}, "
            f"{score.missing:,} without token. J {number(score.j, 1)}, F {number(score.f, 1)}."
        )
    st.caption(
        "Per cent; in brackets 95 % intervals of a bootstrap over videos (2,000 resamples). A "
        "missing token counts as 0."
    )


def _said(entry: RunEntry) -> None:
    """What the analysis of a capture says, where one was left; it takes too long to wait for."""
    mark = fingerprint(entry.directory)
    try:
        results = kept_results_of(entry.directory, mark)
        problems = store_of(entry.directory, mark).problems
    except ReviosaError as error:
        results, problems = None, (str(error),)
    if results is not None and results.counts.expressions:
        st.write(literal(" ".join(summary(results))))
        with st.expander("Notes and limits"):
            st.markdown("\n".join(f"- {literal(note)}" for note in results.notes))
    if problems:
        st.warning("Some parts of the run could not be read and are left out.")
        st.code("\n".join(problems), language=None, wrap_lines=True)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


if __name__ == "__main__":
    show(render)
