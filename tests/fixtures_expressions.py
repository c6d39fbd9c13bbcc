"""Small data sets in the layouts that keep expressions and RLE masks in JSON, with true masks."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reviosa.data.rle import encode

__all__ = [
    "NO_REAL_DATA",
    "REAL",
    "SIZE",
    "make_mevis",
    "make_revos",
    "track",
    "write_set",
]

SIZE = (24, 32)
"""Height and width in pixels: not equal, so that swapped sides are seen."""
REAL = Path(os.environ.get("REVIOSA_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Real files, which are no part of the project."""
NO_REAL_DATA = f"no real data at {REAL}; set REVIOSA_SHARED_DATA"


def track(seed: int, frames: int, absent: tuple[int, ...] = ()) -> np.ndarray:
    """A ragged mask on each frame, bool [frame, height, width]; empty where it is absent."""
    masks = np.random.default_rng(seed).random((frames, *SIZE)) < 0.3
    masks[list(absent)] = False
    return masks


def write_set(
    root: Path,
    videos: Mapping[str, Any],
    masks: Mapping[int, np.ndarray] | None,
    meta_name: str = "meta_expressions.json",
) -> Path:
    """Write frames, expressions and masks; a mask that is empty is null."""
    for video_id, video in videos.items():
        folder = root / "JPEGImages" / video_id
        folder.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(video["frames"]):
            shade = np.full((*SIZE, 3), 20 * index, np.uint8)
            Image.fromarray(shade).save(folder / f"{name}.jpg")
    (root / meta_name).write_text(json.dumps({"videos": videos}))
    if masks is not None:
        tracks = {
            str(key): [encode(mask) if mask.any() else None for mask in value]
            for key, value in masks.items()
        }
        (root / "mask_dict.json").write_text(json.dumps(tracks))
    return root


def make_mevis(root: Path, truth: bool = True) -> dict[int, np.ndarray]:
    """A split of MeViS of two videos; without truth as ``valid`` is published."""
    masks = {0: track(0, 3), 1: track(1, 3, absent=(1,)), 2: track(2, 2)}

    def entry(text: str, ids: list[int]) -> dict[str, Any]:
        return {"exp": text, "obj_id": ids, "anno_id": ids} if truth else {"exp": text}

    videos = {
        "0a43a414": {
            "vid_id": 0,
            "expressions": {"0": entry("lizard moving", [0]), "1": entry("two lizards", [0, 1])},
            "frames": ["00000", "00001", "00002"],
        },
        "377b1c5f": {
            "vid_id": 1,
            "expressions": {"0": entry("the cat that sits", [2])},
            "frames": ["00000", "00001"],
        },
    }
    write_set(root, videos, masks if truth else None)
    return masks


def make_revos(root: Path) -> dict[int, np.ndarray]:
    """ReVOS: both splits in one folder, videos in folders of their source."""
    masks = {0: track(0, 3), 1: track(1, 3), 2: track(2, 2)}

    def entry(text: str, ids: list[int], kind: int) -> dict[str, Any]:
        return {"exp": text, "obj_id": [0], "anno_id": ids, "type_id": kind}

    height, width = SIZE
    valid = {
        "LVVIS/00012": {
            "vid_id": 0,
            "expressions": {
                "0": entry("the man in red", [0], 0),
                "1": entry("what could bite?", [0, 1], 1),
                "2": entry("something else", [1], 2),
            },
            "frames": ["00000", "00001", "00002"],
            "height": height,
            "width": width,
        }
    }
    train = {
        "OVIS/b": {
            "vid_id": 1,
            "expressions": {"0": entry("the dog", [2], 0)},
            "frames": ["0", "1"],
            "height": height,
            "width": width,
        }
    }
    write_set(root, train, None, "meta_expressions_train_.json")
    write_set(root, valid, masks, "meta_expressions_valid_.json")
    foreground = {
        "LVVIS/00012": {
            "masks_rle": [encode(mask) for mask in masks[0] | masks[1]],
            "foreground_ratio": [0.5, 0.5, 0.5],
        },
        "OVIS/b": {"masks_rle": [encode(mask) for mask in masks[2]], "foreground_ratio": [0.3] * 2},
    }
    (root / "mask_dict_foreground.json").write_text(json.dumps(foreground, indent=4))
    return masks
