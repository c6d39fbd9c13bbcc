"""What the items are measured on: a model, a small data set, and how it is trained."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.models import build
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import VideoSample
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.inference import Segmenter
from reviosa.model import ReviosaModel, ReviosaProcessor, load
from reviosa.model.nano_tokenizer import nano_tokenizer

__all__ = ["Bench", "Training", "prepare"]

ANSWER_TOKENS = 12
"""Tokens of the release's longest answer, "Sure, the segmentation result is [SEG] and [SEG_OBJ]."
and its end mark. A model of random weights never stops by itself."""


@dataclass(frozen=True)
class Training:
    """A micro-batch and its parameters."""

    batch_size: int
    accumulation: int
    rank: int
    bf16: bool
    checkpointing: bool
    frames: int = 4
    expressions: int = 5


@dataclass(frozen=True)
class Bench:
    """What every part is given."""

    model: ReviosaModel
    processor: ReviosaProcessor
    dataset: InterRVOSDataset
    training: Training
    pairs: tuple[tuple[int, int], ...]
    """Supervised in training, and whose maps a capture keeps."""

    @property
    def segmenter(self) -> Segmenter:
        """The model on videos."""
        return Segmenter(self.model, self.processor)

    @property
    def samples(self) -> list[VideoSample]:
        """Expressions about the first video, an interaction first."""
        video = self.dataset.videos[0]
        found = [VideoSample(video, e, self.dataset) for e in video.expressions]
        return sorted(found, key=lambda sample: not sample.expression.is_interaction)


def prepare(shape: str, layers: int | None, folder: Path) -> Bench:
    """Build the model and write the videos.

    The nano model is the trained one, on videos as in its benchmark; the published shapes have
    random weights, see five frames as the release asks, and videos of 854 x 480 pixels.
    """
    nano = shape == "nano"
    world = WorldConfig() if nano else WorldConfig(height=480, width=854, frames=20)
    write_synthetic(folder / "data", 2, 0, world)
    dataset = InterRVOSDataset(folder / "data")
    if nano:
        model, processor = load("nano")
        pairs = ((2, 0), (2, 1), (2, 2), (2, 3))
        return Bench(model, processor, dataset, Training(4, 1, 16, False, False), pairs)
    if layers is None:
        model = build(shape, nano_words=True)
    else:
        model = build(shape, layers, "sam2/sam2_hiera_t", 256, nano_words=True)
    model.config.num_frames, model.config.frame_sampling = 5, "first"
    model.config.max_new_tokens = ANSWER_TOKENS
    processor = ReviosaProcessor.for_config(model.config, nano_tokenizer())
    on_gpu = model.device.type == "cuda"
    layer = model.config.num_layers - 2
    pairs = ((layer, 0), (layer, 1), (layer, 2), (layer, 3))
    return Bench(model, processor, dataset, Training(2, 4, 128, on_gpu, True), pairs)
