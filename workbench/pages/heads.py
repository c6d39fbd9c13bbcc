"""Heads: one criterion for every layer-head pair; a click opens the pair."""

from textwrap import shorten

import pandas as pd
import streamlit as st

from probes.bootstrap import Estimate
from probes.correlation import Association
from probes.criteria import CRITERIA, OUTCOME_OF
from probes.ranking import RankedPair
from reports.style import ROLE_TITLES, count, in_text, number, pair_label, per_cent, with_interval
from workbench.pages._charts import (
    distribution_chart,
    head_map_chart,
    map_frame,
    outcome_chart,
)
from workbench.pages._data import pair_values
from workbench.pages._shell import Chosen, interval_caption, literal, opened_run, show

__all__ = ["render"]

# Samples listed at either end of a pair's scores. (A string here would be written to the page.)
EXTREMES = 5

KIND_WORDS = {
    "where": "needs no truth",
    "ground truth": "compares with the true mask",
    "gradient": "is of the mask loss, to first order",
    "outcome": "is a correlation over samples",
    "control": "is a control: what a head scores here it owes to something else",
}


def render() -> None:
    """Draw the page."""
    st.title("Heads")
    chosen = opened_run()
    if chosen is None:
        return
    criterion, role = _choices(chosen)
    left, right = st.columns([5, 4], gap="large")
    with left:
        pair = _map(chosen, criterion, role)
    with right:
        _scores(chosen, role, pair)
    _samples(chosen, criterion, role, pair)
    _ranking(chosen, criterion, role)


def _choices(chosen: Chosen) -> tuple[str, str]:
    left, right = st.columns([5, 4], gap="large", vertical_alignment="bottom")
    criterion = left.selectbox(
        "Criterion",
        list(chosen.results.rankings),
        key="criterion",
        bind="query-params",
        format_func=lambda name: CRITERIA[name].title,
    )
    role = right.segmented_control(
        "Role token",
        ["both", "actor", "target"],
        default="both",
        required=True,
        key="heads_role",
        bind="query-params",
        format_func=lambda name: ROLE_TITLES[name],
    )
    role = role or "both"
    entry = CRITERIA[criterion]
    kind = KIND_WORDS[entry.kind]
    order = "lowest" if entry.low_first else "highest"
    st.caption(
        f"{entry.title}: {entry.description}. {entry.equation} ({entry.source}). This criterion "
        f"{kind}; rank 1 is the {order}."
    )
    # Set before the two number inputs are made; the map and the table write them, too.
    best = chosen.results.rankings[criterion][role].pairs[0]
    if st.session_state.get("layer") not in range(chosen.results.num_layers):
        st.session_state["layer"] = best.layer
    if st.session_state.get("head") not in range(chosen.results.num_heads):
        st.session_state["head"] = best.head
    return criterion, role


def _map(chosen: Chosen, criterion: str, role: str) -> tuple[int, int]:
    results = chosen.results

    def choose() -> None:
        cells = st.session_state["head_map"].selection.get("picked", [])
        if cells:
            st.session_state["layer"] = int(cells[0]["layer"])
            st.session_state["head"] = int(cells[0]["head"])

    selected = st.session_state["layer"], st.session_state["head"]
    best = results.rankings[criterion][role].pairs[0]
    st.altair_chart(
        head_map_chart(results, criterion, role, selected),
        key="head_map",
        on_select=choose,
        alt=(
            f"{CRITERIA[criterion].title} of every pair; highest is "
            f"{pair_label(best.layer, best.head)} with {number(best.score)}"
        ),
    )
    supervised = " White outline: supervised by AML." if results.supervised_pairs else ""
    roles = ("actor", "target") if role == "both" else (role,)
    st.caption(
        f"{_made_of(criterion)}; click a cell to open the pair, outlined in red.{supervised} Grey "
        f"cells with a cross: undefined. {interval_caption(results, roles)}"
    )
    columns = st.columns(2)
    layer = columns[0].number_input(
        "Layer", 0, results.num_layers - 1, value=None, key="layer", bind="query-params"
    )
    head = columns[1].number_input(
        "Head", 0, results.num_heads - 1, value=None, key="head", bind="query-params"
    )
    # Going back in the browser to an address without a pair empties both.
    return (
        best.layer if layer is None else int(layer),
        best.head if head is None else int(head),
    )


def _scores(chosen: Chosen, role: str, pair: tuple[int, int]) -> None:
    results = chosen.results
    st.subheader(pair_label(*pair))
    rows = []
    for name, by_role in results.rankings.items():
        entry, ranking = CRITERIA[name], by_role[role]
        found = next(item for item in ranking.pairs if (item.layer, item.head) == pair)
        rows.append(
            {
                "criterion": entry.title,
                "score [interval]": with_interval(found.score, found.ci),
                "rank (interval)": _rank(found),
            }
        )
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        alt=f"Scores and ranks of {pair_label(*pair)} by each criterion",
    )
    st.caption(f"{ROLE_TITLES[role]}. Rank 1 is the best of {len(ranking.pairs):,} pairs.")
    if pair in results.supervised_pairs:
        st.caption("AML trained this pair towards the masks: its mask share is no evidence.")
    for name in ("actor", "target") if role == "both" else (role,):
        item = next(
            (a for a in results.correlations[name].pairs if (a.layer, a.head) == pair), None
        )
        if item is not None:
            st.caption(_association(item, name))


def _rank(pair: RankedPair) -> str:
    rank = number(pair.rank, 0 if float(pair.rank or 0).is_integer() else 1)
    if pair.rank_ci is None:
        return rank
    return f"{rank} ({pair.rank_ci[0]:g} to {pair.rank_ci[1]:g})"


def _association(item: Association, role: str) -> str:
    """Mask share of the pair against J&F in one line; where undefined, why."""

    def words(estimate: Estimate) -> str:
        if estimate.value is None:
            return f"undefined ({estimate.reason})"
        return with_interval(estimate.value, estimate.ci, 2)

    return literal(
        f"{ROLE_TITLES[role]}: mask share against J&F, Spearman {words(item.spearman)}; given mask "
        f"area {words(item.partial)}. n = {item.spearman.n:,}; not corrected for the number of "
        "pairs."
    )


def _made_of(criterion: str) -> str:
    return "Over all samples" if CRITERIA[criterion].kind == "outcome" else "Mean over samples"


def _samples(chosen: Chosen, criterion: str, role: str, pair: tuple[int, int]) -> None:
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
            st.session_state["opened"] = (points[0]["sample_id"], points[0]["role_key"])

    left, right = st.columns(2, gap="large")
    left.altair_chart(
        distribution_chart(values, criterion),
        key="pair_distribution",
        alt=f"Distribution of {title} over {count(len(values), 'sample')}",
    )
    left.caption(f"{count(len(values), 'sample')} with a defined value.")
    right.altair_chart(
        outcome_chart(values, criterion),
        key="pair_outcome",
        on_select=choose,
        alt=f"{title} of each sample against its J&F",
    )
    right.caption("One dot a sample; click one to get a link to it. An association, not a cause.")
    opened = st.session_state.get("opened")
    if opened and ((values.sample_id == opened[0]) & (values.role == opened[1])).any():
        with right:
            _link(chosen, opened[0], opened[1], pair, f"Open {opened[0]}")
    order = values.sort_values(["value", "sample_id"], ascending=[False, True])
    for column, heading, part in (
        (left, f"Highest {title}", order.head(EXTREMES)),
        (right, f"Lowest {title}", order.tail(EXTREMES).iloc[::-1]),
    ):
        with column:
            st.markdown(f"**{heading}**")
            for row in part.to_dict("records"):
                label = (
                    f"{number(row['value'])} \N{MIDDLE DOT} J&F {per_cent(row['jf'])} "
                    f"\N{MIDDLE DOT} {row['role']} \N{MIDDLE DOT} {shorten(row['expression'], 44)}"
                )
                _link(chosen, row["sample_id"], row["role"], pair, label)


def _link(chosen: Chosen, sample: str, role: str, pair: tuple[int, int], label: str) -> None:
    st.page_link(
        "workbench/pages/samples.py",
        label=literal(label),
        icon=":material/movie:",
        query_params={
            "run": chosen.entry.name,
            "sample": sample,
            "role": ROLE_TITLES[role],  # as the widget shows it: that is what the address holds
            "pair": pair_label(*pair),
        },
    )


def _ranking(chosen: Chosen, criterion: str, role: str) -> None:
    ranking = chosen.results.rankings[criterion][role]
    table = map_frame(chosen.results, criterion, role)

    def choose() -> None:
        rows = st.session_state["ranking_table"].selection.rows
        if rows:
            st.session_state["layer"] = int(table.layer.iloc[rows[0]])
            st.session_state["head"] = int(table["head"].iloc[rows[0]])

    st.subheader("Ranking")
    best = f"among best {ranking.top_k}"
    st.dataframe(
        table.rename(columns={"p best": best})[
            ["rank", "pair", "score", "low", "high", "rank low", "rank high", best, "supervised"]
        ],
        hide_index=True,
        height=360,
        key="ranking_table",
        on_select=choose,
        selection_mode="single-row",
        column_config={
            **{
                name: st.column_config.NumberColumn(format="%.3f")
                for name in ("score", "low", "high")
            },
            best: st.column_config.NumberColumn(format="percent"),
        },
        alt=f"All pairs ranked by {in_text(CRITERIA[criterion].title)}",
    )
    st.caption(
        f"n = {count(ranking.n_samples, 'sample')} of {count(ranking.n_videos, 'video')}; "
        f"{ranking.n_failed:,} without token left out. Mean of all pairs "
        f"{literal(with_interval(ranking.baseline.value, ranking.baseline.ci))}. "
        + (
            f"A head that looks everywhere alike: {number(ranking.uniform)}. "
            if ranking.uniform is not None
            else ""
        )
        + "Sort by any column; select a row to open the pair."
    )


if __name__ == "__main__":
    show(render)
