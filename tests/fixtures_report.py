"""Reports of captures that are analysed already, as records and as text."""

from probes.beside import Beside
from probes.report import CapturePart, ReportResults
from probes.study import study_runs
from reports.content import content
from reports.html import render_html
from reports.markdown import Page, render_markdown

__all__ = ["html_of", "markdown_of", "report_of"]


def report_of(*captures, pictures=(), beside=None, command="reviosa report RUN", sweeps=()):
    """The record of a report; pictures and what stands beside go with the first capture."""
    parts = [CapturePart(results) for results in captures]
    if parts:
        parts[0] = CapturePart(captures[0], beside or Beside(), tuple(pictures))
    study = study_runs(sweeps, captures, resamples=100)
    return ReportResults("Results", command, tuple(parts), study=study)


def html_of(*captures, **options) -> str:
    return render_html(content(report_of(*captures, **options)))


def markdown_of(*captures, **options) -> Page:
    return render_markdown(content(report_of(*captures, **options)), "page")
