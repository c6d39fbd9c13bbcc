"""``reviosa report`` and ``reviosa dashboard``."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Json, Resamples, Seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probes.conditions import Condition
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
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", metavar="FILE", help="Also write it as PDF (extra: pdf)."),
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option(
            "--latex",
            metavar="DIR",
            help="Also write its tables and figures for a paper in LaTeX.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="Also write the tables as CSV files."),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            "--check",
            metavar="CONDITION",
            help="Exit 1 where a number of the report does not hold it, such as 'actor.jf>=70'; "
            "may be given several times.",
        ),
    ] = None,
    heading: Annotated[
        str | None, typer.Option("--heading", metavar="TEXT", help="Title of the document.")
    ] = None,
    resamples: Resamples = 2000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a report on runs: one self-contained HTML file, or a page in Markdown."""
    from probes.conditions import check as check_conditions
    from probes.conditions import parse_condition
    from reports.claims import stated_in
    from reports.csv_files import write_csv
    from workbench.console import print_json, progress
    from workbench.reporting import gather, report_command, write_report

    conditions = [parse_condition(text) for text in check or ()]
    _require_forms(out, pdf, latex, csv, bundle, conditions)
    results = _earlier(runs)
    if results is None:
        command = report_command(runs, out.suffix if out else ".html", heading, resamples, seed)
        with progress("analysis"):
            results = gather(runs, command, heading, resamples, seed)
    # A name that is not there is said before anything is written.
    outcomes = check_conditions(results, conditions)
    record = None
    written = [str(path) for path in (out, pdf, latex, csv) if path is not None]
    if written:
        with progress("report"):
            record = write_report(results, out, pdf, latex)
            if csv is not None:
                write_csv(results, csv)
    if bundle is not None:
        from workbench.bundle import write_bundle

        with progress("bundle"):
            size = write_bundle(results, runs, bundle)
        if not json:
            print(
                f"bundle in {bundle}, {size.files:,} files of {size.bytes / 2**20:.1f} MB; to look "
                f"at it: python -m http.server -d {shlex.quote(str(bundle))}"
            )
    failed = any(not outcome.passed for outcome in outcomes)
    if json:
        held = {"conditions": [outcome.to_json() for outcome in outcomes]} if outcomes else {}
        print_json({**results.to_json(), **held})
        raise typer.Exit(1 if failed else 0)
    claims = results.study.claims if results.study else ()
    for claim in claims:
        print(f"{claim.verdict:14}  {claim.says} ({stated_in(claim, claims)})")
    for outcome in outcomes:
        value = f"n/a ({outcome.reason})" if outcome.value is None else f"{outcome.value:g}"
        print(f"{'pass' if outcome.passed else 'fail'}  {outcome.condition}: {value}")
    if written:
        print(f"report in {', '.join(written)}" + (f", its numbers in {record}" if record else ""))
    if failed:
        raise typer.Exit(1)


def _require_forms(
    out: Path | None,
    pdf: Path | None,
    latex: Path | None,
    csv: Path | None,
    bundle: Path | None,
    conditions: "Sequence[Condition]",
) -> None:
    """Say at once what cannot be written, and that nothing was asked for."""
    from reports.pdf import require_typst
    from reviosa.errors import ConfigError
    from workbench.reporting import record_path

    if out is not None:
        record_path(out)
    if bundle is not None:
        from workbench.bundle import require_new

        require_new(bundle)
    if pdf is not None:
        if pdf.suffix != ".pdf":
            raise ConfigError(
                f"{pdf}: got a file ending on {pdf.suffix or 'nothing'}, expected .pdf"
            )
        require_typst(pdf)
    if not conditions and out is pdf is latex is csv is bundle is None:
        raise ConfigError(
            "got nothing to write or to check; give -o FILE, --pdf FILE, --latex DIR, --csv "
            "DIR, --bundle DIR or --check CONDITION"
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
    from reviosa.process import sigterm_raises
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
        with sigterm_raises():  # the server ends with its command
            code = subprocess.call(command)
    except KeyboardInterrupt:
        return
    if code:
        raise typer.Exit(code)
