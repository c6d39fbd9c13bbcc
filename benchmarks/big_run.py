"""A large capture with everything that the pages read of one: scores, maps, masks, frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from probes.criteria import SCORED
from probes.store import CaptureWriter, MapRow, SampleRow
from reviosa.data import InterRVOSDataset
from reviosa.data.records import ROLES
from reviosa.data.rle import encode
from reviosa.evaluation.predictions import join_prediction
from reviosa.io import write_json
from reviosa.run_record import open_run

__all__ = ["BIG", "Size", "write_big_run"]

FRAMES, SEEN = 16, (0, 4, 8, 12)
"""Frames of a video, and those that the language model sees."""
HEIGHT, WIDTH, GRID = 480, 854, 16
OBJECTS = 4
WORDS = ("person", "dog", "ball", "horse", "cup", "child", "red", "small", "holding", "chasing")
GAIN = 0.4
"""How much of a sample's J&F the planted scores follow."""


@dataclass(frozen=True)
class Size:
    """How large the capture is."""

    expressions: int
    """Each with an actor and a target."""
    videos: int
    layers: int
    heads: int
    chunks: int
    kept_every: int
    """Maps are kept of every so many expressions."""


BIG = Size(expressions=5048, videos=404, layers=24, heads=14, chunks=40, kept_every=8)
"""10,096 sample-roles on the 1B model's 24 layers of 14 heads."""


def write_big_run(folder: Path, size: Size = BIG, seed: int = 0) -> Path:
    """Write the data set ``folder/data`` and the run ``folder/runs/big``; gives the run.

    Scores, masks and frames are made up; one score in each criterion follows J&F, so that maps and
    correlations are not flat. Frames of a video are one picture under several names.
    """
    rng = np.random.default_rng(seed)
    texts = _write_data(folder / "data", size, rng)
    dataset = InterRVOSDataset(folder / "data")
    run = folder / "runs" / "big"
    pairs = [(size.layers // 2, head) for head in range(min(4, size.heads))]
    model = {"name": "made up", "identity": "made-up", "supervised_pairs": pairs}
    config = {"maps": "selected", "pairs": pairs}
    with open_run(run, "capture", config, seed, dataset.provenance, model) as record:
        writer = CaptureWriter(run)
        level = {name: rng.random((size.layers, size.heads), np.float32) for name in SCORED}
        edges = np.linspace(0, size.expressions, size.chunks + 1).astype(int)
        for chunk, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            _write_chunk(writer, chunk, texts[start:stop], start, level, pairs, size, rng)
        record.update(summary={"videos": size.videos, "samples": size.expressions})
    return run


def _write_data(root: Path, size: Size, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Write the data set; gives (video, expression id, expression) in its order."""
    names = [f"{index:05d}" for index in range(FRAMES)]
    tracks = [_track(rng) for _ in range(16)]
    meta: dict[str, Any] = {}
    masks, texts = {}, []
    counts = np.diff(np.linspace(0, size.expressions, size.videos + 1).astype(int))
    for index, count in enumerate(counts):
        video = f"video{index:04d}"
        _write_frames(root / "JPEGImages" / video, names, rng)
        annos = [index * OBJECTS + item for item in range(OBJECTS)]
        masks |= {str(anno): tracks[rng.integers(len(tracks))] for anno in annos}
        expressions = {}
        for number in range(count):
            actor, target = rng.choice(annos, 2, replace=False).tolist()
            said = " ".join(rng.choice(WORDS, rng.integers(3, 12)))
            expressions[str(number)] = {
                "exp": said,
                "caption_type": "unidirectional",
                "anno_id": [actor],
                "subject/object": {"anno_id": {"subject": [actor], "object": [target]}},
            }
            texts.append((video, str(number), said))
        meta[video] = {"vid_id": index, "frames": names, "expressions": expressions}
    write_json(root / "meta_expressions.json", {"videos": meta}, indent=None)
    write_json(root / "mask_dict.json", masks, indent=None)
    return texts


def _track(rng: np.random.Generator) -> list[dict[str, Any]]:
    """A box that moves to the right, as an RLE a frame."""
    top, left = rng.integers(0, 240), rng.integers(0, 400)
    masks = np.zeros((FRAMES, HEIGHT, WIDTH), dtype=bool)
    for index in range(FRAMES):
        masks[index, top : top + 160, left + 10 * index : left + 10 * index + 200] = True
    return [encode(mask) for mask in masks]


def _write_frames(folder: Path, names: list[str], rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    small = rng.integers(0, 255, (12, 20, 3), dtype=np.uint8)
    first = folder / f"{names[0]}.jpg"
    Image.fromarray(small).resize((WIDTH, HEIGHT)).save(first, quality=85)
    for name in names[1:]:
        (folder / f"{name}.jpg").hardlink_to(first)


def _write_chunk(
    writer: CaptureWriter,
    chunk: int,
    texts: list[tuple[str, str, str]],
    start: int,
    level: dict[str, NDArray],
    pairs: list[tuple[int, int]],
    size: Size,
    rng: np.random.Generator,
) -> None:
    rows = [_row(rng, *text, role) for text in texts for role in ROLES]
    jf = np.array([row.jf for row in rows], dtype=np.float32)[:, None]
    silent = [not row.emitted for row in rows]
    metrics = {}
    for name in SCORED:
        values = rng.random((len(rows), size.layers, size.heads), dtype=np.float32)
        values = level[name] * (1 - GAIN) + values * GAIN
        values[:, size.layers // 2] = values[:, size.layers // 2] * (1 - GAIN) + jf * GAIN
        values[silent] = np.nan
        metrics[name] = values
    shape = (len(pairs), len(SEEN), GRID, GRID)
    maps = [
        MapRow(row.sample_id, row.role, rng.random(shape, dtype=np.float32) ** 4 / GRID**2)
        for place, row in enumerate(rows)
        if row.emitted and (start + place // len(ROLES)) % size.kept_every == 0
    ]
    names, drawn = [f"{index:05d}" for index in range(FRAMES)], [_track(rng) for _ in range(4)]
    predictions: dict[str, dict[str, Any]] = {}
    for video, number, said in texts:
        tracks = [drawn[rng.integers(len(drawn))] for _ in ROLES]
        record = join_prediction(said, names, "It is [SEG_ACT], and [SEG_TAR].", tracks)
        predictions.setdefault(video, {})[number] = record
    writer.write_chunk(chunk, rows, metrics, maps=maps, pairs=pairs, predictions=predictions)


def _row(rng: np.random.Generator, video: str, number: str, said: str, role: str) -> SampleRow:
    j, f, area, middle, centre = rng.random(5)
    emitted = bool(rng.random() > 0.02)
    score = (j, f, (j + f) / 2) if emitted else (0.0, 0.0, 0.0)
    return SampleRow(
        f"{video}/{number}", video, number, role, said, "unidirectional", emitted, False, *score,
        area / 4, OBJECTS, middle, centre, FRAMES, int(rng.integers(1300, 1400)) if emitted else -1,
        "It is [SEG_ACT], and [SEG_TAR].", SEEN,
    )  # fmt: skip
