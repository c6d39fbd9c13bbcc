"""A report in the forms that were asked for, in a folder of its own: what Reports makes."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reviosa.errors import ConfigError
from reviosa.io import atomic_directory, atomic_path

if TYPE_CHECKING:
    from probes.report import ReportResults
    from reports.document import Document

__all__ = ["EXPORTS", "FORMS", "RECORD", "Form", "export_report", "kept_exports"]

EXPORTS: Final = "exports"
"""Folder of exports in a folder of runs."""
RECORD: Final = "results.json"


@dataclass(frozen=True)
class Form:
    """One form of a report."""

    title: str
    file: str
    """In the export's folder."""
    mime: str
    words: str
    """What it is good for."""


FORMS: Final[dict[str, Form]] = {
    "html": Form("HTML", "report.html", "text/html", "one file that opens in any browser"),
    "pdf": Form("PDF", "report.pdf", "application/pdf", "to print or to send"),
    "markdown": Form("Markdown", "markdown.zip", "application/zip", "a page with its pictures"),
    "latex": Form("LaTeX", "latex.zip", "application/zip", "tables and figures for a paper"),
    "csv": Form("CSV", "csv.zip", "application/zip", "every table as numbers"),
}


def export_report(
    folder: Path,
    gather: Callable[[], "ReportResults"],
    forms: Sequence[str],
    progress: Callable[[str], None] = lambda step: None,
) -> Path:
    """Make a report; the folder appears whole or not at all.

    Args:
        folder: to make.
        gather: gives the record of the report (:func:`workbench.reporting.gather`).
        forms: of :data:`FORMS`; the record itself, ``results.json``, is always there.
        progress: called with what is done next.

    Returns:
        ``folder``.

    Raises:
        ConfigError: the folder exists, or no form was asked for.
        ReviosaError: a run cannot be read, or a form cannot be written.
    """
    if folder.exists():
        raise ConfigError(
            f"got the name {folder.name!r}, which an earlier report has; choose another"
        )
    if not forms:
        raise ConfigError("got no form to write, expected at least one; choose one")
    from reports.content import content

    progress("Analysing the runs")
    results = gather()
    document = content(results)
    folder.parent.mkdir(exist_ok=True)
    with atomic_directory(folder) as made:
        results.save(made / RECORD)
        for form in forms:
            progress(f"Writing {FORMS[form].title}")
            _write(form, results, document, made / FORMS[form].file)
    return folder


def kept_exports(runs: Path) -> list[Path]:
    """Folders of earlier exports, newest first; links are left out."""
    folder = runs / EXPORTS
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name))


def _write(form: str, results: "ReportResults", document: "Document", path: Path) -> None:
    if form == "html":
        from reports.html import write_html

        write_html(document, path)
    elif form == "pdf":
        from reports.pdf import write_pdf

        write_pdf(document, path)
    else:
        source = path.with_suffix("")
        source.mkdir()
        if form == "markdown":
            from reports.markdown import write_markdown

            write_markdown(document, source / "report.md")
        elif form == "latex":
            from reports.latex import write_latex

            write_latex(document, source)
        else:
            from reports.csv_files import write_csv

            write_csv(results, source)
        _zip(source, path)
        shutil.rmtree(source)


def _zip(folder: Path, path: Path) -> None:
    """Pack a folder; the same content gives the same bytes."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
