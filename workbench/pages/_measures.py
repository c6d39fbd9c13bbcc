"""What the pages of layers, heads, and attention and accuracy fetch: a choice in, numbers out.

As in :mod:`workbench.pages._data`, cached values are keyed by directory and fingerprint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from probes.bootstrap import Estimate
from probes.causal import AblationResults, summarise
from probes.causal.effects import EFFECTS_FILE
from probes.correlation import control_names
from probes.covariates import covariates
from probes.layer_means import layer_differences
from probes.pair_sets import Beside, SetAccuracy, set_accuracy
from probes.store import HeadTable
from reviosa.errors import ReviosaError
from workbench.pages._data import RunEntry, files_mark, sample_table, store_of

__all__ = [
    "PairEffect",
    "accuracy_of",
    "expressions_of",
    "layer_differences_of",
    "pair_effects",
    "table_of",
]

RESAMPLES = 2000
"""Draws over videos behind the intervals that a click asks for."""

Pair = tuple[int, int]


@st.cache_resource(max_entries=8, show_spinner="Reading the heads")
def table_of(directory: Path, mark: tuple, criterion: str, role: str) -> HeadTable:
    """A criterion of every pair and sample of a role."""
    return store_of(directory, mark).head_array(criterion, role)


@st.cache_data(max_entries=64, show_spinner="Comparing the runs")
def layer_differences_of(
    directory: Path, mark: tuple, other: Path, other_mark: tuple, criterion: str, role: str
) -> tuple[Estimate, ...]:
    """A run less another, layer by layer, over the samples that both have.

    Raises:
        ConfigError: they cannot be paired.
    """
    return layer_differences(
        store_of(directory, mark).layer_array(criterion, role),
        store_of(other, other_mark).layer_array(criterion, role),
        RESAMPLES,
    )


@st.cache_resource(max_entries=4, show_spinner="Reading the controls")
def _control_means(directory: Path, mark: tuple) -> pd.DataFrame:
    """Mean over all heads of each control, by role and sample."""
    store = store_of(directory, mark)
    # Taken where the scores lie: all heads of all controls would be much to read.
    means = "".join(
        f", avg({name}) FILTER (isfinite({name})) AS {name}"
        for name in control_names(store.criteria)
    )
    found = store.query(f"SELECT role, sample_id{means} FROM heads GROUP BY role, sample_id")
    return found.set_index(["role", "sample_id"])


@st.cache_resource(max_entries=4, show_spinner="Reading the controls")
def _beside(directory: Path, mark: tuple, role: str) -> Beside:
    store = store_of(directory, mark)
    samples = store.samples()
    ids = samples.sample_id[samples.role == role]
    means = _control_means(directory, mark).reindex([(role, name) for name in ids])
    return Beside(
        covariates(store, role), {name: means[name].to_numpy(dtype=float) for name in means}
    )


@st.cache_data(max_entries=32, show_spinner="Setting attention against J&F")
def accuracy_of(
    directory: Path, mark: tuple, criterion: str, role: str, pairs: tuple[Pair, ...] | None
) -> SetAccuracy:
    """A criterion of some pairs, of all when None, against the J&F of the role.

    Raises:
        ConfigError: a pair that the model does not have.
    """
    table = table_of(directory, mark, criterion, role)
    return set_accuracy(table, pairs, _beside(directory, mark, role), RESAMPLES)


@st.cache_data(max_entries=4)
def expressions_of(directory: Path, mark: tuple) -> pd.Series:
    """The expression of each sample, by ``sample_id``."""
    table = sample_table(directory, mark)
    return table.drop_duplicates("sample_id").set_index("sample_id")["expression"]


@dataclass(frozen=True)
class PairEffect:
    """What silencing one pair alone changed, in one run of ablations."""

    run: str
    kind: str
    """What stood in place of the head's output."""
    role: str
    change: Estimate
    """Of J&F, 0 to 1, silenced less whole; of ``role-swap``, of the place of the mask."""


@st.cache_resource(max_entries=16, show_spinner="Reading ablations")
def _ablation(directory: Path, mark: tuple) -> AblationResults | None:
    try:
        return summarise(directory, RESAMPLES)
    except (ReviosaError, KeyError, TypeError, ValueError):
        return None  # damaged, or of a plan that is not known any more


def pair_effects(runs: Sequence[RunEntry], run: dict, pair: Pair) -> list[PairEffect]:
    """Effects of silencing a pair alone, from the ablations of the same model among ``runs``.

    Args:
        runs: of the folder.
        run: header of the capture; a model without an identity has no ablations that are its own.
        pair: layer and head.
    """
    identity = _model_identity(run)
    found = []
    for entry in runs:
        if entry.kind != "ablate" or not identity or _model_identity(entry.header) != identity:
            continue
        mark = files_mark([entry.directory / "run.json", entry.directory / EFFECTS_FILE])
        results = _ablation(entry.directory, mark)
        found += [
            PairEffect(entry.name, results.kind, effect.role, effect.change)
            for effect in (results.effects if results else ())
            if effect.group == "single" and effect.pairs == (pair,)
            if effect.change.value is not None
        ]
    return found


def _model_identity(header: dict) -> str | None:
    model = header.get("model")
    return model.get("identity") if isinstance(model, dict) else None
