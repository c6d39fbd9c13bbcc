"""Write synthetic videos in the InterRVOS layout."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image

from reviosa.data.rle import encode
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.world import SyntheticVideo, generate_video
from reviosa.errors import DataError
from reviosa.io import atomic_directory, write_json

__all__ = ["write_synthetic"]


@dataclass(frozen=True)
class _Encoded:
    """A video as bytes and plain JSON values, small enough to send between processes."""

    jpegs: list[bytes]
    tracks: list[list[dict[str, Any] | None]]
    """One list of RLE or None per object."""
    objects: list[dict[str, Any]]
    events: list[dict[str, Any]]
    expressions: list[dict[str, Any]]


def write_synthetic(
    out: str | Path,
    videos: int,
    seed: int,
    config: WorldConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
) -> None:
    """Write ``videos`` synthetic videos to the new folder ``out``, whole or not at all.

    Args:
        out: the folder to make; holds ``JPEGImages``, ``meta_expressions.json``,
            ``mask_dict.json`` and ``world.json`` (what stands where, for pretraining labels).
        videos: number of videos.
        seed: seed of the world; with ``config`` it fixes every byte.
        config: the world, the default one without it.
        progress: called with (videos done, videos) after each.
        workers: processes; the result does not depend on it.

    Raises:
        DataError: ``out`` exists or ``videos``, ``seed`` or ``workers`` is out of range.
        ConfigError: no scene fits the configured frame.
    """
    config = config or WorldConfig()
    if videos < 1 or seed < 0 or workers < 1:
        raise DataError(
            f"got {videos} videos, seed {seed} and {workers} workers, expected at least 1, 0 "
            "and 1; change the numbers"
        )
    meta: dict[str, Any] = {}
    tracks: dict[str, Any] = {}
    world: dict[str, Any] = {}
    try:
        with atomic_directory(out) as folder:
            for index, video in enumerate(_encode_all(videos, seed, config, workers)):
                video_id = f"synth_{seed}_{index:05d}"
                _write_frames(folder / "JPEGImages" / video_id, video.jpegs)
                first = len(tracks)
                tracks |= {str(first + i): track for i, track in enumerate(video.tracks)}
                meta[video_id] = _meta(video, index, first)
                world[video_id] = _world(video, first)
                if progress is not None:
                    progress(index + 1, videos)
            write_json(folder / "meta_expressions.json", {"videos": meta}, indent=None)
            write_json(folder / "mask_dict.json", tracks, indent=None)
            header = {"schema": 1, "seed": seed, "config": asdict(config)}
            write_json(folder / "world.json", header | {"videos": world}, indent=None)
    except FileExistsError:
        raise DataError(
            f"{out}: got a path that exists, expected a new folder; choose another or remove it"
        ) from None


def _encode_all(videos: int, seed: int, config: WorldConfig, workers: int) -> Iterator[_Encoded]:
    make = partial(_encode, seed=seed, config=config)
    if workers == 1:
        yield from map(make, range(videos))
        return
    # Not fork: the caller may hold threads of torch, which do not survive it.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, range(videos), chunksize=4)


def _encode(index: int, seed: int, config: WorldConfig) -> _Encoded:
    video = generate_video(index, seed, config)
    jpegs = []
    for frame in video.frames:
        buffer = io.BytesIO()
        # Full colour resolution: small coloured objects lose their edges without it.
        Image.fromarray(frame).save(buffer, "JPEG", quality=config.jpeg_quality, subsampling=0)
        jpegs.append(buffer.getvalue())
    return _Encoded(
        jpegs=jpegs,
        tracks=[[encode(mask) if mask.any() else None for mask in track] for track in video.masks],
        objects=_objects(video),
        events=[
            {"first": event.first, "second": event.second, "verb": event.verb,
             "mutual": event.mutual}
            for event in video.events
        ],
        expressions=[
            {
                "text": expression.text,
                "caption_type": expression.caption_type,
                "actors": list(expression.actors),
                "targets": list(expression.targets),
                "verb": expression.description.verb,
                "passive": expression.description.passive,
                "needs_looking": expression.needs_looking,
            }
            for expression in video.expressions
        ],
    )  # fmt: skip


def _objects(video: SyntheticVideo) -> list[dict[str, Any]]:
    names = ("shape", "color", "texture", "size", "motion")
    return [{name: getattr(item, name) for name in names} for item in video.objects]


def _write_frames(folder: Path, jpegs: list[bytes]) -> None:
    folder.mkdir(parents=True)
    for index, jpeg in enumerate(jpegs):
        (folder / f"{index:05d}.jpg").write_bytes(jpeg)


def _meta(video: _Encoded, index: int, first: int) -> dict[str, Any]:
    """The record of a video in meta_expressions.json; ``first`` is its first annotation id."""
    expressions = {}
    for number, expression in enumerate(video.expressions):
        actors, targets = expression["actors"], expression["targets"]
        annos = [first + i for i in actors], [first + i for i in targets]
        expressions[str(number)] = {
            "exp": expression["text"],
            "caption_type": expression["caption_type"],
            "obj_id": actors,
            "anno_id": annos[0],
            "subject/object": {
                "obj_id": {"subject": actors, "object": targets},
                "anno_id": {"subject": annos[0], "object": annos[1]},
            },
        }
    frames = [f"{frame:05d}" for frame in range(len(video.jpegs))]
    return {"vid_id": index, "frames": frames, "expressions": expressions}


def _world(video: _Encoded, first: int) -> dict[str, Any]:
    """The record of a video in world.json; object numbers are ``obj_id``."""
    return {
        "objects": [
            {"obj_id": i, "anno_id": first + i} | item for i, item in enumerate(video.objects)
        ],
        "interactions": [
            {"actor": event["first"], "target": event["second"], "verb": event["verb"]}
            for event in video.events
            if not event["mutual"]
        ],
        "mutual": [
            {"objects": [event["first"], event["second"]], "verb": event["verb"]}
            for event in video.events
            if event["mutual"]
        ],
        "expressions": {
            str(number): {name: expression[name] for name in ("verb", "passive", "needs_looking")}
            for number, expression in enumerate(video.expressions)
        },
    }
