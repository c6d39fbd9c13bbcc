"""``reviosa capture``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import (
    Address,
    Cpus,
    Data,
    Device,
    EngineOption,
    Features,
    FeaturesLimit,
    Frames,
    Gpus,
    Json,
    Limit,
    Model,
    NewRun,
    Resume,
    Shard,
    Slurm,
    Workers,
)
from workbench.executors import Engine

__all__ = ["capture"]


class Maps(StrEnum):
    """Which attention maps are kept beside the numbers."""

    none = "none"
    selected = "selected"
    all = "all"


def capture(
    data: Data,
    out: NewRun,
    model: Model = "nano",
    maps: Annotated[
        Maps, typer.Option("--maps", help="Attention maps to keep; the numbers are kept for all.")
    ] = Maps.selected,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE", help="Heads file: the pairs whose maps are kept."),
    ] = None,
    resume: Resume = False,
    gradients: Annotated[
        bool,
        typer.Option(
            "--gradients/--no-gradients",
            help="Also take the gradient of the mask loss at every head: five criteria need it.",
        ),
    ] = True,
    shuffle: Annotated[
        int | None,
        typer.Option(
            "--shuffle-weights",
            metavar="SEED",
            help="Shuffle the weights of the language model's layers first: what a model that has "
            "learned nothing looks at, to compare with.",
        ),
    ] = None,
    limit: Limit = None,
    frames: Frames = None,
    features: Features = None,
    features_limit: FeaturesLimit = 20.0,
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
    """Run a model over a data set and record what its role tokens look at."""
    from probes.capture import capture as run_capture
    from probes.shards import join_captures
    from reviosa.data import open_dataset
    from reviosa.heads import HeadSelection
    from workbench.console import note, progress
    from workbench.executors.shards import asked_places, parse_shard, run_shards
    from workbench.features import open_features, tell_features
    from workbench.models import load_model

    part = parse_shard(shard)
    selection = HeadSelection.load(heads) if heads is not None else None
    dataset = open_dataset(data, limit)
    dataset.require_truth()
    dataset.check_frames()
    places = asked_places(workers, engine, address, slurm, cpus, gpus, part)
    if places is not None:
        command = [
            "capture", "--data", str(data), "--model", model, "--maps", maps.value,
            "--device", device, "--gradients" if gradients else "--no-gradients",
            *(["--heads", str(heads)] if heads is not None else []),
            *(["--shuffle-weights", str(shuffle)] if shuffle is not None else []),
            *(["--limit", str(limit)] if limit is not None else []),
            *(["--frames", frames.value] if frames is not None else []),
            *(["--features", str(features)] if features is not None else []),
            "--features-limit", str(features_limit),
        ]  # fmt: skip
        run_shards(command, out, join_captures, places, resume)
        _analyse(out)
        _print(out, len(dataset.samples), json)
        return
    loaded = load_model(model, device, frames, shuffle)
    store = open_features(features, features_limit)
    with progress("capturing") as update:
        summary = run_capture(
            loaded.model,
            loaded.processor,
            dataset,
            out,
            maps=maps.value,
            heads=selection,
            identity=loaded.header,
            resume=resume,
            progress=update,
            gradients=gradients,
            shard=part,
            store=store,
        )
    tell_features(store)
    if part is None:
        _analyse(out)
    if maps is Maps.selected and selection is None and not loaded.model.config.aml_pairs:
        note("no attention maps were kept: the model names no supervised pairs; give --heads FILE")
    _print(out, summary.samples, json)


def _analyse(out: Path) -> None:
    """Leave what pages show, so that they open at once however large the capture is."""
    from probes.analysis import analyse
    from probes.store import CaptureStore
    from workbench.console import progress

    with progress("analysis"):
        analyse(CaptureStore(out)).save(out / "analysis.json")


def _print(out: Path, samples: int, json: bool) -> None:
    from workbench.console import print_json

    if json:
        print_json({"out": str(out), "samples": samples})
    else:
        print(f"{samples} expressions captured in {out}")
