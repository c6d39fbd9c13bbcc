"""What linear probes read off the role tokens, layer by layer."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from reports.canvas import Figure, drawing, empty_panel, in_first_column, legend_below, redrawable
from reports.style import count, per_cent, with_interval

if TYPE_CHECKING:
    from probes.linear.accuracy import TaskAccuracy
    from probes.linear.results import ProbeResults

__all__ = ["layer_curves"]

_COLUMNS = 3
_MOST_TICKS = 10
_ACCURACY, _UNSAID, _CONTROL, _MAJORITY = "#0072B2", "#D55E00", "#444444", "#999999"


@redrawable
def layer_curves(results: "ProbeResults") -> Figure | None:
    """Accuracy of each task by layer with its controls; None where no task has a number."""
    tasks = [task for task in results.tasks if task.layers or task.reason]
    if not any(task.layers for task in tasks):
        return None
    rows = -(-len(tasks) // _COLUMNS)
    with drawing(min(_COLUMNS, len(tasks)), 0.5 + 2.2 * rows, rows=rows) as (plot, panels):
        for axes, task in zip(panels, tasks, strict=False):
            axes.set_title(_title(task))
            if task.reason is not None:
                empty_panel(axes, "too few classes or videos")
                continue
            _draw(axes, task, results.layers)
        for axes in panels[len(tasks) :]:
            axes.set_axis_off()
        for axes in panels:
            if in_first_column(axes):
                axes.set_ylabel("balanced accuracy (%)")
        handles = {
            label: line
            for axes in panels
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        legend_below(plot, list(handles.values()), list(handles))
    known = [task for task in tasks if task.layers]
    return Figure(
        name="linear-probes",
        title="What can be read off the role tokens' hidden states",
        caption=_caption(results, known),
        alt="; ".join(_words(task, results.layers) for task in known),
        plot=plot,
    )


def _draw(axes: Axes, task: "TaskAccuracy", names: tuple[str, ...]) -> None:
    places = np.arange(len(task.layers))
    for what, color, label, dashes in (
        ("accuracy", _ACCURACY, "accuracy", "-"),
        ("unsaid", _UNSAID, "where the words do not tell it", "-."),
        ("control", _CONTROL, "control labels", "--"),
    ):
        estimates = [getattr(layer, what) for layer in task.layers]
        if what == "unsaid" and estimates[0].n in (0, task.n):
            continue  # no such sample, or the same line again
        values = [np.nan if e.value is None else 100 * e.value for e in estimates]
        marker = "o" if what == "accuracy" else None
        axes.plot(places, values, dashes, color=color, label=label, marker=marker, markersize=3)
        if what != "unsaid" and all(e.ci is not None for e in estimates):
            low, high = np.array([e.ci for e in estimates if e.ci is not None]).T
            axes.fill_between(places, 100 * low, 100 * high, color=color, alpha=0.15, linewidth=0)
    if task.majority is not None and task.majority.value is not None:
        axes.axhline(
            100 * task.majority.value, color=_MAJORITY, linewidth=1, linestyle=":",
            label="most frequent class",
        )  # fmt: skip
    axes.set_ylim(0, 104)
    step = -(-len(names) // _MOST_TICKS)
    ticks = sorted({*range(0, len(names) - 1, step), len(names) - 1})
    if len(ticks) > 1 and ticks[-1] - ticks[-2] < step:
        del ticks[-2]
    axes.set_xticks(ticks, [_tick(names[tick]) for tick in ticks], fontsize=7)


def _tick(name: str) -> str:
    return {"embedding": "emb"}.get(name, name)


def _title(task: "TaskAccuracy") -> str:
    return f"{task.task} ({count(len(task.classes), 'class', 'classes')}, n = {task.n:,})"


def _caption(results: "ProbeResults", tasks: list["TaskAccuracy"]) -> str:
    asked = "; ".join(f"{task.task}: {results.questions[task.task]}" for task in tasks)
    videos = max(task.n_videos for task in tasks)
    return (
        "Multinomial logistic regression on the state of a role token: as embedded (emb), behind "
        "each layer, and after the final norm, which prompts SAM2. Every point is on videos that "
        f"its probe was not fitted on ({results.folds} folds of {count(videos, 'video')}); bands: "
        "95 % cluster bootstrap over videos (left out where the words do not tell it, which is on "
        "the samples whose expression lacks the label's word). Control: labels drawn at random by "
        f"the look of the object (cell: by the object), mean of {count(results.draws, 'draw')}. "
        "That a label can be read does not say that the model reads it. "
        f"{asked[0].upper()}{asked[1:]}."
    )


def _words(task: "TaskAccuracy", names: tuple[str, ...]) -> str:
    if task.chosen is None:
        return f"{task.task}: no value"
    value = task.chosen.accuracy.value
    selectivity = task.chosen.selectivity
    ci = selectivity.ci and (100 * selectivity.ci[0], 100 * selectivity.ci[1])
    points = None if selectivity.value is None else 100 * selectivity.value
    from_layer = task.readable_from
    start = "at no layer" if from_layer is None else f"first at {names[from_layer]}"
    seen = "" if task.seen_from is None else f", without the words at {names[task.seen_from]}"
    return (
        f"{task.task}: {per_cent(value)} % at the layer chosen in training, "
        f"{with_interval(points, ci, 1)} points above its control; above it {start}{seen}"
    )
