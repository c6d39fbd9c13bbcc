"""SAM2 mask tracks from boxes: prompted on some frames, tracked from memory between them."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor
from torch.nn.functional import interpolate

from reviosa.annotation.prompt_fit import fit_prompt
from reviosa.annotation.settings import TrackingSettings
from reviosa.data.rle import encode
from reviosa.errors import CheckpointError, first_line
from reviosa.model import load, model_identity
from reviosa.model.processor import normalise, squash_frames
from reviosa.model.segmenter import FrameFeatures, build_sam2, encode_frames
from reviosa.model.tracker import MemoryTracker

__all__ = ["BoxTracker", "open_box_tracker", "tracker_header"]


class _Frames(Protocol):
    @property
    def num_frames(self) -> int: ...

    def read_frames(self, indices: list[int]) -> np.ndarray: ...


class BoxTracker:
    """Turns the boxes of a video's objects into masks.

    A box is known on every frame on which an object is visible. SAM2 is prompted on the first of
    them and on every so many; the frames between are tracked from memory. Each mask is cut to the
    frame's box, grown a little, and frames without a box have no mask.

    Args:
        sam2: the segmenter.
        squash: brings frames, uint8 [frame, height, width, 3], to SAM2's size: uint8 [frame, 3,
            size, size].
        settings: how often and how.
        fitted: whether prompts are language vectors fitted to the boxes
            (:func:`~reviosa.annotation.prompt_fit.fit_prompt`), as the decoder of a ReVIOSa
            checkpoint wants them, or the boxes themselves, as SAM2's own does.
    """

    def __init__(
        self,
        sam2: SAM2Base,
        squash: Callable[[np.ndarray], Tensor],
        settings: TrackingSettings,
        fitted: bool,
    ) -> None:
        self.sam2 = sam2.eval().requires_grad_(False)
        self.squash, self.settings, self.fitted = squash, settings, fitted

    @torch.inference_mode()
    def __call__(
        self, video: _Frames, boxes: Mapping[int, np.ndarray]
    ) -> dict[int, list[dict[str, Any] | None]]:
        """Masks of each object: one RLE a frame, None where it has no box or no mask was found.

        Args:
            video: the frames.
            boxes: object id -> xmin, ymin, xmax, ymax in pixels, [frame, 4]; NaN where it is
                absent.
        """
        walks = {
            key: _Walk(self, video, track)
            for key, track in boxes.items()
            if np.isfinite(track).any()
        }
        masks: dict[int, list[Any]] = {key: [None] * video.num_frames for key in boxes}
        for frame in range(video.num_frames):
            there = [key for key, walk in walks.items() if walk.visible[frame]]
            if not there:
                continue
            view, size = self.encode(video, [frame])
            for key in there:
                mask = walks[key].step(frame, view, size)
                masks[key][frame] = encode(mask) if mask.any() else None
        return masks

    def encode(self, video: _Frames, indices: list[int]) -> tuple[FrameFeatures, tuple[int, int]]:
        """Features of some frames, and their height and width in pixels."""
        frames = video.read_frames(indices)
        pixels = normalise(self.squash(frames).to(self.sam2.no_mem_embed.device))
        features = encode_frames(self.sam2, pixels.to(self.sam2.no_mem_embed.dtype))
        return features, (frames.shape[1], frames.shape[2])


class _Walk:
    """One object on its way through the video."""

    def __init__(self, tracker: BoxTracker, video: _Frames, boxes: np.ndarray) -> None:
        self.visible = np.asarray(np.isfinite(boxes).all(axis=1))
        self._tracker, self._boxes = tracker, boxes
        settings = tracker.settings
        there = np.flatnonzero(self.visible)
        self._prompted = set(there[:: settings.every].tolist())
        self._memory = MemoryTracker(tracker.sam2, video.num_frames, settings.memory)
        self._prompt: Tensor | None = None
        if tracker.fitted:
            count = min(settings.fit_frames, len(there))
            chosen = there[np.linspace(0, len(there) - 1, count).round().astype(int)].tolist()
            features, size = tracker.encode(video, chosen)
            shares = _shares(boxes[chosen], size)
            self._prompt = fit_prompt(
                tracker.sam2, features, shares, settings.fit_steps, settings.fit_rate
            )

    def step(self, frame: int, view: FrameFeatures, size: tuple[int, int]) -> np.ndarray:
        """The mask on a frame, bool [height, width]; frames come in order."""
        sam2 = self._tracker.sam2
        if frame not in self._prompted:
            decoded = self._memory.track(frame, view)
        elif self._prompt is not None:
            decoded = self._memory.condition(frame, view, self._prompt[None])
        else:
            box = _shares(self._boxes[[frame]], size) * sam2.image_size
            decoded = self._memory.condition_on_boxes(frame, view, box)
        logits = decoded.masks()[:, None]
        for step in ((sam2.image_size, sam2.image_size), size):
            logits = interpolate(logits, step, mode="bilinear", align_corners=False)
        mask = (logits[0, 0] > 0).cpu().numpy()
        return mask & _grown(self._boxes[frame], size, self._tracker.settings.grow)


def open_box_tracker(settings: TrackingSettings, device: str | None = None) -> BoxTracker:
    """Load the segmenter that the settings name.

    Args:
        settings: which, and how it is used.
        device: ``cpu``, ``cuda`` or ``cuda:N``; a GPU if there is one when None.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged or of another architecture.
        ConfigError: the sam2 package has no such architecture.
    """
    if not settings.model.endswith(".pt"):
        model, processor = load(settings.model, device)
        return BoxTracker(model.sam2.float(), processor.squash_for_sam, settings, fitted=True)
    sam2 = build_sam2(settings.sam2_base)
    path = Path(settings.model)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        sam2.load_state_dict(weights["model"])
    except Exception as error:  # a damaged pickle fails in every way there is
        raise CheckpointError(
            f"{path}: got no weights of {settings.sam2_base} ({first_line(error)}), expected a "
            "file of SAM2's release and its architecture; check tracking.model and "
            "tracking.sam2_base"
        ) from None
    sam2.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    # Bicubic as SAM2's own code resizes frames.
    squash = partial(squash_frames, size=sam2.image_size, mode="bicubic")
    return BoxTracker(sam2, squash, settings, fitted=False)


def tracker_header(settings: TrackingSettings) -> dict[str, str]:
    """What a run record says of the segmenter: its name and identity; reads all weights once.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    if not settings.model.endswith(".pt"):
        return {"name": settings.model, "identity": model_identity(settings.model)}
    path = Path(settings.model)
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise CheckpointError(
            f"{path}: got {error.strerror!r}, expected weights of SAM2; check tracking.model"
        ) from None
    return {"name": path.name, "identity": digest}


def _shares(boxes: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Boxes in pixels as shares of the picture, float [box, 4]."""
    height, width = size
    return torch.tensor(boxes / [width, height, width, height], dtype=torch.float32)


def _grown(box: np.ndarray, size: tuple[int, int], grow: float) -> np.ndarray:
    """Pixels within a box that is grown by a share of its sides, bool [height, width]."""
    left, top, right, bottom = box
    wide, high = grow * (right - left), grow * (bottom - top)
    rows, columns = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    down = (rows > top - high) & (rows < bottom + high)
    across = (columns > left - wide) & (columns < right + wide)
    return down[:, None] & across[None, :]
