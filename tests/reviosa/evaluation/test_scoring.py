"""Expressions scored frame by frame: from RLE or arrays, by any number of processes."""

import json
import os
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import Expression, Video, VideoSample
from reviosa.data.rle import encode
from reviosa.errors import ConfigError, DataError, RunError
from reviosa.evaluation import boundary_f, evaluate_predictions, jaccard
from reviosa.evaluation.protocols import DictionarySource
from reviosa.evaluation.scoring import score_expressions, score_objects
from reviosa.evaluation.source import Found

SIZE, FRAMES = (24, 40), 6
DAMAGED = {"size": [24, 40], "counts": "0"}


def track(seed):
    """A box that moves, and is away in the third frame."""
    generator = np.random.default_rng(seed)
    masks = np.zeros((FRAMES, *SIZE), bool)
    top, left = generator.integers(0, 12), generator.integers(0, 20)
    for frame in range(FRAMES):
        masks[frame, top : top + 9, left + frame : left + frame + 12] = True
    masks[2] = False
    return masks


@dataclass
class Tracks:
    """A data set of tracks in memory, with or without RLE."""

    tracks: dict[int, np.ndarray]
    compressed: bool = True
    asked: list = field(default_factory=list)
    samples: tuple[VideoSample, ...] = ()

    def add(self, video, *expressions):
        video = replace(video, expressions=expressions)
        self.samples += tuple(VideoSample(video, one, self) for one in expressions)
        return self

    def size(self, video_id):
        return SIZE

    def masks(self, video_id, anno_ids, indices=None):
        self.asked.append("masks")
        union = np.zeros((FRAMES, *SIZE), bool)
        for anno_id in anno_ids:
            union |= self.tracks[anno_id]
        return union[list(range(FRAMES) if indices is None else indices)]

    def rles(self, video_id, anno_ids, indices=None):
        if not self.compressed:
            return None
        self.asked.append("rles")
        return [
            [encode(self.tracks[x][index]) for x in anno_ids if self.tracks[x][index].any()]
            for index in (range(FRAMES) if indices is None else indices)
        ]


@dataclass
class Given:
    """Predictions in memory, by expression and role."""

    masks: dict
    faults: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def find(self, video_id, exp_id, role, frames, size, indices):
        self.calls.append((video_id, exp_id, role, tuple(frames), size, tuple(indices)))
        found = self.masks.get((video_id, exp_id, role))
        if isinstance(found, np.ndarray):
            found = found[list(indices)]
        elif found is not None:
            found = [found[index] for index in indices]
        return Found(found, self.faults.get((video_id, exp_id, role), ()))

    def ids(self):
        yield from dict.fromkeys(key[:2] for key in self.masks)


def video(video_id, annotated=None):
    names = tuple(f"{index:05d}" for index in range(FRAMES))
    return Video(video_id, names, tuple(map(str, names)), (), annotated)


def expression(video_id, exp_id, actors, targets=(), group=""):
    kind = "unidirectional" if targets else "single"
    return Expression(video_id, exp_id, "a thing", kind, actors, targets, group)


@pytest.fixture
def dataset():
    tracks = Tracks({seed: track(seed) for seed in range(4)})
    tracks.add(video("a"), expression("a", "0", (0, 1), (2,)), expression("a", "1", (3,)))
    return tracks.add(video("b", (1, 2, 4)), expression("b", "0", (2,)))


def predictions(compressed):
    near = {
        ("a", "0", "actor"): np.roll(track(0) | track(1), 1, 2),
        ("a", "0", "target"): track(2),
        ("a", "1", "actor"): np.roll(track(3), 2, 1),
        ("b", "0", "actor"): np.roll(track(2), 3, 2),
    }
    if compressed:
        return {key: [[encode(mask)] for mask in masks] for key, masks in near.items()}
    return near


@pytest.mark.parametrize("truth", [True, False], ids=["truth as RLE", "truth as arrays"])
@pytest.mark.parametrize("predicted", [True, False], ids=["RLE predicted", "arrays predicted"])
def test_every_frame_with_truth_is_scored(dataset, truth, predicted):
    dataset.compressed = truth
    source = Given(predictions(predicted))
    found = score_expressions(dataset, source)
    names = [(one.expression.sample_id, one.role) for one in found.roles]
    assert names == [("a/0", "actor"), ("a/0", "target"), ("a/1", "actor"), ("b/0", "actor")]
    masks = predictions(False)
    truths = [track(0) | track(1), track(2), track(3), track(2)]
    for one, (key, true) in zip(found.roles, zip(masks, truths, strict=True), strict=True):
        chosen = [1, 2, 4] if key[0] == "b" else range(FRAMES)
        mask, true = masks[key][chosen], true[chosen]
        assert one.frames.j.tolist() == jaccard(mask, true).tolist()
        assert one.frames.f.tolist() == boundary_f(mask, true).tolist()
        assert one.frames.true.tolist() == true.sum(axis=(1, 2)).tolist()
        assert one.j == jaccard(mask, true).mean() and one.f == boundary_f(mask, true).mean()
        assert not one.missing and not one.faults
    assert not found.missing and not found.faults and not found.unknown
    assert set(dataset.asked) == {"rles" if truth else "masks"}, "RLE goes straight through"
    names = tuple(f"{index:05d}" for index in range(FRAMES))
    assert source.calls[-1] == ("b", "0", "actor", names, SIZE, (1, 2, 4))


def test_missing_counts_zero_and_is_named(dataset):
    masks = predictions(True)
    del masks["a", "0", "target"], masks["b", "0", "actor"]
    masks["zoo", "7", "actor"] = []
    found = score_expressions(dataset, Given(masks))
    assert found.missing == ("a/0", "b/0") and found.unknown == ("zoo/7",) and not found.faults
    gone = [one for one in found.roles if one.missing]
    assert [one.role for one in gone] == ["target", "actor"]
    # In the third frame nothing is there, so that nothing would have been right.
    assert gone[1].frames.j.tolist() == gone[1].frames.f.tolist() == [0, 0, 0]
    assert gone[1].frames.true.tolist() == [108, 0, 108]
    assert gone[1].frames.predicted.tolist() == gone[1].frames.common.tolist() == [0, 0, 0]


def test_faults_are_kept_by_sample_and_the_rest_is_scored(dataset):
    masks = predictions(True)
    masks["a", "1", "actor"] = None
    masks["b", "0", "actor"][4] = [DAMAGED]
    faults = {
        ("a", "1", "actor"): ("got 5 masks, expected 6",),
        ("a", "0", "actor"): ("got a null in frame 3, scored as empty",),
    }
    found = score_expressions(dataset, Given(masks, faults))
    assert found.faults == {
        "a/0": ("actor: got a null in frame 3, scored as empty",),
        "a/1": ("actor: got 5 masks, expected 6",),
        "b/0": (
            "actor: frame 4: got an RLE whose runs do not fill 24x40 pixels, expected a complete "
            "mask; the string is damaged, write it again",
        ),
    }
    assert not found.missing, "what has a fault is named there"
    assert [one.missing for one in found.roles] == [False, False, True, True]
    assert [one.j > 0 for one in found.roles] == [True, True, False, False]


def test_damaged_truth_is_an_error(dataset, monkeypatch):
    monkeypatch.setattr(dataset, "rles", lambda *_: [[], [DAMAGED], []])
    dataset.samples = dataset.samples[2:]
    with pytest.raises(DataError, match=r"^b/0, truth, frame 2: got an RLE whose runs do not"):
        score_expressions(dataset, Given(predictions(True)))


def test_only_the_asked_roles(dataset):
    found = score_expressions(dataset, Given(predictions(True)), roles=["actor"])
    assert [one.role for one in found.roles] == ["actor"] * 3


def test_a_video_without_a_frame_that_has_truth_is_left_out(dataset):
    dataset.add(video("c", ()), expression("c", "0", (1,)))
    found = score_expressions(dataset, Given(predictions(True)))
    assert len(found.roles) == 4 and not found.missing


def test_objects_are_scored_against_each_other_within_a_group():
    tracks = Tracks({seed: track(seed) for seed in range(3)})
    tracks.add(
        video("a"),
        expression("a", "0", (0,), group="annotator 0"),
        expression("a", "1", (0,), group="annotator 1"),
        expression("a", "2", (1,), group="annotator 0"),
        expression("a", "3", (2,), group="annotator 1"),
    )
    masks = {
        ("a", "0", "actor"): track(1),
        ("a", "1", "actor"): [[encode(mask)] for mask in track(0)],
        ("a", "2", "actor"): track(0),
        ("a", "3", "actor"): [[DAMAGED]] * FRAMES,
    }
    progress = []
    found = score_objects(tracks, Given(masks), progress=lambda *now: progress.append(now))
    assert [(one.group, one.missing) for one in found] == [
        ("annotator 0", (False, False)),
        ("annotator 1", (False, True)),
    ]
    first, second = found
    assert first.j.shape == first.f.shape == (2, 2, FRAMES)
    # The two were mixed up: what is right lies off the diagonal.
    assert (first.j[0, 1] == 1).all() and (first.f[1, 0] == 1).all()
    assert first.j[0, 0].tolist() == jaccard(track(1), track(0)).tolist()
    assert second.j[0, 1].tolist() == jaccard(track(0), track(2)).tolist()
    assert not second.j[1].any() and not second.f[1].any()
    assert progress == [(2, 4), (4, 4)]


# With several processes, on files.


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    names = [f"{index:05d}" for index in range(FRAMES)]
    videos, masks = {}, {}
    for number in range(4):
        folder = root / "JPEGImages" / f"v{number}"
        folder.mkdir(parents=True)
        for name in names:
            Image.new("RGB", SIZE[::-1]).save(folder / f"{name}.jpg")
        kinds = {"subject": [number], "object": [(number + 1) % 4]}
        acting = {"caption_type": "unidirectional", "subject/object": {"anno_id": kinds}}
        expressions = {
            str(place): {"exp": f"thing {place}", "anno_id": [number], **(acting if place else {})}
            for place in range(7)
        }
        videos[f"v{number}"] = {"expressions": expressions, "frames": names}
        masks[str(number)] = [encode(mask) if mask.any() else None for mask in track(number)]
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "mask_dict.json").write_text(json.dumps(masks))
    return root


@pytest.fixture
def made(files):
    """The data set and predictions for most of it."""
    generator = np.random.default_rng(0)
    found = {}
    for number in range(4):
        for place in range(7):
            moved = np.roll(track(number), generator.integers(-3, 4, 2), (1, 2))
            record = {key: [encode(mask) for mask in moved]
                      for key in ("prediction_masks_act", "prediction_masks_tar")}  # fmt: skip
            found.setdefault(f"v{number}", {})[str(place)] = record
    del found["v1"]["3"]
    return InterRVOSDataset(files), found


def flat(scores):
    return [
        (one.expression.sample_id, one.role, one.missing, one.faults, one.frames.j.tolist(),
         one.frames.f.tolist(), one.frames.common.tolist(), one.frames.predicted.tolist())
        for one in scores.roles
    ]  # fmt: skip


def test_two_workers_give_what_one_gives(made):
    dataset, found = made
    progress = []
    alone = score_expressions(dataset, DictionarySource(found))
    together = score_expressions(
        dataset, DictionarySource(found), 2, lambda *now: progress.append(now)
    )
    assert flat(together) == flat(alone) and len(alone.roles) == 4 * 13
    assert together.missing == alone.missing == ("v1/3",)
    assert progress == [(done, 28) for done in range(1, 29)]


def test_objects_by_two_workers(made):
    dataset, found = made
    alone = score_objects(dataset, DictionarySource(found))
    together = score_objects(dataset, DictionarySource(found), 2)
    assert [one.video_id for one in together] == ["v0", "v1", "v2", "v3"]
    for one, other in zip(alone, together, strict=True):
        assert one.missing == other.missing
        np.testing.assert_array_equal(one.j, other.j)
        np.testing.assert_array_equal(one.f, other.f)


def test_an_error_of_a_worker_is_told(made):
    dataset, found = made
    found["v3"]["6"]["prediction_masks_act"].pop()
    with pytest.raises(DataError, match=r"^v3/6: got 5 masks in prediction_masks_act, expected 6"):
        score_expressions(dataset, DictionarySource(found), 2)


class Deadly(DictionarySource):
    """Ends the process into which it is brought, as the system does when memory is short."""

    def __reduce__(self):
        return os._exit, (9,)


def test_a_worker_that_is_killed_is_told(made):
    dataset, found = made
    with pytest.raises(RunError, match="a process that ended while it scored.*fewer workers"):
        score_expressions(dataset, Deadly(found), 2)


def test_no_workers(made):
    dataset, found = made
    with pytest.raises(ConfigError, match="got 0 workers, expected at least 1"):
        score_expressions(dataset, DictionarySource(found), 0)


def test_a_damaged_prediction_stops_an_evaluation_by_name(made):
    dataset, found = made
    found["v2"]["1"]["prediction_masks_tar"][3] = DAMAGED
    with pytest.raises(DataError, match=r"^v2/1, target: frame 3: got an RLE whose runs do not"):
        evaluate_predictions(dataset, found)
