"""Masks and attention on a frame: pure drawing on arrays."""

import io
from collections.abc import Mapping
from functools import cache

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from reports.style import MAP_COLORS, ROLE_COLORS, TRUTH_COLOR

__all__ = [
    "compose_frame",
    "encode_jpeg",
    "encode_png",
    "heat_scale",
    "label_frame",
    "resize_frame",
    "resize_mask",
]

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]

FILL_OPACITY = 0.5
EVEN_LEVEL = 4.0
"""The colour scale ends at this many times the mean patch or higher, so that a head that looks
everywhere alike comes out dark and not as bright as one that has found something."""
HEAT_FLOOR = 0.3
"""Opacity of a patch without attention, as a share of the brightest patch's: the colour scale
stays readable at its dark end and the frame stays recognisable under it."""


def compose_frame(
    frame: Frame,
    *,
    predicted: Mapping[str, Mask] | None = None,
    truth: Mapping[str, Mask] | None = None,
    attention: NDArray | None = None,
    peak: float = 1.0,
    opacity: float = 0.75,
    height: int | None = None,
) -> Frame:
    """Draw attention, predicted masks and the truth's outline on one frame.

    Args:
        frame: uint8 [height, width, 3].
        predicted: role to bool [height, width]; filled and outlined in the role's colour.
        truth: role to bool [height, width]; outlined in white on black.
        attention: weights [row, column] of the patches, which cover the whole frame.
        peak: the weight drawn in the brightest colour (:func:`heat_scale`); one for all frames
            of a sample, so that they can be compared.
        opacity: of the brightest patch, 0 to 1.
        height: of the result in pixels; the frame's own without it.

    Returns:
        uint8 [height, width, 3]; the input is left as it is.
    """
    image = resize_frame(frame, height or frame.shape[0])
    size = image.shape[:2]
    if attention is not None:
        image = _heat(image, attention, peak, opacity)
    line = max(1, round(min(size) / 90))
    # The prediction's outline lies inside its mask, the truth's outside: where both agree, both
    # are still seen.
    for mask in (truth or {}).values():
        shown = resize_mask(mask, size)
        ring = _dilate(shown, line)
        _blend(image, _dilate(ring, 1) & ~ring, (0, 0, 0), 0.8)
        _blend(image, ring & ~shown, _rgb(TRUTH_COLOR), 1.0)
    for role, mask in (predicted or {}).items():
        color = _rgb(ROLE_COLORS[role])
        shown = resize_mask(mask, size)
        _blend(image, shown, color, FILL_OPACITY)
        _blend(image, shown & _dilate(~shown, line + 1, outside=True), color, 1.0)
    return image


def heat_scale(attention: NDArray) -> float:
    """Where the colour scale of maps [..., row, column] ends; see :data:`EVEN_LEVEL`."""
    values = np.nan_to_num(np.asarray(attention, dtype=np.float64))
    if not values.size:
        return 0.0
    return max(float(values.max()), EVEN_LEVEL * float(values.mean()))


def resize_frame(frame: Frame, height: int) -> Frame:
    """The frame at ``height`` pixels, its shape kept; uint8 [height, width, 3]."""
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    if (height, width) == frame.shape[:2]:
        return frame.copy()
    picture = Image.fromarray(np.ascontiguousarray(frame))
    # For shrinking, as sharp to the eye and twice as fast.
    shrunk = height < frame.shape[0]
    way = Image.Resampling.HAMMING if shrunk else Image.Resampling.LANCZOS
    return np.asarray(picture.resize((width, height), way)).copy()


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at ``size`` (height, width), with smooth edges when enlarged.

    Shrunk, a pixel is what lies in its middle; an object thinner than that may be left out.
    """
    if size[0] <= mask.shape[0] and size[1] <= mask.shape[1]:
        rows, columns = (
            (2 * np.arange(new) + 1) * old // (2 * new)
            for new, old in zip(size, mask.shape, strict=True)
        )
        return mask[np.ix_(rows, columns)].astype(bool)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    resized = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized) > 127


def label_frame(image: Frame, text: str) -> Frame:
    """Write a short label into the upper left corner, on a dark ground."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    font = _font(max(10, image.shape[0] // 13))
    left, top, right, bottom = draw.textbbox((5, 3), text, font=font)
    draw.rectangle((0, 0, right + 5, bottom + 4), fill=(0, 0, 0))
    draw.text((5, 3), text, font=font, fill=(255, 255, 255))
    return np.asarray(picture)


def encode_jpeg(image: Frame, quality: int = 80) -> bytes:
    """JPEG bytes, without chroma subsampling: it would smear the thin coloured outlines."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(image: Frame) -> bytes:
    """PNG bytes: every pixel as it was drawn."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _heat(image: Frame, attention: NDArray, peak: float, opacity: float) -> Frame:
    values = np.clip(np.nan_to_num(np.asarray(attention, dtype=np.float64)), 0, None)
    values = np.clip(values / peak, 0, 1) if peak > 0 else np.zeros_like(values)
    colors = 255 * _color_table()[np.round(255 * values).astype(int)]
    alpha = opacity * (HEAT_FLOOR + (1 - HEAT_FLOOR) * values)[..., None]
    height, width = image.shape[:2]
    # Every pixel takes the colour of its patch: smoothing would draw attention where none was.
    patch = np.ix_(
        np.arange(height) * values.shape[0] // height, np.arange(width) * values.shape[1] // width
    )
    part, rest = (x.astype(np.float32)[patch] for x in (colors * alpha, 1 - alpha))
    return np.round(image * rest + part).astype(np.uint8)


def _blend(image: Frame, mask: Mask, color: tuple[int, int, int], opacity: float) -> None:
    """Mix a colour into the image itself."""
    mixed = image[mask] * (1 - opacity) + np.array(color) * opacity
    image[mask] = np.round(mixed).astype(np.uint8)


def _dilate(mask: Mask, width: int, outside: bool = False) -> Mask:
    grown = mask
    for _ in range(width):
        padded = np.pad(grown, 1, constant_values=outside)
        grown = (
            padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1]
            | padded[1:-1, :-2] | padded[1:-1, 2:]
        )  # fmt: skip
    return grown


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


@cache
def _color_table() -> NDArray[np.float64]:
    """[256, 3], 0 to 1."""
    return np.asarray(colormaps[MAP_COLORS](np.arange(256)))[:, :3]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
