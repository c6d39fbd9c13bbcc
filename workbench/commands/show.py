"""``reviosa report`` and ``reviosa dashboard``."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Json, Resamples, Seed

if TYPE_CHECKING:
    from probes.report import ReportResults

__all__ = ["dashboard", "report"]

_APP = Path(__file__).resolve().parent.parent.parent / "streamlit_app.py"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Captures, ablations, lens and probe runs over their models, and sweeps "
            "(RUNS/sweeps/NAME); or the .json of an earlier report in place of its runs.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Document to write, .html or .md. Its numbers go beside it: NAME.json, or "
            "NAME/results.json of a .md page.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="DIR",
            help="Also make a folder of the captures' main views that any web server can host.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write the tables as CSV files."),
    ] = None,
    heading: Annotated[
        str | None, typer.Option("--heading", metavar="TEXT", help="Title of the document.")
    ] = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a report on runs: one self-contained HTML file, or a page in Markdown."""
    from reports.csv_files import write_csv
    from reviosa.errors import ConfigError
    from workbench.bundle import require_new, write_bundle
    from workbench.console import print_json, progress
    from workbench.reporting import gather, record_path, report_command, write_report

    if out is None and bundle is None:
        raise ConfigError(
            "got nothing to write; name a document with -o, or a folder with --bundle"
        )
    # Says so at once where the ending is none that a report has.
    if bundle is not None:
        require_new(bundle)
    size = None
    record = None if out is None else record_path(out)
    results = _earlier(runs)
    if results is None:
        suffix = ".html" if out is None else out.suffix
        command = report_command(runs, suffix, heading, resamples, seed)
        with progress("analysis"):
            results = gather(runs, command, heading, resamples, seed)
    with progress("report"):
        if out is not None:
            write_report(results, out)
        if bundle is not None:
            size = write_bundle(results, runs, bundle)
        if csv is not None:
            write_csv(results, csv)
    if json:
        print_json(results.to_json())
        return
    for claim in results.study.claims if results.study and results.study.sweeps else ():
        print(f"{claim.verdict:14}  {claim.says} ({claim.source})")
    if out is not None:
        print(f"report in {out}, its numbers in {record}")
    if size is not None:
        print(
            f"bundle in {bundle}, {size.files:,} files of {size.bytes / 2**20:.1f} MB; to look at "
            f"it: python -m http.server -d {shlex.quote(str(bundle))}"
        )


def _earlier(runs: list[Path]) -> "ReportResults | None":
    """The record of an earlier report, where that was given in place of runs."""
    from probes.report import ReportResults
    from reviosa.errors import ConfigError

    files = [run for run in runs if run.suffix == ".json"]
    if not files:
        return None
    if len(runs) > 1:
        raise ConfigError(
            f"{files[0]}: got it beside {len(runs) - 1} others, expected the record of a report "
            "alone; give either the record or its runs"
        )
    return ReportResults.load(files[0])


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
