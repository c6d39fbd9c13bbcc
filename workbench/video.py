"""Frames of a folder or a video file in, masks and overlays out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reports.overlay import compose_frame, encode_jpeg
from reviosa import ROLES
from reviosa.data.frames import read_frame_folder
from reviosa.data.rle import encode
from reviosa.errors import ConfigError, DataError
from reviosa.io import atomic_directory, write_json

__all__ = ["ReadVideo", "read_video", "write_segmentation"]


@dataclass(frozen=True)
class ReadVideo:
    """Decoded frames and their names."""

    frames: np.ndarray
    """uint8 [frame, height, width, 3]"""
    names: tuple[str, ...]


def read_video(path: str | Path) -> ReadVideo:
    """Read a folder of frames, or a video file with the ``video`` extra.

    Raises:
        DataError: nothing there, no frames, or frames that cannot be decoded.
        ConfigError: a video file, and PyAV is not installed.
    """
    path = Path(path)
    if not path.is_file():
        video = read_frame_folder(path)
        return ReadVideo(video.read_frames(), video.frame_names)
    try:
        import av  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise ConfigError(
            f"reading the video file {path} needs PyAV, which is not installed; "
            "pip install 'reviosa-workbench[video]', or give a folder of frames"
        ) from None
    try:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (OSError, ValueError, IndexError) as error:  # PyAV's errors derive from the first two
        raise DataError(
            f"{path}: got no readable video ({error}), expected one that FFmpeg decodes; "
            "check the file"
        ) from error
    if not frames:
        raise DataError(
            f"{path}: got a video without frames, expected at least one; check the file"
        )
    return ReadVideo(np.stack(frames), tuple(f"{index:05d}" for index in range(len(frames))))


def write_segmentation(
    out: str | Path, video: ReadVideo, expression: str, result: Any
) -> dict[str, Any]:
    """Write ``<role>/<frame>.png`` (0 or 255), ``overlay/<frame>.jpg`` and ``result.json``.

    The folder appears whole or not at all.

    Args:
        out: the folder to make.
        video: what was segmented.
        expression: what was asked.
        result: a ``SegmentationResult``.

    Returns:
        ``{"expression", "text", "babble", "frames", "actor", "target"}``; ``babble`` is what the
        model had said by itself where that named no role, else None; a role is None where the model
        named none, else ``{"frames_with_mask", "mean_area"}``, the area as a share of the picture.

    Raises:
        FileExistsError: ``out`` exists.
    """
    tracks = {
        role: masks
        for role, masks in zip(ROLES, (result.actor, result.target), strict=True)
        if masks is not None
    }
    summary: dict[str, Any] = {
        "expression": expression,
        "text": result.text,
        "babble": result.babble,
        "frames": len(video.names),
        **{role: _summary(tracks.get(role)) for role in ROLES},
    }
    with atomic_directory(out) as folder:
        for role, masks in tracks.items():
            (folder / role).mkdir()
            for name, mask in zip(video.names, masks, strict=True):
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / role / f"{name}.png")
        (folder / "overlay").mkdir()
        for index, name in enumerate(video.names):
            shown = {role: masks[index] for role, masks in tracks.items()}
            painted = compose_frame(video.frames[index], predicted=shown)
            (folder / "overlay" / f"{name}.jpg").write_bytes(encode_jpeg(painted, quality=90))
        rles = {
            role: [encode(mask) for mask in tracks[role]] if role in tracks else None
            for role in ROLES
        }
        record = {**summary, "frames": list(video.names), **rles}
        write_json(folder / "result.json", record, indent=None)
    return summary


def _summary(masks: np.ndarray | None) -> dict[str, Any] | None:
    if masks is None:
        return None
    found = int(masks.any(axis=(1, 2)).sum())
    return {"frames_with_mask": found, "mean_area": float(masks.mean())}
