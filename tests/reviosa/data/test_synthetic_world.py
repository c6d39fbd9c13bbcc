"""The synthetic world: same seed same pixels, masks that are true, motions that show."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviosa.data.synthetic import (
    COLORS,
    MOTIONS,
    MUTUAL_VERBS,
    SHAPES,
    SIZES,
    TEXTURES,
    VERBS,
    SyntheticVideo,
    WorldConfig,
    generate_video,
)
from reviosa.data.synthetic.events import Pair, event_tracks
from reviosa.data.synthetic.lexicon import COLOR_RGB
from reviosa.data.synthetic.scene import plan_scene
from reviosa.data.synthetic.shapes import distance, reach
from reviosa.data.synthetic.solo import Track, name_motion, solo_track
from reviosa.errors import ConfigError

Videos = tuple[SyntheticVideo, ...]
SAMPLED = [0, 5, 10, 15]
"""Four frames spread over sixteen, what a model sees of a video."""


def test_same_seed_and_index_give_the_same_video() -> None:
    once, again = generate_video(3, 5), generate_video(3, 5)
    assert np.array_equal(once.frames, again.frames)
    assert np.array_equal(once.masks, again.masks)
    assert once.expressions == again.expressions and once.events == again.events
    for other in (generate_video(4, 5), generate_video(3, 6)):
        assert not np.array_equal(once.frames, other.frames)


def test_shapes_and_types(synthetic_videos: Videos) -> None:
    for video in synthetic_videos:
        count = len(video.objects)
        assert 3 <= count <= 6
        assert video.frames.shape == (16, 128, 128, 3) and video.frames.dtype == np.uint8
        assert video.masks.shape == (count, 16, 128, 128) and video.masks.dtype == bool
        # A pixel shows one object at most.
        assert video.masks.sum(axis=0).max() <= 1


def test_the_whole_lexicon_is_drawn(synthetic_videos: Videos) -> None:
    objects = [item for video in synthetic_videos for item in video.objects]
    events = [event for video in synthetic_videos for event in video.events]
    assert {item.shape for item in objects} == set(SHAPES)
    assert {item.color for item in objects} == set(COLORS)
    assert {item.texture for item in objects} == set(TEXTURES)
    assert {item.size for item in objects} == set(SIZES)
    assert {item.motion for item in objects} == set(MOTIONS)
    assert {e.verb for e in events if not e.mutual} == set(VERBS)
    assert {e.verb for e in events if e.mutual} == set(MUTUAL_VERBS)


def test_distractors_occlusion_and_camera(synthetic_videos: Videos) -> None:
    shares = hidden = moving = 0
    for video in synthetic_videos:
        event = next(event for event in video.events if not event.mutual)
        acting = [video.objects[event.first], video.objects[event.second]]
        others = [item for item in video.objects if item not in acting]
        shares += any(o.shape == a.shape or o.color == a.color for o in others for a in acting)
        areas = video.masks.sum(axis=(2, 3))
        hidden += bool((areas.min(1) < 0.7 * areas.max(1)).any())
        free = ~video.masks.any(axis=0)
        both = free[0] & free[-1]
        first, last = (video.frames[i].astype(float).mean(-1)[both] for i in (0, -1))
        moving += bool(np.abs(first - last).mean() > 1.0)
    assert shares > 60 and hidden > 15 and moving > 60


def test_masks_lie_on_their_objects(synthetic_videos: Videos) -> None:
    checked = 0
    for video in synthetic_videos[:40]:
        for item, masks in zip(video.objects, video.masks, strict=True):
            # More than half of a wide plain object is fill, the rest is the darker rim.
            wide = item.shape in ("circle", "square") and masks[0].sum() > 200
            if wide and item.texture == "plain":
                color = np.median(video.frames[0][masks[0]], axis=0)
                assert np.abs(color - COLOR_RGB[item.color]).max() < 14
                checked += 1
    assert checked > 15


def test_sizes_are_apart(synthetic_videos: Videos) -> None:
    objects = [item for video in synthetic_videos for item in video.objects]
    small = [item.diameter for item in objects if item.size == "small"]
    large = [item.diameter for item in objects if item.size == "large"]
    assert max(small) + 4 < min(large)
    assert min(small) >= 18 and max(large) <= 44


def test_four_frames_show_that_an_event_happens(synthetic_videos: Videos) -> None:
    for video in synthetic_videos:
        for event in video.events:
            ways = []
            for index in (event.first, event.second):
                center = video.objects[index].track.center[SAMPLED]
                ways.append(np.linalg.norm(center - center[0], axis=1).max())
            # The actor is seen away from its start by half a small object; so are both equals.
            assert ways[0] > 10, event
            assert not event.mutual or ways[1] > 10, event


def pair(direction: float = 0.0) -> Pair:
    vector = np.array([math.cos(direction), math.sin(direction)])
    return Pair(vector, contact=20.0, radii=(10.0, 10.0), side=128.0)


def tracks(verb: str, seed: int, direction: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return event_tracks(verb, rng, np.linspace(0, 1, 16), pair(direction))


SEEDS = st.integers(0, 1000)
ANGLES = st.floats(0, 2 * math.pi)


@given(SEEDS, ANGLES)
@settings(max_examples=25, deadline=None)
def test_push_has_the_actor_behind_and_pull_in_front(seed: int, angle: float) -> None:
    for verb, sign in (("push", -1), ("pull", 1), ("chase", -1)):
        actor, target = tracks(verb, seed, angle)
        way = target[-1] - target[0]
        assert np.linalg.norm(way) > 25
        # The actor's place relative to the target, along the target's way.
        assert (sign * ((actor - target) @ way) > 0).all(), verb


@given(SEEDS, ANGLES)
@settings(max_examples=25, deadline=None)
def test_what_distinguishes_the_verbs(seed: int, angle: float) -> None:
    gap = {verb: np.linalg.norm(np.subtract(*tracks(verb, seed, angle)), axis=1) for verb in VERBS}
    way = {
        verb: [np.linalg.norm(t[-1] - t[0]) for t in tracks(verb, seed, angle)] for verb in VERBS
    }
    assert gap["push"][-1] == pytest.approx(20.0)  # in contact
    assert gap["chase"][0] > gap["chase"][-1] > 20.0  # closing in, never touching
    assert gap["hit"].min() < 25 and way["hit"][1] > 30  # touched, then flung away
    assert np.ptp(gap["carry"]) < 1e-6 and way["carry"][0] == pytest.approx(way["carry"][1])
    assert np.ptp(gap["orbit"]) < 1e-6 and way["orbit"][1] == 0
    assert way["approach"][1] == 0 and gap["approach"][-1] < 23
    assert way["jump"][1] == 0 and way["jump"][0] > 40
    assert gap["pass"].min() < gap["pass"][0] and gap["pass"].min() < gap["pass"][-1]


@given(st.sampled_from(MOTIONS), SEEDS)
@settings(max_examples=60, deadline=None)
def test_bystanders_show_their_motion_in_four_frames(motion: str, seed: int) -> None:
    track = solo_track(motion, np.random.default_rng(seed), np.linspace(0, 1, 16), 128.0)
    center, angle = track.center[SAMPLED], track.angle[SAMPLED]
    if motion in ("still", "spinning"):
        assert (center == center[0]).all()
    else:
        assert np.ptp(center, axis=0).max() > 8
    turn = np.abs(np.diff(angle))
    assert (turn > np.radians(30)).all() if motion == "spinning" else (turn == 0).all()


@pytest.mark.parametrize("motion", ["still", "left", "right", "up", "down", "other"])
def test_name_motion_knows_what_solo_track_made(motion: str) -> None:
    for seed in range(30):
        track = solo_track(motion, np.random.default_rng(seed), np.linspace(0, 1, 16), 128.0)
        name, maybe = name_motion(track, 128.0)
        assert name == motion and name in maybe
        # Motions that might be meant: the other axis when the way is diagonal.
        assert motion != "still" or maybe == {"still"}
        assert motion != "other" or len(maybe & {"left", "right", "up", "down"}) == 2


def test_name_motion_calls_there_and_back_no_direction() -> None:
    x = np.concatenate([np.linspace(0, 60, 8), np.linspace(60, 30, 8)])
    name, maybe = name_motion(Track(np.stack([x, 0 * x], 1), 0 * x), 128.0)
    assert name == "other" and "right" in maybe


@given(st.sampled_from(SHAPES), ANGLES)
def test_reach_ends_at_the_edge(shape: str, angle: float) -> None:
    far = reach(shape, angle)
    assert 0.55 <= far <= 1.3
    # Outside or on the edge; 0.03 is a little more than a step of the search.
    beyond = distance(shape, *np.multiply(far + 0.03, [math.cos(angle), math.sin(angle)]))
    assert beyond > -0.01


def test_shapes_differ_from_each_other() -> None:
    grid = np.linspace(-1.3, 1.3, 40)
    inside = [distance(shape, *np.meshgrid(grid, grid)) <= 0 for shape in SHAPES]
    for i, one in enumerate(inside):
        for other in inside[:i]:
            assert (one & other).sum() / (one | other).sum() < 0.85


@pytest.mark.parametrize(
    "values",
    [
        {"height": 20},
        {"frames": 3},
        {"min_objects": 2},
        {"min_objects": 6, "max_objects": 5},
        {"max_objects": 9},
        {"small_diameter": (0.2, 0.1)},
        {"small_diameter": (0.2, 0.3)},
        {"large_diameter": (0.3, 0.6)},
        {"twin": 1.5},
        {"camera_pan": -0.1},
        {"max_expressions": 3},
        {"jpeg_quality": 0},
    ],
)
def test_bad_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        WorldConfig(**values)


def test_no_room_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviosa.data.synthetic.world._TRIES", 9)
    crowded = WorldConfig(
        small_diameter=(0.45, 0.46), large_diameter=(0.48, 0.5), min_objects=6, camera_pan=0.0
    )
    with pytest.raises(ConfigError, match="got no scene that fits 128x128 pixels in 9 tries"):
        generate_video(0, 0, crowded)


def test_other_sizes_and_lengths() -> None:
    video = generate_video(0, 0, WorldConfig(height=96, width=160, frames=24, max_objects=4))
    assert video.frames.shape == (24, 96, 160, 3)
    assert len(video.objects) <= 4


def test_a_planned_scene_has_room_on_the_screen() -> None:
    config = WorldConfig()
    rng = np.random.default_rng(0)
    scenes = [scene for _ in range(30) if (scene := plan_scene(rng, config)) is not None]
    assert len(scenes) > 20
    for scene in scenes:
        for item in scene.objects:
            screen = item.track.center - scene.camera
            assert (screen - item.diameter / 2 >= 0).all()
            assert (screen + item.diameter / 2 <= 128).all()
