"""``reviosa stats``: what data sets hold, and everything that is wrong with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.commands.options import Json

if TYPE_CHECKING:
    from reviosa.data.fault_kinds import FaultKind
    from reviosa.data.statistics import DataStatistics

__all__ = ["stats"]

SHOWN = 5
"""Faults of each kind that are named; --json gives all."""
FAULTY = 1


def stats(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DATA...", help="Data sets, or YAML files that mix some."),
    ],
    check: Annotated[
        bool,
        typer.Option("--check", help="List every fault instead; exit code 1 if there is any."),
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write every number, not rounded."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="FILE", help="Draw it: .svg, .pdf or .png."),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            metavar="NAME",
            help="Layout of the data sets; what lies in each folder decides without it.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count what data sets hold beside the paper's Table 1, or list all that is wrong with them."""
    from reviosa.errors import ConfigError

    if check and (csv or figure):
        raise ConfigError(
            "got --check with --csv or --figure, expected one or the other; "
            "list the faults first, then count"
        )
    if check:
        _check(data, layout, json)
    else:
        _count(data, layout, csv, figure, json)


def _check(paths: Sequence[Path], layout: str | None, json: bool) -> None:
    from reviosa.data.fault_kinds import group_faults
    from reviosa.data.opening import open_dataset
    from workbench.console import note, print_json

    found = {}
    for path in paths:
        note(f"checking {path} ...")
        dataset = open_dataset(path, layout=layout, strict=False)
        kinds = group_faults(dataset.faults(), None if json else SHOWN)
        found[str(path)] = kinds
        if not json:
            # At once: another of them may not open, and a large one takes long.
            _print_faults(path, kinds)
    total = sum(kind.count for kinds in found.values() for kind in kinds)
    if json:
        lists = {
            path: [{"where": f.where, "what": f.what} for kind in kinds for f in kind.faults]
            for path, kinds in found.items()
        }
        print_json({"faults": total, "data": lists})
    if total:
        raise typer.Exit(FAULTY)


def _print_faults(path: Path, kinds: "Sequence[FaultKind]") -> None:
    from reports.style import count

    print(f"{path}: {count(sum(k.count for k in kinds), 'fault') if kinds else 'no fault'}")
    for kind in kinds:
        print(f"  {kind.count:,} x {kind.what}")
        for fault in kind.faults:
            print(f"    {fault.where}")
        if kind.count > len(kind.faults):
            print(f"    and {kind.count - len(kind.faults):,} more (--json names all)")


def _count(
    paths: Sequence[Path],
    layout: str | None,
    csv: Path | None,
    figure: Path | None,
    json: bool,
) -> None:
    from reports.canvas import require_figure_suffix, write_figure
    from reviosa.data.opening import open_dataset
    from reviosa.data.statistics import data_statistics
    from workbench.console import note, print_json, print_table, progress

    if figure is not None:
        require_figure_suffix(figure)
    found: list[DataStatistics] = []
    for path, name in zip(paths, _names(paths), strict=True):
        dataset = open_dataset(path, layout=layout)
        with progress(f"counting {name}") as update:
            found.append(data_statistics(dataset, name, update))
    if csv is not None:
        from reports.csv_files import write_rows
        from reports.data_tables import csv_rows

        write_rows(csv, list(csv_rows(found)))
    if figure is not None:
        from reports.data_figures import data_figure

        write_figure(data_figure(found), figure)
    if json:
        from reports.data_tables import TABLE_1

        published = [{"name": row.name, **row._asdict()} for row in TABLE_1]
        print_json({"counted": [s.to_json() for s in found], "published": published})
    else:
        from reports.data_tables import HEADER, table_rows

        print_table("Data sets beside the paper's Table 1", HEADER, table_rows(found))
        _say_masks(found)
    written = [str(path) for path in (csv, figure) if path is not None]
    if written:
        note(f"written: {', '.join(written)}")


def _say_masks(found: "Sequence[DataStatistics]") -> None:
    """The two histograms in one line a data set."""
    from reports.style import count, number, per_cent

    for s in found:
        if s.areas is None or s.tracks is None:
            print(f"{s.name}: a split without masks; objects, areas and tracks are not known")
        elif s.areas.n:
            print(
                f"{s.name}: an object covers {per_cent(s.areas.median, 2)} % of the frame (median "
                f"of {count(s.areas.n, 'mask')}) and is seen in {number(s.tracks.median, 0)} "
                f"annotated frames (median of {count(s.tracks.n, 'object')})"
            )


def _names(paths: Sequence[Path]) -> list[str]:
    """What each data set is called: its folder, with more of the path where two are alike."""
    short = [path.resolve().name for path in paths]
    return [
        str(path) if short.count(name) > 1 else name
        for path, name in zip(paths, short, strict=True)
    ]
