"""``reviosa convert``: published weights in, ours out."""

from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Json, Seed

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Folder of InternVL-2.5, Sa2VA or ReVIOSa as published, or a training checkpoint "
            "of the authors' code; with --to, a checkpoint of ours.",
        ),
    ],
    destination: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder to make; a file for sam2 and training.")
    ],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="LAYOUT",
            help="Write a checkpoint of ours as internvl, sa2va, reviosa, sam2 or training.",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base", metavar="DIR", help="InternVL-2.5 that a training checkpoint started from."
        ),
    ] = None,
    sam2: Annotated[
        Path | None,
        typer.Option(
            "--sam2", metavar="FILE", help="SAM2's .pt, for InternVL and training checkpoints."
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="NAME",
            help="Chat template of the weights, qwen_chat or phi3_chat, where they do not say.",
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="Leave out unknown tensors; draw missing and misshapen ones at random.",
        ),
    ] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Convert published weights to a checkpoint of ours, or ours to a published layout.

    Nothing in SRC is executed: .pt and .pth files are read for their tensors alone.
    """
    from dataclasses import asdict

    from reviosa.conversion import convert as convert_in
    from reviosa.conversion import export
    from reviosa.errors import ConfigError, DataError
    from workbench.console import note, print_json

    if destination.exists():
        raise DataError(
            f"{destination}: got a path that exists, expected a new one; choose another"
        )
    if to is not None:
        if base is not None or sam2 is not None or template is not None or partial:
            raise ConfigError(
                "got --to with --base, --sam2, --template or --partial, which are for weights "
                "that come in; leave them out"
            )
        count = export(source, destination, to)
        if json:
            print_json({"layout": to, "tensors": count, "out": str(destination)})
        else:
            print(f"{count} tensors written to {destination} in the layout {to}")
        return
    done = convert_in(
        source,
        destination,
        base=base,
        sam2=sam2,
        template=template,
        partial=partial,
        seed=seed,
    )
    if json:
        print_json({**asdict(done), "out": str(destination)})
        return
    for what, keys in (
        ("left out, as ReVIOSa has no place for them", done.unknown),
        ("drawn at random, as the source lacks them", done.missing),
        ("drawn at random, as their shapes differ", done.misshapen),
    ):
        if keys:
            note(f"{what}: {', '.join(keys)}")
    print(f"{done.tensors} tensors, {done.parameters:,} numbers, from the layout {done.layout}")
    if done.fresh:
        print(f"new and untrained: {', '.join(done.fresh)}")
    print(f"checkpoint in {destination}")
