"""Draw a scene with numpy alone: smooth edges, textures, a background that the camera pans over."""

import numpy as np

from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.lexicon import COLOR_RGB
from reviosa.data.synthetic.scene import Scene, SceneObject
from reviosa.data.synthetic.shapes import distance

__all__ = ["render", "rasterise"]


def rasterise(scene: Scene, config: WorldConfig) -> tuple[np.ndarray, np.ndarray, list["Sprite"]]:
    """Masks of a scene before any colour is spent on it.

    Returns:
        Visible parts, bool [object, frame, height, width]; the share of each object that is
        neither hidden nor outside, float [object, frame]; the sprites for :func:`render`.
    """
    frames = config.frames
    owner = np.full((frames, config.height, config.width), -1, dtype=np.int8)
    sprites = [Sprite(item, scene.camera) for item in scene.objects]
    for index in scene.depth:
        for frame in range(frames):
            window, local = sprites[index].window(frame, config)
            owner[frame][window][sprites[index].inside[frame][local]] = index
    masks = owner[None] == np.arange(len(sprites), dtype=np.int8)[:, None, None, None]
    whole = np.stack([sprite.inside.sum((1, 2)) for sprite in sprites])
    return masks, masks.sum((2, 3)) / np.maximum(whole, 1), sprites


def render(
    scene: Scene, config: WorldConfig, sprites: list["Sprite"], rng: np.random.Generator
) -> np.ndarray:
    """Colours of a scene, uint8 [frame, height, width, 3]; ``sprites`` from :func:`rasterise`."""
    frames = _background(scene.camera, config, rng)
    for event in scene.events:
        if event.verb == "pull":
            _draw_rope(frames, scene, event.first, event.second)
    for index in scene.depth:
        sprite = sprites[index]
        colors, alpha = sprite.paint(rng)
        for frame in range(config.frames):
            window, local = sprite.window(frame, config)
            below = frames[frame][window]
            below += alpha[frame][local][..., None] * (colors[frame][local] - below)
    return (np.clip(frames, 0, 255) + 0.5).astype(np.uint8)


class Sprite:
    """One object on its own small grid, for all frames at once."""

    def __init__(self, item: SceneObject, camera: np.ndarray) -> None:
        self.item = item
        self.radius = item.diameter / 2
        screen = item.track.center - camera
        self.half = int(np.ceil(1.3 * self.radius)) + 1
        self.corner = np.floor(screen).astype(int) - self.half
        offsets = np.arange(2 * self.half + 1)
        # Pixel centres lie at whole numbers + 0.5.
        x = offsets[None, None, :] + 0.5 + (self.corner - screen)[:, 0, None, None]
        y = offsets[None, :, None] + 0.5 + (self.corner - screen)[:, 1, None, None]
        cos, sin = np.cos(item.track.angle), np.sin(item.track.angle)
        cos, sin = cos[:, None, None], sin[:, None, None]
        self.x = ((cos * x + sin * y) / self.radius).astype(np.float32)
        self.y = ((cos * y - sin * x) / self.radius).astype(np.float32)
        self.distance = distance(item.shape, self.x, self.y) * np.float32(self.radius)
        """Pixels to the edge, negative inside, [frame, row, column] of the sprite's window."""
        self.inside = self.distance <= 0

    def window(
        self, frame: int, config: WorldConfig
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where the sprite lies in a frame, and which part of the sprite that is."""
        x, y = int(self.corner[frame, 0]), int(self.corner[frame, 1])
        size = 2 * self.half + 1
        left, right = min(max(x, 0), config.width), min(max(x + size, 0), config.width)
        top, bottom = min(max(y, 0), config.height), min(max(y + size, 0), config.height)
        return (
            (slice(top, bottom), slice(left, right)),
            (slice(top - y, bottom - y), slice(left - x, right - x)),
        )

    def paint(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Colours [frame, row, column, 3] and coverage 0 to 1 [frame, row, column]."""
        base = np.array(COLOR_RGB[self.item.color], dtype=np.float32)
        base = np.clip(base + rng.uniform(-9, 9, 3), 0, 255).astype(np.float32)
        # About 6 px a period at any size: wider ones hide in small objects.
        period = max(0.42, 6.0 / self.radius) if self.radius < 18 else 7.0 / self.radius
        if self.item.texture == "striped":
            dark = ((self.x * 0.7 + self.y * 0.7) / period + rng.uniform()) % 1 < 0.45
        elif self.item.texture == "dotted":
            u = (self.x / period + 0.5) % 1 - 0.5
            v = (self.y / period + 0.5) % 1 - 0.5
            dark = np.hypot(u, v) < 0.3
        else:
            dark = np.zeros(self.x.shape, dtype=bool)
        light = np.where(dark, np.float32(0.48), np.float32(1.0))
        # A darker rim keeps objects of one colour apart where they overlap.
        light *= np.where(self.distance > -1.2, np.float32(0.6), np.float32(1.0))
        alpha = np.clip(0.5 - self.distance, 0, 1)
        return light[..., None] * base, alpha


def _background(camera: np.ndarray, config: WorldConfig, rng: np.random.Generator) -> np.ndarray:
    """Muted texture, larger than the frame, cropped along the camera's way."""
    low = camera.min(0)
    span = camera.max(0) - low
    height, width = config.height + int(span[1]), config.width + int(span[0])
    # Two greyish colours, mixed by noise of several wavelengths.
    grey = rng.uniform(70, 150, 2)
    tints = grey[:, None] + rng.uniform(-16, 16, (2, 3))
    mix = np.zeros((height, width), dtype=np.float32)
    for cells, weight in ((3, 0.6), (7, 0.35), (17, 0.25)):
        mix += np.float32(weight) * _smooth_noise(rng, cells, height, width)
    others = len(config.backgrounds) - 1
    shares = [0.5] + [0.5 / others] * others if others else [1.0]
    pattern = rng.choice(config.backgrounds, p=shares)
    if pattern != "none":
        pitch = rng.uniform(0.08, 0.16) * config.side
        rows = np.arange(height) + rng.uniform(0, pitch)
        _draw_pattern(mix, str(pattern), pitch, rows, rng)
    image = tints[0] + mix[..., None] * (tints[1] - tints[0])
    image += rng.normal(0, 4, (height, width, 1))
    image = image.astype(np.float32)
    frames = np.empty((config.frames, config.height, config.width, 3), dtype=np.float32)
    for frame, (x, y) in enumerate(camera - low):
        frames[frame] = image[y : y + config.height, x : x + config.width]
    return frames


def _draw_pattern(
    mix: np.ndarray, pattern: str, pitch: float, rows: np.ndarray, rng: np.random.Generator
) -> None:
    """Draw one of BACKGROUNDS into ``mix`` [height, width]; ``rows`` are shifted row numbers."""
    columns = np.arange(mix.shape[1])
    if pattern in ("planks", "tiles"):
        mix[rows % pitch < 1.5] -= 0.35
        if pattern == "tiles":
            mix[:, (columns + rng.uniform(0, pitch)) % pitch < 1.5] -= 0.35
        return
    columns = columns + rng.uniform(0, pitch)
    if pattern == "checks":
        odd = (rows[:, None] // pitch + columns // pitch) % 2 == 1
        mix[odd] -= 0.25
    else:  # stones: a dark round outline in each field, every second row shifted
        shifted = columns + (rows[:, None] // pitch % 2) * pitch / 2
        off = np.hypot(rows[:, None] % pitch - pitch / 2, shifted % pitch - pitch / 2)
        mix[np.abs(off - 0.36 * pitch) < 0.9] -= 0.35


def _smooth_noise(rng: np.random.Generator, cells: int, height: int, width: int) -> np.ndarray:
    """Bilinear noise, 0 to 1, float32 [height, width]."""
    grid = rng.random((cells + 1, cells + 1)).astype(np.float32)

    def weights(length: int) -> np.ndarray:
        at = np.linspace(0, cells, length, endpoint=False)
        near = np.floor(at).astype(int)
        matrix = np.zeros((length, cells + 1), dtype=np.float32)
        matrix[np.arange(length), near] = 1 - (at - near)
        matrix[np.arange(length), near + 1] = at - near
        return matrix

    return weights(height) @ grid @ weights(width).T


def _draw_rope(frames: np.ndarray, scene: Scene, first: int, second: int) -> None:
    """A dark line from centre to centre, under all objects: it belongs to no mask."""
    x = np.arange(frames.shape[2]) + 0.5
    y = np.arange(frames.shape[1])[:, None] + 0.5
    for frame in range(len(frames)):
        start = scene.objects[first].track.center[frame] - scene.camera[frame]
        way = scene.objects[second].track.center[frame] - scene.camera[frame] - start
        length = max(float(way @ way), 1e-6)
        along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / length, 0, 1)
        off = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
        alpha = np.clip(1.6 - off, 0, 1)[..., None].astype(np.float32)
        frames[frame] += alpha * (25.0 - frames[frame])
