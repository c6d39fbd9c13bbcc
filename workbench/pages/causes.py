"""Causes: what heads do, told by silencing them, keeping them alone and exchanging the roles."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from reports.style import (
    ROLE_TITLES,
    count,
)
from reports.tables import family_table
from workbench.pages._ablation_view import ROLES, ablation_view, is_map
from workbench.pages._cause_charts import (
    agreement_chart,
    agreement_frame,
    single_estimates,
)
from workbench.pages._causes import (
    ablation_of,
    causes_mark,
    families_of,
    lost_of,
    runs_beside,
    silenced_kind,
)
from workbench.pages._data import RunEntry, fingerprint, list_runs, runs_folder
from workbench.pages._runs import live_status
from workbench.pages._shell import STATUS_ICONS, choose, choose_run, literal, show
from workbench.pages._view import draw
from workbench.pages._what_is_read import lens_view, linear_view

if TYPE_CHECKING:
    from probes.causal import AblationResults

__all__ = ["render"]

VIEWS = {
    "silenced": "Silenced heads",
    "swap": "Who acts on whom",
    "agreement": "Agreement of families",
    "lens": "Where roles are decided",
    "linear": "What the token knows",
}


def render() -> None:
    """Draw the page."""
    st.title("Causes")
    capture = choose_run()
    if capture is None:
        return
    beside = runs_beside(capture, list_runs(runs_folder()))
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default="silenced",
        required=True,
        key="causes_view",
        bind="query-params",
        format_func=lambda name: VIEWS[name],
        label_visibility="collapsed",
    )
    ablations = beside["ablate"]
    swaps = [entry for entry in ablations if silenced_kind(entry) == "role-swap"]
    silenced = [entry for entry in ablations if entry not in swaps]
    if view == "swap":
        _swap(capture, swaps)
    elif view == "agreement":
        _agreement(capture, ablations)
    elif view == "lens":
        lens_view(beside["lens"], _command("lens", capture, "lens"))
    elif view == "linear":
        linear_view(beside["probe"], _command("probe", capture, "linear"))
    else:
        _silenced(capture, silenced)


def _silenced(capture: RunEntry, runs: Sequence[RunEntry]) -> None:
    st.caption(
        "Attention on an object may accompany a good mask without making it. Here heads are "
        "silenced at the role tokens while the answer stays, and the masks are scored again, "
        "beside random sets of as many heads of the same layers."
    )
    if not runs:
        _none(
            "No run over this model silences heads yet. Pairs of a heads file, each and the first "
            "k of them, beside random sets:",
            _command("ablate", capture, "ablation", "--heads", "HEADS.json", "--keep"),
            "Every pair and every layer by itself:",
            _command("ablate", capture, "all-pairs", "--all"),
        )
        return
    found = _chosen(runs, "ablation", "Ablation run")
    if found is not None:
        ablation_view(capture, found)


def _swap(capture: RunEntry, runs: Sequence[RunEntry]) -> None:
    st.caption(
        "Two sentences about one video name the same objects in exchanged roles: the dog chases "
        "the cat, the cat is chased by the dog. Heads get at the role token what they wrote in the "
        "other sentence; where the mask then moves onto the other role's object, the head says who "
        "acts on whom."
    )
    if not runs:
        _none(
            "No run over this model exchanges the roles yet. Every pair and every layer by itself:",
            _command("ablate", capture, "roles", "--all", "--kind", "role-swap"),
        )
        return
    found = _chosen(runs, "swap", "Role-swap run")
    if found is not None:
        ablation_view(capture, found)


def _chosen(runs: Sequence[RunEntry], key: str, label: str) -> "AblationResults | None":
    by_name = {entry.name: entry for entry in runs}

    def title(name: str) -> str:
        entry = by_name.get(name)
        if entry is None:
            return f"{name} (gone)"
        status = live_status(entry)
        return f"{name} ({silenced_kind(entry)}{'' if status == 'done' else f', {status}'})"

    name = choose(
        label, list(by_name), key, _first(runs).name, title,
        "Runs over the model of this capture, those over its data first.",
    )  # fmt: skip
    entry = by_name[name]
    status = live_status(entry)
    if status != "done":
        st.warning(
            f"This run is {status}; effects are of the expressions that are done.",
            icon=STATUS_ICONS.get(status),
        )
        if entry.error:
            st.code(entry.error, language=None, wrap_lines=True)
    found = ablation_of(entry.directory, causes_mark(entry.directory))
    if isinstance(found, str):
        st.error("This run cannot be shown.")
        st.code(found, language=None, wrap_lines=True)
        return None
    if lost := lost_of(entry.directory, causes_mark(entry.directory)):
        st.warning("Some of this run could not be read and is left out.")
        st.code(lost, language=None, wrap_lines=True)
    if not any(found.whole[role].n for role in ROLES):
        st.info("No expression of this run is done, so there is nothing to show.")
        return None
    return found


def _first(runs: Sequence[RunEntry]) -> RunEntry:
    """The run that opens by itself: one that is done and has sets to compare, if there is one."""

    def rank(entry: RunEntry) -> tuple[bool, bool]:
        config = entry.header.get("config")
        chosen = isinstance(config, dict) and config.get("chosen_by") is not None
        return entry.status != "done", not chosen

    return min(runs, key=rank)


def _agreement(capture: RunEntry, ablations: Sequence[RunEntry]) -> None:
    st.caption(
        "Looking at the video, looking at the object, mattering to first order, going with better "
        "masks and costing masks when silenced are different questions. Here their answers are "
        "correlated over all pairs of the model, never averaged."
    )
    whole = [
        entry.directory
        for entry in ablations
        if not isinstance(found := ablation_of(entry.directory, causes_mark(entry.directory)), str)
        and any(is_map({role: single_estimates(found, role)}) for role in ROLES
                if single_estimates(found, role))
    ]  # fmt: skip
    if not whole:
        _none(
            "No ablation over this model tries every pair yet, so causes are not among the "
            "families below:",
            _command("ablate", capture, "all-pairs", "--all"),
        )
    runs = tuple(whole)
    beside = families_of(
        capture.directory, fingerprint(capture.directory), runs, tuple(map(causes_mark, runs))
    )
    if isinstance(beside, str):
        st.error("The agreement cannot be shown.")
        st.code(beside, language=None, wrap_lines=True)
        return
    for note in beside.notes:
        st.caption(literal(note))
    if not beside.families:
        st.info("No role was named in this run, so there is no ranking to compare.")
        return
    for column, found in zip(st.columns(2, gap="large"), beside.families, strict=False):
        data = agreement_frame(found)
        with column:
            st.markdown(f"**{ROLE_TITLES[found.role]}**")
            draw(
                agreement_chart(data, found.titles),
                f"agreement_{found.role}",
                data,
                f"Spearman correlation over n = {count(int(data.pairs.max()), 'pair')} of the "
                "model: orange for the same order, purple for the opposite. Its 95 % interval, in "
                "the table below and on hover, is a cluster bootstrap "
                f"over videos ({found.resamples:,} resamples).",
                f"Rank correlations of {count(len(found.titles), 'measure')}",
            )
    with st.expander("With intervals"):
        for found in beside.families:
            table = family_table(found)
            st.markdown(f"**{ROLE_TITLES[found.role]}**")
            st.dataframe(
                pd.DataFrame(table.rows, columns=list(table.columns)),
                hide_index=True,
                alt=f"Agreement of families, {found.role}",
            )


def _command(command: str, capture: RunEntry, name: str, *options: str) -> str:
    run = capture.directory
    out = run.parent / name
    return f"reviosa {command} {shlex.quote(str(run))} --out {shlex.quote(str(out))} " + " ".join(
        options
    )


def _none(*words: str) -> None:
    """Sentences and the commands that would make what is missing, in turns."""
    for index, text in enumerate(words):
        if index == 0:
            st.info(text)
        elif index % 2 == 0:
            st.write(text)
        else:
            st.code(text.strip(), language="bash", wrap_lines=True)


if __name__ == "__main__":
    show(render)
