"""Make the nano model's halves: ``python -m reviosa.training.nano --data DATA --out OUT``.

Each stage writes ``OUT/<stage>`` and is skipped when it is there; a stage that was stopped goes on.
"""

import argparse
import sys
import warnings
from pathlib import Path

from reviosa.errors import ReviosaError
from reviosa.training.nano import STAGES, run_stage

# The steps and starting points of the shipped model.
STEPS = {"see": 900, "segment": 1100, "read": 1400, "bind": 1000}
STARTS = {"read": ("see",), "bind": ("read", "segment")}


def main() -> int:
    """Run the stages that are asked for, in order; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reviosa.training.nano", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="set made by `reviosa synth`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the recipe")
    parser.add_argument("--stage", choices=STAGES, action="append", help="default: all, in order")
    parser.add_argument("--steps", type=int, help="in place of the recipe's number")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # Its torchvision and SAM2 warn at import of things that nothing here uses.
    warnings.filterwarnings("ignore")
    try:
        for name in arguments.stage or STAGES:
            if (arguments.out / name / "scores.json").is_file():
                print(f"{name}: done already")
                continue
            run_stage(
                name,
                arguments.data,
                arguments.out,
                arguments.steps or STEPS[name],
                seed=arguments.seed,
                start_from=tuple(arguments.out / s for s in STARTS.get(name, ())),
            )
    except ReviosaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last save", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
