"""``reviosa train``."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.commands.options import DATA_HELP, Features, FeaturesLimit, Json

__all__ = ["train"]

_WATCHED = 16
"""Videos on which role attention is recorded as training goes: a look takes as long as a step."""


def train(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Training configuration, YAML.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="A shipped one: configs/train/NAME.yaml."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help=DATA_HELP),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Run directory to write.")
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE", help="Pairs that attention mask loss supervises."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")
    ] = False,
    stop_at: Annotated[
        int | None,
        typer.Option(
            "--stop-at",
            metavar="STEP",
            help="Stop after this step and keep the model as it is then; --resume goes on.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Override a key, for example loss.aml=0.5."),
    ] = None,
    features: Features = None,
    features_limit: FeaturesLimit = 20.0,
    json: Json = False,
) -> None:
    """Train a model."""
    from reviosa.errors import ConfigError
    from reviosa.training.config import TrainConfig
    from workbench.config import load_config, preset_path
    from workbench.console import print_json, progress

    if (config is None) == (preset is None):
        got = "both" if config is not None else "neither"
        raise ConfigError(f"got {got} of --config and --preset, expected one of them")
    path = config if preset is None else preset_path("train", preset)
    options = {"data": data, "out": out, "heads": heads}
    settings = load_config(TrainConfig, path, overrides or (), options)

    from reviosa.training.run import train as run_training
    from workbench.features import open_features, tell_features

    store = open_features(features, features_limit)
    with progress("training") if _leads() else nullcontext(lambda *_: None) as update:
        summary = run_training(
            settings,
            resume=resume,
            progress=lambda step, steps, _: update(step, steps),
            observers=_observers(settings),
            stop_at=stop_at,
            store=store,
        )
    if not _leads():
        return
    tell_features(store)
    losses = {name: value for name, value in summary.losses.items() if "loss" in name}
    if json:
        print_json({"model": str(summary.model), "steps": summary.steps, "losses": losses})
        return
    terms = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    print(f"{summary.steps} steps; {terms}")
    print(f"checkpoint in {summary.model}")


def _leads() -> bool:
    """Whether this is the one process that speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _observers(settings: Any) -> Any:
    """What records role attention while it trains, where the configuration asks for that."""
    if settings.attention_data is None or not _leads():
        return None
    from probes.over_training import RoleAttentionCallback
    from reviosa.data import open_dataset
    from reviosa.training.data import ConversationDataset
    from reviosa.training.log import ATTENTION_FILE

    dataset = open_dataset(settings.attention_data, limit=_WATCHED)
    dataset.require_truth()

    def build(features: Any) -> list[Any]:
        processor = features.processor
        clips = ConversationDataset(
            dataset,
            processor,
            draws=len(dataset.videos),
            num_frames=settings.num_frames,
            expressions=settings.expressions_per_video,
            targets=settings.roles == "both",
            features=features,
        )
        path = settings.out / ATTENTION_FILE
        return [RoleAttentionCallback(clips, processor, path, settings.attention_steps)]

    return build
