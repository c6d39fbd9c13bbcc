"""What the page of causes shows, fetched: runs over a capture's model, and their results.

Opening an ablation resamples its videos, so results are kept by a mark of the run's files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from reviosa.errors import ReviosaError
from workbench.pages._data import RunEntry, files_mark, store_of

if TYPE_CHECKING:
    from probes.beside import Beside
    from probes.causal import AblationResults
    from probes.lens import LensResults
    from probes.linear.results import ProbeResults

# probes.causal, lens and beside load torch, which takes seconds: only here, and when asked for.

__all__ = [
    "KINDS", "ablation_of", "causes_mark", "families_of", "lens_of", "linear_of", "lost_of",
    "runs_beside", "silenced_kind",
]  # fmt: skip

KINDS: Final = ("ablate", "lens", "probe")
_FILES: Final = ("run.json", "effects.jsonl", "lens.jsonl", "linear.json")


def runs_beside(capture: RunEntry, runs: Sequence[RunEntry]) -> dict[str, list[RunEntry]]:
    """Runs over the very model of a capture, by kind, newest first; none where it has no identity.

    A run that is over the same data comes before those that are not.
    """
    model = _identity(capture, "model")
    found: dict[str, list[RunEntry]] = {kind: [] for kind in KINDS}
    for entry in runs:
        if entry.kind in found and model is not None and _identity(entry, "model") == model:
            found[entry.kind].append(entry)
    data = _identity(capture, "data")
    for entries in found.values():
        entries.sort(key=lambda entry: _identity(entry, "data") != data)
    return found


def silenced_kind(entry: RunEntry) -> str:
    """What an ablation run did to the heads, as its header says."""
    config = entry.header.get("config")
    return str(config.get("kind")) if isinstance(config, dict) else "unknown"


def causes_mark(directory: Path) -> tuple:
    """Mark of the header and the results of a run."""
    return files_mark([directory / name for name in _FILES])


@st.cache_resource(max_entries=24, show_spinner="Computing effects and intervals")
def ablation_of(directory: Path, mark: tuple) -> "AblationResults | str":
    """Effects of an ablation run; one line where they cannot be read."""
    from probes.causal import summarise

    return _or_reason(summarise, directory)


@st.cache_data(max_entries=24)
def lost_of(directory: Path, mark: tuple) -> str | None:
    """One line where expressions of an ablation that is done are missing or damaged."""
    from probes.causal.effects import lost_effects

    return lost_effects(directory)


@st.cache_resource(max_entries=8, show_spinner="Computing curves and intervals")
def lens_of(directory: Path, mark: tuple) -> "LensResults | str":
    """Results of a lens run; one line where they cannot be read."""
    from probes.lens import summarise

    return _or_reason(summarise, directory)


@st.cache_resource(max_entries=8, show_spinner="Reading the linear probes")
def linear_of(directory: Path, mark: tuple) -> "ProbeResults | str":
    """Results of linear probes; one line where they cannot be read."""
    from probes.linear.results import read_results

    return _or_reason(read_results, directory)


@st.cache_resource(max_entries=4, show_spinner="Correlating the rankings")
def families_of(
    directory: Path, mark: tuple, runs: tuple[Path, ...], marks: tuple
) -> "Beside | str":
    """Agreement of the capture's families with ablations; one line where it cannot be said.

    Args:
        directory: of the capture.
        mark: its :func:`workbench.pages._data.fingerprint`.
        runs: ablations over its model.
        marks: their :func:`causes_mark`.
    """
    from probes.beside import read_beside

    try:
        return read_beside(store_of(directory, mark), runs)
    except ReviosaError as error:
        return " ".join(str(error).split())


def _or_reason(read: Any, directory: Path) -> Any:
    try:
        return read(directory)
    except ReviosaError as error:
        return " ".join(str(error).split())
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"{directory}: the results cannot be read ({reason}); run it again"


def _identity(entry: RunEntry, what: str) -> str | None:
    value = entry.header.get(what)
    return value.get("identity") if isinstance(value, dict) else None
