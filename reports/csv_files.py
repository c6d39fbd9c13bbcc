"""Every number of a report as CSV files, not rounded."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandas.api.types import is_numeric_dtype

from reports.csv_rows import (
    agreement_rows,
    arm_contrast_rows,
    arm_rows,
    claim_rows,
    contrast_rows,
    estimate_cells,
)
from reviosa.io import atomic_path

if TYPE_CHECKING:
    import pandas as pd

    from probes.beside import Beside
    from probes.report import CapturePart, ReportResults
    from probes.results import AnalysisResults

__all__ = ["csv_text", "spreadsheet_cell", "write_csv", "write_rows"]


def write_csv(results: "ReportResults", directory: str | Path) -> tuple[Path, ...]:
    """Write every number of a report as CSV files, not rounded; an empty cell is undefined.

    Args:
        results: what to write. The first column of a file about captures names the run.
        directory: made if absent; files of the same names are replaced.

    Returns:
        The files. Of captures: protocols, layer_profile, rankings, correlations, strata, scatter,
        samples; families, effects, subsets, lens, lens_heads and linear where there are such runs.
        Of several captures: differences and agreements. Of sweeps: claims, arms and contrasts.
    """
    files: dict[str, list[dict[str, Any]]] = {}
    for part in results.captures:
        for name, rows in _capture_files(part).items():
            files.setdefault(name, []).extend({"run": part.results.name, **row} for row in rows)
    more = {
        "differences": contrast_rows(results.contrasts),
        "agreements": agreement_rows(results.contrasts),
        "claims": claim_rows(results.study),
        "arms": arm_rows(results.study),
        "contrasts": arm_contrast_rows(results.study),
    }
    files |= {name: found for name, rows in more.items() if (found := list(rows))}
    directory = Path(directory)
    return tuple(write_rows(directory / f"{name}.csv", rows) for name, rows in files.items())


def csv_text(frame: "pd.DataFrame") -> str:
    """A table as CSV. Words that a spreadsheet would run as a formula get a quote in front."""
    safe = frame.copy()
    for name in safe.columns:
        if not is_numeric_dtype(safe[name]):
            safe[name] = [spreadsheet_cell(cell) for cell in safe[name]]
    return safe.to_csv(index=False)


def spreadsheet_cell(cell: Any) -> Any:
    """A cell that no spreadsheet runs: words that it would take for a formula get a quote in front.

    Numbers stay numbers.
    """
    if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r"):
        return f"'{cell}"
    return cell


def _capture_files(part: "CapturePart") -> dict[str, list[dict[str, Any]]]:
    results, beside = part.results, part.beside
    files = {
        "protocols": _protocol_rows(results),
        "layer_profile": _profile_rows(results),
        "rankings": _ranking_rows(results),
        "correlations": _correlation_rows(results),
        "strata": _stratum_rows(results),
        "scatter": _record_rows(results.scatter),
        "samples": _sample_rows(results),
    }
    more = {
        "families": _family_rows(beside),
        "effects": _effect_rows(beside),
        "subsets": _subset_rows(beside),
        "lens": _lens_rows(beside),
        "lens_heads": _lens_head_rows(beside),
        "linear": _linear_rows(beside),
    }
    beside_files = {name: found for name, rows in more.items() if (found := list(rows))}
    return {name: list(rows) for name, rows in files.items()} | beside_files


def _protocol_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for name, score in results.protocols.items():
        low, high = score.jf_ci or (None, None)
        yield {
            "protocol": name, "J": score.j, "F": score.f, "J&F": score.jf, "J&F_low": low,
            "J&F_high": high, "n": score.n, "missing": score.missing,
        }  # fmt: skip


def _profile_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for role, points in results.layer_profile.items():
        for point in points:
            yield {
                "role": role, "layer": point.layer, **estimate_cells("vision", point.vision),
                **estimate_cells("text", point.text), "n": point.vision.n,
                "n_videos": point.vision.n_videos,
            }  # fmt: skip


def _ranking_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for criterion, by_role in results.rankings.items():
        for role, ranking in by_role.items():
            for pair in ranking.pairs:
                low, high = pair.ci or (None, None)
                rank_low, rank_high = pair.rank_ci or (None, None)
                yield {
                    "criterion": criterion, "role": role, "layer": pair.layer, "head": pair.head,
                    "score": pair.score, "low": low, "high": high, "shrunk": pair.shrunk,
                    "p": pair.p, "q": pair.q, "rank": pair.rank,
                    "rank_low": rank_low, "rank_high": rank_high,
                    "top_k": ranking.top_k, "p_top_k": pair.p_top_k, "n": ranking.n_samples,
                    "n_videos": ranking.n_videos,
                }  # fmt: skip


def _correlation_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for role, correlation in results.correlations.items():
        groups = [
            (correlation.metric, (correlation.overall, *correlation.layers, *correlation.pairs)),
            *((name, (item,)) for name, item in correlation.controls.items()),
        ]
        for metric, associations in groups:
            for item in associations:
                yield {
                    "role": role, "metric": metric, "layer": item.layer, "head": item.head,
                    **estimate_cells("spearman", item.spearman),
                    **estimate_cells("given_area", item.partial),
                    **estimate_cells("adjusted", item.adjusted), "pearson": item.pearson,
                    "p": item.p, "given_area_p": item.partial_p, "adjusted_p": item.adjusted_p,
                    "n": item.spearman.n, "n_videos": item.spearman.n_videos,
                    "reason": item.spearman.reason,
                }  # fmt: skip


def _stratum_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for role, correlation in results.correlations.items():
        for item in correlation.strata:
            yield {
                "role": role, "metric": correlation.metric, "variable": item.variable,
                "level": item.level, **estimate_cells("spearman", item.spearman),
                "n": item.spearman.n, "n_videos": item.spearman.n_videos,
                "reason": item.spearman.reason,
            }  # fmt: skip


def _family_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for agreement in beside.families:
        for row, cells in enumerate(agreement.cells):
            for column, cell in enumerate(cells):
                yield {
                    "role": agreement.role,
                    "first": agreement.titles[row], "first_family": agreement.families[row],
                    "second": agreement.titles[column],
                    "second_family": agreement.families[column],
                    **estimate_cells("spearman", cell), "pairs": cell.n,
                    "n_videos": cell.n_videos, "reason": cell.reason,
                }  # fmt: skip


def _effect_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for number, ablation in enumerate(beside.ablations):
        for effect in ablation.effects:
            yield {
                "number": number, "kind": ablation.kind, "role": effect.role, "heads": effect.name,
                "group": effect.group, "k": effect.k,
                "pairs": " ".join(f"{layer}.{head}" for layer, head in effect.pairs),
                **estimate_cells("change", effect.change),
                **estimate_cells("less_random", effect.over_random),
                "random_below": effect.random_below, "random_sets": effect.n_random,
                "n": effect.change.n, "n_videos": effect.change.n_videos,
            }  # fmt: skip


def _subset_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for number, ablation in enumerate(beside.ablations):
        for model in ablation.subsets:
            for effect in model.effects:
                yield {
                    "number": number, "kind": ablation.kind, "role": model.role,
                    "layer": effect.layer, "head": effect.head,
                    **estimate_cells("effect", effect.effect),
                    "r2": model.r2.value, "subsets": model.n_subsets, "rate": model.rate,
                }  # fmt: skip


def _lens_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for number, found in enumerate(beside.lenses):
        for series in found.series.values():
            for point in series.points:
                told = {
                    name: getattr(point, name)
                    for name in ("probability", "first", "rank", "over_rival", "over_end")
                }
                cells = [estimate_cells(name, x) for name, x in told.items()]
                yield {
                    "number": number, "series": series.name, "depth": point.depth,
                    **{key: value for cell in cells for key, value in cell.items()},
                    "n": point.probability.n, "n_videos": point.probability.n_videos,
                }  # fmt: skip


def _lens_head_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for number, found in enumerate(beside.lenses):
        for name, attribution in found.attribution.items():
            for layer, heads in enumerate(attribution.heads):
                for head, estimate in enumerate(heads):
                    yield {
                        "number": number, "difference": name, "layer": layer, "head": head,
                        **estimate_cells("written", estimate), "n": estimate.n,
                        "n_videos": estimate.n_videos,
                    }  # fmt: skip


def _linear_rows(beside: "Beside") -> Iterable[dict[str, Any]]:
    for number, found in enumerate(beside.linear):
        for task in found.tasks:
            for name, layer in zip(found.layers, task.layers, strict=False):
                yield {
                    "number": number, "task": task.task, "layer": name,
                    **estimate_cells("accuracy", layer.accuracy),
                    **estimate_cells("control", layer.control),
                    **estimate_cells("selectivity", layer.selectivity),
                    **estimate_cells("unsaid", layer.unsaid),
                    "majority": None if task.majority is None else task.majority.value,
                    "n": task.n, "n_videos": task.n_videos,
                }  # fmt: skip


def _record_rows(by_role: Mapping[str, Sequence[Any]]) -> Iterable[dict[str, Any]]:
    return ({**vars(item)} for items in by_role.values() for item in items)


def _sample_rows(results: "AnalysisResults") -> Iterable[dict[str, Any]]:
    for kind, by_role in (("best", results.best), ("worst", results.worst)):
        for row in _record_rows(by_role):
            indices = " ".join(str(index) for index in row.pop("frame_indices"))
            yield {"kind": kind, **row, "frame_indices": indices}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows of the same keys as one CSV file, whole or not at all; None is an empty cell."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: spreadsheet_cell(v) for k, v in row.items()} for row in rows)
    return path
