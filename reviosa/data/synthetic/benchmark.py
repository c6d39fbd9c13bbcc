"""A fixed synthetic benchmark: splits by seed, with hashes that say whether they are the same."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.writer import write_synthetic
from reviosa.errors import ConfigError
from reviosa.io import write_json

__all__ = ["Benchmark", "SplitConfig", "write_benchmark"]

MANIFEST = "benchmark.json"


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitConfig(_Config):
    """One data set of a benchmark."""

    videos: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    world: WorldConfig = WorldConfig()
    """What differs from the default world."""
    identity: str | None = None
    """Identity that the written set must have; None while a new benchmark is drawn up."""


class Benchmark(_Config):
    """Splits that belong together."""

    name: str
    splits: Annotated[dict[str, SplitConfig], Field(min_length=1)]


def write_benchmark(
    benchmark: Benchmark,
    out: str | Path,
    only: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """Write the splits as ``out/<split>`` and ``out/benchmark.json``; those that are there stay.

    Args:
        benchmark: which splits.
        out: folder of the benchmark.
        only: write this split alone.
        progress: called with (split, videos done, videos).
        workers: processes.

    Returns:
        the manifest: name, identity (over all that follows) and, for each split written so far, its
        identity, seed, world, videos, expressions and interactions.

    Raises:
        ConfigError: there is no split ``only``, or a split has another identity than the benchmark
            names: this version's world is not the one the benchmark was drawn from.
    """
    if only is not None and only not in benchmark.splits:
        raise ConfigError(
            f"benchmark {benchmark.name} has no split {only!r}; choose one of "
            f"{', '.join(benchmark.splits)}"
        )
    out = Path(out)
    splits: dict[str, Any] = {}
    for name, split in benchmark.splits.items():
        folder = out / name
        if not folder.is_dir():
            if only not in (None, name):
                continue
            tell = None if progress is None else partial(progress, name)
            write_synthetic(folder, split.videos, split.seed, split.world, tell, workers)
        dataset = InterRVOSDataset(folder)
        if split.identity not in (None, dataset.identity):
            raise ConfigError(
                f"{folder}: got a data set of identity {dataset.identity}, expected "
                f"{split.identity} of benchmark {benchmark.name}; remove the folder and write it "
                "again, or use the version of this package that the benchmark was made with"
            )
        _check_world(folder, dataset, split)
        splits[name] = {**dataset.summary, "seed": split.seed, "world": _plain(split.world)}
    identities = json.dumps(splits, sort_keys=True)
    manifest = {
        "name": benchmark.name,
        "identity": hashlib.sha256(identities.encode()).hexdigest()[:16],
        "splits": splits,
    }
    write_json(out / MANIFEST, manifest)
    return manifest


def _plain(world: WorldConfig) -> dict[str, Any]:
    """A world as JSON gives it back."""
    return json.loads(json.dumps(asdict(world)))


def _check_world(folder: Path, dataset: InterRVOSDataset, split: SplitConfig) -> None:
    """Masks and words do not tell the backgrounds, so the world as written is compared too."""
    written = dataset.world or {}
    # What a setting was in sets that were written before it existed.
    defaults = _plain(WorldConfig())
    got = {"seed": written.get("seed"), **(written.get("config") or {})}
    wanted = {"seed": split.seed, **_plain(split.world)}
    for key, value in wanted.items():
        if got.get(key, defaults.get(key)) != value:
            raise ConfigError(
                f"{folder}: got a world with {key} {got.get(key)!r}, expected {value!r}; remove "
                "the folder and write it again"
            )
