"""How an object moves by itself, and what its motion may be called."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Track", "name_motion", "solo_track"]

_HEADINGS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(frozen=True)
class Track:
    """The way of one object through the world."""

    center: np.ndarray
    """Pixels in the world (not on the screen, the camera moves), float [frame, 2] as (x, y)."""
    angle: np.ndarray
    """Rotation in radians, float [frame]."""

    def moved(self, shift: np.ndarray) -> "Track":
        """The same track, shifted by (x, y) pixels."""
        return Track(self.center + shift, self.angle)


def solo_track(motion: str, rng: np.random.Generator, u: np.ndarray, side: float) -> Track:
    """A track for one of the MOTIONS around any origin; ``u`` is time 0 to 1, float [frame]."""
    center = np.zeros((len(u), 2))
    angle = np.full(len(u), rng.uniform(-0.2, 0.2))
    if motion in _HEADINGS:
        center = np.outer(u, _HEADINGS[motion]) * rng.uniform(0.3, 0.48) * side
        drift = rng.uniform(-0.06, 0.06) * side * u
        center += drift[:, None] * np.array(_HEADINGS[motion])[::-1]
    elif motion == "bouncing":
        # A frame at u = 0, 1/3, 2/3, 1 must not find it on the ground each time.
        hops = rng.choice([1.5, 2.5])
        center[:, 1] = -rng.uniform(0.12, 0.18) * side * np.abs(np.sin(np.pi * hops * u))
    elif motion == "swaying":
        phase = rng.uniform(0.0, 1.0)
        center[:, 0] = rng.uniform(0.08, 0.12) * side * np.sin(2 * np.pi * (1.3 * u + phase))
    elif motion == "spinning":
        # A third of the turn is no symmetry of any shape, so sampled frames always differ.
        angle = angle + rng.choice([-1, 1]) * np.radians(rng.uniform(105, 150)) * u
    elif motion == "other":
        heading = np.radians(rng.choice([45, 135, 225, 315]) + rng.uniform(-12, 12))
        way = rng.uniform(0.3, 0.42) * side * u
        center = way[:, None] * np.array([np.cos(heading), np.sin(heading)])
    return Track(center, angle)


def name_motion(track: Track, side: float) -> tuple[str, frozenset[str]]:
    """What a track must be called, and all it might be called by a lenient viewer.

    Used for objects in events; bystanders are called by what they were made to do. The first is
    one of MOTIONS; a name in the second but not the first makes an expression ambiguous.
    """
    center = track.center
    net = center[-1] - center[0]
    length = float(np.linalg.norm(np.diff(center, axis=0), axis=1).sum())
    if length < 0.01 * side:
        return "still", frozenset({"still"})
    possible = {"still"} if length < 0.08 * side else set()
    name = "other"
    for heading, vector in _HEADINGS.items():
        along = float(net @ vector)
        sideways = float(np.abs(net @ np.array(vector)[::-1]))
        if along > 0.05 * side:
            possible.add(heading)
        # Straight: the way walked is hardly longer than the way gained.
        if along > 0.18 * side and sideways < 0.3 * along and length < 1.25 * along:
            name = heading
    return name, frozenset(possible | {name})
