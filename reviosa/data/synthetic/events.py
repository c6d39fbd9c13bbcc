"""How two objects move when one acts on the other, or both act alike.

Each function gets ``u``, the time of each frame from 0 to 1, and a :class:`Pair`; it returns the
centres of both objects, float [frame, 2] each (x right, y down, pixels, any origin). Each verb
can be told from 4 frames spread over the video.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Pair", "event_tracks"]

Tracks = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """Measures of two objects about to meet."""

    direction: np.ndarray
    """Unit vector of the event, [2]."""
    contact: float
    """Distance of the centres in pixels when they touch along ``direction``."""
    radii: tuple[float, float]
    """Radii of actor and target in pixels."""
    side: float
    """Pixels that a way of 1 is long: the shorter side of the frame or a little less."""

    @property
    def across(self) -> np.ndarray:
        """Unit vector at a right angle to the direction, [2]."""
        return np.array([-self.direction[1], self.direction[0]])

    def along(self, way: np.ndarray, sideways: np.ndarray | float = 0.0) -> np.ndarray:
        """Points from the way along and across the direction, [frame, 2]."""
        across = np.broadcast_to(np.asarray(sideways, dtype=float), way.shape)
        return way[:, None] * self.direction + across[:, None] * self.across


def event_tracks(verb: str, rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    """Centres of actor and target (or of both equals) for a verb, float [frame, 2] each."""
    return _TRACKS[verb](rng, u, pair)


def _push(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    gap, way = rng.uniform(0.11, 0.16) * pair.side, rng.uniform(0.26, 0.34) * pair.side
    meet = rng.uniform(0.24, 0.32)
    target = way * np.clip((u - meet) / (1 - meet), 0, None)
    actor = np.where(u < meet, -pair.contact - gap * (1 - u / meet), target - pair.contact)
    return pair.along(actor), pair.along(target)


def _pull(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    # The rope is slack at first; the target starts when it is tight.
    slack, way = rng.uniform(0.05, 0.09) * pair.side, rng.uniform(0.38, 0.46) * pair.side
    actor = pair.contact + 0.02 * pair.side + way * u
    target = np.clip(actor - pair.contact - slack - 0.03 * pair.side, 0, None)
    return pair.along(actor), pair.along(target)


def _chase(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    way = rng.uniform(0.28, 0.36) * pair.side
    first, last = rng.uniform(0.18, 0.23) * pair.side, rng.uniform(0.02, 0.04) * pair.side
    wave = 0.035 * pair.side * np.sin(2 * np.pi * (u + rng.uniform()))
    late = 0.035 * pair.side * np.sin(2 * np.pi * (u - 0.15 + rng.uniform(-0.05, 0.05)))
    target = way * u
    actor = target - pair.contact - first - (last - first) * u
    return pair.along(actor, late), pair.along(target, wave)


def _hit(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    run, flight = rng.uniform(0.28, 0.36) * pair.side, rng.uniform(0.3, 0.4) * pair.side
    meet = rng.uniform(0.36, 0.44)
    after = np.clip((u - meet) / (1 - meet), 0, 1)
    rebound = 0.07 * pair.side * after
    actor = np.where(u < meet, -pair.contact - run * (1 - u / meet), -pair.contact - rebound)
    fly = flight * (1 - (1 - after) ** 2)
    return pair.along(actor), pair.along(fly, fly * rng.uniform(-0.25, 0.25))


def _carry(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    # The direction points from the actor up to its load; the way is level.
    way = rng.choice([-1.0, 1.0]) * rng.uniform(0.36, 0.5) * pair.side
    sway = 0.012 * pair.side * np.sin(2 * np.pi * 2.3 * u)
    actor = np.stack([way * u, sway], axis=1)
    return actor, actor + (pair.contact - 0.01 * pair.side) * pair.direction


def _orbit(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    radius = 1.02 * sum(pair.radii) + 0.04 * pair.side
    turn = rng.choice([-1, 1]) * rng.uniform(0.8, 1.15) * 2 * np.pi
    angle = np.arctan2(pair.direction[1], pair.direction[0]) + turn * u
    actor = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return actor, np.zeros_like(actor)


def _approach(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    run, arrive = rng.uniform(0.34, 0.46) * pair.side, rng.uniform(0.8, 0.95)
    left = run * np.clip(1 - u / arrive, 0, 1)
    actor = -pair.contact - 0.015 * pair.side - left
    return pair.along(actor), np.zeros((len(u), 2))


def _jump(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    # The direction is level; "up" is up on the screen whatever the direction's sign.
    half = pair.contact + rng.uniform(0.05, 0.09) * pair.side
    rise = sum(pair.radii) + rng.uniform(0.05, 0.1) * pair.side
    air = np.clip((u - 0.08) / 0.84, 0, 1)
    actor = (2 * air - 1)[:, None] * half * pair.direction
    actor[:, 1] -= rise * np.sin(np.pi * air) ** 0.8
    return actor, np.zeros_like(actor)


def _pass(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    lead = 0.5 * sum(pair.radii) + rng.uniform(0.1, 0.15) * pair.side
    way = rng.uniform(0.14, 0.2) * pair.side
    lane = rng.choice([-1, 1]) * (sum(pair.radii) + 0.02 * pair.side)
    actor = -lead + (way + 2 * lead) * u
    return pair.along(actor, lane), pair.along(way * u)


def _together(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    way = rng.uniform(0.36, 0.48) * pair.side * u
    lane = sum(pair.radii) + rng.uniform(0.03, 0.07) * pair.side
    return pair.along(way), pair.along(way, lane)


def _apart(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    way = rng.uniform(0.2, 0.26) * pair.side * u
    half = pair.contact / 2 + 0.01 * pair.side
    return pair.along(-half - way), pair.along(half + way)


def _bump(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    way = rng.uniform(0.2, 0.25) * pair.side * np.abs(2 * u - 1)
    half = pair.contact / 2
    return pair.along(-half - way), pair.along(half + way)


def _revolve(rng: np.random.Generator, u: np.ndarray, pair: Pair) -> Tracks:
    radius = 0.5 * sum(pair.radii) + 0.03 * pair.side
    turn = rng.choice([-1, 1]) * rng.uniform(0.7, 1.1) * 2 * np.pi
    angle = np.arctan2(pair.direction[1], pair.direction[0]) + turn * u
    first = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return first, -first


_TRACKS: dict[str, Callable[[np.random.Generator, np.ndarray, Pair], Tracks]] = {
    "push": _push,
    "pull": _pull,
    "chase": _chase,
    "hit": _hit,
    "carry": _carry,
    "orbit": _orbit,
    "approach": _approach,
    "jump": _jump,
    "pass": _pass,
    "together": _together,
    "apart": _apart,
    "bump": _bump,
    "revolve": _revolve,
}
