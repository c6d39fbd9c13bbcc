"""``reviosa sweep``: many trainings with one thing changed, each evaluated."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Address, EngineOption, FeaturesLimit, Json, Slurm
from workbench.executors import Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.answer import SweepAnswer
    from workbench.sweeps.config import SweepConfig
    from workbench.sweeps.trials import TrialState

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
    engine: EngineOption = Engine.local,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of sweep files, for editors.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Trials at a time.")
    ] = None,
    address: Address = None,
    slurm: Slurm = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again what failed before.")
    ] = False,
    features: Annotated[
        bool,
        typer.Option(
            "--features/--no-features",
            help="Keep what the frozen image encoders make of a frame in RUNS/features, for all "
            "trials; the results are the same to the bit.",
        ),
    ] = True,
    features_limit: FeaturesLimit = 20.0,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Override a key, for example report_videos=20."),
    ] = None,
    json: Json = False,
) -> None:
    """Run the trials of a sweep file; those that are done are not done again."""
    from reviosa.errors import ConfigError
    from workbench.console import print_json
    from workbench.executors import open_executor
    from workbench.executors.engines import sbatch_options
    from workbench.sweeps.answer import finish, print_answer
    from workbench.sweeps.halving import cut_arms
    from workbench.sweeps.load import load_sweep
    from workbench.sweeps.plan import plan_trials
    from workbench.sweeps.run import Resources, run_sweep
    from workbench.sweeps.schema import sweep_schema
    from workbench.sweeps.trials import trial_state
    from workbench.sweeps.view import open_view

    if schema:
        print_json(sweep_schema())
        return
    if file is None:
        raise ConfigError("got no FILE, expected a sweep file; configs/sweeps has some")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers}; give at least 1")
    options = sbatch_options(slurm)
    config = load_sweep(file, overrides or ())
    if list_only:
        cut = cut_arms(out / "sweeps" / config.name)
        states = [trial_state(trial, out) for trial in plan_trials(config)]
        states = [
            replace(s, status="cut") if s.trial.arm in cut and s.status != "done" else s
            for s in states
        ]
        _print(config, states, None, json)
        return
    limits = config.limits
    folder = out / "sweeps" / config.name
    with (
        open_executor(engine, folder, workers, address, options, limits.cpus, limits.gpus) as (
            executor,
            cpus,
            gpus,
        ),
        open_view() as view,
    ):
        resources = Resources(cpus, gpus, limits.minutes, limits.memory_gb)
        cache = ("--features", str(out / "features"), "--features-limit", str(features_limit))
        states = run_sweep(
            config, out, executor, resources, view, retry_failed, cache if features else ()
        )
    answer = finish(out, config.name)
    _print(config, states, answer, json)
    if not json:
        print_answer(folder, answer)
    if any(state.status not in ("done", "cut") for state in states):
        raise typer.Exit(1)


def _print(
    config: "SweepConfig", states: "Sequence[TrialState]", answer: "SweepAnswer | None", json: bool
) -> None:
    from workbench.console import print_json, print_table

    rows = [
        {"id": s.trial.id, "arm": s.trial.arm, "seed": s.trial.seed, "status": s.status,
         "reason": s.reason}
        for s in states
    ]  # fmt: skip
    if json:
        print_json({"trials": rows, **({} if answer is None else {"answer": answer.to_json()})})
        return
    if answer is not None:
        # What is done is in the answer; here stand the others.
        rows = [row for row in rows if row["status"] != "done"]
    if not rows:
        return
    shown = [key for key in rows[0] if key != "reason" or any(row["reason"] for row in rows)]
    cells = [[str(row[key]) for key in shown] for row in rows]
    print_table(f"Sweep {config.name}", ["trial", *shown[1:]], cells)
