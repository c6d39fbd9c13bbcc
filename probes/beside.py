"""What other runs over a captured model say beside the capture: ablations, lens, linear probes."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from probes.causal import AblationResults
from probes.causal import summarise as summarise_ablation
from probes.families import (
    REPRESENTATIVES,
    FamilyAgreement,
    Merits,
    compare_families,
    merits_of_effects,
    merits_of_tables,
)
from probes.lens import LensResults
from probes.lens import summarise as summarise_lens
from probes.linear.results import ProbeResults, read_results
from probes.store import CaptureStore
from reviosa.data.records import ROLES
from reviosa.errors import RunError
from reviosa.run_record import read_run

__all__ = ["BESIDE", "Beside", "read_beside", "run_kind"]

BESIDE = ("ablate", "lens", "probe")
"""Kinds of runs that are shown beside a capture."""


@dataclass(frozen=True)
class Beside:
    """Results of other runs over the model of one capture."""

    ablations: tuple[AblationResults, ...] = ()
    lenses: tuple[LensResults, ...] = ()
    linear: tuple[ProbeResults, ...] = ()
    notes: tuple[str, ...] = ()
    """What of these runs is not as in the capture: other data, or a part of its videos."""
    families: tuple[FamilyAgreement, ...] = ()
    """Of each role that was named: the capture's families, and what ablations of all pairs say."""
    headers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of each of these runs -> its header, without the list of what was ablated."""


def run_kind(directory: str | Path) -> str | None:
    """Kind of a run; None where there is no readable one."""
    try:
        return read_run(directory).get("kind")
    except RunError:
        return None  # whoever opens it as what it should be says what is wrong with it


def read_beside(
    store: CaptureStore, runs: Sequence[str | Path], resamples: int = 2000, seed: int = 0
) -> Beside:
    """Summarise the runs beside a capture, and set the families of criteria against each other.

    Raises:
        RunError: a run of another kind than :data:`BESIDE` or over another model, or one that
            cannot be read.
    """
    by_kind: dict[str | None, list[str | Path]] = {}
    notes: list[str] = []
    headers: dict[str, dict[str, Any]] = {}
    for run in runs:
        header = read_run(run)
        if header["kind"] not in BESIDE:
            raise RunError(
                f"{run} is a run of kind {header['kind']!r}, expected one of {', '.join(BESIDE)}; "
                f"give runs over the model of {store.directory}"
            )
        _require_model(store, run, header)
        notes += _other_data(store, run, header)
        by_kind.setdefault(header["kind"], []).append(run)
        headers[_free(Path(run).resolve().name, headers)] = _without_plan(header)
    ablations = [summarise_ablation(run, resamples, seed) for run in by_kind.get("ablate", [])]
    return Beside(
        tuple(ablations),
        tuple(summarise_lens(run, resamples, seed) for run in by_kind.get("lens", [])),
        tuple(read_results(run) for run in by_kind.get("probe", [])),
        tuple(notes),
        tuple(_families(store, role, ablations, resamples, seed) for role in _named(store)),
        headers,
    )


def _free(name: str, taken: Container[str]) -> str:
    """The name, with a number behind it where another run has it."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(x for x in numbered if x not in taken)


def _without_plan(header: dict[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in header["config"].items() if key != "ablations"}
    return {**header, "config": config}


def _require_model(store: CaptureStore, run: str | Path, header: dict[str, Any]) -> None:
    mine, other = ((x.get("model") or {}).get("identity") for x in (store.run, header))
    if mine is not None and other is not None and mine != other:
        raise RunError(
            f"{run} is of the model {other}, expected {mine} as captured in {store.directory}; "
            "give runs over the captured model"
        )


def _other_data(store: CaptureStore, run: str | Path, header: dict[str, Any]) -> list[str]:
    name = Path(run).resolve().name
    mine, other = ((x.get("data") or {}).get("identity") for x in (store.run, header))
    if mine is not None and other is not None and mine != other:
        return [f"The run {name} is over other data than the capture."]
    asked = header["config"].get("samples")
    captured = (store.run.get("summary") or {}).get("samples")
    whole = header["config"].get("kind") != "role-swap"  # which asks only expressions with a twin
    if whole and asked is not None and captured is not None and asked != captured:
        return [
            f"The run {name} is over {asked:,} expressions of the data, the capture over "
            f"{captured:,}."
        ]
    return []


def _named(store: CaptureStore) -> list[str]:
    samples = store.samples()
    named = set(samples.loc[samples.emitted, "role"])
    return [role for role in ROLES if role in named]


def _families(
    store: CaptureStore,
    role: str,
    ablations: Sequence[AblationResults],
    resamples: int,
    seed: int,
) -> FamilyAgreement:
    names = [name for name in REPRESENTATIVES if name in store.criteria]
    tables = store.head_tables(role, names)
    measures = [merits_of_tables([tables[name]], resamples, seed) for name in names]
    shape = (store.num_layers, store.num_heads)
    measures += [
        found for a in ablations if (found := _causal(a, role, shape, resamples, seed)) is not None
    ]
    return compare_families(role, measures, resamples)


def _causal(
    ablation: AblationResults, role: str, shape: tuple[int, int], resamples: int, seed: int
) -> Merits | None:
    """What silencing each pair costs; None where not every pair was tried."""
    singles = [e for e in ablation.effects if e.group == "single" and e.role == role]
    pairs = [e.pairs[0] for e in singles]
    if len(set(pairs)) < shape[0] * shape[1]:
        return None
    if any(layer >= shape[0] or head >= shape[1] for layer, head in pairs):
        raise RunError(
            f"got an ablation of a model with other layers or heads, expected {shape[0]} layers of "
            f"{shape[1]} heads as captured; give ablations of the captured model"
        )
    change = np.array([e.by_video for e in singles]).T
    videos = np.array((ablation.videos or {}).get(role, ()), dtype=str)
    return merits_of_effects(ablation.kind, pairs, change, videos, shape, resamples, seed)
