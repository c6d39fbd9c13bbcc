"""One ablation on the page of causes: verdicts, curves with controls, maps, and the opened pair."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from reports.causal_tables import ablation_table
from reports.causal_words import WHAT, change_words, in_points, whole_words
from reports.style import MISSING, ROLE_TITLES, count, number, pair_label, per_cent, with_interval
from reports.verdicts import ablation_verdicts
from workbench.pages._cause_charts import (
    CHOSEN,
    KEPT,
    Pair,
    curve_chart,
    curve_frame,
    effect_map_chart,
    effect_map_frame,
    groups_chart,
    groups_frame,
    single_estimates,
    subset_estimates,
)
from workbench.pages._data import RunEntry
from workbench.pages._shell import hold, literal
from workbench.pages._view import csv_button, draw

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import AblationResults

__all__ = ["ROLES", "ablation_view", "is_map"]

ROLES = ("actor", "target")


def ablation_view(capture: RunEntry, results: "AblationResults") -> None:
    """Draw everything that an ablation over a capture's model says."""
    verdicts = ablation_verdicts(results)
    if verdicts:
        st.markdown("\n".join(f"- {literal(text)}" for text in verdicts))
    whose = "heads" if results.kind == "role-swap" else "silenced heads"
    st.caption(
        f"At the role tokens, {whose} {WHAT.get(results.kind, literal(results.kind))}. "
        f"{literal(change_words(results))}, in points, on the frames that the language model saw; "
        f"{literal(whole_words(results))}. Intervals: 95 % cluster bootstrap over videos, "
        f"{results.resamples:,} resamples, not corrected for the number of heads."
    )
    named = [role for role in ROLES if results.whole[role].value is not None]
    groups = {effect.group for effect in results.effects}
    if "chosen" in groups:
        _curves(results, named, CHOSEN, "dose", "Heads silenced together", "heads silenced")
    if "kept" in groups:
        _curves(results, named, KEPT, "kept", "Heads kept, all others silenced", "heads kept")
    singles = {role: single_estimates(results, role) for role in named}
    whole_map = any(singles.values()) and is_map(singles)
    beside = {role: found for role in named if (found := subset_estimates(results, role))}
    maps = {
        **({"by itself": singles} if whole_map else {}),
        **({"beside random losses of others": beside} if beside else {}),
    }
    _open_pair(maps.values())
    if any(singles.values()):
        st.subheader("One pair at a time")
        if whole_map:
            _maps(
                singles, f"effects_{results.kind}",
                "A single head's effect is the least that it does: others take over.",
            )  # fmt: skip
        else:
            _dots(results, named, "single", "pair", "pairs")
    if "layer" in groups:
        st.subheader("All heads of a layer together")
        _dots(results, named, "layer", "layer", "layers")
    if results.subsets:
        _subsets(results, beside)
    if maps:
        _pair(capture, maps)
    table = ablation_table(results)
    with st.expander("All of it as a table"):
        frame = pd.DataFrame(table.rows, columns=list(table.columns))
        st.dataframe(frame, hide_index=True, alt="Effects with their intervals and controls")
        st.caption(literal(table.caption))
        csv_button(frame, f"effects-{results.kind}.csv", "effects")


def _curves(
    results: "AblationResults",
    roles: Sequence[str],
    groups: dict[str, str],
    name: str,
    title: str,
    x: str,
) -> None:
    st.subheader(title)
    for column, role in zip(st.columns(2, gap="large"), roles, strict=False):
        data = curve_frame(results, role, groups)
        last = data[data.group == next(iter(groups.values()))].iloc[-1:]
        sets = int(data.sets.max()) if len(data) else 0
        with column:
            st.markdown(f"**{ROLE_TITLES[role]}**")
            draw(
                curve_chart(data, role, groups, x),
                f"{name}_{results.kind}_{role}",
                data,
                f"Mean change over {_whole_n(results, role)}; bands: 95 % intervals over videos. "
                f"Random: mean over up to {count(sets, 'set')} with as many heads of each layer."
                + (" 0 points: the whole model." if name == "kept" else ""),
                "; ".join(
                    f"{row.heads} chosen heads: {number(row.change, 1)} points"
                    for row in last.itertuples()
                ),
            )


def _whole_n(results: "AblationResults", role: str) -> str:
    whole = results.whole[role]
    return f"n = {count(whole.n, 'expression')} of {count(whole.n_videos, 'video')}"


def is_map(values: "dict[str, dict[Pair, Estimate]]") -> bool:
    """Whether every pair of the model was tried."""
    pairs = {pair for by_pair in values.values() for pair in by_pair}
    layers, heads = (1 + max(pair[axis] for pair in pairs) for axis in (0, 1))
    return len(pairs) == layers * heads > 1


def _open_pair(maps: "Iterable[dict[str, dict[Pair, Estimate]]]") -> None:
    """Where the address names no pair of the maps, the one that changes most is opened."""
    sizes: dict[str, float] = {}
    for by_role in maps:
        for by_pair in by_role.values():
            for pair, estimate in by_pair.items():
                label = pair_label(*pair)
                sizes[label] = max(sizes.get(label, 0.0), abs(estimate.value or 0.0))
    if sizes:
        hold("cause_pair", sizes.__contains__, max(sizes, key=lambda label: sizes[label]))


def _maps(values: "dict[str, dict[Pair, Estimate]]", name: str, words: str) -> None:
    """A map a role, on one scale; a click opens a pair."""
    frames = {role: effect_map_frame(by_pair) for role, by_pair in values.items() if by_pair}
    selected = st.session_state["cause_pair"]
    reach = max(*(float(frame.change.abs().max()) for frame in frames.values()), 1e-6)
    for column, (role, frame) in zip(st.columns(2, gap="large"), frames.items(), strict=False):
        key = f"{name}_{role}".replace("-", "_")

        def pick(key: str = key) -> None:
            cells = st.session_state[key].selection.get("picked", [])
            if cells:
                st.session_state["cause_pair"] = cells[0]["pair"]

        most = frame.loc[frame.change.abs().idxmax()]
        marked = int(frame.marked.sum())
        with column:
            st.markdown(f"**{ROLE_TITLES[role]}**")
            draw(
                effect_map_chart(frame, reach, selected),
                key,
                frame,
                f"Mean change over n = {count(int(frame.n.max()), 'expression')} of "
                f"{count(int(frame.videos.max()), 'video')}. Bold, or a dot where numbers do not "
                f"fit: the 95 % interval leaves out 0 ({marked} of {count(len(frame), 'pair')}, "
                "not corrected for their number). Click a cell to open the pair, outlined in red.",
                f"{ROLE_TITLES[role]}: {most.pair} changes most ({number(most.change, 1)} points)",
                on_select=pick,
            )
    st.caption(f"Both roles on one scale, in points. {words}")


def _pair(capture: RunEntry, maps: "dict[str, dict[str, dict[Pair, Estimate]]]") -> None:
    """The opened pair: what it does by each map, and its page."""
    labels = {
        pair_label(*pair): pair
        for by_role in maps.values()
        for by_pair in by_role.values()
        for pair in sorted(by_pair)
    }
    left, right = st.columns([2, 5], vertical_alignment="bottom")
    label = left.selectbox("Pair", sorted(labels), key="cause_pair", bind="query-params")
    if label is None:
        return
    layer, head = labels[label]
    right.page_link(
        "workbench/pages/heads.py",
        label=f"Open {label} on Heads",
        icon=":material/grid_on:",
        query_params={"run": capture.name, "layer": str(layer), "head": str(head)},
    )
    for words, by_role in maps.items():
        said = [
            f"{ROLE_TITLES[role]} {_points(by_pair[layer, head])}"
            for role, by_pair in by_role.items()
            if (layer, head) in by_pair
        ]
        st.markdown(f"**{label}** {words}: {literal('; '.join(said))} points.")


def _dots(
    results: "AblationResults", roles: Sequence[str], group: str, one: str, many: str
) -> None:
    data = groups_frame(results, roles, group)
    order = list(dict.fromkeys(data.heads)) if group == "layer" else None
    draw(
        groups_chart(data, many, order),
        f"{group}_{results.kind}".replace("-", "_"),
        data,
        f"Mean change by each {one}; lines: 95 % intervals over videos. "
        + "; ".join(f"{ROLE_TITLES[role]}: {_whole_n(results, role)}" for role in roles)
        + ".",
        "; ".join(
            f"{row.role}, {row.heads}: {number(row.change, 1)} points"
            for row in data.sort_values("change", key=abs, ascending=False).head(2).itertuples()
        ),
    )


def _subsets(results: "AblationResults", values: "dict[str, dict[Pair, Estimate]]") -> None:
    st.subheader("Each head while random others are lost, too")
    for model in results.subsets:
        r2 = (
            model.r2.reason
            if model.r2.value is None
            else with_interval(model.r2.value, model.r2.ci, 2)
        )
        st.caption(
            literal(
                f"{ROLE_TITLES[model.role]}: {count(model.n_subsets, 'random subset')} of all "
                f"heads, {per_cent(model.rate, 0)} % silenced in each; R2 on subsets left out "
                f"{r2}; the mean subset changes {in_points(model.mean.value)} points; the ridge "
                f"penalty leaves {number(model.kept, 2)} of an effect. {model.note or ''}"
            )
        )
    if not values:
        st.info(
            "The linear model predicts no subset that it was not fitted on, so it has no effects."
        )
        return
    _maps(
        values, f"subsets_{results.kind}",
        "Ridge regression of the change on who was silenced, so that a head counts although "
        "another one can stand in for it.",
    )  # fmt: skip


def _points(estimate: "Estimate") -> str:
    if estimate.value is None:
        return MISSING
    ci = estimate.ci and (100 * estimate.ci[0], 100 * estimate.ci[1])
    return with_interval(100 * estimate.value, ci, 1)
