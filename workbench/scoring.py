"""Predictions scored, and set beside another system's and the paper's, for ``reviosa score``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviosa.errors import ConfigError, DataError

if TYPE_CHECKING:
    from reports.paper_tables import PaperTable
    from reviosa.data.dataset import VideoDataset
    from reviosa.evaluation import RoleScore
    from reviosa.evaluation.readers import AnyPredictions
    from reviosa.evaluation.system_score import SystemScore

__all__ = [
    "SCORE_FILE",
    "Other",
    "check_form",
    "check_table",
    "differences",
    "paper_table",
    "read_other",
    "score_predictions",
    "table_notes",
    "write_scored",
]

SCORE_FILE = "score.json"
"""What ``reviosa score --out`` writes beside the scores of expressions."""

BENCHMARKS = {
    "mevis": "MeViS valid_u",
    "ref-youtube-vos": "Ref-YouTube-VOS",
    "ref-davis": "Ref-DAVIS",
}
"""Layout -> column of Table 5; the masks of MeViS valid are at the server alone."""


_SPLITS = {"mevis": "valid_u", "ref-youtube-vos": "valid", "ref-davis": "val"}
"""Layout -> the split of its column; Ref-DAVIS as a whole, or converted, is that split too."""


@dataclass(frozen=True)
class Other:
    """The system that is compared with."""

    path: Path
    scores: "tuple[RoleScore, ...]"
    found: "SystemScore | None"
    """What was found on scoring it; None where an earlier folder of scores was read."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Of an earlier folder of scores, the sample ids that count as 0 for want of masks."""
        if self.found is not None:
            return ()
        return tuple(dict.fromkeys(score.sample_id for score in self.scores if score.missing))


def score_predictions(
    path: Path,
    source: "AnyPredictions",
    dataset: "VideoDataset",
    rule: str | None = None,
    workers: int = 1,
) -> "SystemScore":
    """Score opened predictions and show how far that is.

    Raises:
        DataError: the form of the predictions does not say which expression a mask is of.
        ConfigError: there is no such rule.
    """
    from reviosa.evaluation.system_score import score_system
    from workbench.console import progress

    check_form(path, source, dataset)
    with progress(f"scoring {path.name}") as update:
        return score_system(dataset, source, path.name, rule, workers, update)


def check_form(path: Path, source: "AnyPredictions", dataset: "VideoDataset") -> None:
    """Raise DataError where palettes cannot say which expression a mask is of.

    Ref-DAVIS has four annotators. SA-V counts its objects from 000, which is the background of a
    palette, and lets them overlap.
    """
    if (source.form, dataset.layout) == ("davis", "sa-v"):
        raise DataError(
            f"{path}: got palettes, expected <video>/<object>/<frame>.png as SA-V has objects 000 "
            "that overlap others; write a folder of masks for each object"
        )
    if (source.form, dataset.layout) == ("davis", "ref-davis"):
        raise DataError(
            f"{path}: got palettes of one annotator, expected the folders anno_0 to anno_3; "
            "give the folder that holds them"
        )


def read_other(
    path: Path, dataset: "VideoDataset", rule: str | None = None, workers: int = 1
) -> Other:
    """The scores of the system to compare with.

    Args:
        path: a folder of ``reviosa score --out``, a run of ``reviosa evaluate``, or predictions,
            which are scored.
        dataset: what both are scored on.
        rule: averaging rule, where predictions are scored.
        workers: processes that score.

    Raises:
        DataError: the scores are of other data, or damaged; or there are no predictions.
    """
    from reviosa.evaluation import SCORES_FILE, RoleScore, read_scores
    from reviosa.evaluation.readers import open_predictions

    if not (path / SCORES_FILE).is_file():
        found = score_predictions(path, open_predictions(path), dataset, rule, workers)
        return Other(path, found.scores, found)
    identity = _identity(path)
    if identity != dataset.identity:
        raise DataError(
            f"{path}: got scores on the data set {identity or '(not told)'}, expected "
            f"{dataset.identity} as {dataset.root} is; score both on the same data"
        )
    rows = read_scores(path / SCORES_FILE).drop(columns=["sample_id", "jf"]).to_dict("records")
    return Other(
        path, tuple(RoleScore(**{str(k): v for k, v in row.items()}) for row in rows), None
    )


def differences(first: "Sequence[RoleScore]", second: "Sequence[RoleScore]") -> dict[str, Any]:
    """The first system less the second, as JSON.

    Returns:
        ``alone``, the number of expressions that one of them lacks, and ``difference``: protocol ->
        measure -> value and ci in points, n, n_videos, and the reason why one is null.
    """
    from probes.paired import paired_differences
    from reviosa.evaluation import score_table

    paired = paired_differences(score_table(first), score_table(second))
    return {
        "alone": paired.alone,
        "difference": {
            protocol: {measure: asdict(found) for measure, found in measures.items()}
            for protocol, measures in paired.protocols.items()
        },
    }


def check_table(number: int, dataset: "VideoDataset") -> None:
    """Raise where there is no such table, or no place in it for scores on the data set.

    Raises:
        ConfigError: there is no such table, or no column for the benchmark.
        DataError: the table is of targets and the data set has none.
    """
    from reviosa.evaluation.published import TABLES

    if number not in TABLES:
        raise ConfigError(
            f"got --table {number}, expected one of {', '.join(map(str, TABLES))}; choose one"
        )
    if number == 5 and dataset.layout not in BENCHMARKS:
        raise ConfigError(
            f"got --table 5 for the layout {dataset.layout}, expected one of its benchmarks "
            f"({', '.join(BENCHMARKS)}); choose another table"
        )
    if number == 4:
        dataset.require_targets()


def paper_table(
    number: int, dataset: "VideoDataset", systems: "Sequence[tuple[str, Mapping[str, Any]]]"
) -> "PaperTable":
    """The paper's table with a row for each system: its name, and protocol -> J, F, J&F."""
    from reports.paper_tables import beside_published, scored_row
    from reviosa.evaluation.published import TABLES

    table, column = TABLES[number], BENCHMARKS.get(dataset.layout, "")
    rows = [scored_row(table, name, scores, column) for name, scores in systems]
    return beside_published(table, rows)


def table_notes(number: int, dataset: "VideoDataset", complete: bool) -> list[str]:
    """What a reader must know of the rows that are not published."""
    from reports.style import count
    from reviosa.evaluation.published import EVALUATION_EXPRESSIONS

    expressions = count(len(dataset.samples), "expression")
    notes = [f"Scored here: {expressions} of {dataset.root}, identity {dataset.identity}."]
    if not complete:
        notes.append("Warning: predictions are incomplete; what is missing or faulty counts as 0.")
    if number == 5:
        notes.append("J&F is averaged over expressions, as by the paper's released scripts.")
        split = dataset.root.resolve().name
        wanted = _SPLITS[dataset.layout]
        if split != wanted and (dataset.layout != "ref-davis" or split == "train"):
            notes.append(
                f"Warning: the folder's name is not {wanted}; the column is of that split."
            )
    elif len(dataset.samples) != EVALUATION_EXPRESSIONS or dataset.layout != "interrvos":
        notes.append(
            f"Warning: this is not the paper's evaluation split, which has "
            f"{EVALUATION_EXPRESSIONS:,} expressions; do not compare with the published rows."
        )
    return notes


def write_scored(
    out: Path,
    scores: "Sequence[RoleScore]",
    result: Mapping[str, Any],
    table: "PaperTable | None",
    notes: Sequence[str],
) -> None:
    """Write the scores of all expressions, the result and the table to a new folder."""
    from reports.paper_tables import table_csv, table_markdown
    from reviosa.evaluation import SCORES_FILE, write_scores
    from reviosa.io import atomic_directory, write_json, write_text

    with atomic_directory(out) as folder:
        write_scores(folder / SCORES_FILE, scores)
        write_json(folder / SCORE_FILE, result)
        if table is not None:
            write_text(folder / "table.md", table_markdown(table, notes))
            write_text(folder / "table.csv", table_csv(table))


def _identity(folder: Path) -> str | None:
    """Identity of the data that a folder's scores are of; None where the folder does not say."""
    for path in (folder / SCORE_FILE, folder / "run.json"):
        if path.is_file():
            try:
                return json.loads(path.read_bytes())["data"]["identity"]
            except (ValueError, KeyError, TypeError):
                return None
    return None
