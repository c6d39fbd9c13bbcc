"""All tasks on the states of one run, and the file that keeps what came out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from probes._json import plain, record
from probes.linear.accuracy import TaskAccuracy, probe_layers
from probes.linear.facts import TASKS
from reviosa.errors import RunError
from reviosa.io import write_json

if TYPE_CHECKING:
    # Results are read where no model is: states load torch.
    from probes.linear.states import RoleStates

__all__ = ["ProbeResults", "probe_tasks", "read_results", "write_results"]

_FILE: Final = "linear.json"
_SCHEMA: Final = 1


@dataclass(frozen=True)
class ProbeResults:
    """What can be read off the role tokens of one run."""

    layers: tuple[str, ...]
    """Names of each task's layers; see :func:`probes.linear.hooks.residual_names`."""
    tasks: tuple[TaskAccuracy, ...]
    left_out: dict[str, str]
    """Tasks that were not run, and why."""
    questions: dict[str, str]
    """What each task asks, in words."""
    n_states: int
    n_unnamed: int
    """Roles with a truth that the model did not name; no task has them."""
    n_put_into_form: int
    """States of tokens that were put into an answer which named no role by itself."""
    folds: int
    draws: int
    """Of the control labels."""
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def probe_tasks(
    found: "RoleStates",
    folds: int = 5,
    draws: int = 5,
    resamples: int = 2000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ProbeResults:
    """Probe every layer for every label that the data support.

    Args:
        found: hidden states and facts.
        folds: of the cross-validation by videos.
        draws: of the control labels.
        resamples: bootstrap draws over videos.
        seed: of all random choices.
        progress: called with (layers of folds of tasks done, all of them).

    Raises:
        DataError: a state is not finite.
    """
    runnable = [task for task in TASKS if found.has_world or not task.needs_world]
    results: list[TaskAccuracy] = []
    for index, task in enumerate(runnable):

        def tell(done: int, total: int, before: int = index) -> None:
            if progress is not None:
                progress(before * total + done, len(runnable) * total)

        labels = [task.label(fact) for fact in found.facts]
        rows = [row for row, label in enumerate(labels) if label is not None]
        facts = [found.facts[row] for row in rows]
        results.append(
            probe_layers(
                task.name,
                found.states[rows],
                np.array([labels[row] for row in rows], dtype=str),
                [fact.video_id for fact in facts],
                [task.type(fact) for fact in facts],
                [task.said(fact) for fact in facts],
                folds,
                draws,
                resamples,
                seed,
                tell,
            )
        )
    return ProbeResults(
        layers=found.layers,
        tasks=tuple(results),
        left_out={
            task.name: "the data have no world.json, which alone says it"
            for task in TASKS
            if task not in runnable
        },
        questions={task.name: task.question for task in TASKS},
        n_states=len(found.facts),
        n_unnamed=found.n_unnamed,
        n_put_into_form=sum(fact.put_into_form for fact in found.facts),
        folds=folds,
        draws=draws,
        resamples=resamples,
        seed=seed,
    )


def write_results(directory: str | Path, results: ProbeResults) -> Path:
    """Keep results beside the states they are of, in ``linear.json``."""
    path = Path(directory) / _FILE
    write_json(path, {"schema": _SCHEMA, **results.to_json()})
    return path


def read_results(directory: str | Path) -> ProbeResults:
    """Read what :func:`write_results` kept.

    Raises:
        RunError: there is none, or it is damaged or of another schema.
    """
    path = Path(directory) / _FILE
    if not path.is_file():
        raise RunError(
            f"{directory}: got no {_FILE} in it, expected the results of a probe run; run reviosa "
            "probe, with --resume where it was stopped"
        )
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: got an unreadable file ({error}), expected JSON; run reviosa probe again "
            "with --resume"
        ) from None
    if not isinstance(value, dict) or value.pop("schema", None) != _SCHEMA:
        raise RunError(
            f"{path}: got results of another schema, expected {_SCHEMA}; run reviosa probe again "
            "with --resume"
        )
    return record(ProbeResults, value)
