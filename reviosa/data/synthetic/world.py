"""Make one synthetic video: frames, masks, and what can be said about it."""

from dataclasses import dataclass
from typing import cast

import numpy as np

from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.expressions import (
    LEAST_VISIBLE,
    SyntheticExpression,
    write_expressions,
)
from reviosa.data.synthetic.render import rasterise, render
from reviosa.data.synthetic.scene import Event, SceneObject, plan_scene
from reviosa.errors import ConfigError

__all__ = ["SyntheticVideo", "generate_video"]

_TRIES = 300
_FEWEST_EXPRESSIONS = 4


@dataclass(frozen=True)
class SyntheticVideo:
    """A synthetic video with all its truth."""

    frames: np.ndarray
    """uint8 [frame, height, width, 3]."""
    masks: np.ndarray
    """Visible parts, bool [object, frame, height, width]."""
    objects: tuple[SceneObject, ...]
    events: tuple[Event, ...]
    """Interactions (actor first) and mutual events."""
    expressions: tuple[SyntheticExpression, ...]


def generate_video(index: int, seed: int, config: WorldConfig | None = None) -> SyntheticVideo:
    """Video number ``index`` of the world with this seed; the same on every call and machine.

    Raises:
        ConfigError: no scene fits: the objects are too large or too many for the frame.
    """
    config = config or WorldConfig()
    if config.mirrored:
        pair, place = divmod(index, 2)
        for attempt in range(_TRIES):
            # Both of a pair come from the same draw, or they would be two different events.
            both = [
                _try(np.random.default_rng([seed, pair, attempt]), config, exchanged)
                for exchanged in (False, True)
            ]
            if None not in both:
                return cast(SyntheticVideo, both[place])
    else:
        rng = np.random.default_rng([seed, index])
        for _ in range(_TRIES):
            video = _try(rng, config)
            if video is not None:
                return video
    raise ConfigError(
        f"synthetic world: got no scene that fits {config.width}x{config.height} pixels in "
        f"{_TRIES} tries, expected one; use fewer or smaller objects"
    )


def _try(
    rng: np.random.Generator, config: WorldConfig, exchanged: bool = False
) -> SyntheticVideo | None:
    """One draw; None where nothing fits, or too little can be seen or said."""
    scene = plan_scene(rng, config, exchanged)
    if scene is None:
        return None
    masks, shares, sprites = rasterise(scene, config)
    visible = shares.mean(axis=1)
    acting = [i for event in scene.events for i in (event.first, event.second)]
    if visible[acting].min() < LEAST_VISIBLE:
        return None
    expressions = write_expressions(rng, scene, visible, config.max_expressions)
    interactions = sum(e.caption_type == "unidirectional" for e in expressions)
    if len(expressions) < _FEWEST_EXPRESSIONS or not interactions:
        return None
    frames = render(scene, config, sprites, rng)
    return SyntheticVideo(frames, masks, scene.objects, scene.events, expressions)
