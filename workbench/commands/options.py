"""Options that several commands share, so that they read alike everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.executors import Engine

__all__ = [
    "DATA_HELP",
    "Address",
    "CapturedData",
    "CapturedModel",
    "Cpus",
    "Data",
    "Device",
    "EngineOption",
    "Features",
    "FeaturesLimit",
    "Frames",
    "Gpus",
    "Json",
    "Limit",
    "Model",
    "NewRun",
    "Resamples",
    "Resume",
    "Role",
    "Run",
    "Seed",
    "Shard",
    "Slurm",
    "Workers",
]

CapturedData = Annotated[
    Path | None, typer.Option("--data", metavar="PATH", help="Other data than was captured.")
]
CapturedModel = Annotated[
    str | None,
    typer.Option("--model", metavar="M", help="The captured model, where it has moved."),
]
DATA_HELP = (
    "Data set: the folder of a split in any published layout, or a YAML file that mixes some "
    "(docs/data.md)."
)
Data = Annotated[Path, typer.Option("--data", metavar="PATH", help=DATA_HELP)]
Device = Annotated[
    str,
    typer.Option("--device", help="auto, cpu, cuda or cuda:N; auto takes a GPU if there is one."),
]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="DIR",
        help="Keep what the frozen image encoders make of each frame there, and read it where it "
        "is known; runs may share the folder. No result depends on it.",
    ),
]
FeaturesLimit = Annotated[
    float,
    typer.Option(
        "--features-limit",
        metavar="GB",
        min=0.0,
        help="Size of that folder; what was not used for longest goes first.",
    ),
]


class FrameSampling(StrEnum):
    """Which frames of a video the language model sees."""

    uniform = "uniform"
    first = "first"


Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help="A Ray cluster; one of this machine without."
    ),
]
EngineOption = Annotated[
    Engine, typer.Option("--engine", help="Where processes run: here, on Ray, or under SLURM.")
]
Slurm = Annotated[
    list[str] | None,
    typer.Option("--slurm", metavar="K=V", help="An option of sbatch, for example partition=gpu."),
]
Cpus = Annotated[
    int | None, typer.Option("--cpus", metavar="N", min=1, help="Threads of each part.")
]
Gpus = Annotated[
    float | None,
    typer.Option("--gpus", metavar="N", min=0, max=1, help="GPU, or share of one, of each part."),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Do this part alone, from 0; --workers joins its parts."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Do it in N parts, each in a process of its own."),
]
Frames = Annotated[
    FrameSampling | None,
    typer.Option(
        "--frames",
        help="Which frames the language model sees: spread over the video, or the first ones, as "
        "the released code does. The checkpoint says where this is not given.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON to stdout.")]
Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", help="Use the first N videos only.")
]
Model = Annotated[
    str, typer.Option("--model", metavar="M", help="nano (shipped) or the folder of a checkpoint.")
]
NewRun = Annotated[
    Path, typer.Option("--out", metavar="RUN", help="Run directory to write; new or empty.")
]
Resamples = Annotated[
    int, typer.Option("--resamples", metavar="N", help="Bootstrap draws over videos.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")]
Role = Annotated[
    str, typer.Option("--role", metavar="act|tar|both", help="Whose role token is looked at.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a capture run.")]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Seed of all random numbers.")]
