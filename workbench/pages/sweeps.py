"""Sweeps: how far one is, which strategy did best and by how much, and the pairs that won."""

import contextlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from probes.answer import SweepAnswer
from reports.answer_words import (
    SCORE_TITLES,
    SHORT_TITLES,
    answer_words,
    n_words,
    small_p,
)
from reports.style import MISSING, count, pair_label
from reviosa.errors import ReviosaError
from workbench.pages._data import runs_folder
from workbench.pages._shell import choose, literal, show
from workbench.pages._sweep_charts import (
    difference_chart,
    difference_frame,
    rung_frame,
    score_frame,
    strategy_chart,
)
from workbench.pages._sweeps import (
    Answered,
    Progress,
    answer_of,
    arm_titles,
    list_sweeps,
    read_progress,
    sweep_mark,
    trial_table,
)
from workbench.pages._view import csv_button
from workbench.sweeps.answer import HEADS_FILE
from workbench.sweeps.view import duration

__all__ = ["render"]

EVERY_S = 3
"""Between two looks at a sweep that runs."""
INTERVAL = (
    "95 % intervals hold the chance of videos and of seeds (with one seed, of the videos alone)"
)
STATUS_WORDS = {
    "waiting": "waiting", "running": "running", "elsewhere": "run by another process",
    "done": "done", "failed": "failed", "stopped": "stopped", "cut": "cut early",
    "new": "not begun", "not done": "not done",
}  # fmt: skip
ALL = "all"
MOST_LINES = 6
"""More failures than this are scrolled."""


def render() -> None:
    """Draw the page."""
    st.title("Sweeps")
    folder = runs_folder()
    names = list_sweeps(folder)
    if not names:
        _nothing()
        return
    name = choose(
        "Sweep", names, "sweep", names[0], str, "Sweeps in the folder, last changed first."
    )
    show(lambda: _progress(name))
    show(lambda: _answer(name))


def _nothing() -> None:
    folder = runs_folder()
    if folder.is_dir():
        st.info("No sweep lies in this folder yet:")
    else:
        st.info("There is no such folder of runs:")
    st.code(str(folder), language=None)
    st.write("One command lists what a sweep would train, another runs it:")
    st.code(
        "reviosa sweep configs/sweeps/figure-6c.yaml --list\n"
        "reviosa sweep configs/sweeps/figure-6c.yaml",
        language="bash",
    )


# How far it is.


def _progress(name: str) -> None:
    progress = read_progress(runs_folder(), name)
    if progress is None:
        st.caption("This sweep kept no status file, so what runs of it cannot be told.")
        return
    titles = arm_titles(runs_folder(), name)

    def look() -> None:
        now = read_progress(runs_folder(), name)
        if now is None or now.state != progress.state or _ended(now) != _ended(progress):
            st.rerun()  # a trial has ended: the numbers below are others now
        _draw_progress(now, titles)

    if progress.state == "running":
        st.fragment(lambda: show(look), run_every=EVERY_S)()
    else:
        _draw_progress(progress, titles)
    if progress.counts["failed"]:
        _failures(progress, titles)


def _ended(progress: Progress) -> tuple[int, ...]:
    return tuple(progress.counts[kind] for kind in ("done", "failed", "cut"))


def _draw_progress(progress: Progress, titles: Mapping[str, str]) -> None:
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
                    "step": [_steps(t["step"], t["steps"]) for t in running],
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


def _whole(value: float) -> int | None:
    return None if pd.isna(value) else int(value)


def _steps(step: int | None, steps: int | None) -> str:
    return "" if step is None else f"{step:,} of {steps:,}" if steps else f"{step:,}"


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


# What came of it.


def _answer(name: str) -> None:
    folder = runs_folder()
    answered = answer_of(folder, name, sweep_mark(folder, name))
    answer = answered.answer
    if not answer.metrics:
        st.info("No trial is finished, so there is no score to show yet.")
        _trials(name, answered)
        return
    if any(arm.status in ("missing", "partial") for arm in answer.arms):
        st.caption("So far: not all trials are done, and what follows may change.")
    for words in answer_words(answer):
        st.write(literal(words))
    if st.session_state.get("sweep_score", ALL) not in (ALL, *answer.metrics):
        del st.session_state["sweep_score"]  # of another sweep
    chosen = st.segmented_control(
        "Score",
        [ALL, *answer.metrics],
        default=ALL,
        required=True,
        key="sweep_score",
        bind="query-params",
        format_func=lambda score: "All" if score == ALL else SHORT_TITLES[score],
    )
    scores = answer.metrics if chosen in (None, ALL) else (chosen,)
    _strategies(name, answered, scores)
    _differences(name, answer, scores)
    _best(answer)
    _halving(name, answered)
    _trials(name, answered)
    _missing(answered)


def _strategies(name: str, answered: Answered, scores: Sequence[str]) -> None:
    answer = answered.answer
    st.subheader("Strategies")
    st.altair_chart(
        strategy_chart(answer, scores),
        key="sweep_strategies",
        alt="; ".join(f"{row.title}, {row.shown}: {row['J&F']}"
                      for _, row in score_frame(answer, scores).iterrows()),
    )  # fmt: skip
    base = answer.arm(answer.baseline).title
    star = "Star: best on the selection split. " if answer.best else ""
    source = (
        "as the sweep left it" if answered.kept else "computed now from the trials that are done"
    )
    st.caption(
        literal(
            "J&F on the reporting split: dot, mean over seeds and expressions, hollow where seeds "
            f"are missing; strokes, each seed; dashed, {base}. {star}{INTERVAL}; they hold what "
            "all arms share, such as hard videos, so compare arms by the differences below. "
            f"n = {n_words(answer)}; {source}."
        )
    )  # fmt: skip
    with st.expander("Scores as a table"):
        frame = score_frame(answer, scores)
        st.dataframe(
            frame[["title", "shown", "jf", "low", "high", "each_seed", "expressions", "videos",
                   "state"]].rename(
                columns={"title": "arm", "shown": "score", "jf": "J&F", "each_seed": "by seed"}
            ),
            hide_index=True,
            column_config=_decimals("J&F", "low", "high"),
            alt="J&F of every arm and score",
        )  # fmt: skip
    csv_button(score_frame(answer, answer.metrics).drop(columns=["label", "shown", "J&F"]),
         f"{name}-scores.csv", "scores")  # fmt: skip


def _differences(name: str, answer: SweepAnswer, scores: Sequence[str]) -> None:
    frame = difference_frame(answer, scores)
    st.subheader("Paired differences")
    if not len(frame):
        st.info("No arm has a trial that could be compared with the baseline yet.")
        return
    base = answer.arm(answer.baseline).title
    titles = {"baseline": f"Less “{base}”", "control": "Less other heads of the same layers"}
    for kind in dict.fromkeys(frame.kind):
        st.write(f"**{literal(titles[kind])}**")
        st.altair_chart(
            difference_chart(answer, scores, kind),
            key=f"sweep_differences_{kind}",
            alt="; ".join(f"{row.title}, {row.shown}: {row.points}"
                          for _, row in frame[frame.kind == kind].iterrows()),
        )  # fmt: skip
    st.caption(
        literal(
            "Differences in points of J&F, paired by seed and expression. Filled: corrected p "
            f"below 0.05. {INTERVAL}. p: Student's, of the same error; corrected (Holm) for the "
            "number of arms, each score and either kind of difference by itself; arms that were "
            f"cut or are not done count as well. n = {n_words(answer)}."
        )
    )
    words = {
        name: [small_p(None if pd.isna(p) else p) for p in frame[name]]
        for name in ("p", "corrected p")
    }
    st.dataframe(
        frame.assign(**words)[["title", "less", "shown", "difference", "low", "high", "p",
               "corrected p", "seeds", "expressions", "videos"]].rename(
            columns={"title": "arm", "shown": "score"}
        ),
        hide_index=True,
        column_config={
            **_decimals("difference", "low", "high", sign=True),
        },
        alt="Paired differences with intervals and p",
    )  # fmt: skip
    every = difference_frame(answer, answer.metrics)
    csv_button(every.drop(columns=["label", "shown", "points", "clear"]), f"{name}-differences.csv",
         "differences")  # fmt: skip


def _best(answer: SweepAnswer) -> None:
    best = answer.best
    st.subheader("Winning selection")
    if best is None:
        st.info(literal(f"No pairs are chosen: {answer.best_reason}."))
        return
    arm = answer.arm(best.arm)
    pairs = ", ".join(pair_label(*pair) for pair in best.heads.pairs)
    drawn = "" if best.seed is None else f", as drawn for seed {best.seed}"
    st.write(literal(f"{arm.title}{drawn}: {pairs}"))
    st.caption(
        literal(
            f"Chosen by {SCORE_TITLES[answer.choose]} on the selection split, never on the split "
            "that is reported."
        )
    )
    st.download_button(
        "Download the heads file",
        json.dumps(best.heads.to_json(), indent=2) + "\n",
        file_name=HEADS_FILE,
        mime="application/json",
        icon=":material/download:",
    )
    st.code(f"reviosa train --heads {HEADS_FILE}", language="bash")


def _halving(name: str, answered: Answered) -> None:
    answer = answered.answer
    if answer.halving is None:
        return
    st.subheader("Cut early")
    frame = rung_frame(answer, answered.planned)
    st.dataframe(
        frame,
        hide_index=True,
        column_config=_decimals("J&F there"),
        placeholder=MISSING,
        alt="Decisions of halving",
    )
    st.caption(
        literal(
            f"{SCORE_TITLES[answer.halving.metric]} in per cent, mean over seeds, on the selection "
            "split after so many steps, without interval; the baseline goes on whatever it scores, "
            "and an arm without score there does not race."
        )
    )
    csv_button(frame, f"{name}-halving.csv", "decisions")


def _trials(name: str, answered: Answered) -> None:
    st.subheader("Trials")
    progress = None
    with contextlib.suppress(ReviosaError):  # told above
        progress = read_progress(runs_folder(), name)
    table = trial_table(progress, answered)
    scores = [*answered.answer.metrics, "selection"]
    titles = {score: SHORT_TITLES.get(score, score) for score in scores}
    shown = table.assign(
        arm=table.title,
        status=[STATUS_WORDS.get(status, status) for status in table.status],
        step=[_steps(_whole(r.step), _whole(r.of)) for r in table.itertuples()],
    )[["id", "arm", "seed", "status", *scores, "step", "seconds", "reason"]]
    # A column that says nothing of any trial is left out.
    said = [name for name in shown if not shown[name].isin(["", None, np.nan]).all()]
    event = st.dataframe(
        shown[said].rename(columns=titles),
        key="sweep_trials",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        column_config=_decimals(*titles.values(), "seconds"),
        placeholder=MISSING,
        alt="Every trial with its status and scores",
    )  # fmt: skip
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(table):
        trial = table.iloc[rows[0]]
        st.page_link(
            "workbench/pages/training.py",
            label=literal(f"Open the training of {trial.title}, seed {trial.seed}"),
            icon=":material/show_chart:",
            query_params={"training": f"trials/{trial.id}/train"},
        )
    st.caption(
        literal(
            "J&F in per cent of each trial on the reporting split; selection: the score to choose "
            "by, on the selection split. Choose a row to open its training."
        )
    )
    csv_button(table, f"{name}-trials.csv", "trials")


def _missing(answered: Answered) -> None:
    problems = answered.answer.problems
    if problems:
        with st.expander(f"What is missing or to be minded ({len(problems)})"):
            st.code("\n".join(problems), language=None, wrap_lines=True)


def _decimals(*names: str, sign: bool = False) -> dict:
    form = "%+.1f" if sign else "%.1f"
    return {name: st.column_config.NumberColumn(format=form) for name in names}


if __name__ == "__main__":
    show(render)
