"""``reviosa lens``: when the model decides what to name, and which heads write it."""

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
    from probes.lens import LensResults

__all__ = ["lens"]

_SHOWN = 6
"""Heads in each table; --json has all of them."""


def lens(
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
    """Read a captured model layer by layer: where role tokens are decided, and who writes them."""
    from probes.lens import measure, summarise
    from workbench.commands.analysis import open_store
    from workbench.console import print_json, progress
    from workbench.datasets import captured_data
    from workbench.models import load_captured

    store = open_store(run)
    dataset = captured_data(store.run, run, data, limit)
    loaded = load_captured(run, store.run, model, device)
    with progress("reading layers") as update:
        measure(
            loaded.model,
            loaded.processor,
            dataset,
            out,
            identity=loaded.header,
            resume=resume,
            progress=update,
        )
    results = summarise(out, resamples, seed)
    if json:
        print_json(results.to_json())
        return
    _print_depths(results)
    _print_heads(results)
    if results.n:
        print(
            "largest differences: of the copy's attention from what a capture records "
            f"{results.pattern_difference:.1e}, of its scores from the model's "
            f"{results.logit_difference:.1e}, of a whole difference from the sum of its parts "
            f"{results.remainder:.1e}"
        )
    print(f"every expression's numbers in {out}")


def _print_depths(results: "LensResults") -> None:
    from reports.style import count
    from workbench.console import note, print_table

    series = results.series
    depths = zip(*(series[name].points for name in series), results.parting, strict=True)
    rows = []
    for actor, target, goes_on, ends, parting in depths:
        rows.append(
            [
                "embedding" if actor.depth == 0 else f"after L{actor.depth - 1:02d}",
                _told(actor.probability),
                _told(target.probability),
                _told(goes_on.over_end, 1),
                _told(ends.over_end, 1),
                _told(parting, 1),
            ]
        )
    print_table(
        "read as if the layer were the last [interval]",
        [
            "state",
            "p [SEG_ACT]",
            "p [SEG_TAR]",
            "log-odds where a target follows",
            "where none follows",
            "difference",
        ],
        rows,
    )
    print(
        f"layers until [SEG_ACT] is first and stays so: {_told(series['actor'].settled, 1)}; "
        f"until [SEG_TAR] is, after the words before it: {_told(series['target'].settled, 1)}"
    )
    print(
        "layers until an answer that goes on to a target is told from one that ends: "
        f"{_told(results.told_apart, 1)}"
    )
    print(
        f"{count(results.n, 'expression')} of {count(results.n_videos, 'video')}; log-odds, behind "
        "[SEG_ACT], of the token that leads to a target against the one that ends the answer"
    )
    for amount, what in (
        (results.n_put_into_form, "put into form: the role tokens are not the model's own"),
        (results.n_wrong, "named a target wrongly or left it out; grouped by what was answered"),
    ):
        if amount:
            note(f"{count(amount, 'answer')} {what}")


def _print_heads(results: "LensResults") -> None:
    from reports.style import pair_label
    from workbench.console import print_table

    titles = {
        "actor": "[SEG_ACT] over the next best",
        "target": "[SEG_TAR] over the next best",
        "decision": "a target follows less none does",
    }
    columns = []
    for name in titles:
        found = results.attribution[name]
        pairs = [
            (pair_label(layer, head), estimate)
            for layer, heads in enumerate(found.heads)
            for head, estimate in enumerate(heads)
        ]
        mlps = [(f"MLP {layer:02d}", estimate) for layer, estimate in enumerate(found.mlps)]
        columns.append(
            [
                *_largest(pairs, _SHOWN),
                *_largest(mlps, 2),
                _told(found.embedding),
                _told(found.total),
            ]
        )
    places = [*(f"head {i + 1}" for i in range(len(columns[0]) - 4)), "MLP 1", "MLP 2"]
    labels = [*places, "embedding", "whole difference"]
    rows = [[label, *cells] for label, *cells in zip(labels, *columns, strict=True)]
    print_table("who writes the score differences [interval]", ["", *titles.values()], rows)


def _largest(parts: "list[tuple[str, Estimate]]", count: int) -> list[str]:
    ordered = sorted(parts, key=lambda part: -abs(part[1].value or 0.0))
    return [f"{label} {_told(estimate)}" for label, estimate in ordered[:count]]


def _told(estimate: "Estimate", digits: int = 2) -> str:
    from reports.style import with_interval

    return with_interval(estimate.value, estimate.ci, digits)
