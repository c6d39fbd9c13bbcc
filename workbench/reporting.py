"""Put a run, its results and its data together into a report."""

from pathlib import Path

from probes.beside import Beside, read_beside
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reports.gallery import build_gallery
from reports.html import write_report
from workbench.console import note
from workbench.datasets import find_dataset

__all__ = ["make_report"]


def make_report(
    store: CaptureStore,
    results: AnalysisResults,
    path: Path,
    command: str,
    beside: Beside | None = None,
) -> None:
    """Write the HTML report of a capture run, with pictures where its data set is at hand."""
    if beside is None:
        beside = read_beside(store, (), results.resamples, results.seed)
    dataset = find_dataset(store.run, store.directory)
    if dataset is None:
        note("the data set of this run is not at hand; the report shows no frames")
    write_report(results, path, build_gallery(store, results, dataset), command, beside)
