"""One pair of the page of heads: its scores and ranks, what it causes, and its samples."""

import shlex
from textwrap import shorten

import pandas as pd
import streamlit as st

from probes.bootstrap import Estimate
from probes.correlation import Association
from probes.criteria import CRITERIA, OUTCOME_OF
from probes.ranking import RankedPair
from reports.style import (
    MISSING,
    ROLE_TITLES,
    count,
    in_text,
    number,
    pair_label,
    per_cent,
    signed,
    signed_interval,
    with_interval,
)
from workbench.pages._data import list_runs, pair_values, runs_folder
from workbench.pages._gathered import toggle
from workbench.pages._head_charts import (
    MOST_DOTS,
    distribution_chart,
    distribution_frame,
    outcome_chart,
)
from workbench.pages._measures import PairEffect, pair_effects
from workbench.pages._shell import Chosen, literal
from workbench.pages._view import draw

__all__ = ["draw_causes", "draw_samples", "draw_scores", "sample_link"]

EXTREMES = 5
"""Samples listed at either end of a pair's scores."""
SWAP = "role-swap"
"""Kind of an ablation that silences nothing."""

Pair = tuple[int, int]


def draw_scores(chosen: Chosen, role: str, pair: Pair, gathered: list[Pair]) -> None:
    """Scores and ranks by every criterion, with a button that gathers the pair."""
    results = chosen.results
    name, button = st.columns([2, 3], vertical_alignment="bottom")
    name.subheader(pair_label(*pair))
    held = pair in gathered
    button.button(
        "Take out of the selection" if held else "Add to the selection",
        key="gather_pair",
        icon=":material/remove:" if held else ":material/add:",
        on_click=toggle,
        args=(pair,),
        width="stretch",
    )
    rows = []
    for criterion, by_role in results.rankings.items():
        ranking = by_role[role]
        found = next(item for item in ranking.pairs if (item.layer, item.head) == pair)
        rows.append(
            {
                "criterion": CRITERIA[criterion].title,
                "score [interval]": with_interval(found.score, found.ci),
                "rank (interval)": _rank(found),
            }
        )
    pairs = results.num_layers * results.num_heads
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=420,
        column_config={
            "criterion": st.column_config.TextColumn(width=170),
            "score [interval]": st.column_config.TextColumn(width=142),
            "rank (interval)": st.column_config.TextColumn(width=98),
        },
        alt=f"Scores and ranks of {pair_label(*pair)} by each criterion",
    )
    st.caption(
        f"{ROLE_TITLES[role]}. Rank 1 is the best of {pairs:,} pairs; intervals: 95 %, bootstrap "
        f"over videos, {results.resamples:,} resamples."
    )
    if pair in results.supervised_pairs:
        st.caption("AML trained this pair towards the masks: its mask share is no evidence.")


def _rank(pair: RankedPair) -> str:
    rank = number(pair.rank, 0 if float(pair.rank or 0).is_integer() else 1)
    if pair.rank_ci is None:
        return rank
    return f"{rank} ({pair.rank_ci[0]:g}\N{EN DASH}{pair.rank_ci[1]:g})"


def draw_causes(chosen: Chosen, role: str, pair: Pair) -> None:
    """What the pair alone does to the masks, and how its mask share goes with J&F."""
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _effects(chosen, role, pair)
    with right:
        st.markdown("**What it goes with: its mask share and J\\&F**")
        rows = [
            _association(item, name)
            for name in _roles(role)
            for item in chosen.results.correlations[name].pairs
            if (item.layer, item.head) == pair
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            alt=f"Rank correlation of the mask share of {pair_label(*pair)} with J&F",
        )
        st.caption(
            "Spearman over samples; 95 % intervals: bootstrap over videos; not corrected for the "
            "number of pairs. An association, not a cause."
        )
        st.page_link(
            "workbench/pages/accuracy.py",
            label=f"Open {pair_label(*pair)} in Attention and accuracy",
            icon=":material/scatter_plot:",
            query_params={
                "run": chosen.entry.name, "of": "pair", "layer": str(pair[0]),
                "head": str(pair[1]),
            },
        )  # fmt: skip


def _effects(chosen: Chosen, role: str, pair: Pair) -> None:
    effects = [
        effect
        for effect in pair_effects(list_runs(runs_folder()), chosen.results.run, pair)
        if effect.role in _roles(role)
    ]
    silenced = [effect for effect in effects if effect.kind != SWAP]
    swapped = [effect for effect in effects if effect.kind == SWAP]
    st.markdown("**What it causes: J\\&F when it alone is silenced**")
    if silenced:
        st.dataframe(
            pd.DataFrame([_effect(e) | {"in its place": e.kind} for e in silenced])[
                ["role", "change in points [interval]", "in its place", "n", "run"]
            ],
            hide_index=True,
            alt=f"Change of J&F when {pair_label(*pair)} is silenced",
        )
        st.caption(
            "n: expressions. J\\&F of the frames that the language model saw, silenced less whole, "
            "in points; 95 % intervals: bootstrap over videos. A head that others stand in for "
            "shows little."
        )
    else:
        st.write("No run of this folder silences this pair alone in this model. One is made by:")
        st.code(
            f"reviosa ablate {shlex.quote(str(chosen.directory))} --heads FILE --out OUT",
            language="bash", wrap_lines=True,
        )  # fmt: skip
    if swapped:
        st.markdown("**What it moves: masks when it alone is of the exchanged sentence**")
        st.dataframe(
            pd.DataFrame([_effect(effect) for effect in swapped]),
            hide_index=True,
            alt=f"How far masks go over when {pair_label(*pair)} is of the exchanged sentence",
        )
        st.caption(
            "n: expressions. How far the mask goes over to the other role's object, in points; "
            "95 % intervals: bootstrap over videos."
        )


def _effect(effect: PairEffect) -> dict[str, str]:
    return {
        "role": ROLE_TITLES[effect.role],
        "change in points [interval]": _points(effect.change),
        "n": f"{effect.change.n:,} of {count(effect.change.n_videos, 'video')}",
        "run": effect.run,
    }


def _points(change: Estimate) -> str:
    if change.value is None:
        return MISSING
    ci = change.ci and (100 * change.ci[0], 100 * change.ci[1])
    return f"{signed(100 * change.value, 2)} {signed_interval(ci, 2)}".strip()


def _association(item: Association, role: str) -> dict[str, str]:
    def words(estimate: Estimate) -> str:
        if estimate.value is None:
            return f"{MISSING}: {estimate.reason}"
        return with_interval(estimate.value, estimate.ci, 2)

    return {
        "role": ROLE_TITLES[role], "Spearman [interval]": words(item.spearman),
        "given mask area": words(item.partial), "n": f"{item.spearman.n:,}",
    }  # fmt: skip


def _roles(role: str) -> tuple[str, ...]:
    return ("actor", "target") if role == "both" else (role,)


def draw_samples(chosen: Chosen, criterion: str, role: str, pair: Pair) -> None:
    """The pair over samples: how it is spread, against J&F, and its highest and lowest."""
    if CRITERIA[criterion].kind == "outcome":
        criterion = OUTCOME_OF  # a correlation is of all samples; what they are is the score
    title = in_text(CRITERIA[criterion].title)
    st.subheader(f"{pair_label(*pair)} over samples")
    values = pair_values(chosen.directory, chosen.mark, criterion, role, *pair)
    if not len(values):
        st.info("This pair has no defined value for that role and criterion.")
        return

    def choose() -> None:
        points = st.session_state["pair_outcome"].selection.get("picked", [])
        if points:
            st.session_state["pair_sample"] = (points[0]["sample_id"], points[0]["role_key"])

    left, right = st.columns(2, gap="large")
    with left:
        counts = distribution_frame(values)
        draw(
            distribution_chart(counts, criterion),
            "pair_distribution",
            counts,
            f"How many samples have which {title}; n = {count(len(values), 'sample')} with a "
            "defined value. Counts, so there is no interval.",
            f"Distribution of {title} over {count(len(values), 'sample')}",
        )
    with right:
        part = f" {MOST_DOTS:,} of them are drawn." if len(values) > MOST_DOTS else ""
        draw(
            outcome_chart(values, criterion),
            "pair_outcome",
            values,
            f"One dot a sample, n = {len(values):,}.{part} Click one for a link to it. An "
            "association, not a cause.",
            f"{title} of each sample against its J&F",
            choose,
        )
        opened = st.session_state.get("pair_sample")
        if opened and ((values.sample_id == opened[0]) & (values.role == opened[1])).any():
            sample_link(chosen, opened[0], opened[1], pair, f"Open {opened[0]}")
    order = values.sort_values(["value", "sample_id"], ascending=[False, True])
    for column, heading, part in (
        (left, f"Highest {title}", order.head(EXTREMES)),
        (right, f"Lowest {title}", order.tail(EXTREMES).iloc[::-1]),
    ):
        with column:
            st.markdown(f"**{heading}**")
            for row in part.to_dict("records"):
                text = shorten(row["expression"], 30, placeholder="\N{HORIZONTAL ELLIPSIS}")
                label = (
                    f"{number(row['value'])} \N{MIDDLE DOT} J&F {per_cent(row['jf'])} "
                    f"\N{MIDDLE DOT} {row['role']} \N{MIDDLE DOT} {text}"
                )
                sample_link(chosen, row["sample_id"], row["role"], pair, label)


def sample_link(chosen: Chosen, sample: str, role: str, pair: Pair | None, label: str) -> None:
    """A link to a sample on its page, with the attention of ``pair`` shown."""
    st.page_link(
        "workbench/pages/samples.py",
        label=literal(label),
        icon=":material/movie:",
        query_params={
            "run": chosen.entry.name,
            "sample": sample,
            "role": ROLE_TITLES[role],  # as the widget shows it: that is what the address holds
            **({} if pair is None else {"pair": pair_label(*pair)}),
        },
    )
