"""What all pages share: choosing a run, saying why there is none, and showing text as text."""

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image, ImageDraw

from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from reports.style import ROLE_COLORS, ROLE_TITLES, count
from reviosa.errors import ReviosaError
from workbench.pages._data import (
    NotAnalysed,
    RunEntry,
    analysis_seconds,
    compute_analysis,
    fingerprint,
    left_analysis,
    list_runs,
    results_of,
    runs_folder,
    store_of,
)

__all__ = [
    "Chosen",
    "STATUS_ICONS",
    "choose",
    "choose_criterion",
    "choose_run",
    "from_address",
    "hold",
    "interval_caption",
    "literal",
    "opened_run",
    "sidebar",
    "tab_icon",
    "to_address",
]

STATUS_ICONS = {
    "done": ":material/check_circle:",
    "running": ":material/progress_activity:",
    "failed": ":material/error:",
    "stopped": ":material/stop_circle:",
}


@dataclass(frozen=True)
class Chosen:
    """The run that the pages show."""

    entry: RunEntry
    mark: tuple
    results: AnalysisResults

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.entry.directory


_SHOWN: ContextVar["Chosen | None"] = ContextVar("shown", default=None)
"""The run that the page of this script run shows."""


def show(render: Callable[[], None]) -> None:
    """Draw a page; what is wrong with a run is told on it in one line, without a traceback.

    Above it stand the parts of the run that could not be read, of which some show only while the
    page is drawn.
    """
    token, told = _SHOWN.set(None), st.container()
    try:
        render()
        if chosen := _SHOWN.get():
            with told:
                _problems(chosen)
    except ReviosaError as error:
        st.error("This run cannot be shown.")
        st.code(str(error), language=None, wrap_lines=True)
    finally:
        _SHOWN.reset(token)


def _problems(chosen: "Chosen") -> None:
    problems = [*store_of(chosen.directory, chosen.mark).problems]
    if left := left_analysis(chosen.directory, chosen.mark).problem:
        problems.append(left)
    if problems:
        st.warning("Some parts of the run could not be read and are left out.")
        st.code("\n".join(problems), language=None, wrap_lines=True)


def literal(text: str) -> str:
    """``text`` for a Markdown label, every sign taken as itself: no link, picture or formula."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~&^=])", r"\\\1", one_line)


def tab_icon() -> Image.Image:
    """Actor and target as two discs. Named icons would be fetched from the network for the tab."""
    icon = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    draw = ImageDraw.Draw(icon)
    draw.ellipse((2, 14, 38, 50), fill=ROLE_COLORS["actor"])
    draw.ellipse((32, 22, 62, 52), fill=ROLE_COLORS["target"])
    return icon


def sidebar(captures: bool) -> None:
    """A button to look for changes, and for pages of captures the selector of the run."""
    runs = [entry for entry in list_runs(runs_folder()) if entry.kind == "capture"]
    with st.sidebar:
        if captures and runs:
            status = {entry.name: entry.status for entry in runs}
            choose(
                "Run",
                list(status),
                "run",
                _default(runs),
                lambda name: (
                    name if status.get(name) == "done" else f"{name} ({status.get(name, 'gone')})"
                ),
                "Capture runs in the folder, newest first.",
            )
        if runs or not captures:
            st.button(
                "Look for changes",
                icon=":material/refresh:",
                help="Reads the folder of runs again.",
            )


def choose(
    label: str,
    names: Sequence[str],
    key: str,
    default: str,
    titles: Callable[[str], str],
    words: str,
) -> str:
    """A selector whose choice always stands in the address, also where it was not made by hand.

    A copied address must open the same after newer ones have been added; a bound widget would leave
    its default out. What the address asks for and is not among ``names`` is told.

    Args:
        label: of the selector.
        names: to choose from; nothing else can be asked for.
        key: in the address and in the state of the session.
        default: chosen where nothing is asked for.
        titles: how a name is shown.
        words: help.
    """
    asked = st.query_params.get(key)
    from_address(key, names.__contains__, default)
    name = st.selectbox(label, names, key=key, format_func=titles, help=words)
    if asked and asked not in names:
        st.warning(f"No {label.lower()} {literal(asked)} in this folder.")
    to_address(key, name)
    return name


def choose_criterion(chosen: "Chosen", key: str, words: str) -> str:
    """A selector of the criteria of single samples that the run has; mask share by default."""
    store = store_of(chosen.directory, chosen.mark)
    names = [name for name in store.criteria if CRITERIA[name].kind != "outcome"]
    first = "mask_share" if "mask_share" in names else names[0]
    return choose("Criterion", names, key, first, lambda name: CRITERIA[name].title, words)


def from_address(key: str, usable: Callable[[str | None], bool], default: str) -> None:
    """Give a widget its value before it is made: what the address asks for where that is new."""
    asked, last = st.query_params.get(key), st.session_state.get(f"{key}_in_address")
    if usable(asked) and asked != last:
        st.session_state[key] = asked
    elif not usable(st.session_state.get(key)):
        # Pages without the widget make it forget, and coming back must not change the choice.
        st.session_state[key] = last if usable(last) else default


def to_address(key: str, value: str) -> None:
    """Write the value of a widget to the address, nothing for an empty one."""
    st.session_state[f"{key}_in_address"] = value
    if not value:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value


def hold(key: str, usable: Callable[[Any], bool], default: Any) -> None:
    """Give a bound widget its value before it is made: the one it has where usable, else a default.

    It is told again on every run, as Streamlit puts into the address what a widget that was drawn
    before is told, not what code had chosen for a new one: other choices on the page may change the
    default, and a copied address would open something else.

    Args:
        key: of the widget, in the state of the session and in the address.
        usable: whether a value can be kept.
        default: chosen where there is none.
    """
    value = st.session_state.get(key)
    st.session_state[key] = value if usable(value) else default


def _default(runs: Sequence[RunEntry]) -> str:
    done = [entry.name for entry in runs if entry.status == "done"]
    return (done or [entry.name for entry in runs])[0]


def choose_run() -> RunEntry | None:
    """The run chosen in the sidebar; None, with an explanation on the page, where there is none."""
    folder = runs_folder()
    runs = list_runs(folder)
    if not folder.is_dir():
        st.info("There is no such folder of runs:")
        st.code(str(folder), language=None)
    elif not any(entry.kind == "capture" for entry in runs):
        st.info("No capture run lies in this folder yet:")
        st.code(str(folder), language=None)
    else:
        name = st.session_state.get("run")
        chosen = next((e for e in runs if e.name == name and e.kind == "capture"), None)
        if chosen is None:
            st.info("Choose a run in the sidebar.")
        return chosen
    st.write("One command makes a first run with everything in it:")
    st.code("reviosa demo", language="bash")
    return None


def opened_run() -> Chosen | None:
    """The chosen run with its results; None, with the reason on the page, if it shows nothing.

    Raises:
        RunError: a part of the run is damaged inside; :func:`show` tells it.
    """
    entry = choose_run()
    if entry is None:
        return None
    mark = fingerprint(entry.directory)
    _banner(entry)
    if not _analysed(entry, mark):
        return None
    results = results_of(entry.directory, mark)
    _SHOWN.set(Chosen(entry, mark, results))
    if not results.counts.expressions:
        st.info("No part of this run is complete, so there is nothing to show.")
        return None
    return Chosen(entry, mark, results)


def _analysed(entry: RunEntry, mark: tuple) -> bool:
    """Whether there is an analysis to show; of a large run it is offered, not begun."""
    slot = st.empty()
    try:
        results = results_of(entry.directory, mark)
    except NotAnalysed:
        with slot.container():
            st.info(
                "There is no analysis of this run yet, and computing one takes about "
                f"{_minutes(entry, mark)}. A capture leaves it when it ends."
            )
            asked = st.button("Compute the analysis", icon=":material/calculate:", key="compute")
        known = False
    else:
        rows = len(store_of(entry.directory, mark).samples())
        held = sum(count.rows for count in results.counts.roles.values())
        if results.run == entry.header and held == rows:
            return True
        with slot.container():
            st.warning(
                f"Rankings and intervals are of an older state of this run: {held:,} of now "
                f"{rows:,} samples and roles. Computing them anew takes about "
                f"{_minutes(entry, mark)}."
            )
            asked = st.button(
                "Compute the analysis anew", icon=":material/calculate:", key="compute"
            )
        known = True
    if asked:
        slot.empty()
        compute_analysis(entry.directory, mark)
    return known or asked


def _minutes(entry: RunEntry, mark: tuple) -> str:
    return count(max(1, round(analysis_seconds(entry.directory, mark) / 60)), "minute")


def _banner(entry: RunEntry) -> None:
    icon = STATUS_ICONS.get(entry.status, ":material/help:")
    if entry.status == "running":
        st.warning(
            "This run has no end yet: it is still going on, or was killed. Numbers are of the "
            "chunks that are complete.",
            icon=icon,
        )
    elif entry.status != "done":
        st.error(
            f"This run is not complete (status: {literal(entry.status)}). Numbers, if any, are of "
            "the chunks before it ended.",
            icon=icon,
        )
        if entry.error:
            st.code(entry.error, language=None, wrap_lines=True)


def interval_caption(results: AnalysisResults, roles: Sequence[str]) -> str:
    """What the intervals are, and n of each role, for the caption of a chart."""
    parts = []
    for role in roles:
        points = results.layer_profile[role]
        if points:
            vision = points[0].vision
            parts.append(
                f"{ROLE_TITLES[role]}: n = {count(vision.n, 'sample')} of "
                f"{count(vision.n_videos, 'video')}"
            )
    level = f"{100 * results.confidence:.0f} %"
    return (
        f"{level} intervals: bootstrap over videos, {results.resamples:,} resamples. "
        f"{'; '.join(parts) or 'no sample'}."
    )
