"""Make and examine the nano model.

``python -m reviosa.training.nano make --recipe FILE --data DATA --out OUT`` runs the stages of a
recipe; each writes ``OUT/<stage>`` and its scores there, is skipped when it is done, and goes on
when it was stopped. ``... exam --model M --benchmark DIR --out FILE`` asks a model what it must be
able to do, and fails where it cannot. ``... ship --model M --out DIR`` writes a checkpoint in half
precision, as the one in the package is.
"""

import argparse
import sys
import warnings
from pathlib import Path

from reviosa.errors import ReviosaError


def main() -> int:
    """Run one of the commands; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reviosa.training.nano",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="run the stages of a recipe")
    make.add_argument("--recipe", type=Path, required=True, help="YAML file with the stages")
    make.add_argument("--data", type=Path, required=True, help="synthetic set to learn from")
    make.add_argument("--out", type=Path, required=True, help="folder of the stages")
    exam = commands.add_parser("exam", help="examine a model on a benchmark")
    exam.add_argument("--model", required=True, help="nano, or the folder of a checkpoint")
    exam.add_argument("--benchmark", type=Path, required=True, help="folder of the benchmark")
    exam.add_argument("--out", type=Path, required=True, help="JSON file to write")
    exam.add_argument("--limit", type=int, help="only so many videos of each split")
    ship = commands.add_parser("ship", help="write a checkpoint in half precision")
    ship.add_argument("--model", required=True, help="folder of a checkpoint")
    ship.add_argument("--out", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    # Its torchvision and SAM2 warn at import of things that nothing here uses.
    warnings.filterwarnings("ignore")
    try:
        return {"make": _make, "exam": _exam, "ship": _ship}[arguments.command](arguments)
    except ReviosaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last save", file=sys.stderr)
        return 130


def _make(arguments: argparse.Namespace) -> int:
    from reviosa.training.nano.recipe import Recipe, run_recipe

    recipe = Recipe.load(arguments.recipe)
    last = run_recipe(recipe, arguments.data, arguments.out, lambda x: print(x, flush=True))
    print(f"the bound model lies in {last}")
    return 0


def _exam(arguments: argparse.Namespace) -> int:
    from reviosa.inference import Segmenter
    from reviosa.model import load, model_identity
    from reviosa.training.nano.exam import run_exam

    model, processor = load(arguments.model)

    def tell(part: str, done: int, total: int) -> None:
        if done == total or done % 20 == 0:
            print(f"{part}: {done} of {total} videos", file=sys.stderr, flush=True)

    result = run_exam(
        Segmenter(model, processor),
        arguments.benchmark,
        arguments.out,
        model_identity(arguments.model),
        arguments.limit,
        tell,
    )
    for verdict in result["verdicts"]:
        mark = "reached" if verdict["reached"] else "MISSED"
        value = "no data" if verdict["value"] is None else f"{verdict['value']:.2f}"
        print(f"{mark:8} {value:>7} (at least {verdict['least']:g})  {verdict['name']}")
    return 0 if all(verdict["reached"] for verdict in result["verdicts"]) else 1


def _ship(arguments: argparse.Namespace) -> int:
    import torch

    from reviosa.errors import CheckpointError
    from reviosa.model import load, save

    model, processor = load(arguments.model, device="cpu")
    if arguments.out.exists():
        raise CheckpointError(f"{arguments.out}: got a path that exists; choose a new folder")
    save(model, processor, arguments.out, torch.float16)
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
