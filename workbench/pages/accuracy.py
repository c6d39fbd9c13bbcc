"""Attention and accuracy: the paper's Fig. 6a for any head, layer or selection, with controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from probes.bootstrap import Estimate
from probes.criteria import CRITERIA
from probes.pair_sets import SetAccuracy
from reports.style import (
    MISSING,
    ROLE_TITLES,
    count,
    in_text,
    number,
    pair_label,
    with_interval,
)
from workbench.pages._accuracy_charts import (
    association_chart,
    association_frame,
    bins_frame,
    points_frame,
    scatter_chart,
    strata_frame,
)
from workbench.pages._data import runs_folder
from workbench.pages._gathered import gathered, keep_gathered
from workbench.pages._head import sample_link
from workbench.pages._head_charts import MOST_DOTS
from workbench.pages._measures import RESAMPLES, accuracy_of, expressions_of
from workbench.pages._selections import named_pairs
from workbench.pages._shell import Chosen, choose, choose_criterion, hold, literal, opened_run, show
from workbench.pages._view import csv_button, draw

__all__ = ["render"]

OF = {
    "all": "all heads",
    "layer": "one layer",
    "pair": "one pair",
    "file": "a heads file",
    "gathered": "the gathered pairs",
}
ROLE_CHOICES = {"both": ("actor", "target"), "actor": ("actor",), "target": ("target",)}

Pair = tuple[int, int]


@dataclass(frozen=True)
class Looked:
    """Whose attention is looked at."""

    title: str
    pairs: tuple[Pair, ...] | None
    """None: all."""


def render() -> None:
    """Draw the page."""
    st.title("Attention and accuracy")
    chosen = opened_run()
    if chosen is None:
        return
    criterion, roles = _choices(chosen)
    looked = _looked(chosen)
    if looked is None:
        return
    if not roles:
        st.info("No sample of this run has that role.")
        return
    found = {
        role: accuracy_of(chosen.directory, chosen.mark, criterion, role, looked.pairs)
        for role in roles
    }
    found = {role: item for role, item in found.items() if len(item.score)}
    if not found:
        st.info("This criterion has no defined value for these heads and that role.")
        return
    _scatters(chosen, criterion, looked, found)
    _controls(criterion, looked, found)
    _strata(criterion, looked, found)


def _choices(chosen: Chosen) -> tuple[str, list[str]]:
    left, right = st.columns([5, 4], gap="large", vertical_alignment="bottom")
    with left:
        criterion = choose_criterion(
            chosen,
            "measure",
            "Criteria of single samples; the paper's Fig. 6a is of the mask share.",
        )
    picked = right.segmented_control(
        "Role token",
        list(ROLE_CHOICES),
        default="both",
        required=True,
        key="accuracy_role",
        bind="query-params",
        format_func=lambda role: ROLE_TITLES[role],
    )
    entry = CRITERIA[criterion]
    st.caption(
        f"{entry.title}: {entry.description} ({literal(entry.unit)}). {entry.equation} "
        f"({entry.source})."
    )
    held = chosen.results.layer_profile
    return criterion, [role for role in ROLE_CHOICES[picked or "both"] if held[role]]


def _looked(chosen: Chosen) -> Looked | None:
    results = chosen.results
    shape = results.num_layers, results.num_heads
    left, right = st.columns([5, 4], gap="large")
    with left:
        of = choose(
            "Heads", list(OF), "of", "all", lambda name: OF[name],
            "Whose attention is set against J&F: its mean over these heads.",
        )  # fmt: skip
    with right:
        if of == "all":
            return Looked("all heads", None)
        if of == "file":
            known = named_pairs(runs_folder(), shape)
            if not known:
                st.info("No heads file of this folder fits this model. Gather one on Heads.")
                return None
            name = choose(
                "Heads file", list(known), "file", next(iter(known)), str,
                "The published pairs where the model is theirs, and heads files below the runs.",
            )  # fmt: skip
            pairs = known[name].pairs
            st.caption(literal(f"{', '.join(pair_label(*pair) for pair in pairs)}."))
            return Looked(name, pairs)
        if of == "gathered":
            gathered(shape)
            pairs = keep_gathered(shape)
            if not pairs:
                st.info("No pair is gathered yet: choose some here, or click them on Heads.")
                return None
            return Looked(f"{count(len(pairs), 'gathered pair')}", tuple(pairs))
        return _layer_or_pair(of, shape, chosen)


def _layer_or_pair(of: str, shape: tuple[int, int], chosen: Chosen) -> Looked:
    best = chosen.results.rankings["visual_mass"]["both"].pairs[0]
    for key, size, first in (("layer", shape[0], best.layer), ("head", shape[1], best.head)):
        if of == "pair" or key == "layer":
            hold(key, range(size).__contains__, first)
    columns = st.columns(2)
    layer = columns[0].number_input(
        "Layer", 0, shape[0] - 1, value=None, key="layer", bind="query-params"
    )
    # Going back in the browser to an address without them empties both.
    layer = best.layer if layer is None else int(layer)
    if of == "layer":
        return Looked(f"layer {layer}", tuple((layer, head) for head in range(shape[1])))
    head = columns[1].number_input(
        "Head", 0, shape[1] - 1, value=None, key="head", bind="query-params"
    )
    pair = layer, best.head if head is None else int(head)
    return Looked(pair_label(*pair), (pair,))


def _scatters(
    chosen: Chosen, criterion: str, looked: Looked, found: dict[str, SetAccuracy]
) -> None:
    title = in_text(CRITERIA[criterion].title)
    st.subheader(f"J\\&F against the {literal(title)} of {literal(looked.title)}")
    expressions = expressions_of(chosen.directory, chosen.mark)
    for column, (role, item) in zip(_columns(found), found.items(), strict=True):
        with column:
            st.write(f"**{ROLE_TITLES[role]}**: {literal(_association(item))}")
            _scatter(chosen, criterion, looked, item, expressions)


def _scatter(
    chosen: Chosen, criterion: str, looked: Looked, item: SetAccuracy, expressions: pd.Series
) -> None:
    role, key = item.role, f"accuracy_{item.role}"
    points = points_frame(item, expressions)

    def pick() -> None:
        picked = st.session_state[key].selection.get("picked", [])
        if picked:
            st.session_state[f"{key}_opened"] = picked[0]["sample_id"]

    overall = item.overall.spearman
    left_out = (
        f" {count(item.n_excluded, 'sample')} without token or score left out."
        if item.n_excluded
        else ""
    )
    part = f" {MOST_DOTS:,} dots of them are drawn." if len(points) > MOST_DOTS else ""
    binned = (
        " Large dots: mean J\\&F of samples binned by their score, as many in each bin; lines: "
        "95 % intervals, bootstrap over videos."
        if item.bins
        else " Too few samples for bins."
    )
    draw(
        scatter_chart(points, bins_frame(item), criterion, role),
        key,
        points,
        f"One dot a sample, as in the paper's Fig. 6a: n = {count(overall.n, 'sample')} of "
        f"{count(overall.n_videos, 'video')}.{part}{left_out}{binned} Click a dot for a link to "
        "its sample. An association, not a cause.",
        f"{ROLE_TITLES[role]}: {_association(item)}",
        pick,
    )
    opened = st.session_state.get(f"{key}_opened")
    if opened in set(item.sample_ids):
        single = looked.pairs is not None and len(looked.pairs) == 1
        pair = looked.pairs[0] if looked.pairs is not None and single else None
        sample_link(chosen, opened, role, pair, f"Open {opened}")


def _association(item: SetAccuracy) -> str:
    return (
        f"Spearman {_words(item.overall.spearman)}; given mask area {_words(item.overall.partial)}"
    )


def _words(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"{MISSING} ({estimate.reason})"
    return with_interval(estimate.value, estimate.ci, 2)


def _controls(criterion: str, looked: Looked, found: dict[str, SetAccuracy]) -> None:
    st.subheader("Beside its controls")
    own = f"{CRITERIA[criterion].title}: {looked.title}"
    _associations(
        {role: association_frame(item, own) for role, item in found.items()},
        "controls",
        lambda role: (
            f"With the J\\&F of the {role}, plain and with the mask area taken out of both. First "
            f"the {literal(in_text(CRITERIA[criterion].title))} of {literal(looked.title)}, then "
            "what knows less, as means over all heads: what those reach, the score does not owe to "
            "looking at the object."
        ),
    )


def _strata(criterion: str, looked: Looked, found: dict[str, SetAccuracy]) -> None:
    st.subheader("Among samples that are alike")
    frames = {role: strata_frame(item) for role, item in found.items()}
    _associations(
        frames,
        "strata",
        lambda _: (
            f"The same rank correlation of {literal(in_text(CRITERIA[criterion].title))} of "
            f"{literal(looked.title)} within one kind of expression, and within thirds of the "
            "samples by mask area and by number of objects."
        ),
    )
    table = pd.concat([data.assign(role=ROLE_TITLES[role]) for role, data in frames.items()])
    st.dataframe(
        table[["role", "of", "kind", "correlation", "low", "high", "samples", "videos", "reason"]],
        hide_index=True,
        placeholder=MISSING,
        column_config={
            **{
                name: st.column_config.NumberColumn(format="%+.3f")
                for name in ("correlation", "low", "high")
            },
            "reason": st.column_config.TextColumn("why not"),
        },
        alt="Rank correlation within each group of samples",
    )
    csv_button(table, "accuracy-strata.csv", "groups")


def _associations(frames: dict[str, pd.DataFrame], name: str, words: Callable[[str], str]) -> None:
    """Correlations of each role side by side."""
    for column, (role, data) in zip(_columns(frames), frames.items(), strict=True):
        with column:
            draw(
                association_chart(data, role, list(dict.fromkeys(data.of))),
                f"accuracy_{name}_{role}",
                data,
                f"{words(role)} {_intervals(data)}",
                _list(data),
            )


def _intervals(data: pd.DataFrame) -> str:
    left_out = data[data.correlation.isna()].of.nunique()
    missing = f" {count(left_out, 'row')} without a number left out." if left_out else ""
    return (
        f"Lines: 95 % intervals, bootstrap over videos, {RESAMPLES:,} resamples, ranks taken once; "
        f"n = {int(data.samples.max()):,} samples, fewer in a group. Not corrected for the number "
        f"of rows.{missing}"
    )


def _list(data: pd.DataFrame) -> str:
    return "; ".join(
        f"{row.of}, {row.kind}: {number(row.correlation, 2)}"
        for row in data.dropna(subset=["correlation"]).itertuples()
    )


def _columns(found: Mapping[str, Any]) -> list:
    return st.columns(len(found), gap="large")


if __name__ == "__main__":
    show(render)
