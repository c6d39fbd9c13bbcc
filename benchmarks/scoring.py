"""J and F of masks against a plain implementation, and the time a system's predictions take.

The plain implementation stands for davis2017-evaluation: J by logical operations on whole frames; F
by a boundary map, dilation with a disk, and logical operations. OpenCV, which dilates there, is no
part of this project. Its method for a kernel that is no rectangle, a maximum over one shifted row
for each pixel of the kernel, is compiled here with numba, on bytes as OpenCV does it; and the rest
is in numpy, as there. On another machine davis2017-evaluation itself took 3.6 to 4.0 ms a frame at
480p and 10.6 to 11.8 ms at 720p.
"""

import functools
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
from PIL import Image
from pycocotools import mask as coco

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.rle import encode
from reviosa.evaluation import frame_scores
from reviosa.evaluation.protocols import DictionarySource
from reviosa.evaluation.scoring import score_expressions

__all__ = ["blob_track", "measure", "plain_scores"]

EXPRESSIONS = 5048
"""Of InterRVOS-127K's evaluation split."""
FRAMES = 60
SIZES = {"480p": (480, 854), "720p": (720, 1280)}


def measure(
    rounds: int = 7, expressions: int = 500, sizes: dict[str, tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Time one thread on frames by form, and two processes on expressions.

    Args:
        rounds: how often each way is timed.
        expressions: how many are scored; the time of all :data:`EXPRESSIONS` follows from it.
        sizes: height and width of the frames by name, 480p and 720p without; the expressions are
            of the first.
    """
    sizes = sizes or SIZES
    found = {name: _frames(size, rounds) for name, size in sizes.items()}
    return {"sizes": found, "bulk": _bulk(expressions, next(iter(sizes.values())))}


def _frames(size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Seconds of each way on the frames of a track, and whether all gave the same bits."""
    truth = blob_track(size, 20, 0)
    # Some pixels beside the truth, as a good prediction is, and with blots.
    prediction = np.roll(truth, (3, -4), (1, 2)) ^ (blob_track(size, 20, 1) & truth)
    predicted, true = ([[encode(mask)] for mask in masks] for masks in (prediction, truth))
    ways: dict[str, Callable[[], Any]] = {
        "plain, arrays": lambda: plain_scores(prediction, truth),
        "plain, RLE": lambda: plain_scores(_decode(predicted), _decode(true)),
        "numba, arrays": lambda: frame_scores(prediction, truth, size),
        "numba, RLE": lambda: frame_scores(predicted, true, size),
        "numpy, arrays": lambda: _by_numpy(lambda: frame_scores(prediction, truth, size)),
        "numpy, RLE": lambda: _by_numpy(lambda: frame_scores(predicted, true, size)),
    }  # fmt: skip
    j, f = ways["plain, arrays"]()
    scored = [way() for name, way in ways.items() if not name.startswith("plain")]
    return {
        "seconds": {name: spent / len(truth) for name, spent in _seconds(ways, rounds).items()},
        "equal": all((one.j == j).all() and (one.f == f).all() for one in scored),
        "frames": len(truth),
    }


def _seconds(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of the processor, run in turn: what others do there counts less so."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            spent[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in spent.items()}


def _bulk(expressions: int, size: tuple[int, int]) -> dict[str, Any]:
    """Seconds in which two processes score a data set that lies on the disk, their start included.

    Ten expressions a video, each with a mask of its own on each frame; a third of them have
    a target too.
    """
    with tempfile.TemporaryDirectory(prefix="scoring-") as folder:
        root = Path(folder)
        predictions = _write(root, expressions, size)
        dataset = InterRVOSDataset(root)
        start = time.perf_counter()
        scores = score_expressions(dataset, DictionarySource(predictions), workers=2)
        spent = time.perf_counter() - start
    return {
        "expressions": expressions,
        "roles": len(scores.roles),
        "frames": FRAMES,
        "workers": 2,
        "seconds": spent,
        "of_all": spent * EXPRESSIONS / expressions,
    }


def _write(root: Path, expressions: int, size: tuple[int, int]) -> dict[str, Any]:
    """Write the data set; give predictions for it."""
    names = [f"{frame:05d}" for frame in range(FRAMES)]
    # Six tracks are drawn; their predictions lie some pixels beside them. More would take minutes.
    drawn = [blob_track(size, FRAMES, seed) for seed in range(6)]
    true = [_rles(masks) for masks in drawn]
    predicted = [_rles(np.roll(masks, (3, -4), (1, 2))) for masks in drawn]
    frames = root / "frames"
    frames.mkdir()
    for name in names:
        Image.new("RGB", (size[1], size[0])).save(frames / f"{name}.jpg")
    (root / "JPEGImages").mkdir()
    videos: dict[str, Any] = {}
    masks: dict[str, Any] = {}
    predictions: dict[str, Any] = {}
    for number in range(expressions):
        video = f"video{number // 10:04d}"
        place = str(number % 10)
        if place == "0":
            (root / "JPEGImages" / video).symlink_to(frames)
            videos[video] = {"expressions": {}, "frames": names}
            predictions[video] = {}
        actor, target = number, number - number % 10 + (number + 1) % 10
        target = min(target, expressions - 1)
        acting = {
            "caption_type": "unidirectional",
            "subject/object": {"anno_id": {"subject": [actor], "object": [target]}},
        }
        spoken = {"exp": "one thing and another", "anno_id": [actor]}
        videos[video]["expressions"][place] = spoken | (acting if number % 3 == 0 else {})
        masks[str(actor)] = true[actor % 6]
        predictions[video][place] = {
            "prediction_masks_act": predicted[actor % 6],
            "prediction_masks_tar": predicted[(target + 1) % 6],
        }
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "mask_dict.json").write_text(json.dumps(masks))
    return predictions


def blob_track(size: tuple[int, int], frames: int, seed: int) -> np.ndarray:
    """Two blobs with wavy outlines that drift and change, bool [frame, height, width]."""
    generator = np.random.default_rng(seed)
    height, width = size
    rows, columns = (
        np.arange(height)[:, None].astype(np.float32),
        np.arange(width).astype(np.float32),
    )
    masks = np.zeros((frames, height, width), bool)
    for _ in range(2):
        centre = (generator.uniform(0.3, 0.7, 2) * size).astype(np.float32)
        drift = (generator.normal(0, 0.004, 2) * size).astype(np.float32)
        phases = generator.uniform(0, 2 * np.pi, 3).astype(np.float32)
        radius = np.float32(generator.uniform(0.1, 0.25) * height)
        for frame in range(frames):
            y, x = rows - centre[0] - drift[0] * frame, columns - centre[1] - drift[1] * frame
            angle = np.arctan2(y, x)
            waves = zip((2, 5, 11), (0.25, 0.1, 0.04), phases, strict=True)
            wavy = 1 + sum(a * np.sin(k * angle + p + 0.1 * frame) for k, a, p in waves)
            masks[frame] |= y**2 + x**2 < (radius * wavy) ** 2
    return masks


def _rles(masks: np.ndarray) -> list[dict[str, Any]]:
    return [encode(mask) for mask in masks]


def _decode(masks: list[list[dict[str, Any]]]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' own, of numpy 2
        return np.stack([coco.decode(rle).astype(bool) for rles in masks for rle in rles])  # pyright: ignore


def _by_numpy(run: Callable[[], Any]) -> Any:
    os.environ["REVIOSA_METRICS"] = "numpy"
    try:
        return run()
    finally:
        del os.environ["REVIOSA_METRICS"]


def plain_scores(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J and F of each frame as davis2017-evaluation counts them; bool [frame, height, width]."""
    valid = np.logical_not(np.zeros_like(truth))
    common = np.sum((prediction & truth) & valid, axis=(1, 2))
    union = np.sum((prediction | truth) & valid, axis=(1, 2))
    j = np.divide(common, union, out=np.ones(len(union)), where=union > 0)
    f = np.array([_plain_f(*pair) for pair in zip(prediction, truth, strict=True)])
    return j, f


def _plain_f(prediction: np.ndarray, truth: np.ndarray) -> float:
    radius = int(np.ceil(0.008 * np.linalg.norm(truth.shape)))
    predicted, true = _plain_boundary(prediction), _plain_boundary(truth)
    hits = true * _dilate(predicted.astype(np.uint8), *_disk(radius))
    precise = predicted * _dilate(true.astype(np.uint8), *_disk(radius))
    if not predicted.any() or not true.any():
        return float(predicted.any() == true.any())
    precision, recall = np.sum(precise) / np.sum(predicted), np.sum(hits) / np.sum(true)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _plain_boundary(mask: np.ndarray) -> np.ndarray:
    right, below, beside = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], beside[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ beside)
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


@functools.cache
def _disk(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a disk, counted from the corner of its square."""
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    down, right = np.nonzero(rows**2 + columns**2 <= radius**2)
    return down, right


@numba.njit
def _dilate(image, rows, columns):  # pragma: no cover
    height, width = image.shape
    radius = rows.max() // 2
    # Whole blocks of 128 bytes, for what is left over of a row is not vectorised.
    whole = (width + 127) // 128 * 128
    padded = np.zeros((height + 2 * radius, whole + 2 * radius), np.uint8)
    padded[radius : radius + height, radius : radius + width] = image
    result = np.zeros((height, whole), np.uint8)
    for y in range(height):
        line = result[y]
        for place in range(len(rows)):
            shifted = padded[y + rows[place], columns[place] :]
            for x in range(whole):
                line[x] = max(line[x], shifted[x])
    return result[:, :width]
