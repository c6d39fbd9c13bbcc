"""``reviosa synth``."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Json, Seed

__all__ = ["synth"]


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    videos: Annotated[int, typer.Option("--videos", metavar="N", help="Number of videos.")],
    seed: Seed,
    json: Json = False,
) -> None:
    """Write a synthetic data set in the InterRVOS layout."""
    from reviosa.data import InterRVOSDataset
    from reviosa.data.synthetic import write_synthetic
    from workbench.console import print_json, progress

    with progress("synthetic videos") as update:
        write_synthetic(out, videos, seed, progress=update)
    dataset = InterRVOSDataset(out)
    result = {
        "out": str(out),
        "videos": len(dataset.videos),
        "expressions": len(dataset.samples),
        "interactions": len(dataset.interactions),
        "seed": seed,
        "identity": dataset.identity,
    }
    if json:
        print_json(result)
    else:
        print(
            f"{result['videos']} videos, {result['expressions']} expressions "
            f"({result['interactions']} interactions) in {out}"
        )
