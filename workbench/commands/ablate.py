"""``reviosa ablate``: what heads cause, by silencing them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Device, Json, Limit, NewRun, Resamples, Run, Seed

if TYPE_CHECKING:
    from probes.causal import AblationResults

__all__ = ["ablate"]


_SHOWN = 12
"""Single pairs in the table; --json has all of them."""


class Kind(StrEnum):
    """What stands in place of a silenced head's output, or what it does not see."""

    zero = "zero"
    mean = "mean"
    resample = "resample"
    blind = "blind"
    object_blind = "object-blind"
    role_swap = "role-swap"


def ablate(
    run: Run,
    out: NewRun,
    heads: Annotated[
        Path | None,
        typer.Option(
            "--heads", metavar="FILE", help="Heads file: each pair, and the first k for every k."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every pair by itself, and every layer.")
    ] = False,
    kind: Annotated[
        Kind,
        typer.Option(
            "--kind",
            help="What stands in place of a head: its mean over other videos, its output in "
            "another expression, or in the one that exchanges the roles, or zero; or what it does "
            "not see: any patch, or its object's.",
        ),
    ] = Kind.mean,
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", help="Random sets of the same layers for every k."),
    ] = 20,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="M", help="The captured model, where it has moved."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Other data than was captured.")
    ] = None,
    limit: Limit = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Silence heads of a captured model at the role tokens and score its masks again."""
    from probes.causal import ablate as run_ablation
    from probes.causal import layer_ablations, set_ablations, single_ablations, summarise
    from reviosa.data import InterRVOSDataset
    from reviosa.errors import ConfigError
    from reviosa.heads import HeadSelection
    from workbench.commands.analysis import open_store
    from workbench.console import print_json, progress
    from workbench.models import load_model

    if every == (heads is not None):
        raise ConfigError("give either --heads FILE or --all")
    if draws < 0:
        raise ConfigError(f"got {draws} draws, expected none or more; choose 20 or so")
    store = open_store(run)
    known = store.run.get("model") or {}
    source = model or known.get("path") or known.get("name")
    if source is None:
        raise ConfigError(f"{run}: the capture does not say of which model; give --model")
    dataset = InterRVOSDataset(data or (store.run.get("data") or {}).get("path", ""), limit)
    dataset.check_frames()
    loaded = load_model(source, device)
    shape = (loaded.model.config.num_layers, loaded.model.config.num_heads)
    if heads is None:
        pairs = [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
        ablations = (*single_ablations(pairs), *layer_ablations(shape))
    else:
        selection = HeadSelection.load(heads)
        selection.validate(*shape)
        sets = set_ablations(selection.pairs, shape, draws, seed)
        ablations = (*single_ablations(selection.pairs), *sets)
    with progress("silencing heads") as update:
        run_ablation(
            loaded.model,
            loaded.processor,
            dataset,
            out,
            ablations,
            kind.value,
            seed,
            identity=loaded.header,
            resume=resume,
            progress=update,
        )
    results = summarise(out, resamples, seed)
    if json:
        print_json(results.to_json())
        return
    _print(results)
    print(f"effects of every expression in {out}")


def _print(results: "AblationResults") -> None:
    from reports.style import MISSING, count, per_cent, with_interval
    from reviosa.data.records import ROLES
    from workbench.console import print_table

    def points(estimate) -> str:
        if estimate is None or estimate.value is None:
            return MISSING
        ci = estimate.ci and tuple(100 * x for x in estimate.ci)
        return with_interval(100 * estimate.value, ci, 1)

    for role in ROLES:
        whole = results.whole[role]
        if whole.value is None:
            continue
        mine = [e for e in results.effects if e.role == role]
        singles = [e for e in mine if e.group == "single"]
        singles.sort(key=lambda e: -abs(e.change.value or 0.0))
        sets = sorted((e for e in mine if e.group != "single"), key=lambda e: e.k)
        rows = [
            [e.name, str(e.k), points(e.change), points(e.over_random)]
            for e in (*singles[:_SHOWN], *sets)
        ]
        what = "on the other role's object" if results.kind == "role-swap" else "J&F"
        print_table(
            f"{role}: {what} {per_cent(whole.value)}, on the seen frames; {results.kind}",
            ["heads", "number", "change [interval]", "less random sets"],
            rows,
        )
        print(
            f"{count(whole.n, 'expression')} of {count(whole.n_videos, 'video')}; in points; the "
            f"{min(_SHOWN, len(singles))} single pairs of {len(singles)} that change most"
        )
    if results.n_failed:
        print(f"{count(results.n_failed, 'role')} not named by the model, left out")
