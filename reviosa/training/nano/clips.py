"""The synthetic world as arrays: frames, which object each pixel shows, what each object is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import COLORS, MOTIONS, MUTUAL_VERBS, SHAPES, SIZES, TEXTURES, VERBS
from reviosa.errors import DataError
from reviosa.io import atomic_directory, write_json

__all__ = [
    "ATTRIBUTES",
    "PARTS",
    "ClipBank",
    "cell_owners",
    "count_objects",
    "load_clips",
    "object_masks",
]

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "color": COLORS,
    "shape": SHAPES,
    "texture": TEXTURES,
    "size": SIZES,
}
PARTS = ("bystander", *(f"{v} {r}" for v in VERBS for r in ("actor", "target")), *MUTUAL_VERBS)
"""What part an object takes in the events of its video."""
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
    parts: np.ndarray
    """Index into :data:`PARTS`, int64 [video, object]."""
    motions: np.ndarray
    """Index into the world's MOTIONS, int64 [video, object]."""
    partners: np.ndarray
    """Number of the other object of the event, -1 for bystanders, int64 [video, object]."""
    objects: tuple[dict[int, int], ...]
    """For each video: annotation id -> object number."""

    def clip(
        self, video: int, moments: Sequence[int], flipped: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames and labels of some moments of a video, left and right exchanged if asked."""
        frames, labels = self.frames[video][moments], self.labels[video][moments]
        return (frames[:, :, ::-1], labels[..., ::-1]) if flipped else (frames, labels)


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
    shape = (len(dataset.videos), _MAX_OBJECTS)
    attributes = np.full((*shape, len(ATTRIBUTES)), -1, np.int64)
    parts, motions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    partners = np.full(shape, -1, np.int64)
    objects: list[dict[int, int]] = []
    for index, video in enumerate(dataset.videos):
        known = world[video.video_id]
        numbers: dict[int, int] = {}
        for number, thing in enumerate(known["objects"]):
            numbers[int(thing["anno_id"])] = number
            attributes[index, number] = [w.index(thing[k]) for k, w in ATTRIBUTES.items()]
            motions[index, number] = MOTIONS.index(thing["motion"])
        objects.append(numbers)
        for event in known["interactions"]:
            pair = [event["actor"], event["target"]]
            parts[index, pair] = [PARTS.index(f"{event['verb']} {r}") for r in ("actor", "target")]
            partners[index, pair] = pair[::-1]
        for event in known["mutual"]:
            parts[index, event["objects"]] = PARTS.index(event["verb"])
            partners[index, event["objects"]] = event["objects"][::-1]
    return ClipBank(
        np.load(folder / "frames.npy", mmap_mode="r"),
        np.load(folder / "labels.npy", mmap_mode="r"),
        attributes,
        parts,
        motions,
        partners,
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


def count_objects(attributes: np.ndarray) -> int:
    """Objects of a video, from its [object, attribute] with -1 beyond the last."""
    return int((attributes[:, 0] >= 0).sum())


def object_masks(labels: np.ndarray, count: int) -> np.ndarray:
    """Masks of the first ``count`` objects, bool [object, ...], from a label map [...]."""
    return labels[None] == np.arange(1, count + 1).reshape(-1, *[1] * labels.ndim)


def cell_owners(labels: np.ndarray, grid: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which object each cell of a frame belongs to, and how much of the cell each object covers.

    An object owns a cell when it covers an eighth of it or more, and more than any other does.

    Args:
        labels: object of each pixel, uint8 [..., height, width].
        grid: cells along one side.
        count: objects of the video.

    Returns:
        owners int64 [..., grid * grid], -1 where nothing owns it; covered fractions, float32
        [object, ..., grid * grid].
    """
    *lead, height, width = labels.shape
    cells = object_masks(labels, count).reshape(
        count, *lead, grid, height // grid, grid, width // grid
    )
    cover = cells.mean(axis=(-3, -1), dtype=np.float32).reshape(count, *lead, grid * grid)
    owner = cover.argmax(axis=0)
    return np.where(cover.max(axis=0) >= 1 / 8, owner, -1), cover
