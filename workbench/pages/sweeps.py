"""Sweeps: how far one is, which strategy did best and by how much, and the pairs that won."""

import contextlib
import json
from collections.abc import Sequence

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
from reports.style import MISSING, pair_label
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
from workbench.pages._sweep_progress import STATUS_WORDS, draw_progress, steps
from workbench.pages._sweeps import (
    Answered,
    answer_of,
    list_sweeps,
    read_progress,
    sweep_mark,
    trial_table,
)
from workbench.pages._view import csv_button, draw
from workbench.sweeps.answer import HEADS_FILE

__all__ = ["render"]

INTERVAL = (
    "95 % intervals hold the chance of videos and of seeds (with one seed, of the videos alone)"
)
ALL = "all"


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
    show(lambda: draw_progress(name))
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
    base = answer.arm(answer.baseline).title
    star = "Star: best on the selection split. " if answer.best else ""
    source = (
        "as the sweep left it" if answered.kept else "computed now from the trials that are done"
    )
    frame = score_frame(answer, scores)
    draw(
        strategy_chart(answer, scores),
        "sweep_strategies",
        frame.drop(columns=["label", "shown", "J&F"]),
        literal(
            "J&F on the reporting split: dot, mean over seeds and expressions, hollow where seeds "
            f"are missing; strokes, each seed; dashed, {base}. {star}{INTERVAL}; they hold what "
            "all arms share, such as hard videos, so compare arms by the differences below. "
            f"n = {n_words(answer)}; {source}."
        ),
        "; ".join(f"{row.title}, {row.shown}: {row['J&F']}" for _, row in frame.iterrows()),
        file=f"{name}-scores",
    )
    with st.expander("Scores as a table"):
        st.dataframe(
            frame[["title", "shown", "jf", "low", "high", "each_seed", "expressions", "videos",
                   "state"]].rename(
                columns={"title": "arm", "shown": "score", "jf": "J&F", "each_seed": "by seed"}
            ),
            hide_index=True,
            column_config=_decimals("J&F", "low", "high"),
            alt="J&F of every arm and score",
        )  # fmt: skip


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
        own = frame[frame.kind == kind]
        draw(
            difference_chart(answer, scores, kind),
            f"sweep_differences_{kind}",
            own.drop(columns=["label", "shown", "points", "clear"]),
            literal(
                "Differences in points of J&F, paired by seed and expression. Filled: corrected p "
                f"below 0.05. {INTERVAL}. n = {n_words(answer)}."
            ),
            "; ".join(f"{row.title}, {row.shown}: {row.points}" for _, row in own.iterrows()),
            file=f"{name}-differences-{kind}",
        )
    st.caption(
        literal(
            "p: Student's, of the same error; corrected (Holm) for the number of arms, each score "
            "and either kind of difference by itself; arms that were cut or are not done count as "
            "well."
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
        step=[steps(_whole(r.step), _whole(r.of)) for r in table.itertuples()],
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


def _whole(value: float) -> int | None:
    return None if pd.isna(value) else int(value)


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
