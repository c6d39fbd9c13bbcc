"""Plan a scene: who is in it, who acts on whom, and where everything goes."""

from dataclasses import dataclass, replace

import numpy as np

from reviosa.data.synthetic.attributes import Look, draw_looks
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.events import Pair, event_tracks
from reviosa.data.synthetic.lexicon import MUTUAL_VERBS, SIZES, VERBS, is_held_out
from reviosa.data.synthetic.shapes import reach
from reviosa.data.synthetic.solo import Track, name_motion, solo_track

__all__ = ["Event", "Scene", "SceneObject", "plan_scene"]

_SOLO = ("still", "left", "right", "up", "down", "bouncing", "swaying", "spinning", "other")
_SOLO_SHARES = (0.36, 0.09, 0.09, 0.08, 0.08, 0.08, 0.07, 0.12, 0.03)
_TRIES = 25


@dataclass(frozen=True)
class SceneObject:
    """One object: its look, its measure and its motion."""

    shape: str
    color: str
    texture: str
    size: str
    diameter: float
    """Pixels."""
    motion: str
    """One of MOTIONS."""
    maybe: frozenset[str]
    """Motions a lenient viewer might see; holds ``motion``."""
    track: Track


@dataclass(frozen=True)
class Event:
    """Two objects (indices into the scene) in an interaction."""

    verb: str
    """One of VERBS, or of MUTUAL_VERBS if ``mutual``."""
    first: int
    """The actor; of a mutual event, either of the two."""
    second: int
    """The target; of a mutual event, the other."""

    @property
    def mutual(self) -> bool:
        """Whether both act alike, so that there is no target."""
        return self.verb in MUTUAL_VERBS


@dataclass(frozen=True)
class Scene:
    """Objects, events, the camera's way and who is in front."""

    objects: tuple[SceneObject, ...]
    events: tuple[Event, ...]
    camera: np.ndarray
    """World position of the frame's upper left corner, whole pixels, int [frame, 2] as (x, y)."""
    depth: tuple[int, ...]
    """Object indices from the back to the front."""


def plan_scene(
    rng: np.random.Generator, config: WorldConfig, exchanged: bool = False
) -> Scene | None:
    """Draw a scene, or None where the drawn objects found no room; then draw again.

    ``exchanged`` gives the first event's actor the target's look, and the target the actor's.
    """
    count = int(rng.integers(config.min_objects, config.max_objects + 1))
    u = np.linspace(0, 1, config.frames)
    camera = _camera(rng, config, u)
    looks = draw_looks(rng, config, count)
    if exchanged:
        looks[:2] = looks[1::-1]
    diameters = [_diameter(rng, config, look.size) for look in looks]
    objects: list[SceneObject] = []
    events: list[Event] = []
    verbs = [str(rng.choice(_verbs(config, looks[0])))]
    if count >= 4 and rng.random() < config.second_event:
        mutual = rng.random() < config.mutual_share
        verbs.append(str(rng.choice(MUTUAL_VERBS if mutual else _verbs(config, looks[2]))))
    for verb in verbs:
        index = len(objects)
        chosen = slice(index, index + 2)
        placed = None
        for attempt in range(2 * _TRIES):
            if attempt == _TRIES:  # no room so far: try small ones on shorter ways
                looks[chosen] = [replace(look, size=SIZES[0]) for look in looks[chosen]]
                diameters[chosen] = [_diameter(rng, config, SIZES[0]) for _ in range(2)]
            scale = 1.0 if attempt < _TRIES else 0.8
            pair = _event_pair(
                rng, u, config, camera, verb, looks[chosen], diameters[chosen], scale
            )
            if pair and all(
                _apart(new, old, 0.01 * config.side) and _unrelated(new, old, config.side)
                for new in pair
                for old in objects
            ):
                placed = pair
                break
        if placed:
            events.append(Event(verb, index, index + 1))
            objects += placed
        elif not events:
            return None
    while len(objects) < count:
        index = len(objects)
        bystander = _bystander(rng, u, config, camera, looks[index], diameters[index], objects)
        if bystander is None:
            break
        objects.append(bystander)
    if len(objects) < config.min_objects:
        return None
    return _shuffled(rng, objects, events, camera)


def _verbs(config: WorldConfig, actor: Look) -> tuple[str, ...]:
    """What an actor of this look may do to another object."""
    if config.combinations == "any":
        return VERBS
    wanted = config.combinations == "unseen"
    return tuple(v for v in VERBS if is_held_out(actor.color, actor.shape, v) == wanted)


def _camera(rng: np.random.Generator, config: WorldConfig, u: np.ndarray) -> np.ndarray:
    angle, way = rng.uniform(0, 2 * np.pi), rng.uniform(0, config.camera_pan) * config.side
    path = np.outer(u, way * np.array([np.cos(angle), np.sin(angle)]))
    return np.rint(path).astype(int)


def _diameter(rng: np.random.Generator, config: WorldConfig, size: str) -> float:
    low, high = config.small_diameter if size == SIZES[0] else config.large_diameter
    return float(rng.uniform(low, high)) * config.side


def _event_pair(
    rng: np.random.Generator,
    u: np.ndarray,
    config: WorldConfig,
    camera: np.ndarray,
    verb: str,
    looks: list[Look],
    diameters: list[float],
    scale: float,
) -> list[SceneObject] | None:
    """Both objects of an event, at a random place where they fit in, or None.

    ``scale`` shortens their ways.
    """
    angle = {
        "carry": -np.pi / 2,
        "jump": rng.choice([0.0, np.pi]),
    }.get(verb, _direction(rng))
    radii = (diameters[0] / 2, diameters[1] / 2)
    contact = radii[0] * reach(looks[0].shape, angle) + radii[1] * reach(
        looks[1].shape, angle + np.pi
    )
    pair = Pair(np.array([np.cos(angle), np.sin(angle)]), contact, radii, scale * config.side)
    tracks = [
        # No rotation here: it would change where the two touch.
        Track(center, np.zeros(len(u)))
        for center in event_tracks(verb, rng, u, pair)
    ]
    shift = _place(rng, config, camera, tracks, radii)
    if shift is None:
        return None
    return [
        _object(look, diameter, track.moved(shift), config)
        for look, diameter, track in zip(looks, diameters, tracks, strict=True)
    ]


def _direction(rng: np.random.Generator) -> float:
    """Mostly near the axes, so that "left" and its like have a clear meaning."""
    if rng.random() < 0.7:
        return float(rng.integers(4) * np.pi / 2 + rng.uniform(-0.17, 0.17))
    return float(rng.uniform(0, 2 * np.pi))


def _bystander(
    rng: np.random.Generator,
    u: np.ndarray,
    config: WorldConfig,
    camera: np.ndarray,
    look: Look,
    diameter: float,
    objects: list[SceneObject],
) -> SceneObject | None:
    """An object that acts by itself, at a place where it hides little, or None."""
    crossing = rng.random() < config.crossing
    for attempt in range(2 * _TRIES):
        if attempt == _TRIES and not crossing:  # no room so far: try as a small one
            look = replace(look, size=SIZES[0])
            diameter = _diameter(rng, config, look.size)
        motion = str(rng.choice(_SOLO, p=_SOLO_SHARES))
        if motion == "spinning" and look.texture == "plain" and look.shape in ("circle", "ring"):
            continue  # nobody could see it
        track = solo_track(motion, rng, u, config.side)
        shift = _place(rng, config, camera, [track], (diameter / 2,))
        if shift is None:
            continue
        track = track.moved(shift)
        new = SceneObject(look.shape, look.color, look.texture, look.size, diameter, motion,
                          frozenset({motion}), track)  # fmt: skip
        if not all(_unrelated(new, old, config.side) for old in objects):
            continue
        free = [_apart(new, old, 0.03 * config.side) for old in objects]
        if crossing and attempt < _TRIES:
            # Somebody must be met, and nobody be hidden for long.
            met = [old for old, apart in zip(objects, free, strict=True) if not apart]
            if met and all(_crosses(new, old) for old in met):
                return new
        elif all(free):
            return new
    return None


def _object(look: Look, diameter: float, track: Track, config: WorldConfig) -> SceneObject:
    motion, maybe = name_motion(track, config.side)
    return SceneObject(
        look.shape, look.color, look.texture, look.size, diameter, motion, maybe, track
    )


def _place(
    rng: np.random.Generator,
    config: WorldConfig,
    camera: np.ndarray,
    tracks: list[Track],
    radii: tuple[float, ...],
) -> np.ndarray | None:
    """A random shift (x, y) that keeps all tracks on the screen, or None if they are too long."""
    margin = 0.015 * config.side
    low = np.min([(t.center - camera).min(0) - r for t, r in zip(tracks, radii, strict=True)], 0)
    high = np.max([(t.center - camera).max(0) + r for t, r in zip(tracks, radii, strict=True)], 0)
    room = np.array([config.width, config.height]) - 2 * margin - (high - low)
    if (room < 0).any():
        return None
    return margin - low + rng.uniform(0, 1, 2) * room


def _gaps(new: SceneObject, old: SceneObject) -> np.ndarray:
    """Free pixels between two objects taken as disks, float [frame]; negative in an overlap."""
    distance = np.linalg.norm(new.track.center - old.track.center, axis=1)
    return distance - (new.diameter + old.diameter) / 2


def _apart(new: SceneObject, old: SceneObject, gap: float) -> bool:
    return bool(_gaps(new, old).min() >= gap)


def _crosses(new: SceneObject, old: SceneObject) -> bool:
    """Whether one passes the other: a clear overlap, in at most every second frame."""
    gaps = _gaps(new, old)
    return bool(gaps.min() < -0.3 * min(new.diameter, old.diameter) and (gaps < 0).mean() <= 0.5)


def _unrelated(new: SceneObject, old: SceneObject, side: float) -> bool:
    """Whether nobody would see these two, of different events, as doing something together.

    They must not travel the same way (that is chasing, or moving together), nor may one end up
    beside the other after coming nearer (that is approaching).
    """
    ways = [item.track.center[-1] - item.track.center[0] for item in (new, old)]
    lengths = [float(np.linalg.norm(way)) for way in ways]
    if min(lengths) > 0.1 * side and ways[0] @ ways[1] > 0.7 * lengths[0] * lengths[1]:
        return False
    gaps = _gaps(new, old)
    return bool(gaps[-1] > 0.1 * side or gaps[0] - gaps[-1] < 0.12 * side)


def _shuffled(
    rng: np.random.Generator, objects: list[SceneObject], events: list[Event], camera: np.ndarray
) -> Scene:
    """Random indices and depths, so that neither tells the actor."""
    order = rng.permutation(len(objects))
    place = {int(old): new for new, old in enumerate(order)}
    moved = tuple(Event(event.verb, place[event.first], place[event.second]) for event in events)
    depth = tuple(int(index) for index in rng.permutation(len(objects)))
    return Scene(tuple(objects[i] for i in order), moved, camera, depth)
