"""Splits of a benchmark: what is held out stays out, what is mirrored is mirrored."""

import dataclasses
import json

import pytest

from reviosa.data import InterRVOSDataset
from reviosa.data.synthetic import (
    COLORS,
    SHAPES,
    VERBS,
    Benchmark,
    WorldConfig,
    generate_video,
    write_benchmark,
)
from reviosa.data.synthetic.lexicon import is_held_out
from reviosa.errors import ConfigError

SMALL = {"height": 64, "width": 64, "frames": 8}


def test_one_triple_in_eight_is_held_out_and_every_pair_is_met():
    held = {(c, s, v) for c in COLORS for s in SHAPES for v in VERBS if is_held_out(c, s, v)}
    assert len(held) == 72  # of 8 colours x 8 shapes x 9 verbs = 576
    for kept, parts in ((0, (COLORS, SHAPES)), (1, (COLORS, VERBS)), (2, (SHAPES, VERBS))):
        for first in parts[0]:
            for second in parts[1]:
                triples = {
                    0: [(first, second, v) for v in VERBS],
                    1: [(first, s, second) for s in SHAPES],
                    2: [(c, first, second) for c in COLORS],
                }[kept]
                assert not all(triple in held for triple in triples)


@pytest.mark.parametrize(("combinations", "held"), [("seen", False), ("unseen", True)])
def test_events_keep_to_their_combinations(combinations, held):
    world = WorldConfig(combinations=combinations, **SMALL)
    for index in range(12):
        video = generate_video(index, 5, world)
        for event in video.events:
            if not event.mutual:
                actor = video.objects[event.first]
                assert is_held_out(actor.color, actor.shape, event.verb) == held


def test_a_mirrored_video_exchanges_the_looks_of_actor_and_target():
    world = WorldConfig(mirrored=True, **SMALL)
    for index in range(0, 24, 2):
        events = []
        for video in (generate_video(index, 6, world), generate_video(index + 1, 6, world)):
            event = next(e for e in video.events if not e.mutual)
            looks = [
                (video.objects[i].shape, video.objects[i].color)
                for i in (event.first, event.second)
            ]
            events.append((event.verb, looks))
        (verb, looks), (other_verb, other_looks) = events
        assert other_verb == verb
        assert other_looks == looks[::-1]


def test_more_expressions_say_more_about_interactions():
    few = [generate_video(i, 7, WorldConfig(**SMALL)) for i in range(6)]
    many = [generate_video(i, 7, WorldConfig(max_expressions=24, **SMALL)) for i in range(6)]

    def interactions(videos):
        return sum(e.caption_type == "unidirectional" for v in videos for e in v.expressions)

    assert interactions(many) > 1.5 * interactions(few)


@pytest.fixture
def benchmark():
    return Benchmark.model_validate(
        {
            "name": "tiny",
            "splits": {
                "train": {"videos": 3, "seed": 1, "world": SMALL},
                "test": {"videos": 2, "seed": 2, "world": {**SMALL, "backgrounds": ["checks"]}},
            },
        }
    )


def test_splits_are_written_once_and_known_by_a_hash(benchmark, tmp_path):
    calls = []
    manifest = write_benchmark(benchmark, tmp_path, progress=lambda *a: calls.append(a))
    assert set(manifest["splits"]) == {"train", "test"}
    assert json.loads((tmp_path / "benchmark.json").read_text()) == manifest
    dataset = InterRVOSDataset(tmp_path / "test")
    assert manifest["splits"]["test"]["identity"] == dataset.identity
    assert calls[-1] == ("test", 2, 2)
    calls.clear()
    assert write_benchmark(benchmark, tmp_path, progress=lambda *a: calls.append(a)) == manifest
    assert calls == []


def test_one_split_alone(benchmark, tmp_path):
    manifest = write_benchmark(benchmark, tmp_path, only="test")
    assert set(manifest["splits"]) == {"test"}
    with pytest.raises(ConfigError, match="no split 'other'; choose one of train, test"):
        write_benchmark(benchmark, tmp_path, only="other")


def test_another_world_than_the_benchmark_names_is_refused(benchmark, tmp_path):
    split = benchmark.splits["test"].model_copy(update={"identity": "0" * 16})
    changed = benchmark.model_copy(update={"splits": {"test": split}})
    with pytest.raises(ConfigError, match="expected 0000000000000000 of benchmark tiny"):
        write_benchmark(changed, tmp_path)


def test_a_set_with_other_backgrounds_is_not_taken_for_the_split(benchmark, tmp_path):
    """Masks and words are the same, so the data's identity cannot tell."""
    plain = benchmark.splits["test"].world
    split = benchmark.splits["test"].model_copy(
        update={"world": dataclasses.replace(plain, backgrounds=("tiles",))}
    )
    other = benchmark.model_copy(update={"splits": {"test": split}})
    write_benchmark(other, tmp_path)
    with pytest.raises(ConfigError, match=r"backgrounds \['tiles'\], expected \['checks'\]"):
        write_benchmark(benchmark, tmp_path)


def test_a_misspelled_world_is_refused():
    split = {"videos": 1, "seed": 1, "world": {"combination": "seen"}}
    with pytest.raises(ValueError, match="combination"):
        Benchmark.model_validate({"name": "x", "splits": {"a": split}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"combinations": "some"}, "combinations"),
        ({"backgrounds": ()}, "backgrounds"),
        ({"backgrounds": ("sky",)}, "backgrounds"),
        ({"mirrored": True, "combinations": "seen"}, "mirrored"),
    ],
)
def test_bad_worlds_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        WorldConfig(**change)
