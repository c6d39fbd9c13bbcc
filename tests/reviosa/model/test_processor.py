"""Frames as the model gets them, against Pillow, with which the release squashes them."""

import numpy as np
import pytest
import torch
from PIL import Image

from reviosa.errors import ConfigError
from reviosa.model import ReviosaProcessor
from reviosa.model.nano_tokenizer import nano_tokenizer

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def levels(pixels: torch.Tensor) -> np.ndarray:
    """Normalised [frame, 3, height, width] as grey levels of 0 to 255, channels last."""
    return (pixels.permute(0, 2, 3, 1).numpy() * STD + MEAN) * 255


@pytest.fixture(params=["noise", "smooth"])
def frame(request):
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    if request.param == "noise":
        return noise
    return np.array(Image.fromarray(noise[:9, :16]).resize((160, 90), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [64, 128, 448])
@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
def test_frames_are_squashed_as_pillow_does(frame, size, resampling):
    """At most 2 of 255 levels apart (measured: 2 where the picture is enlarged, else 1), and 0.05
    in the mean; the other resampling differs by 25 levels on noise."""
    processor = ReviosaProcessor(
        nano_tokenizer(), image_size=size, sam_image_size=size, sam_resampling=resampling
    )
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

    def pillow(name):
        return np.array(Image.fromarray(frame).resize((size, size), filters[name])).astype(float)

    for pixels, name in (
        (processor.sam_frames(frame[None]), resampling),
        (processor.vision_frames(frame[None]), "bicubic"),
    ):
        apart = np.abs(levels(pixels)[0] - pillow(name))
        assert apart.max() < 2.01 and apart.mean() < 0.05


def test_frames_of_the_right_size_are_only_normalised(frame):
    square = frame[:64, :64]
    pixels = ReviosaProcessor(nano_tokenizer(), sam_image_size=64).sam_frames(square[None])
    assert np.abs(levels(pixels)[0] - square).max() < 1e-3


def test_the_resampling_is_kept_with_the_checkpoint(tmp_path):
    ReviosaProcessor(nano_tokenizer(), sam_resampling="bicubic").save_pretrained(tmp_path)
    assert ReviosaProcessor.from_pretrained(tmp_path).sam_resampling == "bicubic"
    with pytest.raises(ConfigError, match="no resampling is called 'nearest'; choose one of"):
        ReviosaProcessor(nano_tokenizer(), sam_resampling="nearest")
