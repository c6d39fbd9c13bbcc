"""``reviosa synth``."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.commands.options import Json

__all__ = ["synth"]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    videos: Annotated[
        int | None, typer.Option("--videos", metavar="N", help="Number of videos.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="Seed of the world.")
    ] = None,
    benchmark: Annotated[
        Path | None,
        typer.Option(
            "--benchmark", metavar="FILE", help="Write these splits, each as OUT/<split>."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="NAME", help="Only this one of them.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a synthetic data set in the InterRVOS layout, or all splits of a benchmark."""
    from reviosa.data import InterRVOSDataset
    from reviosa.data.synthetic import write_synthetic
    from reviosa.errors import ConfigError
    from workbench.console import print_json, progress

    if benchmark is not None and (videos, seed) == (None, None):
        _write_benchmark(benchmark, out, split, json)
        return
    if benchmark is not None or split is not None or videos is None or seed is None:
        raise ConfigError(
            "expected either both --videos N and --seed S, or --benchmark FILE with or without "
            "--split NAME; give one of the two"
        )
    with progress("synthetic videos") as update:
        write_synthetic(out, videos, seed, progress=update)
    summary = InterRVOSDataset(out).summary
    if json:
        print_json({"out": str(out), "seed": seed, **summary})
    else:
        print(f"{_counts(summary)} in {out}")


def _counts(summary: dict[str, Any]) -> str:
    return (
        f"{summary['videos']} videos, {summary['expressions']} expressions "
        f"({summary['interactions']} interactions)"
    )


def _write_benchmark(path: Path, out: Path, split: str | None, json: bool) -> None:
    from reviosa.data.synthetic import Benchmark, write_benchmark
    from workbench.config import load_config
    from workbench.console import note, print_json

    benchmark = load_config(Benchmark, path)

    def update(name: str, done: int, total: int) -> None:
        if done == total or done % 100 == 0:
            note(f"{name}: {done} of {total} videos")

    manifest = write_benchmark(benchmark, out, split, update, workers=os.cpu_count() or 1)
    if json:
        print_json(manifest)
        return
    for name, found in manifest["splits"].items():
        print(f"{name}: {_counts(found)}, identity {found['identity']}")
    print(f"benchmark {manifest['name']}, identity {manifest['identity']}, in {out}")
