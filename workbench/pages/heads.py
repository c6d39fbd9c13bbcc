"""Heads: one criterion for every layer-head pair; a click opens the pair, or gathers it."""

import pandas as pd
import streamlit as st

from probes.criteria import CRITERIA
from reports.style import ROLE_TITLES, count, in_text, number, pair_label, with_interval
from workbench.pages._data import runs_folder
from workbench.pages._gathered import gathered, keep_gathered, save_form, toggle
from workbench.pages._head import draw_causes, draw_samples, draw_scores
from workbench.pages._head_charts import GATHERED, SUPERVISED, head_map_chart, map_frame
from workbench.pages._selections import named_pairs, pairs_text
from workbench.pages._shell import Chosen, hold, interval_caption, literal, opened_run, show
from workbench.pages._view import csv_button, draw

__all__ = ["render"]

# Sets of pairs that can be drawn over the map at once. (A string here would be written to the page)
MOST_OVERLAYS = 4

KIND_WORDS = {
    "where": "needs no truth",
    "ground truth": "compares with the true mask",
    "gradient": "is of the mask loss, to first order",
    "outcome": "is a correlation over samples",
    "control": "is a control: what a head scores here it owes to something else",
}

Pair = tuple[int, int]


def render() -> None:
    """Draw the page."""
    st.title("Heads")
    chosen = opened_run()
    if chosen is None:
        return
    pairs = gathered((chosen.results.num_layers, chosen.results.num_heads))
    criterion, role = _choices(chosen)
    left, right = st.columns([11, 12], gap="small")
    with left:
        pair = _map(chosen, criterion, role, pairs)
    with right:
        draw_scores(chosen, role, pair, pairs)
    _selection(chosen, criterion)
    draw_causes(chosen, role, pair)
    draw_samples(chosen, criterion, role, pair)
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
    hold("layer", range(chosen.results.num_layers).__contains__, best.layer)
    hold("head", range(chosen.results.num_heads).__contains__, best.head)
    return criterion, role


def _open(pair: Pair) -> None:
    """Open a pair that was clicked, and gather it while that is what clicks do."""
    st.session_state["layer"], st.session_state["head"] = pair
    if st.session_state.get("gather"):
        toggle(pair)
        st.session_state["gather_turn"] = st.session_state.get("gather_turn", 0) + 1


def _map(chosen: Chosen, criterion: str, role: str, pairs: list[Pair]) -> Pair:
    results = chosen.results

    def choose() -> None:
        cells = st.session_state["head_map"].selection.get("picked", [])
        if cells:
            _open((int(cells[0]["layer"]), int(cells[0]["head"])))

    left, right = st.columns([4, 5], vertical_alignment="bottom")
    left.toggle(
        "Gather by click",
        key="gather",
        bind="query-params",
        help="A click on the map or on a row of the ranking adds its pair to the selection, or "
        "takes it out again.",
    )
    known = named_pairs(runs_folder(), (results.num_layers, results.num_heads))
    if set(st.session_state.get("overlay") or ()) - set(known):
        # Of another model, or removed since.
        st.session_state["overlay"] = [x for x in st.session_state["overlay"] if x in known]
    overlaid = right.multiselect(
        "Pairs to outline",
        list(known),
        key="overlay",
        bind="query-params",
        max_selections=MOST_OVERLAYS,
        placeholder="published pairs, heads files" if known else "no heads file fits this model",
    )
    best = results.rankings[criterion][role].pairs[0]
    # An address is read where its fields are made, and the map above them shows what it asks for.
    above = st.container()
    columns = st.columns(2)
    layer = columns[0].number_input(
        "Layer", 0, results.num_layers - 1, value=None, key="layer", bind="query-params"
    )
    head = columns[1].number_input(
        "Head", 0, results.num_heads - 1, value=None, key="head", bind="query-params"
    )
    # Going back in the browser to an address without a pair empties both.
    selected = (
        best.layer if layer is None else int(layer),
        best.head if head is None else int(head),
    )
    roles = ("actor", "target") if role == "both" else (role,)
    with above:
        draw(
            head_map_chart(
                results,
                criterion,
                role,
                selected,
                {
                    SUPERVISED: results.supervised_pairs,
                    GATHERED: pairs,
                    **{name: known[name].pairs for name in overlaid},
                },
                st.session_state.get("gather_turn", 0),
            ),
            "head_map",
            map_frame(results, criterion, role),
            f"{_made_of(criterion)}; click a cell to open the pair. Grey cells with a cross: "
            f"undefined. {interval_caption(results, roles)}",
            f"{CRITERIA[criterion].title} of every pair; first is "
            f"{pair_label(best.layer, best.head)} with {number(best.score)}",
            choose,
        )
    return selected


def _made_of(criterion: str) -> str:
    return "Over all samples" if CRITERIA[criterion].kind == "outcome" else "Mean over samples"


def _selection(chosen: Chosen, criterion: str) -> None:
    with st.container(border=True):
        st.subheader("Selection")
        pairs = keep_gathered((chosen.results.num_layers, chosen.results.num_heads))
        if not pairs:
            return
        save_form(chosen, criterion, pairs)
        st.page_link(
            "workbench/pages/accuracy.py",
            label="Open the selection in Attention and accuracy",
            icon=":material/scatter_plot:",
            query_params={
                "run": chosen.entry.name, "of": "gathered", "pairs": pairs_text(pairs),
            },
        )  # fmt: skip


def _ranking(chosen: Chosen, criterion: str, role: str) -> None:
    ranking = chosen.results.rankings[criterion][role]
    table = map_frame(chosen.results, criterion, role)

    def choose() -> None:
        rows = st.session_state["ranking_table"].selection.rows
        last = st.session_state.get("ranking_row")
        # A second click on a row takes its mark away, and its pair out of the selection.
        row = rows[0] if rows else last if st.session_state.get("gather") else None
        st.session_state["ranking_row"] = rows[0] if rows else None
        if row is not None and row < len(table):
            _open((int(table.layer.iloc[row]), int(table["head"].iloc[row])))

    st.subheader("Ranking")
    best = f"among best {ranking.top_k}"
    shown = table.rename(columns={"p best": best})[
        ["rank", "pair", "score", "low", "high", "rank low", "rank high", best, "supervised"]
    ]
    st.dataframe(
        shown,
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
        + "Sort by any column; select a row to open the pair, or to gather it."
    )
    csv_button(pd.DataFrame(shown), f"ranking-{criterion}-{role}.csv", "ranking")


if __name__ == "__main__":
    show(render)
