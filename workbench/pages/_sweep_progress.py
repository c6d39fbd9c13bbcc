"""How far a sweep is: its bar, the trials that run, the ones that failed; looked at as it goes."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from reports.style import count
from workbench.pages._data import runs_folder
from workbench.pages._shell import literal, show
from workbench.pages._sweeps import Progress, arm_titles, read_progress
from workbench.sweeps.view import duration

__all__ = ["STATUS_WORDS", "draw_progress", "steps"]

EVERY_S = 3
"""Between two looks at a sweep that runs."""
STATUS_WORDS = {
    "waiting": "waiting", "running": "running", "elsewhere": "run by another process",
    "done": "done", "failed": "failed", "stopped": "stopped", "cut": "cut early",
    "new": "not begun", "not done": "not done",
}  # fmt: skip
MOST_LINES = 6
"""More failures than this are scrolled."""


def draw_progress(name: str) -> None:
    """Draw how far the sweep of this name is; the whole page again where a trial ends."""
    progress = read_progress(runs_folder(), name)
    if progress is None:
        st.caption("This sweep kept no status file, so what runs of it cannot be told.")
        return
    titles = arm_titles(runs_folder(), name)

    def look() -> None:
        now = read_progress(runs_folder(), name)
        if now is None or now.state != progress.state or _ended(now) != _ended(progress):
            st.rerun()  # a trial has ended: the numbers below are others now
        _draw(now, titles)

    if progress.state == "running":
        st.fragment(lambda: show(look), run_every=EVERY_S)()
    else:
        _draw(progress, titles)
    if progress.counts["failed"]:
        _failures(progress, titles)


def _ended(progress: Progress) -> tuple[int, ...]:
    return tuple(progress.counts[kind] for kind in ("done", "failed", "cut"))


def _draw(progress: Progress, titles: Mapping[str, str]) -> None:
    counts, total = progress.counts, len(progress.trials)
    done = counts["done"] + counts["cut"]
    if progress.state == "stopped":
        st.warning(
            "This sweep is stopped: no process goes on with it. The command that began it goes on "
            "where it is.",
            icon=":material/stop_circle:",
        )
    words = f"{counts['done']} of {count(total - counts['cut'], 'trial')} done"
    for kind in ("running", "elsewhere", "waiting", "stopped", "new", "failed", "cut"):
        if counts[kind]:
            words += f", {counts[kind]} {STATUS_WORDS[kind]}"
    if progress.state == "running" and progress.seconds_left is not None:
        left = progress.seconds_left
        words += f", about {duration(left if left < 600 else 60 * round(left / 60))} left"
    st.progress(min(1.0, done / total) if total else 0.0, text=literal(words))
    if progress.doing:
        st.caption(f"Now: {literal(progress.doing)}.")
    running = [t for t in progress.trials if t["status"] in ("running", "elsewhere")]
    if running:
        st.dataframe(
            pd.DataFrame(
                {
                    "arm": [titles.get(t["arm"], t["arm"]) for t in running],
                    "seed": [t["seed"] for t in running],
                    "does": [t["part"] or STATUS_WORDS[t["status"]] for t in running],
                    "step": [steps(t["step"], t["steps"]) for t in running],
                    "loss": [t["loss"] for t in running],
                    "time": [duration(t["seconds"] or 0.0) for t in running],
                }
            ),
            hide_index=True,
            height="content",
            column_config={"loss": st.column_config.NumberColumn(format="%.3f")},
            alt="Trials that run now",
        )
    verb = "As of" if progress.state == "running" else "Last written"
    st.caption(literal(f"{verb} {progress.updated}, by {progress.where}."))


def steps(step: int | None, of: int | None) -> str:
    """``20 of 40``; nothing where no step is known."""
    return "" if step is None else f"{step:,} of {of:,}" if of else f"{step:,}"


def _failures(progress: Progress, titles: Mapping[str, str]) -> None:
    failed = [t for t in progress.trials if t["status"] == "failed"]
    st.error(
        f"{count(len(failed), 'trial')} failed; the others are not touched by it. "
        "\\-\\-retry-failed runs them again.",
        icon=":material/error:",
    )
    lines = [
        f"{titles.get(t['arm'], t['arm'])}, seed {t['seed']} ({t['id']}): "
        f"{t['reason'] or 'no reason given'}"
        for t in failed
    ]
    height = "content" if len(lines) <= MOST_LINES else 240
    st.code("\n".join(lines), language=None, wrap_lines=True, height=height)
