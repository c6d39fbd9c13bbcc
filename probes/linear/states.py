"""A run of kind ``probe``: the role tokens' hidden states of a data set, with what is true of them.

A part holds a few whole videos. Its states are written first and its facts last, each beside its
goal and renamed: a run that is killed loses at most the part it was in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from probes.linear.facts import RoleFacts, role_facts
from probes.linear.hooks import record_residuals, residual_names
from reviosa.data.dataset import VideoDataset
from reviosa.data.records import VideoSample
from reviosa.errors import DataError, RunError
from reviosa.inference import Segmenter
from reviosa.io import atomic_path
from reviosa.model import ReviosaModel, ReviosaProcessor
from reviosa.run_record import open_run, read_run

__all__ = ["RoleStates", "read_states", "record_states"]

_VIDEOS_A_PART = 8
_CONVERSATIONS_AT_ONCE = 16


@dataclass(frozen=True)
class RoleStates:
    """Hidden states of role tokens, and what is true of them."""

    states: NDArray[np.float32]
    """[sample, layer, hidden] of the first token of each role that was named."""
    layers: tuple[str, ...]
    """Names of the second axis; see :func:`probes.linear.hooks.residual_names`."""
    facts: tuple[RoleFacts, ...]
    """One a sample."""
    has_world: bool
    """Whether the data came with the synthetic world's record."""
    n_unnamed: int
    """Roles with a truth that the model did not name; they have no state and are not in it."""


@torch.inference_mode()
def record_states(
    model: ReviosaModel,
    processor: ReviosaProcessor,
    dataset: VideoDataset,
    directory: str | Path,
    identity: dict | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Let the model answer every expression and keep the hidden states of its role tokens.

    Args:
        model: the model.
        processor: its processor.
        dataset: expressions to ask.
        directory: run directory; ``states/`` and ``facts/`` in it hold the parts.
        identity: what the run's header says of the model.
        resume: go on with a run that was stopped.
        progress: called with (expressions done, expressions).

    Raises:
        RunError: the directory holds another run.
        DataError: a frame cannot be read; what was recorded stays and can be resumed.
    """
    config = model.config
    settings = {
        "samples": len(dataset.samples),
        "layers": list(residual_names(config.num_layers)),
        "num_frames": config.num_frames,
        "videos_a_part": _VIDEOS_A_PART,
        "world": dataset.world is not None,
    }
    directory = Path(directory)
    with open_run(directory, "probe", settings, None, dataset.provenance, identity, resume):
        segmenter = Segmenter(model, processor)
        videos = [
            list(group)
            for _, group in groupby(dataset.samples, key=lambda sample: sample.video.video_id)
        ]
        count = 0
        for part, start in enumerate(range(0, len(videos), _VIDEOS_A_PART)):
            chunk = videos[start : start + _VIDEOS_A_PART]
            if _is_whole(directory, part):
                count += sum(map(len, chunk))
                if progress is not None:
                    progress(count, len(dataset.samples))
                continue
            facts: list[RoleFacts] = []
            states: list[NDArray] = []
            for samples in chunk:
                found = _of_video(segmenter, samples, dataset.world)
                facts += found[0]
                states.append(found[1])
                count += len(samples)
                if progress is not None:
                    progress(count, len(dataset.samples))
            _write(directory, part, facts, np.concatenate(states))
    return directory


def read_states(directory: str | Path) -> RoleStates:
    """Read a whole run of :func:`record_states` into memory.

    A sample takes ``4 * (layers + 2) * hidden`` bytes: 8 kB of nano, 93 kB of the 1B model.

    Raises:
        RunError: no such run, one of another kind, or one that is not finished.
    """
    directory = Path(directory)
    header = read_run(directory)
    if header.get("kind") != "probe":
        raise RunError(
            f"{directory} is a run of kind {header.get('kind')!r}, expected a probe; give a folder "
            "that reviosa probe wrote"
        )
    paths = sorted(directory.glob("facts/part-*.parquet"))
    facts = [RoleFacts(**row) for path in paths for row in pq.read_table(path).to_pylist()]
    config = header["config"]
    got = len({fact.sample_id for fact in facts})
    if got != config["samples"]:
        raise RunError(
            f"{directory}: got hidden states of {got} expressions, expected {config['samples']}; "
            "go on with --resume"
        )
    parts = [load_file(_paths(directory, index)[0])["states"] for index in range(len(paths))]
    named = tuple(fact for fact in facts if fact.named)
    states = np.concatenate(parts)
    if len(states) != len(named):
        raise RunError(
            f"{directory}: got {len(states)} hidden states for {len(named)} roles, expected one "
            "each; record them again into a new directory"
        )
    return RoleStates(
        states, tuple(config["layers"]), named, config["world"], len(facts) - len(named)
    )


def _of_video(
    segmenter: Segmenter, samples: Sequence[VideoSample], world: dict | None
) -> tuple[list[RoleFacts], NDArray[np.float32]]:
    """Facts of every role with a truth, and states [named role, layer, hidden] in their order."""
    model = segmenter.model
    features = segmenter.encode(samples[0].video)
    replies = segmenter.answer(features, [sample.expression.text for sample in samples])
    start = features.opening.ids.shape[1]
    facts: list[RoleFacts] = []
    kept: list[NDArray] = []
    for first in range(0, len(samples), _CONVERSATIONS_AT_ONCE):
        part = replies[first : first + _CONVERSATIONS_AT_ONCE]
        places = [
            [token - start for token in segmenter.role_tokens(features, reply.ids)]
            for reply in part
        ]
        with record_residuals(model, torch.tensor(places).clamp_min(0)) as residuals:
            segmenter.read(features, [reply.ids for reply in part])
        states = torch.stack(residuals, dim=2).cpu().numpy()  # [row, role, layer, hidden]
        taken: list[tuple[int, int]] = []
        for row, (sample, reply) in enumerate(zip(samples[first:], part, strict=False)):
            for role in (0, 1) if sample.expression.is_interaction else (0,):
                named = places[row][role] >= 0
                put_into_form = reply.babble is not None
                frames = features.frame_indices
                facts.append(role_facts(sample, role, frames, world, named, put_into_form))
                if named:
                    taken.append((row, role))
        rows, roles = np.array(taken, dtype=np.intp).reshape(-1, 2).T
        kept.append(states[rows, roles])
    return facts, np.concatenate(kept)


def _paths(directory: Path, part: int) -> tuple[Path, Path]:
    name = f"part-{part:05d}"
    return directory / "states" / f"{name}.safetensors", directory / "facts" / f"{name}.parquet"


def _is_whole(directory: Path, part: int) -> bool:
    path = _paths(directory, part)[1]
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _write(directory: Path, part: int, facts: Sequence[RoleFacts], states: NDArray) -> None:
    if not np.isfinite(states).all():
        raise DataError(
            "got hidden states that are not finite, expected numbers; run the model in a wider "
            "type or check its checkpoint"
        )
    first, last = _paths(directory, part)
    with atomic_path(first) as temporary:
        save_file({"states": np.ascontiguousarray(states, dtype=np.float32)}, temporary)
    schema = pa.schema([(f.name, _ARROW[f.type]) for f in fields(RoleFacts)])
    columns = {f.name: [getattr(fact, f.name) for fact in facts] for f in fields(RoleFacts)}
    with atomic_path(last) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


_ARROW = {str: pa.string(), bool: pa.bool_(), str | None: pa.string()}
