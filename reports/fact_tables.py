"""Tables of facts: the data, the model, and where the numbers came from."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.style import MISSING, ROLE_TITLES, ROLE_TOKENS, count, pair_label
from reports.summary import model_name
from reports.tables import Table

if TYPE_CHECKING:
    from probes.results import AnalysisResults
    from probes.study import SweepResults

__all__ = [
    "data_table",
    "flatten",
    "header_table",
    "model_table",
    "provenance_table",
    "sweep_provenance_table",
]


def data_table(results: "AnalysisResults") -> Table:
    """How much data stands behind the numbers, role by role."""
    counts = results.counts
    rows = tuple(
        (
            f"{ROLE_TITLES[role]} {ROLE_TOKENS[role]}",
            *(f"{n:,}" for n in (c.rows, c.emitted, c.missing, c.put_into_form)),
        )
        for role, c in counts.roles.items()
    )
    identity = (results.run.get("data") or {}).get("identity", MISSING)
    return Table(
        ("role", "samples", "named", "not named", "put into form"),
        rows,
        f"{count(counts.videos, 'video')}, {count(counts.expressions, 'expression')}, "
        f"{counts.interactions:,} of them interactions with an actor and a target. A sample is "
        "one expression and role with a true mask. Put into form: the model named no role by "
        f"itself, so its token was put into the answer. Identity of the data: {identity}.",
        name="data",
    )


def model_table(results: "AnalysisResults") -> Table:
    """What was looked into."""
    model = results.run.get("model")
    model = model if isinstance(model, dict) else {}
    pairs = ", ".join(pair_label(*pair) for pair in results.supervised_pairs)
    rows = (
        ("name", model_name(results.run)),
        ("identity", str(model.get("identity", MISSING))),
        ("language model", f"{results.num_layers} layers of {results.num_heads} heads"),
        ("pairs whose attention was supervised", pairs or "none named"),
    )
    return Table(("what", "value"), rows, "", text_columns=2, name="model")


def provenance_table(results: "AnalysisResults") -> Table:
    """Where the numbers came from: the run's header and how they were analysed."""
    rows = [
        *_header_rows(results.name, results.run),
        ("resamples", f"{results.resamples:,} draws of videos, seed {results.seed}"),
        ("size", f"{results.num_layers} layers x {results.num_heads} heads"),
    ]
    return _facts(rows, f"Capture {results.name}")


def header_table(name: str, run: Mapping[str, Any]) -> Table:
    """The header of a run beside a capture."""
    return _facts(_header_rows(name, run), f"Run {name}")


def _header_rows(name: str, run: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("run", name), ("status", str(run.get("status", "unknown")))]
    for key in ("kind", "created", "finished", "error"):
        if run.get(key):
            rows.append((key, str(run[key])))
    for key in ("model", "data", "git", "versions", "config"):
        rows += [(f"{key}: {name}", text) for name, text in flatten(run.get(key) or {})]
    seed = run.get("seed")
    return [*rows, ("seed of the run", MISSING if seed is None else str(seed))]


def sweep_provenance_table(sweep: "SweepResults") -> Table:
    """The sweep file as it was resolved."""
    rows = [(key, text) for key, text in flatten(sweep.config) if key != "note"]
    return _facts(rows, f"Sweep {sweep.answer.name}")


def _facts(rows: Sequence[tuple[str, str]], title: str) -> Table:
    return Table(
        ("what", "value"), tuple(rows), "", text_columns=2, name=f"provenance-{title}", title=title
    )


def flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as ``(a.b.c, text)``; lists and plain values in JSON's spelling."""
    flat: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat += flatten(item, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", item if isinstance(item, str) else json.dumps(item)))
    return flat
