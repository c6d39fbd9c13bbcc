"""What a click on a cell opens: spread and extremes of every pair's scores, a small file each."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.criteria import CRITERIA
from probes.results import AnalysisResults
from probes.store import CaptureStore
from reviosa import ROLES

__all__ = ["pair_files"]

BINS = 24
EXTREMES = 5
"""Samples listed at either end of a pair's scores."""


def pair_files(
    store: CaptureStore, results: AnalysisResults, rows: Mapping[tuple[str, str], int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of every pair's file.

    The size does not grow with the number of samples: scores are counted in bins, and samples are
    named by their place in the table of samples.

    Args:
        store: the run.
        results: its analysis.
        rows: (sample_id, role) to the place in the table of samples.

    Yields:
        ``L03H07`` and ``{"scores", "spread"}``: of each criterion and role the score with its
        interval and rank; and of each criterion edges [bin + 1], and of each role counts [bin],
        and the lowest and highest samples as [place, score].
    """
    shape = (results.num_layers, results.num_heads)
    pairs = [(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    spreads: dict[tuple[int, int], dict[str, Any]] = {pair: {} for pair in pairs}
    scored = [name for name in store.criteria if name in results.rankings]
    for criterion in scored:
        tables = {role: store.head_array(criterion, role) for role in ROLES}
        places = {
            role: np.array([rows[sample, role] for sample in table.sample_ids], dtype=int)
            for role, table in tables.items()
        }
        for layer, head in pairs:
            values = {role: table.values[:, layer, head] for role, table in tables.items()}
            spreads[layer, head][criterion] = _spread(values, places)
    scores = _scores(results)
    for layer, head in pairs:
        yield (
            f"L{layer:02d}H{head:02d}",
            {"scores": scores[layer, head], "spread": spreads[layer, head]},
        )


def _spread(
    values: Mapping[str, NDArray[np.float64]], places: Mapping[str, NDArray[np.int_]]
) -> dict[str, Any]:
    defined = {role: np.isfinite(column) for role, column in values.items()}
    together = np.concatenate([values[role][defined[role]] for role in values])
    if not together.size:
        return {"edges": [], "roles": {}}
    edges = np.histogram_bin_edges(together, BINS)
    roles = {}
    for role, column in values.items():
        known, place = column[defined[role]], places[role][defined[role]]
        if not known.size:
            continue
        order = np.argsort(known, kind="stable")
        ends = {"lowest": order[:EXTREMES], "highest": order[::-1][:EXTREMES]}
        roles[role] = {
            "n": int(known.size),
            "counts": np.histogram(known, edges)[0].tolist(),
            **{
                name: [[int(place[i]), float(known[i])] for i in chosen]
                for name, chosen in ends.items()
            },
        }
    return {"edges": edges.tolist(), "roles": roles}


def _scores(results: AnalysisResults) -> dict[tuple[int, int], list[dict[str, Any]]]:
    found: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for criterion, by_role in results.rankings.items():
        for role, ranking in by_role.items():
            for pair in ranking.pairs:
                found.setdefault((pair.layer, pair.head), []).append(
                    {
                        "criterion": criterion,
                        "title": CRITERIA[criterion].title,
                        "role": role,
                        "score": pair.score,
                        "ci": pair.ci,
                        "rank": pair.rank,
                        "rank_ci": pair.rank_ci,
                        "n": ranking.n_samples,
                    }
                )
    return found
