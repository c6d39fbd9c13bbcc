"""Training: losses, J&F where it was evaluated, and attention of any pair over the steps."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from reports.answer_words import SHORT_TITLES
from reports.style import count, number, pair_label, with_interval
from reviosa.process import is_locked
from reviosa.training.log import ATTENTION_FILE
from workbench.pages._data import RunEntry, files_mark, list_runs, runs_folder
from workbench.pages._runs import live_status
from workbench.pages._shell import STATUS_ICONS, choose, literal, show
from workbench.pages._sweeps import trial_names
from workbench.pages._training_attention import draw_attention
from workbench.pages._training_charts import (
    LOSS_TITLES,
    evaluation_chart,
    loss_chart,
)
from workbench.pages._trainings import (
    LOG_FILE,
    evaluations_of,
    losses_of,
    supervised_pairs,
    watched_of,
)
from workbench.pages._view import draw, file_stem

__all__ = ["render"]

EVERY_S = 3
"""Between two looks at a training that runs."""


def render() -> None:
    """Draw the page."""
    st.title("Training")
    folder = runs_folder()
    runs = list_runs(folder)
    trainings = {entry.name: entry for entry in runs if entry.kind == "train"}
    if not trainings:
        _nothing()
        return
    sweeps = trial_names(folder)

    def title(name: str) -> str:
        parts = name.split("/")
        trial = sweeps.get(parts[1]) if len(parts) == 3 and parts[0] == "trials" else None
        entry = trainings.get(name)
        status = "gone" if entry is None else live_status(entry)
        end = "" if status == "done" else f" ({status})"
        return f"{trial} \N{EM DASH} {name}{end}" if trial else f"{name}{end}"

    name = choose(
        "Training run", list(trainings), "training", next(iter(trainings)), title,
        "Training runs in the folder, newest first, those of trials with their sweep.",
    )  # fmt: skip
    _training(trainings[name], runs)


def _nothing() -> None:
    folder = runs_folder()
    if folder.is_dir():
        st.info("No training run lies in this folder yet:")
    else:
        st.info("There is no such folder of runs:")
    st.code(str(folder), language=None)
    st.write("A sweep trains, and so does:")
    st.code("reviosa train --help", language="bash")


def _training(entry: RunEntry, runs: Sequence[RunEntry]) -> None:
    _banner(entry)
    if live_status(entry) == "running":
        _follow(entry)
    config = entry.header.get("config")
    config = config if isinstance(config, dict) else {}
    planned = config.get("steps")
    mark = files_mark([entry.directory / LOG_FILE, entry.directory / ATTENTION_FILE])
    losses = losses_of(entry.directory, mark)
    done = int(losses.step.max()) if len(losses) else 0
    last = planned if isinstance(planned, int) and planned > 0 else done or None
    pairs = supervised_pairs(entry.header)
    st.caption(
        literal(
            f"{done:,} of {last or 0:,} optimiser steps logged. Supervised pairs: "
            f"{', '.join(pair_label(*pair) for pair in pairs) or 'none'}."
        )
    )
    _losses(entry, losses, last, config)
    show(lambda: _evaluations(entry, runs, last or done))
    draw_attention(entry, watched_of(entry.directory, mark), pairs, last)


def _follow(entry: RunEntry) -> None:
    """Draw the page again when a line was logged or the training has ended."""
    files = [entry.directory / name for name in (LOG_FILE, ATTENTION_FILE, "run.json")]
    before = files_mark(files)

    @st.fragment(run_every=EVERY_S)
    def look() -> None:
        if files_mark(files) != before or not is_locked(entry.directory):
            st.rerun()

    look()


def _banner(entry: RunEntry) -> None:
    status = live_status(entry)
    if status == "running":
        st.info("This training goes on; the page follows it.", icon=STATUS_ICONS["running"])
    elif status == "stopped":
        st.warning(
            "This training was stopped before its end, and no process goes on with it. The same "
            "command with \\-\\-resume goes on from its last checkpoint.",
            icon=STATUS_ICONS["stopped"],
        )
    elif status != "done":
        icon = STATUS_ICONS.get(status, ":material/help:")
        st.error(f"This training is not complete (status: {literal(status)}).", icon=icon)
        if entry.error:
            st.code(entry.error, language=None, wrap_lines=True)


def _losses(entry: RunEntry, losses: pd.DataFrame, last: int | None, config: dict) -> None:
    st.subheader("Losses")
    names = [name for name in losses if name == "loss" or name.startswith("loss_")]
    if not names:
        st.info("No loss was logged yet.")
        return
    holes = int(losses[names].isna().any(axis=1).sum())
    first, *parts = names
    st.write(f"**{literal(LOSS_TITLES.get(first, first))}**")
    draw(
        loss_chart(losses, first, last, 240),
        "training_loss",
        losses,
        "",
        _ends(losses, first),
        file=f"{file_stem(entry.name)}-losses",
    )
    for column, name in zip(st.columns(len(parts)) if parts else (), parts, strict=True):
        column.write(f"**{literal(LOSS_TITLES.get(name, name))}**")
        with column:
            draw(
                loss_chart(losses, name, last, 190),
                f"training_{name}",
                losses[["step", name]],
                "",
                _ends(losses, name),
                file=f"{file_stem(entry.name)}-{name}",
            )
    every, batch = config.get("log_steps"), config.get("batch_size")
    accumulated = config.get("gradient_accumulation", 1)
    mean = f"mean over the {every} steps since the one before" if isinstance(every, int) else "mean"
    each = (
        f"; {count(batch * accumulated, 'conversation')} a step on each device"
        if isinstance(batch, int) and isinstance(accumulated, int)
        else ""
    )
    missing = f" In {count(holes, 'logged step')} a loss is missing or no number." if holes else ""
    st.caption(
        literal(
            f"Training losses, as logged: each point is the {mean}{each}; without interval. The "
            f"sum holds each part times its weight. Axes begin at 0.{missing}"
        )
    )


def _ends(losses: pd.DataFrame, name: str) -> str:
    values = losses[name].dropna()
    title = LOSS_TITLES.get(name, name)
    return f"{title}: from {number(float(values.iloc[0]))} to {number(float(values.iloc[-1]))}"


def _evaluations(entry: RunEntry, runs: Sequence[RunEntry], last: int) -> None:
    st.subheader("J\\&F where it was evaluated")
    scores, problems = evaluations_of(entry, runs, last)
    if problems:
        st.warning("Some evaluations cannot be shown.")
        st.code("\n".join(problems), language=None, wrap_lines=True)
    if not len(scores):
        st.info("No finished evaluation of this training lies in the folder.")
        return
    sizes: dict[str, list[str]] = {}
    for row in scores.drop_duplicates(["split", "score"]).itertuples():
        n = f"{count(row.expressions, 'expression')} of {count(row.videos, 'video')}, {row.split}"
        sizes.setdefault(n, []).append(SHORT_TITLES[row.score])
    counted = "; ".join(f"{n} ({', '.join(names)})" for n, names in sizes.items())
    draw(
        evaluation_chart(scores),
        "training_evaluations",
        scores,
        literal(
            "J&F in per cent of this one training; 95 % intervals over videos alone: what another "
            f"training would give they cannot tell. n = {counted}."
        ),
        "; ".join(
            f"{SHORT_TITLES[r.score]}, {r.split}, step {r.step}: "
            f"{with_interval(r.jf, None if pd.isna(r.low) else (r.low, r.high), 1)}"
            for r in scores.itertuples()
        ),
        file=f"{file_stem(entry.name)}-evaluations",
    )


if __name__ == "__main__":
    show(render)
