"""What a data set holds, in numbers: the columns of the paper's Table 1, and how its masks are.

Masks are counted straight from their runs where a layout keeps COCO RLE. One video is held at a
time, so memory does not grow with the data set.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco

from reviosa.data.dataset import VideoDataset
from reviosa.data.records import CAPTION_TYPES, Video
from reviosa.data.rle import rle_size
from reviosa.errors import DataError

__all__ = [
    "AREA_EDGES",
    "TRACK_EDGES",
    "DataStatistics",
    "Histogram",
    "data_statistics",
    "histogram",
]

AREA_EDGES = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of the share of the frame that a mask covers."""
TRACK_EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, float("inf"))
"""Of the number of annotated frames in which an object is seen."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each two edges: at or above the lower, below the upper one."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    """One fewer than edges; a value at the very last edge counts in the last bin."""
    n: int
    mean: float | None
    """None where there is no value."""
    median: float | None
    """Of the values; with an even number of them, the mean of the two in the middle."""

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it: an edge without end is null."""
        edges = [None if np.isinf(edge) else edge for edge in self.edges]
        return {**asdict(self), "edges": edges, "counts": list(self.counts)}


@dataclass(frozen=True)
class DataStatistics:
    """A row of Table 1 and more."""

    name: str
    layout: str
    identity: str
    videos: int
    frames: int
    truth_frames: int | None
    """Frames that have truth; None in a split without masks, as all that follows from masks."""
    objects: int | None
    """Annotations that some expression speaks of, each once."""
    expressions: int
    objects_per_video: float | None
    interactions: int
    """Expressions with an actor and a target apart: the paper's column "Actor-Target"."""
    pairs: int
    """Different pairs of actors and targets, in this order, within their videos."""
    caption_types: dict[str, int]
    """Expressions of each of :data:`~reviosa.data.records.CAPTION_TYPES`."""
    areas: Histogram | None
    """Share of the frame that an object covers where it is seen, over objects and frames."""
    tracks: Histogram | None
    """In how many annotated frames an object is seen, over objects."""

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        histograms = {
            name: None if found is None else found.to_json()
            for name, found in (("areas", self.areas), ("tracks", self.tracks))
        }
        return {**asdict(self), **histograms}


def data_statistics(
    dataset: VideoDataset, name: str, progress: Callable[[int, int], None] | None = None
) -> DataStatistics:
    """Count a data set, one video after the other.

    Args:
        dataset: of any layout.
        name: what it is called in tables and figures.
        progress: called with the number of videos done and of all.

    Raises:
        DataError: a mask is damaged or missing.
    """
    areas: list[np.ndarray] = []
    seen: list[int] = []
    pairs = objects = truth_frames = 0
    for done, video in enumerate(dataset.videos, start=1):
        pairs += len({(e.actor_ids, e.target_ids) for e in video.expressions if e.is_interaction})
        if dataset.has_truth:
            truth_frames += len(video.truth_frames)
            ids = dataset.object_ids(video)
            objects += len(ids)
            for anno_id in ids:
                shares = _shares(dataset, video, anno_id)
                areas.append(shares)
                seen.append(len(shares))
        if progress is not None:
            progress(done, len(dataset.videos))
    types = Counter(sample.expression.caption_type for sample in dataset.samples)
    shares = np.concatenate(areas) if areas else np.zeros(0)
    known = dataset.has_truth
    return DataStatistics(
        name=name,
        layout=dataset.layout,
        identity=dataset.identity,
        videos=len(dataset.videos),
        frames=sum(video.num_frames for video in dataset.videos),
        truth_frames=truth_frames if known else None,
        objects=objects if known else None,
        expressions=len(dataset.samples),
        objects_per_video=objects / len(dataset.videos) if known and dataset.videos else None,
        interactions=len(dataset.interactions),
        pairs=pairs,
        caption_types={kind: types[kind] for kind in CAPTION_TYPES},
        areas=histogram(shares, AREA_EDGES) if known else None,
        tracks=histogram(np.array(seen, dtype=float), TRACK_EDGES) if known else None,
    )


def histogram(values: np.ndarray, edges: Sequence[float]) -> Histogram:
    """Count ``values`` [value] between ``edges``.

    Raises:
        ValueError: a value lies outside of the edges, or is no number.
    """
    if values.size and not (edges[0] <= values.min() and values.max() <= edges[-1]):
        raise ValueError(f"values lie outside of {edges[0]} to {edges[-1]}")
    # Not np.histogram: it takes no edge at infinity.
    places = np.searchsorted(edges[1:-1], values, side="right")
    counts = np.bincount(places, minlength=len(edges) - 1)
    return Histogram(
        edges=tuple(edges),
        counts=tuple(int(count) for count in counts),
        n=int(values.size),
        mean=float(values.mean()) if values.size else None,
        median=float(np.median(values)) if values.size else None,
    )


def _shares(dataset: VideoDataset, video: Video, anno_id: int) -> np.ndarray:
    """Share of the frame that an annotation covers, [frame], of the frames where it is seen."""
    indices = list(video.truth_frames)
    runs = dataset.rles(video.video_id, [anno_id], indices)
    where = f"{video.video_id}, annotation {anno_id}"
    found = _of_pixels(dataset, video, anno_id, indices) if runs is None else _of_runs(runs, where)
    shares = np.fromiter(found, dtype=np.float64)
    return shares[shares > 0]


def _of_pixels(
    dataset: VideoDataset, video: Video, anno_id: int, indices: Sequence[int]
) -> Iterator[float]:
    for mask in dataset.annotation_masks(video, anno_id, indices):
        if mask is not None:
            yield float(mask.mean())


# Of COCO's string: groups of five bits and a mark that another follows, from "0" on; the last
# group must have no mark, or pycocotools reads beyond the end.
_RUNS = re.compile(r"[0-o]*[0-O]")


def _of_runs(runs: Sequence[Sequence[Any]], where: str) -> Iterator[float]:
    """Shares of one annotation's masks; a frame has one of them or none."""
    for place, given in enumerate(runs):
        for rle in given:
            try:
                height, width = rle_size(rle)
            except DataError as error:
                raise DataError(f"{where}, annotated frame {place}: {error}") from None
            whole = _RUNS.fullmatch(rle["counts"]) is not None
            # One by one: of a list, pycocotools gives areas in 8 bits.
            covered = int(coco.area(rle)) if whole else 0
            if not whole or covered > height * width:
                raise DataError(
                    f"{where}, annotated frame {place}: got a damaged RLE, expected runs that fill "
                    f"{height}x{width} pixels; list all faults with reviosa stats --check"
                )
            yield covered / (height * width)
