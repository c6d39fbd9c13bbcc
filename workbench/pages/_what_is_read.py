"""Two views of the page of causes: where roles are decided (lens), and what the token knows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from reports.style import ROLE_TITLES, ROLE_TOKENS, count, number, per_cent, with_interval
from workbench.pages._cause_charts import effect_map_chart, effect_map_frame
from workbench.pages._causes import causes_mark, lens_of, linear_of
from workbench.pages._data import RunEntry
from workbench.pages._reading_charts import (
    depth_chart,
    fork_frame,
    task_chart,
    task_frame,
    token_frame,
)
from workbench.pages._runs import live_status
from workbench.pages._shell import choose, literal
from workbench.pages._view import draw

if TYPE_CHECKING:
    from probes.lens import LensResults

__all__ = ["lens_view", "linear_view"]

PANELS = {
    "actor": f"{ROLE_TOKENS['actor']} over the next best token",
    "target": f"{ROLE_TOKENS['target']} over the next best token",
    "decision": "a target follows, less none follows",
}


def lens_view(runs: Sequence[RunEntry], command: str) -> None:
    """When role tokens are decided, and which heads write them; the command where no run is."""
    st.caption(
        "The state after each layer is read as if it were the last (logit lens). Early layers are "
        "not made to be read so: a decision may be there before the lens sees it."
    )
    entry = _chosen(
        runs, "lens", "Lens run", "No run reads this model layer by layer yet:", command
    )
    if entry is None:
        return
    results = lens_of(entry.directory, causes_mark(entry.directory))
    if isinstance(results, str):
        _refused(results)
        return
    if not results.n:
        st.info("No expression of this run is done, so there is nothing to show.")
        return
    n = f"n = {count(results.n, 'expression')} of {count(results.n_videos, 'video')}"
    bands = "bands: 95 % cluster bootstrap over videos"
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Before a role token: is it next?**")
        data = token_frame(results)
        settled = "; ".join(
            f"{ROLE_TITLES[role]} is first from depth "
            f"{number(results.series[role].settled.value, 1)} on"
            for role in ("actor", "target")
        )
        draw(
            depth_chart(data, "probability of the token"), "lens_tokens", data,
            f"Mean over expressions, {bands}; {n}. {settled} (mean).", settled,
        )  # fmt: skip
    with right:
        st.markdown("**Behind \\[SEG_ACT\\]: does a target follow?**")
        data = fork_frame(results)
        told = f"told apart from depth {number(results.told_apart.value, 1)} on"
        draw(
            depth_chart(data, "log-odds, going on against ending"), "lens_fork", data,
            f"Mean over expressions by what was answered, {bands}; {n}. Both kinds of answer are "
            f"{told} (mean).", told,
        )  # fmt: skip
    _attribution(results, n)


def _attribution(results: "LensResults", n: str) -> None:
    st.subheader("Which heads write the role tokens")
    name = st.segmented_control(
        "Score", list(PANELS), default="actor", required=True, key="lens_score",
        bind="query-params", format_func=lambda name: PANELS[name], label_visibility="collapsed",
    )  # fmt: skip
    found = results.attribution[name or "actor"]
    if found.total.value is None:
        st.info(f"Undefined: {found.total.reason or 'no such answer'}.")
        return
    values = {
        (layer, head): estimate
        for layer, row in enumerate(found.heads)
        for head, estimate in enumerate(row)
    }
    data = effect_map_frame(values, scale=1)
    reach = max(float(data.change.abs().max()), 1e-6)
    most = data.loc[data.change.abs().idxmax()]
    mlps = sum(estimate.value or 0.0 for estimate in found.mlps)
    draw(
        effect_map_chart(data, reach, None, "added score (logits)"),
        f"lens_heads_{name}",
        data,
        "Direct logit attribution: what each head adds to the difference of two scores "
        f"({number(found.total.value, 1)} in all; heads {number(float(data.change.sum()), 1)}, "
        f"MLPs {number(mlps, 1)}, embedding {number(found.embedding.value, 1)}). Mean over {n}; "
        "bold: the 95 % interval over videos leaves out 0. What a head does by way of later layers "
        "is not in it.",
        f"{most.pair} adds most ({number(float(most.change), 2)})",
    )


def linear_view(runs: Sequence[RunEntry], command: str) -> None:
    """What can be read off the role tokens by linear probes; the command where no run is."""
    st.caption(
        "Logistic regression on the state of a role token, layer by layer, on videos that it was "
        "not fitted on. That a label can be read does not say that the model reads it."
    )
    entry = _chosen(
        runs, "linear", "Run of linear probes", "No run probes this model's role tokens yet:",
        command,
    )  # fmt: skip
    if entry is None:
        return
    results = linear_of(entry.directory, causes_mark(entry.directory))
    if isinstance(results, str):
        _refused(results)
        return
    columns = st.columns(2, gap="large")
    for index, task in enumerate(results.tasks):
        with columns[index % 2]:
            st.markdown(
                f"**{literal(task.task)}** ({count(len(task.classes), 'class', 'classes')}, "
                f"n = {task.n:,})"
            )
            if task.reason is not None or not task.layers:
                st.info(task.reason or "No layer has a number.")
                continue
            data = task_frame(task, results.layers)
            said = "no value"
            if task.chosen is not None:
                accuracy, over = task.chosen.accuracy, task.chosen.selectivity
                ci = over.ci and (100 * over.ci[0], 100 * over.ci[1])
                points = None if over.value is None else 100 * over.value
                said = (
                    f"{per_cent(accuracy.value)} % at the layer chosen in training, "
                    f"{with_interval(points, ci, 1)} points above its control"
                )
            draw(
                task_chart(data), f"linear_{task.task}".replace(" ", "_"), data,
                f"Asked: {literal(results.questions[task.task])}. Read: {said}. Bands: 95 % "
                f"cluster bootstrap over {count(task.n_videos, 'video')}; control: labels drawn at "
                f"random, mean of {count(results.draws, 'draw')}.",
                said,
            )  # fmt: skip
    for name, reason in results.left_out.items():
        st.caption(f"{literal(name)}: left out, {literal(reason)}.")


def _chosen(
    runs: Sequence[RunEntry], key: str, label: str, nothing: str, command: str
) -> RunEntry | None:
    if not runs:
        st.info(nothing)
        st.code(command.strip(), language="bash", wrap_lines=True)
        return None
    by_name = {entry.name: entry for entry in runs}

    def title(name: str) -> str:
        status = live_status(by_name[name]) if name in by_name else "gone"
        return name if status == "done" else f"{name} ({status})"

    name = choose(
        label, list(by_name), key, runs[0].name, title,
        "Runs over the model of this capture, those over its data first.",
    )  # fmt: skip
    return by_name[name]


def _refused(reason: str) -> None:
    st.error("This run cannot be shown.")
    st.code(reason, language=None, wrap_lines=True)
