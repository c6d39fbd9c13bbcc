"""What the objects of a scene look like, with distractors that share what they can."""

from dataclasses import dataclass, replace

import numpy as np

from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.lexicon import COLORS, SHAPES, SIZES, TEXTURES

__all__ = ["Look", "draw_looks"]


@dataclass(frozen=True)
class Look:
    """The appearance of one object."""

    shape: str
    color: str
    texture: str
    size: str


def draw_looks(rng: np.random.Generator, config: WorldConfig, count: int) -> list[Look]:
    """Appearances of ``count`` objects; the first two are meant for the actor and the target."""
    actor = _any_look(rng, config)
    looks = [actor, _unlike(rng, config, [actor])]
    while len(looks) < count:
        model = looks[rng.integers(2)]
        roll = rng.random()
        if roll < config.twin:
            looks.append(model)
        elif roll < config.twin + config.shared_attribute:
            looks.append(_sharing(rng, config, model, looks))
        else:
            looks.append(_unlike(rng, config, looks))
    return looks


def _any_look(rng: np.random.Generator, config: WorldConfig) -> Look:
    return Look(
        shape=str(rng.choice(SHAPES)),
        color=str(rng.choice(COLORS)),
        # Half of the objects are plain: textures should mark, not be everywhere.
        texture=str(rng.choice(TEXTURES, p=(0.5, 0.25, 0.25))),
        size=SIZES[int(rng.random() < config.large_share)],
    )


def _unlike(rng: np.random.Generator, config: WorldConfig, others: list[Look]) -> Look:
    """A look whose pair of shape and colour is new."""
    taken = {(other.shape, other.color) for other in others}
    while True:
        look = _any_look(rng, config)
        if (look.shape, look.color) not in taken:
            return look


def _sharing(
    rng: np.random.Generator, config: WorldConfig, model: Look, others: list[Look]
) -> Look:
    """A look that shares one or two attributes with ``model`` and equals no other look."""
    while True:
        look = _any_look(rng, config)
        shared = rng.choice(["shape", "color", "both"], p=(0.45, 0.4, 0.15))
        if shared != "color":
            look = replace(look, shape=model.shape)
        if shared != "shape":
            look = replace(look, color=model.color)
        if look not in others:
            return look
