"""The main job in one go, on the shipped model and a synthetic data set made on the spot.

Each step leaves its result in the output folder; a second call goes on after the last whole one.
"""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.causal import Ablation
    from probes.results import AnalysisResults
    from probes.store import CaptureStore
    from reviosa.data import InterRVOSDataset
    from reviosa.heads import HeadSelection

__all__ = ["CAUSE_VIDEOS", "SEED", "VIDEOS", "DemoResult", "run_demo"]

VIDEOS = 20
SEED = 7
"""Of the synthetic world; the shipped model has never seen a video of it."""

CAUSE_VIDEOS = 6
"""Videos that heads are silenced on, the first ones: of all 20 it would take minutes."""
DRAWS = 10
"""Random sets of the same layer for each number of silenced heads."""

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Called with a step's name; gives what is told how far the step is."""


@dataclass(frozen=True)
class DemoResult:
    """Where everything lies, and the numbers behind it."""

    capture: Path
    heads: Path
    report: Path
    selection: "HeadSelection | None"
    """None if the model named no role anywhere, so that no pair has a score."""
    results: "AnalysisResults"
    causes: tuple[Path, ...]
    """The runs that silence heads and exchange roles; empty if the model named no role."""


def run_demo(
    out: Path, progress: Progress, model: str = "nano", videos: int = VIDEOS
) -> DemoResult:
    """Synthesise, capture, rank, select, correlate, silence, exchange roles and report.

    Args:
        out: folder of the demo; what is finished in it is not done again.
        progress: shows the steps.
        model: ``nano`` or a checkpoint folder.
        videos: of the synthetic data set.

    Raises:
        RunError: ``out`` holds other files, or another process is capturing there.
        CheckpointError: there is no such model.
    """
    from reviosa.model import model_identity

    identity = model_identity(model)
    _require_demo(out)
    dataset = _data(out / "data", videos, progress)
    store = _captured(out / "capture", dataset, model, identity, progress)
    results, fresh = _analysed(store, out / "analysis.json", progress)
    selection = _selected(results, out / "heads.json", dataset)
    causes, silenced = _caused(out, model, identity, selection, videos, progress)
    report = out / "report.html"
    if fresh or silenced or not report.is_file():
        from probes.beside import read_beside
        from workbench.reporting import make_report

        with progress("report"):
            beside = read_beside(store, causes, results.resamples, results.seed)
            make_report(store, results, report, f"reviosa demo --out {out}", beside)
    return DemoResult(store.directory, out / "heads.json", report, selection, results, causes)


def _require_demo(out: Path) -> None:
    from reviosa.errors import RunError

    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: got a file, expected a folder; choose another with --out")
    # A name with a dot in front is what a killed demo was writing.
    others = out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir())
    if others and not (out / "data" / "world.json").is_file():
        raise RunError(
            f"{out}: got a folder with other files, expected an empty one or an earlier demo; "
            "choose another with --out"
        )


def _data(folder: Path, videos: int, progress: Progress) -> "InterRVOSDataset":
    from reviosa.data import InterRVOSDataset
    from reviosa.data.synthetic import write_synthetic
    from reviosa.errors import RunError

    if not folder.exists():
        with progress("synthetic videos") as update:
            write_synthetic(folder, videos, SEED, progress=update, workers=2)
    dataset = InterRVOSDataset(folder)
    if len(dataset.videos) != videos:
        raise RunError(
            f"{folder}: got {len(dataset.videos)} videos, expected {videos}; "
            "give the same --videos as before or choose another folder with --out"
        )
    return dataset


def _captured(
    folder: Path, dataset: "InterRVOSDataset", model: str, identity: str, progress: Progress
) -> "CaptureStore":
    from probes.store import CaptureStore
    from reviosa.process import locked_directory
    from reviosa.run_record import read_run
    from workbench.console import note

    header = read_run(folder) if (folder / "run.json").is_file() else None
    if header is not None:
        before = (
            (header.get("model") or {}).get("identity"),
            (header.get("data") or {}).get("identity"),
        )
        stale = before != (identity, dataset.identity)
        if stale or (header["status"] == "done" and CaptureStore(folder).problems):
            # The demo's own folder; its model or data, or how captures are stored, has changed.
            note(f"{folder}: of another model, other data or another version; it is made anew")
            with locked_directory(folder):
                shutil.rmtree(folder)
            header = None
    if header is None or header["status"] != "done":
        _capture(folder, dataset, model, progress)
    return CaptureStore(folder)


def _capture(folder: Path, dataset: "InterRVOSDataset", model: str, progress: Progress) -> None:
    from probes.capture import capture
    from workbench.models import load_model

    with progress("loading the model"):
        loaded = load_model(model)
    with progress("capture") as update:
        # The model is small enough to keep the maps of all heads, so that every page has them.
        capture(
            loaded.model,
            loaded.processor,
            dataset,
            folder,
            maps="all",
            identity=loaded.header,
            resume=True,
            progress=update,
        )


def _analysed(
    store: "CaptureStore", path: Path, progress: Progress
) -> "tuple[AnalysisResults, bool]":
    """The results, and whether they were computed now."""
    from probes.analysis import analyse
    from probes.results import AnalysisResults
    from reviosa.errors import RunError

    if path.is_file():
        try:
            found = AnalysisResults.load(path)
        except RunError:
            pass  # written by another version of the project
        else:
            if found.run == store.run:
                return found, False
    with progress("ranking and correlation"):
        results = analyse(store)
    results.save(path)
    return results, True


def _selected(
    results: "AnalysisResults", path: Path, dataset: "InterRVOSDataset"
) -> "HeadSelection | None":
    from probes.selection import select

    ranking = results.rankings["visual_mass"]["both"]
    if ranking.n_samples == 0:
        return None
    selection = select(ranking, "top-layer", run=results.name, data=dataset.identity)
    selection.save(path)
    return selection


def _caused(
    out: Path,
    model: str,
    identity: str,
    selection: "HeadSelection | None",
    videos: int,
    progress: Progress,
) -> tuple[tuple[Path, ...], bool]:
    """Runs that silence the selected pairs and exchange roles, and whether any was made now."""
    from probes.causal import ablate
    from probes.causal.outputs import twin
    from reviosa.data import InterRVOSDataset
    from workbench.models import load_model

    if selection is None or videos < 2:
        return (), False
    dataset = InterRVOSDataset(out / "data", min(videos, CAUSE_VIDEOS))
    twins = sum(twin(sample) is not None for sample in dataset.samples)
    asked = {"ablation": len(dataset.samples), "roles": twins}
    steps = {"ablation": "silencing heads", "roles": "exchanging roles"}
    if not twins:
        del steps["roles"]
    shape = _shape(out / "capture")
    plans = {"ablation": _sets(selection, shape), "roles": _every(shape)}
    of = identity, dataset.identity
    left = [n for n in steps if not _finished(out / n, of, plans[n], asked[n])]
    loaded = None
    for name in left:
        loaded = loaded or load_model(model)
        with progress(steps[name]) as update:
            ablate(
                loaded.model,
                loaded.processor,
                dataset,
                out / name,
                plans[name],
                "mean" if name == "ablation" else "role-swap",
                identity=loaded.header,
                resume=True,
                progress=update,
                chosen=selection if name == "ablation" else None,
            )
    return tuple(out / name for name in steps), bool(left)


def _shape(capture: Path) -> tuple[int, int]:
    from reviosa.run_record import read_run

    model = read_run(capture)["model"]
    return int(model["layers"]), int(model["heads"])


def _sets(selection: "HeadSelection", shape: tuple[int, int]) -> "tuple[Ablation, ...]":
    """The first k selected pairs silenced and kept, beside random sets of their layer."""
    from probes.causal import keep_ablations, set_ablations, single_ablations

    # A layer without a head left has no other set to compare with.
    pairs = selection.pairs[: shape[1] - 1]
    sets = set_ablations(pairs, shape, DRAWS), keep_ablations(pairs, shape, DRAWS)
    return (*single_ablations(pairs), *sets[0], *sets[1])


def _every(shape: tuple[int, int]) -> "tuple[Ablation, ...]":
    from probes.causal import layer_ablations, single_ablations

    pairs = [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    return (*single_ablations(pairs), *layer_ablations(shape))


def _finished(
    folder: Path, of: tuple[str, str], plan: "tuple[Ablation, ...]", samples: int
) -> bool:
    """Whether a run of that plan is done; one of other heads, model, data or size is removed.

    Args:
        folder: of the run.
        of: identities of model and data.
        plan: sets of heads.
        samples: expressions.
    """
    from probes.causal.effects import plan_to_json
    from reviosa.process import locked_directory
    from reviosa.run_record import read_run

    if not (folder / "run.json").is_file():
        return False
    header = read_run(folder)
    before = tuple((header.get(key) or {}).get("identity") for key in ("model", "data"))
    config = header["config"]
    planned = config.get("ablations"), config.get("samples")
    if before != of or planned != (plan_to_json(plan), samples):
        with locked_directory(folder):
            shutil.rmtree(folder)
        return False
    return header["status"] == "done"
