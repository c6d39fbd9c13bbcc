"""``reviosa ablate``: what heads cause, by silencing them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import (
    Address,
    CapturedData,
    CapturedModel,
    Cpus,
    Device,
    EngineOption,
    Gpus,
    Json,
    Limit,
    NewRun,
    Resamples,
    Resume,
    Run,
    Seed,
    Shard,
    Slurm,
    Workers,
)
from workbench.executors import Engine

if TYPE_CHECKING:
    from probes.bootstrap import Estimate
    from probes.causal import Ablation, AblationResults
    from reviosa.heads import HeadSelection

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
    least: Annotated[
        Path | None,
        typer.Option(
            "--least",
            metavar="FILE",
            help="With --heads: pairs from the other end, as select --strategy bottom-pairs "
            "writes them; the first k for every k.",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="With --heads: also keep the first k and silence all others, of every layer.",
        ),
    ] = False,
    subsets: Annotated[
        int,
        typer.Option(
            "--subsets",
            metavar="N",
            help="Random subsets of all heads, and a linear model of what each head costs in them; "
            "several for each head.",
        ),
    ] = 0,
    rate: Annotated[
        float,
        typer.Option(
            "--rate", metavar="R", help="How likely a head is silenced in one of the subsets."
        ),
    ] = 0.5,
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", help="Random sets of the same layers for every k."),
    ] = 20,
    model: CapturedModel = None,
    data: CapturedData = None,
    limit: Limit = None,
    resume: Resume = False,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    engine: EngineOption = Engine.local,
    address: Address = None,
    slurm: Slurm = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    shard: Shard = None,
    json: Json = False,
) -> None:
    """Silence heads of a captured model at the role tokens and score its masks again."""
    from probes.causal import ablate as run_ablation
    from probes.shards import join_ablations
    from reviosa.errors import ConfigError
    from workbench.commands.analysis import open_store
    from workbench.console import progress
    from workbench.datasets import captured_data
    from workbench.executors.shards import asked_places, parse_shard, run_shards
    from workbench.models import load_captured

    if (every and heads) or not (every or heads or subsets):
        raise ConfigError("give either --heads FILE or --all, or --subsets N with or without them")
    if heads is None and (keep or least):
        raise ConfigError("--keep and --least go with --heads FILE, whose pairs they are beside")
    if draws < 0:
        raise ConfigError(f"got {draws} draws, expected none or more; choose 20 or so")
    part = parse_shard(shard)
    places = asked_places(workers, engine, address, slurm, cpus, gpus, part)
    if places is not None:
        command = [
            "ablate", str(run), "--kind", kind.value, "--subsets", str(subsets),
            "--rate", str(rate), "--draws", str(draws), "--seed", str(seed), "--device", device,
            *(["--heads", str(heads)] if heads is not None else []),
            *(["--all"] if every else []), *(["--keep"] if keep else []),
            *(["--least", str(least)] if least is not None else []),
            *(["--model", model] if model is not None else []),
            *(["--data", str(data)] if data is not None else []),
            *(["--limit", str(limit)] if limit is not None else []),
        ]  # fmt: skip
        open_store(run)
        run_shards(command, out, join_ablations, places, resume)
        _report(out, resamples, seed, json)
        return
    store = open_store(run)
    dataset = captured_data(store.run, run, data, limit)
    loaded = load_captured(run, store.run, model, device)
    shape = (loaded.model.config.num_layers, loaded.model.config.num_heads)
    chosen, worst = (_selection(path, shape) for path in (heads, least))
    ablations = _plan(shape, chosen, every, worst, keep, subsets, rate, draws, seed)
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
            chosen=chosen,
            gathering=lambda done, total: update(done, total, "recording what others write"),
            shard=part,
        )
    if part is None:
        _report(out, resamples, seed, json)


def _report(out: Path, resamples: int, seed: int, json: bool) -> None:
    from probes.causal import summarise
    from workbench.console import print_json

    results = summarise(out, resamples, seed)
    if json:
        print_json(results.to_json())
        return
    _print(results)
    print(f"effects of every expression in {out}")


def _selection(path: Path | None, shape: tuple[int, int]) -> "HeadSelection | None":
    from reviosa.heads import HeadSelection

    if path is None:
        return None
    selection = HeadSelection.load(path)
    selection.validate(*shape)
    return selection


def _plan(
    shape: tuple[int, int],
    heads: "HeadSelection | None",
    every: bool,
    least: "HeadSelection | None",
    keep: bool,
    subsets: int,
    rate: float,
    draws: int,
    seed: int,
) -> "tuple[Ablation, ...]":
    from probes.causal import (
        keep_ablations,
        layer_ablations,
        set_ablations,
        single_ablations,
        subset_ablations,
    )

    plan: list[Ablation] = []
    if every:
        pairs = [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
        plan += (*single_ablations(pairs), *layer_ablations(shape))
    if heads:
        plan += single_ablations(heads.pairs)
        plan += set_ablations(heads.pairs, shape, draws, seed, least.pairs if least else ())
        if keep:
            plan += keep_ablations(heads.pairs, shape, draws, seed)
    if subsets:
        plan += subset_ablations(shape, subsets, rate, seed)
    return tuple(plan)


def _print(results: "AblationResults") -> None:
    from reports.style import MISSING, count, number, pair_label, per_cent, with_interval
    from reviosa.data.records import ROLES
    from workbench.console import print_table

    def points(estimate: "Estimate | None") -> str:
        if estimate is None or estimate.value is None:
            return MISSING
        low_high = estimate.ci and (100 * estimate.ci[0], 100 * estimate.ci[1])
        return with_interval(100 * estimate.value, low_high, 1)

    models = {model.role: model for model in results.subsets}
    for role in ROLES:
        whole = results.whole[role]
        if whole.value is None:
            continue
        mine = [e for e in results.effects if e.role == role]
        singles = [e for e in mine if e.group == "single"]
        singles.sort(key=lambda e: -abs(e.change.value or 0.0))
        sets = sorted(
            (e for e in mine if e.group != "single"), key=lambda e: ("kept" in e.group, e.k)
        )
        rows = [
            [
                e.name,
                str(e.k),
                points(e.change),
                points(e.over_random),
                f"{per_cent(e.random_below, 0)}" if e.random_below is not None else MISSING,
            ]
            for e in (*singles[:_SHOWN], *sets)
        ]
        what = "on the other role's object" if results.kind == "role-swap" else "J&F"
        title = f"{role}: {what} {per_cent(whole.value)}, on the seen frames; {results.kind}"
        counted = f"{count(whole.n, 'expression')} of {count(whole.n_videos, 'video')}; in points"
        if rows:
            header = [
                "heads", "number", "change [interval]", "less random sets", "% of them below",
            ]  # fmt: skip
            print_table(title, header, rows)
            print(
                f"{counted}; the {min(_SHOWN, len(singles))} single pairs of {len(singles)} that "
                "change most"
            )
        if role in models:
            found = models[role]
            ordered = sorted(found.effects, key=lambda e: -abs(e.effect.value or 0.0))
            print_table(
                f"{role}: {count(found.n_subsets, 'subset')}, {per_cent(found.rate, 0)} % silenced",
                ["head", "effect beside others [interval]"],
                [[pair_label(e.layer, e.head), points(e.effect)] for e in ordered[:_SHOWN]],
            )
            r2 = found.r2.reason or with_interval(found.r2.value, found.r2.ci, 2)
            print(
                f"{counted}; the {min(_SHOWN, len(ordered))} heads of {len(ordered)} with the "
                f"largest effect. R2 on subsets left out: {r2}; the mean subset changes "
                f"{points(found.mean)}; the ridge penalty leaves {number(found.kept, 2)} of an "
                "effect"
            )
            if found.note:
                print(f"mind: {found.note}")
    if results.n_failed:
        print(f"{count(results.n_failed, 'role')} not named by the model, left out")
