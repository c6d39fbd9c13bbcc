"""Training: losses, J&F where it was evaluated, and attention of any pair over the steps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from probes.criteria import CRITERIA
from reports.answer_words import SHORT_TITLES
from reports.style import ROLE_TITLES, count, in_text, number, pair_label, with_interval
from reviosa.process import is_locked
from reviosa.training.log import ATTENTION_FILE
from workbench.pages._data import RunEntry, files_mark, list_runs, runs_folder
from workbench.pages._shell import STATUS_ICONS, choose, literal, show
from workbench.pages._sweeps import trial_names
from workbench.pages._training_charts import (
    LOSS_TITLES,
    attention_chart,
    evaluation_chart,
    final_map_chart,
    loss_chart,
)
from workbench.pages._trainings import (
    LOG_FILE,
    Watched,
    attention_frame,
    evaluations_of,
    losses_of,
    supervised_pairs,
    watched_of,
)
from workbench.pages._view import csv_button

__all__ = ["render"]

MOST_PAIRS = 8
"""Lines that can be told apart in one chart."""


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
        status = "gone" if entry is None else _status(entry)
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


def _status(entry: RunEntry) -> str:
    """What the header says; a run that is held by nobody does not run."""
    if entry.status == "running" and not is_locked(entry.directory):
        return "killed"
    return entry.status


def _training(entry: RunEntry, runs: Sequence[RunEntry]) -> None:
    _banner(entry)
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
    _attention(entry, watched_of(entry.directory, mark), pairs, last)


def _banner(entry: RunEntry) -> None:
    status = _status(entry)
    if status == "running":
        st.info(
            "This training goes on; “Look for changes” reads it again.",
            icon=STATUS_ICONS["running"],
        )
    elif status == "killed":
        st.warning(
            "This training has no end and no process holds it: it was killed. \\-\\-resume goes on "
            "from its last checkpoint.",
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
    st.altair_chart(
        loss_chart(losses, first, last, 240), key="training_loss", alt=_ends(losses, first)
    )
    for column, name in zip(st.columns(len(parts)) if parts else (), parts, strict=True):
        column.write(f"**{literal(LOSS_TITLES.get(name, name))}**")
        column.altair_chart(
            loss_chart(losses, name, last, 190), key=f"training_{name}", alt=_ends(losses, name)
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
    csv_button(losses, f"{_file(entry)}-losses.csv", "losses")


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
    st.altair_chart(
        evaluation_chart(scores),
        key="training_evaluations",
        alt="; ".join(
            f"{SHORT_TITLES[r.score]}, {r.split}, step {r.step}: "
            f"{with_interval(r.jf, None if pd.isna(r.low) else (r.low, r.high), 1)}"
            for r in scores.itertuples()
        ),
    )
    sizes: dict[str, list[str]] = {}
    for row in scores.drop_duplicates(["split", "score"]).itertuples():
        n = f"{count(row.expressions, 'expression')} of {count(row.videos, 'video')}, {row.split}"
        sizes.setdefault(n, []).append(SHORT_TITLES[row.score])
    counted = "; ".join(f"{n} ({', '.join(names)})" for n, names in sizes.items())
    st.caption(
        literal(
            "J&F in per cent of this one training; 95 % intervals over videos alone: what another "
            f"training would give they cannot tell. n = {counted}."
        )
    )
    csv_button(scores, f"{_file(entry)}-evaluations.csv", "J&F")


def _attention(
    entry: RunEntry,
    watched: Watched | None,
    supervised: tuple[tuple[int, int], ...],
    last: int | None,
) -> None:
    st.subheader("Attention over the steps")
    if watched is None:
        if (entry.directory / ATTENTION_FILE).is_file():
            st.info("The log of attention holds no line that can be read.")
        else:
            st.info("No attention was watched in this training (attention\\_data was not given).")
        return
    if st.session_state.get("watched", watched.criteria[0]) not in watched.criteria:
        del st.session_state["watched"]  # of another run
    criterion = st.selectbox(
        "Criterion",
        watched.criteria,
        key="watched",
        bind="query-params",
        format_func=lambda name: CRITERIA[name].title,
        index=watched.criteria.index("mask_share") if "mask_share" in watched.criteria else 0,
    )
    frame = attention_frame(watched, criterion)
    pairs = _pairs(watched, frame, supervised)
    roles = [role for role in ("actor", "target") if frame[frame.role == role].value.notna().any()]
    if not roles:
        st.info("This criterion has no defined value in this training.")
        return
    shown = [(r.layer, r.head) in set(pairs) for r in frame.itertuples()]
    others = frame[~np.array(shown)].groupby(["role", "step"]).value.mean()
    drawn = pd.concat([frame.value[shown], others]).dropna()
    ends = min(0.0, float(drawn.min())), 1.05 * float(drawn.max()) or 1.0
    for column, role in zip(st.columns(len(roles), gap="medium"), roles, strict=True):
        own = frame[frame.role == role]
        column.write(f"**{ROLE_TITLES[role]}: {in_text(CRITERIA[criterion].title)}**")
        column.altair_chart(
            attention_chart(own, pairs, supervised, ends, last),
            key=f"training_attention_{role}",
            alt=f"{CRITERIA[criterion].title} of {len(pairs)} pairs over the steps, {role}",
        )
    entries = CRITERIA[criterion]
    left_out = (
        f" {count(watched.left_out, 'line')} of the log left out." if watched.left_out else ""
    )
    st.caption(
        literal(
            f"{entries.title} of the role token ({entries.unit}), mean over the same watched "
            "conversations with their true answers at every look. Lines drawn through: supervised "
            "pairs, which the attention mask loss pulled; dashed: others; grey: mean of all pairs "
            "that are not drawn. The log keeps means alone, so there is neither n nor an interval "
            f"to show. {len(watched.values[criterion, roles[0]][0])} looks.{left_out}"
        )
    )
    _maps(frame, criterion, supervised, roles)
    marked = frame.assign(
        supervised=[(r.layer, r.head) in set(supervised) for r in frame.itertuples()]
    )
    csv_button(marked, f"{_file(entry)}-{criterion}.csv", "attention")


def _pairs(
    watched: Watched, frame: pd.DataFrame, supervised: tuple[tuple[int, int], ...]
) -> list[tuple[int, int]]:
    """The pairs to draw: asked for, else the supervised ones, else those with most at the end."""
    layers, heads = watched.shape
    known = {pair_label(i, j): (i, j) for i in range(layers) for j in range(heads)}
    end = frame[frame.step == frame.step.max()].groupby(["layer", "head"]).value.mean()
    most = [pair_label(*pair) for pair in end.sort_values(ascending=False).index[:3]]
    default = [label for pair in supervised if (label := pair_label(*pair)) in known] or most
    default = default[:MOST_PAIRS]
    kept = st.session_state.get("pairs")
    # Another run has other supervised pairs; what was chosen by hand stays.
    if kept is not None:
        if kept == st.session_state.get("pairs_default"):
            st.session_state["pairs"] = default
        elif set(kept) - set(known):
            st.session_state["pairs"] = [label for label in kept if label in known]
    st.session_state["pairs_default"] = default
    chosen = st.multiselect(
        "Pairs",
        list(known),
        default=None if kept is not None else default,
        key="pairs",
        bind="query-params",
        max_selections=MOST_PAIRS,
        help="Layer and head, both from 0. A click on a cell of the map below adds or removes one.",
    )
    return [known[label] for label in chosen]


def _maps(
    frame: pd.DataFrame,
    criterion: str,
    supervised: Sequence[tuple[int, int]],
    roles: Sequence[str],
) -> None:
    final = frame[frame.step == frame.step.max()]
    defined = final.value[np.isfinite(final.value)]
    if not len(defined):
        return
    ends = float(defined.min()), float(defined.max())
    for column, role in zip(st.columns(len(roles), gap="medium"), roles, strict=True):
        key = f"training_map_{role}"

        def toggle(key: str = key) -> None:
            cells = st.session_state[key].selection.get("picked", [])
            chosen = list(st.session_state.get("pairs") or ())
            for cell in cells[:1]:
                label = pair_label(int(cell["layer"]), int(cell["head"]))
                if label in chosen:
                    chosen.remove(label)
                elif len(chosen) < MOST_PAIRS:
                    chosen.append(label)
            st.session_state["pairs"] = chosen

        column.write(f"**{ROLE_TITLES[role]}, at the end**")
        column.altair_chart(
            final_map_chart(frame[frame.role == role], supervised, ends),
            key=key,
            on_select=toggle,
            alt=f"{CRITERIA[criterion].title} of every pair at the last look, {role}",
        )
    outline = " White outline: supervised." if supervised else ""
    st.caption(
        literal(
            f"Every pair at the last look, step {int(final.step.max()):,}; click a cell to add or "
            f"remove its line.{outline} Grey cells with a cross: undefined."
        )
    )


def _file(entry: RunEntry) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in entry.name)


if __name__ == "__main__":
    show(render)
