"""Runs and their data put together into the record of a report, and the record written down."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from probes.analysis import analyse
from probes.beside import BESIDE, Beside, read_beside
from probes.contrast import contrast
from probes.report import CapturePart, ReportResults
from probes.results import AnalysisResults
from probes.store import CaptureStore
from probes.study import StudyResults, study_runs
from probes.sweeps import SWEEP_FILE, SweepRuns, read_sweep
from reports.gallery import build_gallery
from reviosa.errors import ConfigError, RunError
from reviosa.run_record import read_run
from workbench.console import note
from workbench.datasets import find_dataset

__all__ = [
    "capture_report", "gather", "make_report", "record_path", "report_command", "write_report",
]  # fmt: skip

HEADING = "What the role tokens look at"
SUFFIXES = (".html", ".md")


@dataclass
class _Found:
    """The runs by what they are."""

    captures: list[CaptureStore] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    sweeps: list[SweepRuns] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(
    runs: Sequence[Path],
    command: str,
    heading: str | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> ReportResults:
    """Analyse runs and put them together.

    Args:
        runs: captures, runs of :data:`probes.beside.BESIDE` over their models, and sweeps. One that
            is there but cannot be read is left out, and the record says so.
        command: the command line that makes the report again.
        heading: of the report.
        resamples: bootstrap draws behind every interval.
        seed: of the draws.

    Raises:
        RunError: a run is not there, is of a kind that a report has no place for, or is over a
            model that no capture is of; or none of them can be read.
    """
    found = _open(runs)
    parts: list[CapturePart] = []
    stores: list[CaptureStore] = []
    matched = _matched(found)
    for index, store in enumerate(found.captures):
        try:
            results = analyse(store, resamples, seed)
        except RunError as error:
            found.problems.append(str(error))
            continue
        beside = _beside(store, matched.get(index, ()), results, found.problems)
        parts.append(_part(store, results, beside))
        stores.append(store)
    if not parts and not found.sweeps:
        raise RunError("; ".join(found.problems))
    for problem in found.problems:
        note(f"left out: {problem}")
    captures = [part.results for part in parts]
    return ReportResults(
        heading=heading or ("Results" if found.sweeps else HEADING),
        command=command,
        captures=tuple(parts),
        contrasts=tuple(contrast(stores[0], other, resamples, seed) for other in stores[1:]),
        study=_study(found.sweeps, captures, resamples, seed),
        problems=tuple(found.problems),
    )


def capture_report(
    store: CaptureStore, results: AnalysisResults, command: str, beside: Beside | None = None
) -> ReportResults:
    """The record of a report on one capture that is analysed already."""
    if beside is None:
        beside = read_beside(store, (), results.resamples, results.seed)
    return ReportResults(
        heading=HEADING,
        command=command,
        captures=(_part(store, results, beside),),
        study=_study([], [results], results.resamples, results.seed),
    )


def make_report(
    store: CaptureStore,
    results: AnalysisResults,
    path: Path,
    command: str,
    beside: Beside | None = None,
) -> None:
    """Write the report of one capture, with pictures where its data set is at hand."""
    write_report(capture_report(store, results, command, beside), path)


def write_report(
    results: ReportResults, path: Path | None, pdf: Path | None = None, latex: Path | None = None
) -> Path | None:
    """Write the document in each form that is asked for, and the record that it is made of.

    Args:
        results: the record.
        path: an HTML or Markdown file; the record stands beside it (:func:`record_path`).
        pdf: a PDF file; without ``path`` the record stands beside it, as ``NAME.json``.
        latex: folder for tables and figures in LaTeX; alone, it holds the ``results.json``.

    Returns:
        Where the record stands; None where no form was asked for.

    Raises:
        ConfigError: the file's ending names no form that a report has.
        ReviosaError: typst is not installed, or cannot set the document.
    """
    from reports.content import content
    from reports.html import write_html
    from reports.latex import write_latex
    from reports.markdown import write_markdown
    from reports.pdf import write_pdf

    if path is not None:
        record = record_path(path)
    elif pdf is not None:
        record = pdf.with_suffix(".json")
    elif latex is not None:
        record = latex / "results.json"
    else:
        return None
    document = content(results)
    if path is not None:
        (write_html if path.suffix == ".html" else write_markdown)(document, path)
    if pdf is not None:
        write_pdf(document, pdf)
    if latex is not None:
        write_latex(document, latex)
    results.save(record)
    return record


def record_path(path: Path) -> Path:
    """Where the record of a report stands: ``NAME.json`` beside ``NAME.html``.

    A page in Markdown has a folder for its pictures, and ``results.json`` in it.

    Raises:
        ConfigError: the file's ending names no form that a report has.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: got a file ending on {path.suffix or 'nothing'}, expected one of "
            f"{', '.join(SUFFIXES)}; name the report so"
        )
    return (
        path.with_suffix("") / "results.json" if path.suffix == ".md" else path.with_suffix(".json")
    )


def report_command(
    runs: Sequence[Path],
    suffix: str,
    heading: str | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> str:
    """The command line that makes the report again; where to, its reader decides."""
    words = ["reviosa", "report", *(str(run) for run in runs), "-o", f"report{suffix}"]
    words += ["--heading", heading] if heading is not None else []
    words += ["--resamples", str(resamples), "--seed", str(seed)]
    return shlex.join(words)


def _open(runs: Iterable[Path]) -> _Found:
    found = _Found()
    for run in runs:
        if not run.exists():
            raise RunError(f"{run}: got nothing there, expected a run; check the path")
        try:
            if (run / SWEEP_FILE).is_file():
                found.sweeps.append(read_sweep(run))
                continue
            kind = read_run(run)["kind"]
        except RunError as error:
            found.problems.append(str(error))
            continue
        if kind in BESIDE:
            found.beside.append(run)
        elif kind == "capture":
            found.captures.append(_store(run))
        else:
            raise RunError(
                f"{run}: got a run of kind {kind!r}, expected capture, {', '.join(BESIDE)} or a "
                "sweep; a report shows no other kind"
            )
    if found.beside and not found.captures:
        raise RunError(
            f"{found.beside[0]}: got no capture beside it, expected the one over its model; give "
            "that run too"
        )
    return found


def _store(run: Path) -> CaptureStore:
    from workbench.commands.analysis import open_store

    return open_store(run)


def _matched(found: _Found) -> dict[int, list[Path]]:
    """Place of a capture -> runs over its model, and over its data where several have the model.

    Raises:
        RunError: a run over a model that no capture is of.
    """
    matched: dict[int, list[Path]] = {}
    for run in found.beside:
        header = read_run(run)
        headers = [store.run for store in found.captures]
        places = [i for i, other in enumerate(headers) if _alike(header, other, "model")]
        if not places:
            captures = ", ".join(str(store.directory) for store in found.captures)
            raise RunError(
                f"{run} is of the model {(header.get('model') or {}).get('identity')}, expected "
                f"that of {captures}; give runs over a captured model"
            )
        same = [i for i in places if _alike(header, headers[i], "data")]
        matched.setdefault((same or places)[0], []).append(run)
    return matched


def _alike(run: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    """Whether two headers name the same model or data, as far as both name one."""
    one, two = ((header.get(key) or {}).get("identity") for header in (run, other))
    return one is None or two is None or one == two


def _beside(
    store: CaptureStore, runs: Sequence[Path], results: AnalysisResults, problems: list[str]
) -> Beside:
    """What the runs say; those that cannot be read are left out and named in ``problems``."""
    from probes.causal.effects import lost_effects

    draws = (results.resamples, results.seed)
    try:
        found = read_beside(store, runs, *draws)
    except RunError:
        if not runs:
            raise
    else:
        problems += filter(None, map(lost_effects, runs))
        return found
    whole = []
    for run in runs:
        try:
            read_beside(store, [run], *draws)
        except RunError as error:
            problems.append(str(error))
        else:
            whole.append(run)
    problems += filter(None, map(lost_effects, whole))
    return read_beside(store, whole, *draws)


def _part(store: CaptureStore, results: AnalysisResults, beside: Beside) -> CapturePart:
    dataset = find_dataset(store.run, store.directory)
    if dataset is None:
        note(f"the data set of {results.name} is not at hand; the report shows no frames of it")
    pictures = build_gallery(store, results, dataset)
    # Maps and predictions are read for the pictures alone: only now are damaged ones known.
    results = replace(results, problems=tuple(dict.fromkeys((*results.problems, *store.problems))))
    return CapturePart(results, beside, pictures)


def _study(
    sweeps: Sequence[SweepRuns], captures: Sequence[AnalysisResults], resamples: int, seed: int
) -> StudyResults | None:
    study = study_runs(sweeps, captures, resamples, seed)
    return study if study.claims or study.sweeps else None
