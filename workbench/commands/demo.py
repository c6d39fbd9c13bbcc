"""``reviosa demo``."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Json, Model

if TYPE_CHECKING:
    from workbench.demo import DemoResult

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder of the demo; reused if it is there."),
    ] = Path("runs/demo"),
    model: Model = "nano",
    videos: Annotated[
        int, typer.Option("--videos", metavar="N", help="Synthetic videos to make.")
    ] = 20,
    json: Json = False,
) -> None:
    """The whole main job on the shipped model, offline: data, capture, ranking, causes, report."""
    from workbench.console import print_json, progress
    from workbench.demo import run_demo

    result = run_demo(out, progress, model, videos)
    if json:
        print_json(_summary(result))
    else:
        _print(result, out)


def _summary(result: "DemoResult") -> dict:
    results = result.results
    return {
        "report": str(result.report),
        "capture": str(result.capture),
        "heads": None if result.selection is None else str(result.heads),
        "causes": [str(path) for path in result.causes],
        "protocols": {name: score.to_json() for name, score in results.protocols.items()},
        "top_layer": results.top_layer,
        "selection": None if result.selection is None else result.selection.to_json(),
        "correlation": {
            role: {
                "spearman": correlation.overall.spearman.value,
                "ci": correlation.overall.spearman.ci,
                "given_mask_area": correlation.overall.partial.value,
                "n": correlation.n,
            }
            for role, correlation in results.correlations.items()
        },
    }


def _print(result: "DemoResult", out: Path) -> None:
    from reports.style import count, with_interval
    from workbench.commands.analysis import print_ranking
    from workbench.commands.evaluate import print_protocols

    results = result.results
    print_protocols({name: score.to_json() for name, score in results.protocols.items()})
    ranking = results.rankings["visual_mass"]["both"]
    if ranking.n_samples:
        print_ranking(ranking, top=5)
    for role, layer in results.top_layer.items():
        shown = "none" if layer is None else layer
        print(f"layer with the most visual attention, {role}: {shown}")
    for role, correlation in results.correlations.items():
        found = correlation.overall
        print(
            f"attention on the {role} against J&F: Spearman "
            f"{with_interval(found.spearman.value, found.spearman.ci)}, given mask area "
            f"{with_interval(found.partial.value, found.partial.ci)} "
            f"({count(correlation.n, 'sample')}, {count(correlation.n_videos, 'video')})"
        )
    print(f"\nreport     {result.report.resolve()}")
    if result.selection is not None:
        print(f"heads      {result.heads}")
    if result.causes:
        print(f"causes     {', '.join(map(str, result.causes))}")
    print(f"dashboard  {_program()} dashboard {out}")


def _program() -> str:
    """How this command can be called again: by name, or from an environment not activated."""
    return "reviosa" if shutil.which("reviosa") else os.path.relpath(sys.argv[0])
