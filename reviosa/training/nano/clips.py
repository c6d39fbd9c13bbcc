"""The synthetic world as arrays: frames, which object each pixel shows, what each object is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import COLORS, SHAPES, SIZES, TEXTURES
from reviosa.errors import DataError
from reviosa.io import atomic_directory, write_json

__all__ = ["ATTRIBUTES", "ClipBank", "load_clips"]

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "color": COLORS,
    "shape": SHAPES,
    "texture": TEXTURES,
    "size": SIZES,
}
_MAX_OBJECTS = 8


@dataclass(frozen=True)
class ClipBank:
    """Every frame of a synthetic data set, mapped from disk."""

    frames: np.ndarray
    """uint8 [video, frame, height, width, 3]."""
    labels: np.ndarray
    """Which object a pixel shows, 1 + its number, 0 background, uint8 [video, frame, h, w]."""
    attributes: np.ndarray
    """Indices into :data:`ATTRIBUTES`, int64 [video, object, 4]; -1 beyond the last object."""
    video_ids: tuple[str, ...]
    objects: tuple[dict[int, int], ...]
    """For each video: annotation id -> object number."""


def load_clips(dataset: InterRVOSDataset, cache: Path) -> ClipBank:
    """Decode a synthetic data set once into ``cache`` and map it from there.

    Raises:
        DataError: the data set has no ``world.json``.
    """
    if dataset.world is None:
        raise DataError(
            f"{dataset.root}: no world.json, so what the objects are is not known; "
            "pretraining needs a data set made by `reviosa synth`"
        )
    folder = cache / dataset.identity
    if not folder.exists():
        with atomic_directory(folder) as temporary:
            _decode(dataset, temporary)
    world = dataset.world["videos"]
    attributes = np.full((len(dataset.videos), _MAX_OBJECTS, len(ATTRIBUTES)), -1, np.int64)
    objects: list[dict[int, int]] = []
    for index, video in enumerate(dataset.videos):
        numbers: dict[int, int] = {}
        for number, thing in enumerate(world[video.video_id]["objects"]):
            numbers[int(thing["anno_id"])] = number
            attributes[index, number] = [w.index(thing[k]) for k, w in ATTRIBUTES.items()]
        objects.append(numbers)
    return ClipBank(
        np.load(folder / "frames.npy", mmap_mode="r"),
        np.load(folder / "labels.npy", mmap_mode="r"),
        attributes,
        tuple(v.video_id for v in dataset.videos),
        tuple(objects),
    )


def _decode(dataset: InterRVOSDataset, folder: Path) -> None:
    first = dataset.videos[0].read_frames()
    shape = (len(dataset.videos), *first.shape[:3])
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, (*shape, 3))
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.uint8, shape)
    for index, video in enumerate(dataset.videos):
        frames[index] = video.read_frames()
        for number, thing in enumerate(dataset.world["videos"][video.video_id]["objects"]):
            masks = dataset.masks(video.video_id, [int(thing["anno_id"])])
            labels[index][masks] = number + 1
    frames.flush()
    labels.flush()
    write_json(folder / "clips.json", {"identity": dataset.identity, "videos": len(frames)})


def object_masks(labels: np.ndarray, count: int) -> np.ndarray:
    """Masks of the first ``count`` objects, bool [object, ...], from a label map [...]."""
    return labels[None] == np.arange(1, count + 1).reshape(-1, *[1] * labels.ndim)
