"""``reviosa score``: any system's predictions against any data set."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.evaluate import (
    Protocol,
    ProtocolOption,
    chosen_protocols,
    print_protocols,
    require_protocol,
)
from workbench.commands.options import Data, Json

if TYPE_CHECKING:
    from reports.paper_tables import PaperTable
    from reviosa.data.dataset import VideoDataset
    from reviosa.evaluation.readers import AnyPredictions
    from reviosa.evaluation.system_score import SystemScore

__all__ = ["score"]

SHOWN = 20
"""Names of each kind that are printed; all of them stand in the JSON."""
INCOMPLETE = 1


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="A JSON file of ReVIOSa's form, a folder of its parts, or a folder of masks.",
        ),
    ],
    data: Data,
    protocol: ProtocolOption = Protocol.all,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="NAME",
            help="How to average; without it as the data set's own benchmark does.",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Other predictions, or a folder of scores, to compare with pair by pair.",
        ),
    ] = None,
    table: Annotated[
        int | None,
        typer.Option("--table", metavar="2|4|5", help="Show that table of the paper beside it."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="The system's name there.")
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            metavar="ZIP",
            help="Only write what the servers of MeViS and Ref-YouTube-VOS take.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="New folder for all scores and the table."),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Processes that score.")
    ] = 1,
    json: Json = False,
) -> None:
    """Score the predictions of any system: J, F and J&F; exit code 1 if they are incomplete."""
    from reviosa.data.opening import open_dataset
    from reviosa.evaluation import protocol_means
    from reviosa.evaluation.readers import open_predictions
    from workbench.console import note, print_json
    from workbench.scoring import (
        check_table,
        differences,
        paper_table,
        read_other,
        score_predictions,
        table_notes,
        write_scored,
    )

    only = {"--rule": rule, "--against": against, "--table": table, "--out": out}
    _check_options(only, archive, name, table, out)
    source = open_predictions(predictions)
    dataset = open_dataset(data)
    if archive is not None:
        _archive(archive, dataset, source, predictions, json)
        return
    dataset.require_truth()
    if table is not None:
        check_table(table, dataset)
    _require_roles(protocol == Protocol.target or table == 4, source, predictions)
    require_protocol(dataset, protocol)
    # First, so that a wrong path is told before minutes of scoring.
    other = None if against is None else read_other(against, dataset, rule, workers)
    found = score_predictions(predictions, source, dataset, rule, workers)
    result = chosen_protocols(found.to_json(), protocol) | {
        "predictions": {"path": str(predictions), "form": source.form},
        "data": {
            **dataset.provenance,
            "layout": dataset.layout,
            "expressions": len(dataset.samples),
        },
    }
    systems: list[tuple[str, Mapping[str, Any]]] = [(name or predictions.stem, found.protocols)]
    if other is not None:
        compared = differences(found.scores, other.scores)
        compared["difference"] = chosen_protocols(compared["difference"], protocol)
        result["against"] = {"path": str(other.path), **compared}
        if other.found is not None:
            result["against"] |= chosen_protocols(other.found.to_json(), protocol)
        else:
            result["against"] |= {"complete": not other.missing, "missing": list(other.missing)}
        systems.append((str(other.path), protocol_means(other.scores)))
    told = [found] if other is None or other.found is None else [found, other.found]
    lacking = () if other is None else other.missing
    complete = all(system.complete for system in told)
    shown, notes = None, []
    if table is not None:
        shown = paper_table(table, dataset, systems)
        notes = table_notes(table, dataset, complete and not lacking)
        result["table"] = {"header": shown.header, "rows": shown.rows, "notes": notes}
    if json:
        print_json(result)
    else:
        _print(result, shown, notes)
    if out is not None:
        write_scored(out, found.scores, result, shown, notes)
        note(f"scores in {out}")
    if source.roles == ("actor",) and dataset.interactions:
        note("target: the predictions have one mask an expression, which is taken as the actor's")
    for system, path in zip(told, (predictions, against), strict=False):
        _tell(system, path)
    if lacking:
        _list(f"{against}: no masks that could be scored, counted as 0", lacking)
    if not complete:
        raise typer.Exit(INCOMPLETE)


def _check_options(
    scoring: Mapping[str, Any],
    archive: Path | None,
    name: str | None,
    table: int | None,
    out: Path | None,
) -> None:
    """Raise ConfigError for options that do not go together, before anything is read."""
    from reviosa.errors import ConfigError

    given = [option for option, value in scoring.items() if value is not None]
    if archive is not None and given:
        raise ConfigError(
            f"got --archive with {given[0]}, expected one or the other; an archive is written "
            "without scoring"
        )
    if name is not None and table is None:
        raise ConfigError("got --name without --table, expected both; say which table")
    if out is not None and out.exists():
        raise ConfigError(f"{out}: got a place that is taken, expected a new folder; choose one")


def _require_roles(targets: bool, source: "AnyPredictions", predictions: Path) -> None:
    from reviosa.errors import DataError

    if targets and "target" not in source.roles:
        raise DataError(
            f"{predictions}: got predictions of the actor alone, expected targets; give JSON with "
            "prediction_masks_tar"
        )


def _archive(
    path: Path, dataset: "VideoDataset", source: "AnyPredictions", predictions: Path, json: bool
) -> None:
    """Write the archive, or list what is missing and exit."""
    from reports.style import count
    from reviosa.data.dataset import Fault
    from reviosa.evaluation.archive import write_archive
    from workbench.console import note, print_json, progress

    with progress("writing the archive") as update:
        found = write_archive(path, dataset, source, update)
    faults = [Fault(predictions.name, what) for what in source.faults] + list(found)
    written = not found
    if json:
        told = [{"where": fault.where, "what": fault.what} for fault in faults]
        print_json({"archive": str(path) if written else None, "faults": told})
    elif written:
        print(f"{count(len(dataset.samples), 'expression')} in {path}")
    if faults:
        _list(f"{count(len(faults), 'fault')} in {predictions}", map(str, faults))
        note(f"incomplete: {predictions}" + ("" if written else "; no archive was written"))
        raise typer.Exit(INCOMPLETE)


def _print(result: Mapping[str, Any], table: "PaperTable | None", notes: Sequence[str]) -> None:
    from workbench.console import print_table

    print_protocols(result)
    if result["rule"]["name"] != "interrvos":
        _print_rule(result["rule"])
    if "against" in result:
        _print_differences(result["against"])
    if table is not None:
        print_table(table.title, table.header, table.rows)
        for line in notes:
            print(line)


def _print_rule(rule: Mapping[str, Any]) -> None:
    from reports.style import number
    from workbench.console import print_table

    columns = list(dict.fromkeys(name for means in rule["means"].values() for name in means))
    columns = [name for name in columns if name != "n"] + ["n"]
    rows = [
        [setting, *(number(means.get(name), 1) for name in columns[:-1]), str(means["n"])]
        for setting, means in rule["means"].items()
    ]
    print_table(f"By the rule {rule['name']}: {rule['says']}", ["setting", *columns], rows)


def _print_differences(against: Mapping[str, Any]) -> None:
    from reports.style import PROTOCOL_TITLES, signed, signed_interval
    from workbench.console import note, print_table

    rows = [
        [
            f"{PROTOCOL_TITLES[protocol]}, {measure}",
            signed(found["value"], 2),
            signed_interval(found["ci"], 2),
            str(found["n"]),
            str(found["n_videos"]),
        ]
        for protocol, measures in against["difference"].items()
        for measure, found in measures.items()
    ]
    header = ["difference", "points", "95% CI", "expressions", "videos"]
    print_table(f"Less {against['path']}, expression by expression", header, rows)
    if against["alone"]:
        note(f"{against['alone']} expressions were scored for one of the two alone and left out")


def _tell(found: "SystemScore", predictions: Path | None) -> None:
    """Name all that keeps the predictions from being complete."""
    from reports.style import count
    from workbench.console import note

    missing, unknown = found.frames.missing, found.frames.unknown
    if missing:
        verbs = ("has", "counts") if len(missing) == 1 else ("have", "count")
        amount = count(len(missing), "expression")
        _list(f"{amount} {verbs[0]} no prediction and {verbs[1]} as 0", missing)
    if unknown:
        are = "is" if len(unknown) == 1 else "are"
        amount = count(len(unknown), "prediction")
        _list(f"{amount} {are} of no expression in the data set", unknown)
    if found.faults:
        _list(count(len(found.faults), "fault"), map(str, found.faults))
    if not found.complete:
        note(f"incomplete: {predictions}")


def _list(title: str, names: Iterable[str]) -> None:
    """Names under a title, the first of them where there are many."""
    from workbench.console import note

    names = list(names)
    note(f"{title}:")
    for line in names[:SHOWN]:
        note(f"  {line}")
    if len(names) > SHOWN:
        note(f"  and {len(names) - SHOWN:,} more; --json and --out give all")
