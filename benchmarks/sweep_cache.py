"""Frozen features once: trials of a sweep, and steps of the large shapes, with them kept or not.

On the nano model whole small trials are run. The published shapes have no weights here: a training
step with random ones is timed, on frames of 480p, with features read from files that the system
holds in memory, as it does after the first epoch of any trial.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.models import build, conversation, pairs
from benchmarks.timing import compare
from reviosa import ReviosaModel
from reviosa.data.records import Video
from reviosa.features import FeatureStore, FrameBatch, FrozenFeatures, frames_of
from reviosa.model import ReviosaProcessor
from reviosa.model.lora import freeze_for_training, inject_lora, recompute_activations
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.model.segmenter import encode_maps
from reviosa.training.config import LossConfig

__all__ = ["measure"]

_TURNS, _SUPERVISED = 5, 100


def measure(shape: str, layers: int | None, frames: int, rounds: int) -> dict[str, Any]:
    """Costs of alternatives; see the module.

    Returns:
        ``{"costs"}``, and of the large shapes ``"parts"``, costs of ``frames`` frames by what is
        done to them, ``"entry_mib"``, what is kept of a frame by encoder, and ``"equal"``, whether
        what was kept is what is computed, and what is computed of several frames at once.
    """
    with tempfile.TemporaryDirectory(prefix="features-") as folder:
        if shape == "nano":
            return {"costs": _nano(Path(folder), rounds)}
        return _large(Path(folder), shape, layers, frames, rounds)


# A trial of the nano model


def _nano(folder: Path, rounds: int) -> dict[str, Any]:
    """A fifth of a trial of the sweeps that ship: 20 steps, 2 looks at the heads, 32 videos."""
    from reviosa.data.synthetic import write_synthetic

    for name, videos, seed in (("train", 40, 1), ("selection", 16, 2), ("test", 32, 3)):
        write_synthetic(folder / name, videos, seed)
    known = FeatureStore(folder / "features")
    ways = {
        f"{what}, {how}": partial(run, folder, store)
        for what, run in (("training", _train), ("evaluating", _evaluate))
        for how, store in (("computed", None), ("kept", known))
    }
    # The round that warms up also fills the folder.
    return compare(ways, rounds)


def _train(folder: Path, store: FeatureStore | None) -> None:
    from probes.over_training import RoleAttentionCallback
    from reviosa.data import InterRVOSDataset
    from reviosa.heads import HeadSelection
    from reviosa.training.config import TrainConfig
    from reviosa.training.data import ConversationDataset
    from reviosa.training.run import train

    out = Path(tempfile.mkdtemp(dir=folder)) / "run"
    HeadSelection(pairs=((2, 0), (2, 1), (2, 2), (2, 3))).save(folder / "heads.json")
    settings = {
        "model": "nano", "data": folder / "train", "out": out, "heads": folder / "heads.json",
        "steps": 20, "batch_size": 4, "lora": {"rank": 16, "alpha": 32}, "save_steps": 20,
    }  # fmt: skip
    dataset = InterRVOSDataset(folder / "selection")

    def watch(features: FrozenFeatures) -> list[Any]:
        clips = ConversationDataset(dataset, features.processor, 16, features=features)
        return [RoleAttentionCallback(clips, features.processor, out / "attention.jsonl", 20)]

    train(TrainConfig.model_validate(settings), observers=watch, store=store)


def _evaluate(folder: Path, store: FeatureStore | None) -> None:
    from reviosa.data import InterRVOSDataset
    from reviosa.evaluation import evaluate_predictions
    from reviosa.inference import Segmenter, predict
    from reviosa.model import load

    model, processor = load("nano")
    dataset = InterRVOSDataset(folder / "test")
    segmenter = Segmenter(model, processor, FrozenFeatures(processor, store))
    evaluate_predictions(dataset, predict(segmenter, dataset.samples))


# A training step of the large shapes


def _large(
    folder: Path, shape: str, layers: int | None, frames: int, rounds: int
) -> dict[str, Any]:
    model = build(shape, layers).train()
    inject_lora(model, rank=128, alpha=256, dropout=0.0)
    model.to(model.device, model.dtype)
    freeze_for_training(model)
    recompute_activations(model.train())
    processor = ReviosaProcessor(
        nano_tokenizer(), model.config.image_size, model.sam2.image_size, model.config.grid
    )
    video = _video(folder, frames)
    store = FeatureStore(folder / "features", limit=10**12)
    off, kept = FrozenFeatures(processor), FrozenFeatures(processor, store)
    equal = _compared(model, off, kept, video)
    ways = {
        "all computed": lambda: FrameBatch(off, frames_of(video, range(frames))),
        "tower kept, SAM2 computed": lambda: _Apart(kept, off, video),
        "all kept": lambda: FrameBatch(kept, frames_of(video, range(frames))),
        "all in memory": partial(_InMemory, model, kept, video),
    }
    step = _step(model, frames)
    costs = compare({name: partial(_call, step, way) for name, way in ways.items()}, rounds)
    parts = _parts(model, off, kept, video, rounds)
    return {
        "costs": costs,
        "parts": {name: asdict(cost) for name, cost in parts.items()},
        "entry_mib": _entry_mib(store),
        "equal": equal,
    }


def _call(step: Callable[[FrameBatch], None], way: Callable[[], FrameBatch]) -> None:
    step(way())


def _video(folder: Path, frames: int) -> Video:
    """Frames of 480p as cameras give them: smooth, with some noise."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(frames):
        coarse = Image.fromarray(rng.integers(0, 255, (12, 20, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((854, 480), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = (smooth + rng.integers(-8, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{index:05d}.jpg")
        Image.fromarray(noisy).save(paths[-1], quality=90)
    return Video("video", tuple(path.stem for path in paths), tuple(paths))


class _Apart(FrameBatch):
    """The tower's features by one way, SAM2's by another."""

    def __init__(self, features: FrozenFeatures, of_sam: FrozenFeatures, video: Video) -> None:
        super().__init__(features, frames_of(video, range(video.num_frames)))
        self.of_sam = of_sam

    def maps(self, model: ReviosaModel) -> tuple[Tensor, ...]:
        """By the other way."""
        return self.of_sam.maps(model, self.frames)


class _InMemory(FrameBatch):
    """Features that are on the device already: what a step costs without any encoder or file."""

    def __init__(self, model: ReviosaModel, features: FrozenFeatures, video: Video) -> None:
        super().__init__(features, frames_of(video, range(video.num_frames)))
        with torch.no_grad():
            self._patches, self._maps = super().patches(model), super().maps(model)

    def patches(self, model: ReviosaModel) -> Tensor:
        """The tower's."""
        return self._patches

    def maps(self, model: ReviosaModel) -> tuple[Tensor, ...]:
        """SAM2's."""
        return self._maps


def _step(model: ReviosaModel, frames: int) -> Callable[[FrameBatch], None]:
    """One optimiser step as the trainer takes it, with attention mask loss on four pairs."""
    from reviosa.training.objective import compute_losses

    ids = conversation(model, frames, _TURNS)["input_ids"]
    labels = torch.full_like(ids, -100)
    labels[:, -_SUPERVISED:] = ids[:, -_SUPERVISED:]
    side, grid = model.sam2.image_size // 4, model.config.grid
    batch: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "mask_targets": torch.rand(_TURNS, 2, frames, side, side, device=ids.device).round(),
        "patch_targets": torch.rand(_TURNS, 2, frames, grid, grid, device=ids.device).round(),
        "has_target": torch.arange(_TURNS, device=ids.device) % 2 == 0,
    }
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    losses, chosen = LossConfig.model_validate({"preset": "paper"}), pairs(model)

    def run(seen: FrameBatch) -> None:
        optimizer.zero_grad()
        compute_losses(model, {**batch, "frames": seen}, losses, chosen).total.backward()
        optimizer.step()

    return run


@torch.no_grad()
def _parts(
    model: ReviosaModel, off: FrozenFeatures, kept: FrozenFeatures, video: Video, rounds: int
) -> dict[str, Any]:
    """What is done to the frames, each by itself."""
    processor, where, dtype = off.processor, model.device, model.dtype
    pixels = video.read_frames()
    vision = processor.vision_frames(pixels).to(where, dtype).contiguous()
    sam = processor.sam_frames(pixels).to(where, dtype).contiguous()
    tower, trunk = model.mllm.model.vision_tower, model.sam2.image_encoder

    def frames() -> list[Any]:
        return frames_of(video, range(video.num_frames))

    return compare(
        {
            "decode and resize": lambda: processor.squash(video.read_frames()),
            "tower, one by one": lambda: model.encode_patches(vision),
            "tower, all at once": lambda: tower(pixel_values=vision),
            "tower, read": lambda: kept.patches(model, frames()),
            "SAM2's encoder, one by one": lambda: encode_maps(model.sam2, sam),
            "SAM2's encoder, all at once": lambda: trunk(sam),
            "SAM2's encoder, read": lambda: kept.maps(model, frames()),
        },
        rounds,
    )


@torch.no_grad()
def _compared(
    model: ReviosaModel, off: FrozenFeatures, kept: FrozenFeatures, video: Video
) -> dict[str, bool]:
    """Fill the store, and see whether bits differ."""
    frames = frames_of(video, range(video.num_frames))
    computed = [off.patches(model, frames), *off.maps(model, frames)]
    again = [off.patches(model, frames), *off.maps(model, frames)]
    filled = [kept.patches(model, frames), *kept.maps(model, frames)]
    read = [kept.patches(model, frames), *kept.maps(model, frames)]
    assert kept.store is not None and kept.store.hits == kept.store.misses
    sam = off.processor.sam_frames(video.read_frames()).to(model.device, model.dtype).contiguous()
    at_once = model.sam2.image_encoder(sam)["backbone_fpn"][0]
    return {
        "computed twice": all(map(torch.equal, computed, again)),
        "kept and read": all(map(torch.equal, computed, filled))
        and all(map(torch.equal, computed, read)),
        "all at once": torch.equal(at_once, computed[1]),
    }


def _entry_mib(store: FeatureStore) -> dict[str, float]:
    sizes = sorted({path.stat().st_size for path in store.folder.glob("*/*.safetensors")})
    return {"tower": sizes[0] / 2**20, "SAM2's encoder": sizes[-1] / 2**20}
