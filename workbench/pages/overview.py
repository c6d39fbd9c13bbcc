"""Overview: what the chosen run says, where it came from, and which runs there are."""

import pandas as pd
import streamlit as st

from reports.style import PROTOCOL_TITLES, count, interval, number
from reports.summary import model_name, summary
from reports.tables import PROTOCOL_WORDS, provenance_table
from workbench.pages._data import RunEntry, list_runs, runs_folder
from workbench.pages._shell import Chosen, literal, opened_run, show

__all__ = ["render"]


def render() -> None:
    """Draw the page."""
    st.title("Overview")
    show(_chosen_run)
    _runs(list_runs(runs_folder()))


def _chosen_run() -> None:
    chosen = opened_run()
    if chosen is not None:
        _scores(chosen)
        _notes(chosen)
        _provenance(chosen)


def _scores(chosen: Chosen) -> None:
    results = chosen.results
    st.caption(f"Run {literal(chosen.entry.name)}, model {literal(model_name(results.run))}")
    for column, (name, score) in zip(st.columns(3), results.protocols.items(), strict=True):
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
        f"Per cent; in brackets {100 * results.confidence:.0f} % intervals of a bootstrap over "
        f"videos ({results.resamples:,} resamples). A missing token counts as 0."
    )
    st.write(literal(" ".join(summary(results))))


def _notes(chosen: Chosen) -> None:
    st.subheader("Notes and limits")
    st.markdown("\n".join(f"- {literal(note)}" for note in chosen.results.notes))
    if chosen.results.problems:
        st.warning("Some parts of the run could not be read and are left out.")
        st.code("\n".join(chosen.results.problems), language=None, wrap_lines=True)


def _provenance(chosen: Chosen) -> None:
    st.subheader("Provenance")
    table = provenance_table(chosen.results)
    with st.expander("Model, data, code, settings"):
        st.dataframe(
            pd.DataFrame(table.rows, columns=list(table.columns)),
            hide_index=True,
            height="content",
            alt="Where the numbers came from",
        )


def _runs(runs: list[RunEntry]) -> None:
    if not runs:
        return
    st.subheader("Runs in this folder")
    st.caption(literal(str(runs_folder())))
    st.dataframe(
        pd.DataFrame(
            {
                "run": [entry.name for entry in runs],
                "kind": [entry.kind for entry in runs],
                "status": [entry.status for entry in runs],
                "created": [entry.created for entry in runs],
                "model": [model_name(entry.header) if entry.header else "" for entry in runs],
                "error": [entry.error for entry in runs],
            }
        ),
        hide_index=True,
        alt="All runs of the folder with their status",
    )


if __name__ == "__main__":
    show(render)
