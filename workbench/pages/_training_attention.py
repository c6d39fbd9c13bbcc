"""Attention over the steps of a training: lines of chosen pairs, and all pairs at the end."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from probes.criteria import CRITERIA
from reports.style import ROLE_TITLES, count, in_text, pair_label
from reviosa.training.log import ATTENTION_FILE
from workbench.pages._data import RunEntry
from workbench.pages._shell import literal
from workbench.pages._training_charts import attention_chart, final_map_chart
from workbench.pages._trainings import Watched, attention_frame
from workbench.pages._view import draw, file_stem

__all__ = ["draw_attention"]

MOST_PAIRS = 8
"""Lines that can be told apart in one chart."""


def draw_attention(
    entry: RunEntry,
    watched: Watched | None,
    supervised: tuple[tuple[int, int], ...],
    last: int | None,
) -> None:
    """Draw lines of chosen pairs over the steps, and the map of all pairs at the end."""
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
        with column:
            draw(
                attention_chart(own, pairs, supervised, ends, last),
                f"training_attention_{role}",
                own.assign(supervised=_marked(own, supervised)),
                "",
                f"{CRITERIA[criterion].title} of {len(pairs)} pairs over the steps, {role}",
                file=f"{file_stem(entry.name)}-{criterion}-{role}",
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
    _maps(entry, frame, criterion, supervised, roles)


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
    kept = st.session_state.get("watched_pairs")
    # Another run has other supervised pairs; what was chosen by hand stays.
    if kept is not None:
        if kept == st.session_state.get("watched_pairs_default"):
            st.session_state["watched_pairs"] = default
        elif set(kept) - set(known):
            st.session_state["watched_pairs"] = [label for label in kept if label in known]
    st.session_state["watched_pairs_default"] = default
    chosen = st.multiselect(
        "Pairs",
        list(known),
        default=None if kept is not None else default,
        key="watched_pairs",
        bind="query-params",
        max_selections=MOST_PAIRS,
        help="Layer and head, both from 0. A click on a cell of the map below adds or removes one.",
    )
    return [known[label] for label in chosen]


def _marked(frame: pd.DataFrame, supervised: Sequence[tuple[int, int]]) -> list[bool]:
    return [(row.layer, row.head) in set(supervised) for row in frame.itertuples()]


def _maps(
    entry: RunEntry,
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
            chosen = list(st.session_state.get("watched_pairs") or ())
            for cell in cells[:1]:
                label = pair_label(int(cell["layer"]), int(cell["head"]))
                if label in chosen:
                    chosen.remove(label)
                elif len(chosen) < MOST_PAIRS:
                    chosen.append(label)
            st.session_state["watched_pairs"] = chosen

        column.write(f"**{ROLE_TITLES[role]}, at the end**")
        with column:
            draw(
                final_map_chart(frame[frame.role == role], supervised, ends),
                key,
                final[final.role == role],
                "",
                f"{CRITERIA[criterion].title} of every pair at the last look, {role}",
                on_select=toggle,
                file=f"{file_stem(entry.name)}-{criterion}-{role}-end",
            )
    outline = " White outline: supervised." if supervised else ""
    st.caption(
        literal(
            f"Every pair at the last look, step {int(final.step.max()):,}; click a cell to add or "
            f"remove its line.{outline} Grey cells with a cross: undefined."
        )
    )
