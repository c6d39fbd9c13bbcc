"""Everything that a report or a page shows about one capture run, as named records.

Made by :func:`probes.analysis.analyse`; drawn by ``reports`` and the dashboard, which compute
nothing. No record holds NaN: an undefined number is None, with the reason beside it.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probes._json import plain, record
from probes.bootstrap import Estimate
from probes.correlation import Correlation
from probes.ranking import Ranking
from reviosa.errors import RunError
from reviosa.io import write_json

__all__ = [
    "AnalysisResults",
    "Counts",
    "LayerPoint",
    "ProtocolScore",
    "RoleCount",
    "SampleCard",
    "ScatterBin",
    "ScatterPoint",
]

SCHEMA = 5


@dataclass(frozen=True)
class RoleCount:
    """Rows of one role."""

    rows: int
    emitted: int
    missing: int
    """The role has a truth, but the model gave no token for it."""
    put_into_form: int
    """The model had named no role by itself; its token was put there."""


@dataclass(frozen=True)
class Counts:
    """How much data stands behind the numbers."""

    videos: int
    expressions: int
    interactions: int
    """Expressions with an actor and a target (caption type unidirectional)."""
    roles: dict[str, RoleCount]


@dataclass(frozen=True)
class ProtocolScore:
    """J, F and J&F of one protocol, per cent; a missing role counts as 0."""

    j: float | None
    f: float | None
    jf: float | None
    jf_ci: tuple[float, float] | None
    n: int
    missing: int
    reason: str | None = None
    """Why a number is None."""

    def to_json(self) -> dict[str, Any]:
        """The keys of ``evaluate --json``, with the interval and the missing beside them."""
        return {
            "J": self.j,
            "F": self.f,
            "J&F": self.jf,
            "n": self.n,
            "missing": self.missing,
            "J&F_ci": plain(self.jf_ci),
        }


@dataclass(frozen=True)
class LayerPoint:
    """Mean over the heads of a layer (the paper's Fig. 6b)."""

    layer: int
    vision: Estimate
    text: Estimate


@dataclass(frozen=True)
class ScatterPoint:
    """One sample in the plot of attention against quality (the paper's Fig. 6a)."""

    sample_id: str
    video_id: str
    role: str
    mask_share: float
    """Mean over all layers and heads."""
    top_layer_share: float | None
    """Mean over the heads of the layer with the most visual attention."""
    mask_area: float | None
    jf: float
    """0 to 1, as everything about single samples; only :class:`ProtocolScore` is per cent."""


@dataclass(frozen=True)
class ScatterBin:
    """Mean J&F of the samples whose mask share lies in one quantile bin."""

    lo: float
    hi: float
    center: float
    """Mean mask share of the bin."""
    jf: Estimate


@dataclass(frozen=True)
class SampleCard:
    """One sample and role, to be shown as frames with masks and attention."""

    sample_id: str
    video_id: str
    exp_id: str
    role: str
    caption_type: str
    expression: str
    text: str
    emitted: bool
    j: float
    f: float
    jf: float
    mask_area: float | None
    mask_share: float | None
    lift: float | None
    frame_indices: tuple[int, ...]


@dataclass(frozen=True)
class AnalysisResults:
    """All results of one capture run. Dicts by role hold every role, empty where it has no rows."""

    name: str
    """Name of the run directory."""
    run: dict[str, Any]
    """The run's header, verbatim."""
    num_layers: int
    num_heads: int
    resamples: int
    seed: int
    confidence: float
    counts: Counts
    protocols: dict[str, ProtocolScore]
    """"actor", "target": interaction expressions; "rvos": all expressions, actor masks."""
    layer_profile: dict[str, tuple[LayerPoint, ...]]
    layer_means: dict[str, dict[str, tuple[Estimate, ...]]]
    """criterion, role, layer: mean over the heads of a layer and over samples. Kept, because
    reading a large capture takes longer than a reader of a page waits."""
    top_layer: dict[str, int | None]
    """Layer with the highest visual mass over its heads: chosen without looking at J&F."""
    maps: dict[str, dict[str, tuple[tuple[float | None, ...], ...]]]
    """criterion, role ("actor", "target", "both"), layer, head."""
    rankings: dict[str, dict[str, Ranking]]
    """criterion, role ("actor", "target", "both")."""
    correlations: dict[str, Correlation]
    scatter: dict[str, tuple[ScatterPoint, ...]]
    bins: dict[str, tuple[ScatterBin, ...]]
    best: dict[str, tuple[SampleCard, ...]]
    """Highest J&F first, emitted roles alone."""
    worst: dict[str, tuple[SampleCard, ...]]
    """Lowest J&F first; never one of ``best``."""
    supervised_pairs: tuple[tuple[int, int], ...]
    """Pairs whose attention was trained towards the masks, where the header names them."""
    notes: tuple[str, ...]
    """What the numbers say and do not say, in sentences made from them."""
    problems: tuple[str, ...]
    evaluation: dict[str, Any] | None = None
    """Scores of a separate ``reviosa evaluate`` run, if the caller gave them."""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)

    @classmethod
    def from_json(cls, value: Any) -> "AnalysisResults":
        """Read what :meth:`to_json` wrote.

        Raises:
            RunError: another schema, or a value that does not fit it.
        """
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise RunError(
                f"analysis results of schema {schema!r}, expected {SCHEMA}; run the analysis again"
            )
        return record(cls, value, "results")

    def save(self, path: str | Path) -> None:
        """Write the results as JSON, whole or not at all."""
        write_json(path, self.to_json(), indent=None)

    @classmethod
    def load(cls, path: str | Path) -> "AnalysisResults":
        """Read a file that :meth:`save` wrote.

        Raises:
            RunError: the file is missing, not JSON, or of another schema.
        """
        with _no_collection():
            try:
                value = json.loads(Path(path).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RunError(
                    f"cannot read the analysis results {path}: {error}; run the analysis again"
                ) from error
            return cls.from_json(value)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without Python's search for cycles: a large analysis makes a million objects and no cycle.

    The search is a third of the time that reading it takes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
