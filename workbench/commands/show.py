"""``reviosa report`` and ``reviosa dashboard``."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.commands.options import Json, Resamples, Run, Seed

__all__ = ["dashboard", "report"]

_APP = Path(__file__).resolve().parent.parent.parent / "streamlit_app.py"


def report(
    run: Run,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.html", help="Document to write.")
    ],
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write the tables as CSV files."),
    ] = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write one self-contained HTML report of a capture run."""
    from probes.analysis import analyse
    from reports.tables import write_csv
    from workbench.commands.analysis import open_store
    from workbench.console import print_json, progress
    from workbench.reporting import make_report

    store = open_store(run)
    with progress("analysis"):
        results = analyse(store, resamples, seed)
    with progress("report"):
        make_report(store, results, out, command=f"reviosa report {run} -o {out}")
        if csv is not None:
            write_csv(results, csv)
    if json:
        print_json(results.to_json())
    else:
        print(f"report in {out}")


def dashboard(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="Folder with run directories.")
    ] = Path("runs"),
    port: Annotated[int, typer.Option("--port", help="Port on this machine.")] = 8501,
) -> None:
    """Open the dashboard on a folder of runs."""
    from reviosa.errors import RunError

    if not runs.is_dir():
        raise RunError(f"{runs}: got no folder there, expected one with runs; try: reviosa demo")
    if not _APP.is_file():
        raise RunError(f"{_APP} is missing; install the project again")
    options = {
        # Runs may be confidential: only this machine is served, and nothing is reported.
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
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
