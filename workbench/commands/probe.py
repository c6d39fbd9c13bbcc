"""``reviosa probe``: what can be read off the role tokens' hidden states, layer by layer."""

from typing import TYPE_CHECKING

from workbench.commands.options import (
    CapturedData,
    CapturedModel,
    Device,
    Json,
    Limit,
    NewRun,
    Resamples,
    Resume,
    Run,
    Seed,
)

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.linear.accuracy import TaskAccuracy
    from probes.linear.results import ProbeResults

__all__ = ["probe"]


def probe(
    run: Run,
    out: NewRun,
    model: CapturedModel = None,
    data: CapturedData = None,
    limit: Limit = None,
    resume: Resume = False,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Read role, place, look and verb off the role tokens' hidden states by linear probes."""
    from probes.linear.results import probe_tasks, write_results
    from probes.linear.states import read_states, record_states
    from reviosa.errors import ConfigError
    from workbench.commands.analysis import open_store
    from workbench.console import print_json, progress
    from workbench.datasets import captured_data
    from workbench.models import load_captured

    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1")
    store = open_store(run)
    dataset = captured_data(store.run, run, data, limit)
    if len(dataset.videos) < 2:
        raise ConfigError(
            f"got {len(dataset.videos)} video, expected at least 2: a probe is fitted on some and "
            "tried on others; use more videos"
        )
    loaded = load_captured(run, store.run, model, device)
    with progress("recording hidden states") as update:
        record_states(
            loaded.model,
            loaded.processor,
            dataset,
            out,
            identity=loaded.header,
            resume=resume,
            progress=update,
        )
    with progress("fitting probes") as update:
        results = probe_tasks(read_states(out), resamples=resamples, seed=seed, progress=update)
    write_results(out, results)
    if json:
        print_json(results.to_json())
        return
    _print(results)
    print(f"hidden states and accuracies of every layer in {out}")


def _print(results: "ProbeResults") -> None:
    from reports.style import MISSING, count
    from workbench.console import print_table

    rows = []
    for task in results.tasks:
        chosen, majority = task.chosen, task.majority
        if chosen is None or majority is None:
            continue
        first = [
            MISSING if layer is None else results.layers[layer]
            for layer in (task.readable_from, task.seen_from)
        ]
        rows.append(
            [
                task.task,
                str(len(task.classes)),
                f"{task.n:,}",
                _layers(task, results.layers),
                _points(chosen.accuracy),
                _points(majority, interval=False),
                _points(chosen.control, interval=False),
                _points(chosen.selectivity),
                _points(chosen.unsaid),
                _points(task.layers[-1].accuracy),
                *first,
            ]
        )
    print_table(
        "linear probes on role tokens: balanced accuracy on held-out videos, per cent",
        [
            "task", "classes", "n", "layer", "accuracy", "majority", "control", "selectivity",
            "not in the words", "at norm", "read from", "seen from",
        ],
        rows,
    )  # fmt: skip
    print(
        "layer: best in each fold's own training videos; control: random labels by the look of the "
        "object (cell: by the object); read from: first layer whose selectivity is above zero; "
        "seen from: the same where the words do not tell the label"
    )
    for task in results.tasks:
        if task.reason is not None:
            print(f"{task.task} left out: {task.reason}")
        elif task.left_out:
            rare = ", ".join(sorted(task.left_out))
            print(f"{task.task}: classes of a single video left out: {rare}")
    for name, reason in results.left_out.items():
        print(f"{name} left out: {reason}")
    unfinished = sum(task.unfinished for task in results.tasks)
    if unfinished:
        fits = sum(task.fits for task in results.tasks)
        print(f"{unfinished:,} of {fits:,} fits had not converged and are used as they were")
    if results.n_unnamed:
        print(f"{count(results.n_unnamed, 'role')} not named by the model, left out")
    if results.n_put_into_form:
        amount = count(results.n_put_into_form, "state")
        print(f"{amount} of tokens that were put into form: the model had named no role by itself")


def _layers(task: "TaskAccuracy", names: tuple[str, ...]) -> str:
    """The layer that most folds chose, and in how many."""
    most = max(sorted(set(task.chosen_layers)), key=task.chosen_layers.count)
    times, folds = task.chosen_layers.count(most), len(task.chosen_layers)
    return names[most] if times == folds else f"{names[most]} ({times} of {folds})"


def _points(estimate: "Estimate", interval: bool = True) -> str:
    from reports.style import MISSING, with_interval

    if estimate.value is None:
        return MISSING
    ci = estimate.ci and (100 * estimate.ci[0], 100 * estimate.ci[1])
    return with_interval(100 * estimate.value, ci if interval else None, 1)
