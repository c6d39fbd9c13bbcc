"""``reviosa sweep``: many trainings with one thing changed, each evaluated."""

import os
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Json

__all__ = ["sweep"]


def sweep(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Sweep file, YAML.", show_default=False)
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="RUNS", help="Folder of runs; sweeps in it share trials."),
    ] = Path("runs"),
    list_only: Annotated[
        bool, typer.Option("--list", help="Show the trials and their status; run nothing.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of sweep files, for editors.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Trials at a time.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Override a key, for example report_videos=20."),
    ] = None,
    json: Json = False,
) -> None:
    """Run the trials of a sweep file; those that are done are not done again."""
    from reviosa.errors import ConfigError
    from workbench.console import note, print_json, print_table
    from workbench.sweeps.load import load_sweep
    from workbench.sweeps.plan import plan_trials
    from workbench.sweeps.run import run_sweep, trial_state
    from workbench.sweeps.schema import sweep_schema

    if schema:
        print_json(sweep_schema())
        return
    if file is None:
        raise ConfigError("got no FILE, expected a sweep file; configs/sweeps has some")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}; give at least 1")
    config = load_sweep(file, overrides or ())
    if list_only:
        states = [trial_state(trial, out) for trial in plan_trials(config)]
    else:
        states = run_sweep(config, out, workers or min(2, os.cpu_count() or 1), note)
    rows = [
        {"id": s.trial.id, "arm": s.trial.arm, "seed": s.trial.seed, "status": s.status}
        for s in states
    ]
    if json:
        print_json({"trials": rows})
    else:
        cells = [[str(value) for value in row.values()] for row in rows]
        print_table(f"Sweep {config.name}", ["trial", "arm", "seed", "status"], cells)
    if not list_only and any(s.status != "done" for s in states):
        raise typer.Exit(1)
