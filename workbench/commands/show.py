"""``reviosa report`` and ``reviosa dashboard``."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Json, Resamples, Seed

__all__ = ["dashboard", "report"]

_APP = Path(__file__).resolve().parent.parent.parent / "streamlit_app.py"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Capture runs, ablations of them, and sweeps (RUNS/sweeps/NAME).",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Document to write: .html of one capture run and its ablations; .md of sweeps "
            "and captures.",
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write the tables as CSV files."),
    ] = None,
    heading: Annotated[
        str, typer.Option("--heading", metavar="TEXT", help="First line of a .md page.")
    ] = "Results",
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a report: one self-contained HTML of a capture, or a results page of several runs."""
    from reviosa.errors import ConfigError

    command = f"reviosa report {shlex.join(str(run) for run in runs)} -o {shlex.quote(str(out))}"
    if out.suffix == ".md":
        if csv is not None:
            raise ConfigError("--csv goes with an .html report; a .md page has its results.json")
        command += f" --heading {shlex.quote(heading)} --resamples {resamples} --seed {seed}"
        _study(runs, out, command, heading, resamples, seed, json)
        return
    from probes.beside import BESIDE, read_beside, run_kind
    from probes.sweeps import SWEEP_FILE
    from reviosa.run_record import read_run

    others = [run for run in runs if run_kind(run) in BESIDE]
    captured = [run for run in runs if run not in others]
    if len(captured) != 1 or (captured[0] / SWEEP_FILE).is_file():
        for run in captured:
            read_run(run)  # says what is wrong where it is no run at all
        raise ConfigError(
            f"{out}: got {len(captured)} runs that are no ablation, lens or probe, expected one "
            "capture; several, or a sweep, make a page in Markdown, end it on .md"
        )
    from probes._json import plain
    from probes.analysis import analyse
    from reports.csv_files import write_csv
    from workbench.commands.analysis import open_store
    from workbench.console import print_json, progress
    from workbench.reporting import make_report

    store = open_store(captured[0])
    with progress("analysis"):
        results = analyse(store, resamples, seed)
        beside = read_beside(store, others, resamples, seed)
    with progress("report"):
        make_report(store, results, out, command, beside)
        if csv is not None:
            write_csv(results, csv, beside)
    if json:
        print_json({**results.to_json(), "beside": plain(beside)})
    else:
        print(f"report in {out}")


def _study(
    runs: list[Path], out: Path, command: str, heading: str, resamples: int, seed: int, json: bool
) -> None:
    from probes.analysis import analyse
    from probes.study import study_runs
    from probes.sweeps import SWEEP_FILE, read_sweep
    from reports.study import write_study
    from workbench.commands.analysis import open_store
    from workbench.console import note, print_json, progress

    with progress("analysis"):
        sweeps = [read_sweep(run) for run in runs if (run / SWEEP_FILE).is_file()]
        captures = [
            analyse(open_store(run), resamples, seed)
            for run in runs
            if not (run / SWEEP_FILE).is_file()
        ]
        results = study_runs(sweeps, captures, resamples, seed)
    write_study(results, out, command, heading)
    for problem in (p for sweep in sweeps for p in sweep.problems):
        note(f"mind: {problem}")
    if json:
        print_json(results.to_json())
        return
    for claim in results.claims:
        print(f"{claim.verdict:14}  {claim.says} ({claim.source})")
    print(f"page in {out}")


def dashboard(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="Folder with run directories.")
    ] = Path("runs"),
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 8501,
) -> None:
    """Open the dashboard on a folder of runs."""
    from reviosa.errors import RunError
    from workbench.uploads import MAX_MB

    if not runs.is_dir():
        raise RunError(f"{runs}: got no folder there, expected one with runs; try: reviosa demo")
    if not _APP.is_file():
        raise RunError(f"{_APP} is missing; install the project again")
    options = {
        # Runs may be confidential: only this machine is served, and nothing is reported.
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "server.maxUploadSize": str(MAX_MB),
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "streamlit", "run", str(_APP), *flags, "--", str(runs)]
    try:
        code = subprocess.call(command)
    except KeyboardInterrupt:
        return
    if code:
        raise typer.Exit(code)
