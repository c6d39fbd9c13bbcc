"""``reviosa annotate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.options import Device, Json, NewRun, Resume

if TYPE_CHECKING:
    from reviosa.annotation.settings import AnnotationConfig

__all__ = ["annotate"]


def annotate(
    videos: Annotated[
        Path,
        typer.Option(
            "--videos", metavar="DIR", help="Folder with videos/ and, beside it, tracks/ or boxes/."
        ),
    ],
    out: NewRun,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings, YAML; configs/annotate/default.yaml without.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="Override a key, for example marks.frames=8."),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            metavar="DOLLARS",
            min=0,
            help="Most that the run may cost, its resumptions included.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what it would ask and cost; send nothing.")
    ] = False,
    resume: Resume = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Annotate videos with language models: a data set of interactions in the InterRVOS layout."""
    from reviosa.annotation.settings import AnnotationConfig
    from workbench.config import load_config, preset_path

    path = config or preset_path("annotate", "default")
    settings = load_config(AnnotationConfig, path, overrides or ())
    if dry_run:
        _tell_estimate(videos, settings, json)
        return
    summary = _annotate(videos, out, settings, budget, resume, device)
    from workbench.console import print_json

    if json:
        print_json({"out": str(out), **summary})
        return
    _tell_summary(out, summary)


def _annotate(
    videos: Path,
    out: Path,
    settings: "AnnotationConfig",
    budget: float | None,
    resume: bool,
    device: str,
) -> dict[str, Any]:
    from functools import partial

    from reviosa.annotation.pipeline import annotate as run
    from reviosa.annotation.sources import find_sources
    from workbench.console import progress

    header, open_tracker = None, None
    # Where all masks are given no segmenter is loaded.
    if any(source.boxes for source in find_sources(videos)[0]):
        from reviosa.annotation.tracking import open_box_tracker, tracker_header
        from workbench.models import checked_device

        name = None if device == "auto" else checked_device(device)
        header = tracker_header(settings.tracking)
        open_tracker = partial(open_box_tracker, settings.tracking, name)

    with progress("annotating") as update:
        return run(
            videos,
            out,
            settings,
            budget=budget,
            resume=resume,
            open_video=_open_video,
            open_tracker=open_tracker,
            tracker=header,
            progress=update,
        )


def _open_video(path: Path) -> Any:
    """A folder of frames or a video file; what reads files loads torch, so it waits for one."""
    if path.is_dir():
        from reviosa.data.frames import read_frame_folder

        return read_frame_folder(path)
    from workbench.video import open_video

    return open_video(path)


def _tell_estimate(videos: Path, settings: "AnnotationConfig", json: bool) -> None:
    from reviosa.annotation.dry_run import estimate_run
    from workbench.console import print_json, print_table

    found = estimate_run(videos, settings)
    if json:
        print_json(found)
        return
    names = ("requests", "tokens_in", "tokens_out", "dollars", "dollars_most")
    rows = [
        [name, *(_number(key, values[key]) for key in names)]
        for name, values in (*found["stages"].items(), ("total", found["total"]))
    ]
    print_table(
        f"{found['clips']} clips, {found['objects']} objects; nothing was sent",
        ["stage", "requests", "tokens in", "tokens out", "dollars", "at most"],
        rows,
    )
    print("assumed: " + "; ".join(found["assumptions"]))
    if found["dropped"]:
        first = found["dropped"][0]
        print(
            f"{len(found['dropped'])} videos or objects are not spoken of (--json lists them), "
            f"the first is {first['item']}: {first['why']}"
        )


def _tell_summary(out: Path, summary: dict[str, Any]) -> None:
    written = summary["set"]
    print(
        f"{written['videos']} videos, {written['expressions']} expressions "
        f"({written['interactions']} interactions) of {written['objects']} objects in {out / 'set'}"
    )
    print(f"{summary['passed']} of {summary['candidates']} candidates passed the verification")
    for stage, count in summary["dropped"].items():
        print(f"{stage}: {count} dropped; {out / 'dropped.json'} says which and why")
    spent = summary["spent"]
    total = {
        key: sum(stage[key] for stage in spent.values())
        for key in ("requests", "tokens_in", "tokens_out", "dollars")
    }
    print(
        f"{total['requests']:,} requests, {total['tokens_in']:,} tokens in, "
        f"{total['tokens_out']:,} out, {_number('dollars', total['dollars'])} dollars in all"
    )


def _number(key: str, value: float) -> str:
    return f"{value:,.2f}" if key.startswith("dollars") else f"{value:,}"
