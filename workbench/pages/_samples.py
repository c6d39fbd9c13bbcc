"""What the page of samples lists and sets side by side, fetched."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from probes.disagreement import rank_gap
from probes.store import TextAttention
from workbench.pages._data import (
    RunEntry,
    fingerprint,
    list_runs,
    pair_values,
    results_of,
    runs_folder,
    sample_table,
    store_of,
)

__all__ = ["looking_pair", "other_captures", "sample_list", "text_of"]


def looking_pair(directory: Path, mark: tuple, role: str) -> tuple[int, int] | None:
    """The pair of the highest mean mask share of a role; None where no sample has one."""
    ranking = results_of(directory, mark).rankings["mask_share"][role]
    first = ranking.pairs[0] if ranking.pairs else None
    return None if first is None or first.score is None else (first.layer, first.head)


@st.cache_data(max_entries=8, show_spinner="Reading the samples")
def sample_list(
    directory: Path, mark: tuple, role: str, other: Path | None, other_mark: tuple
) -> pd.DataFrame:
    """The rows of one role, with what they can be ordered by beside the store's columns.

    Added: ``role_gap``, J&F of the actor less that of the target of the same expression;
    ``looked``, mask share of :func:`looking_pair`; ``look_gap``,
    :func:`probes.disagreement.rank_gap` of J&F and ``looked``; ``other_jf`` and ``run_gap``, J&F of
    the other run and this one's less it. NaN where there is nothing to compare.

    Args:
        directory: of the capture.
        mark: its fingerprint.
        role: "actor" or "target".
        other: of a capture over the same data, None without.
        other_mark: its fingerprint.
    """
    table = sample_table(directory, mark)
    rows = table[table.role == role].reset_index(drop=True)
    by_role = table.pivot_table(index="sample_id", columns="role", values="jf", aggfunc="first")
    if {"actor", "target"} <= set(by_role):
        gap = by_role["actor"] - by_role["target"]
        rows["role_gap"] = rows.sample_id.map(gap).astype(float)
    else:
        rows["role_gap"] = np.nan
    pair = looking_pair(directory, mark, role)
    if pair is None:
        rows["looked"] = np.nan
    else:
        values = pair_values(directory, mark, "mask_share", role, *pair)
        looked = dict(zip(values.sample_id, values.value, strict=True))
        rows["looked"] = rows.sample_id.map(looked).astype(float)
    rows["look_gap"] = rank_gap(rows.jf, rows.looked)
    rows["other_jf"] = np.nan
    if other is not None:
        theirs = sample_table(other, other_mark)
        theirs = theirs[theirs.role == role].set_index("sample_id").jf
        rows["other_jf"] = rows.sample_id.map(theirs).astype(float)
    rows["run_gap"] = rows.jf - rows.other_jf
    return rows


def other_captures(entry: RunEntry) -> dict[str, RunEntry]:
    """Captures of the folder over the data of this one, by name; without this one."""
    mine = _identity(entry)
    return {
        other.name: other
        for other in list_runs(runs_folder())
        if other.kind == "capture" and other.name != entry.name and mine is not None
        and _identity(other) == mine
    }  # fmt: skip


def text_of(directory: Path, sample_id: str, role: str) -> TextAttention | None:
    """Attention on text tokens, None where it was not kept."""
    return store_of(directory, fingerprint(directory)).text_attention(sample_id, role)


def _identity(entry: RunEntry) -> str | None:
    data = entry.header.get("data")
    return data.get("identity") if isinstance(data, dict) else None
