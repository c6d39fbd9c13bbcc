"""Write a bundle: one folder for the overview, one for each run."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from probes.criteria import CRITERIA
from probes.report import CapturePart, ReportResults
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reports.fact_tables import provenance_table
from reports.gallery import build_gallery
from reports.style import (
    CAPTION_TYPE_TITLES,
    PROTOCOL_TITLES,
    ROLE_TITLES,
    count,
    interval,
    number,
    per_cent,
    slug,
)
from reports.summary import model_name, summary
from reports.tables import PROTOCOL_WORDS
from reviosa.errors import ConfigError, RunError
from reviosa.io import atomic_directory, write_text
from workbench.bundle.files import write_data
from workbench.bundle.pairs import pair_files
from workbench.bundle.views import write_accuracy, write_layers, write_maps
from workbench.datasets import find_dataset

__all__ = ["BundleSize", "require_new", "write_bundle"]

_HERE = Path(__file__).parent
PAGES = {
    "layers": "Layers", "heads": "Heads", "accuracy": "Attention and accuracy",
    "samples": "Samples",
}  # fmt: skip


@dataclass(frozen=True)
class BundleSize:
    """How large a bundle is."""

    files: int
    bytes: int


def require_new(directory: Path) -> None:
    """Say at once that a bundle cannot be made there.

    Raises:
        ConfigError: the path exists.
    """
    if directory.exists():
        raise ConfigError(
            f"{directory}: got a path that exists, expected a new folder; choose another"
        )


def write_bundle(
    results: ReportResults,
    runs: Sequence[Path],
    directory: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> BundleSize:
    """Write the main views of captures as files that any web server can host.

    The folder appears whole or not at all. Its pages need no network and reach no other host; what
    a click opens is fetched from beside them, so they do need a server: opened as files, browsers
    refuse to fetch. Every link is relative, and the address of a view opens it again.

    Args:
        results: the record of a report on the captures.
        runs: directories, the captures among them; others are left aside.
        directory: to make.
        progress: called with what is written next.

    Raises:
        ConfigError: the folder exists.
        RunError: the record has no capture, or one whose run is not given.
    """
    require_new(directory)
    if not results.captures:
        raise RunError("got no capture, expected at least one; a bundle shows captures")
    stores = _stores(results, runs)
    names = folder_names([part.results.name for part in results.captures])
    directory.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(directory) as folder:
        _assets(folder / "assets")
        for name, part, store in zip(names, results.captures, stores, strict=True):
            progress(f"{part.results.name}: views")
            _run(folder / name, part, store, progress)
        _page(
            folder / "index.html", "index.html.j2", title=results.heading, root=".",
            command=results.command, problems=results.problems,
            runs=[_card(name, part) for name, part in zip(names, results.captures, strict=True)],
        )  # fmt: skip
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = BundleSize(len(files), sum(path.stat().st_size for path in files))
    return size


def _stores(results: ReportResults, runs: Sequence[Path]) -> list[CaptureStore]:
    """The run behind each capture of the record."""
    opened = []
    for run in runs:
        with contextlib.suppress(RunError):  # no capture, or left out of the record, too
            opened.append(CaptureStore(run))
    stores = []
    for part in results.captures:
        store = next((store for store in opened if store.run == part.results.run), None)
        if store is None:
            raise RunError(
                f"got the record of {part.results.name} without its run, expected the run itself; "
                "a bundle holds more of a run than a record does, give its directory"
            )
        stores.append(store)
    return stores


def folder_names(runs: Sequence[str]) -> list[str]:
    """A folder for each run; ``assets`` is taken."""
    names: list[str] = []
    for run in runs:
        name, number = f"run-{slug(run)}", 2
        while name in names:
            name, number = f"run-{slug(run)}-{number}", number + 1
        names.append(name)
    return names


def _assets(folder: Path) -> None:
    import vl_convert

    folder.mkdir()
    # Vega, Vega-Lite and Vega-Embed in one file: no other host is asked for them.
    # Its types ask for a snippet, which is of no use where pages call vegaEmbed themselves.
    bundle = vl_convert.javascript_bundle()  # pyright: ignore[reportCallIssue]
    write_text(folder / "vega.js", bundle)
    for file in sorted((_HERE / "static").iterdir()):
        shutil.copyfile(file, folder / file.name)


def _run(
    folder: Path, part: CapturePart, store: CaptureStore, progress: Callable[[str], None]
) -> None:
    data = folder / "data"
    (data / "pairs").mkdir(parents=True)
    results = part.results
    samples = _samples(folder, results, store)
    write_data(data / "samples.json", samples)
    layers = write_layers(data, results)
    accuracy = write_accuracy(data, results, store)
    write_maps(data, results)
    progress(f"{results.name}: pairs")
    rows = {(row[0], row[1]): place for place, row in enumerate(samples["rows"])}
    for name, content in pair_files(store, results, rows):
        write_data(data / "pairs" / f"{name}.json", content)
    ranked = results.rankings
    best = next(iter(ranked.values()))["both"].pairs[0]
    shared: dict[str, Any] = {"run": results.name, "root": "..", "pages": PAGES}
    criteria = {
        name: {
            "title": CRITERIA[name].title,
            "words": f"{CRITERIA[name].description}. {CRITERIA[name].equation} "
            f"({CRITERIA[name].source}). Rank 1 is the "
            f"{'lowest' if CRITERIA[name].low_first else 'highest'}.",
        }
        for name in ranked
    }
    write_data(data / "criteria.json", criteria)
    _page(folder / "layers.html", "charts.html.j2", here="layers", charts=layers, **shared)
    _page(folder / "accuracy.html", "charts.html.j2", here="accuracy", charts=accuracy, **shared)
    _page(
        folder / "heads.html", "heads.html.j2", here="heads", layers=results.num_layers,
        heads=results.num_heads, best=best, roles=ROLE_TITLES, criteria=criteria,
        level=f"{100 * results.confidence:.0f} %", resamples=f"{results.resamples:,}",
        **shared,
    )  # fmt: skip
    _page(
        folder / "samples.html", "samples.html.j2", here="samples", roles=ROLE_TITLES,
        total=count(len(samples["rows"]), "sample"), **shared,
    )  # fmt: skip


def _samples(folder: Path, results: AnalysisResults, store: CaptureStore) -> dict[str, Any]:
    """The table of samples, worst first, with the pictures that there are."""
    pictures: dict[tuple[str, str], dict[str, str]] = {}
    (folder / "samples").mkdir()
    shown = max(len(cards) for cards in (*results.best.values(), *results.worst.values()))
    dataset = find_dataset(store.run, store.directory)
    for place, picture in enumerate(build_gallery(store, results, dataset, shown)):
        key = picture.card.sample_id, picture.card.role
        if picture.image is None or key in pictures:
            continue
        file = f"samples/{place:03d}.jpg"
        (folder / file).write_bytes(picture.image)
        pictures[key] = {"file": file, "caption": picture.caption, "alt": picture.alt}
    table = store.samples()
    table["jf"] = table["jf"].where(table["emitted"].astype(bool), 0.0)
    table = table.sort_values(["jf", "sample_id", "role"], kind="stable")
    rows = [
        [
            row["sample_id"], row["role"], row["expression"],
            CAPTION_TYPE_TITLES.get(row["caption_type"], row["caption_type"]), float(row["jf"]),
            float(row["mask_area"]), row["text"], pictures.get((row["sample_id"], row["role"])),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    columns = ["sample", "role", "expression", "kind", "jf", "area", "answer", "picture"]
    return {"columns": columns, "rows": rows}


def _card(name: str, part: CapturePart) -> dict[str, Any]:
    results = part.results
    return {
        "folder": name,
        "name": results.name,
        "status": str(results.run.get("status", "unknown")),
        "created": str(results.run.get("created", "")),
        "model": model_name(results.run),
        "summary": summary(results),
        "scores": [
            {
                "title": PROTOCOL_TITLES[key],
                "words": PROTOCOL_WORDS[key],
                "jf": number(score.jf, 1),
                "interval": interval(score.jf_ci, 1),
                "n": count(score.n, "expression"),
                "missing": f"{score.missing:,}",
            }
            for key, score in results.protocols.items()
        ],
        "level": per_cent(results.confidence, 0),
        "resamples": f"{results.resamples:,}",
        "notes": [*results.notes, *results.problems],
        "provenance": provenance_table(results).rows,
    }


def _page(path: Path, template: str, **values: Any) -> None:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        # Expressions, names and answers come from data and models: all text is escaped, always.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    write_text(path, environment.get_template(template).render(**values))
