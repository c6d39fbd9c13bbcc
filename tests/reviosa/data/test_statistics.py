"""Statistics of a data set, by hand; and its faults put together by kind."""

from pathlib import Path

import numpy as np
import pytest

from reviosa.data.dataset import Fault, VideoDataset
from reviosa.data.fault_kinds import group_faults
from reviosa.data.records import Expression, Video
from reviosa.data.rle import encode
from reviosa.data.statistics import AREA_EDGES, TRACK_EDGES, data_statistics, histogram
from reviosa.errors import DataError

SIZE = (10, 20)


def box(pixels: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask.flat[:pixels] = True
    return mask


class Planted(VideoDataset):
    """Two videos, three objects; frame 1 of the second video has no truth."""

    layout = "planted"
    root, identity = Path("nowhere"), "0" * 16

    def __init__(self, compressed: bool, has_truth: bool = True) -> None:
        self.compressed, self.has_truth = compressed, has_truth
        self.tracks = {
            ("a", 0): [box(100), None, box(0)],
            ("a", 1): [box(2), box(2), box(2)],
            ("b", 0): [box(200), box(200), box(50)],
        }
        said = (
            Expression("a", "0", "x", "single", (0,), ()),
            Expression("a", "1", "x hits y", "unidirectional", (0,), (1,)),
            Expression("a", "2", "y is hit by x", "unidirectional", (1,), (0,)),
            Expression("a", "3", "x strikes y", "unidirectional", (0,), (1,)),
            Expression("a", "4", "both", "multi", (0, 1), ()),
        )
        alone = (Expression("b", "0", "z", "single", (0,), ()),)
        names, paths = ("0", "1", "2"), tuple(Path(f"{n}.jpg") for n in range(3))
        self.videos = (
            Video("a", names, paths, said), Video("b", names, paths, alone, annotated=(0, 2)),
        )  # fmt: skip

    def annotation_masks(self, video, anno_id, indices):
        return iter([self.tracks[video.video_id, anno_id][i] for i in indices])

    def rles(self, video_id, anno_ids, indices=None):
        if not self.compressed:
            return None
        tracks = [self.tracks[video_id, anno_id] for anno_id in anno_ids]
        return [[self.runs(t[i]) for t in tracks if t[i] is not None] for i in indices]

    def runs(self, mask):
        return encode(mask)

    def faults(self):
        return iter(())

    @classmethod
    def found(cls, root):
        return False


@pytest.mark.parametrize("compressed", [True, False])
def test_by_hand(compressed):
    seen = []
    found = data_statistics(Planted(compressed), "planted", lambda *args: seen.append(args))
    assert seen == [(1, 2), (2, 2)]
    assert (found.videos, found.frames, found.truth_frames) == (2, 6, 5)
    assert (found.objects, found.expressions, found.objects_per_video) == (3, 6, 1.5)
    # x on y, y on x, and x on y once more in other words.
    assert (found.interactions, found.pairs) == (3, 2)
    assert found.caption_types == {
        "single": 2, "multi": 1, "bidirectional": 0, "unidirectional": 3,
    }  # fmt: skip
    # Of 200 pixels: 100; 2, 2, 2; 200 and 50, of annotated frames alone. An empty mask is not seen.
    assert found.areas.n == 6
    assert found.areas.mean == pytest.approx((0.5 + 3 * 0.01 + 1 + 0.25) / 6)
    assert found.areas.median == pytest.approx((0.01 + 0.25) / 2)
    assert dict(zip(AREA_EDGES, found.areas.counts, strict=False)) == {
        0.0: 0, 0.001: 0, 0.002: 0, 0.005: 0, 0.01: 3, 0.02: 0, 0.05: 0, 0.1: 0, 0.2: 1, 0.5: 2,
    }  # fmt: skip
    assert dict(zip(TRACK_EDGES, found.tracks.counts, strict=False)) == {
        0: 0, 1: 1, 2: 2, 5: 0, 10: 0, 20: 0, 50: 0, 100: 0, 200: 0, 500: 0,
    }  # fmt: skip
    assert found.to_json()["tracks"]["edges"][-1] is None


def test_a_split_without_masks_knows_no_objects():
    found = data_statistics(Planted(True, has_truth=False), "planted")
    assert found.expressions == 6 and found.interactions == 3
    assert (found.objects, found.objects_per_video, found.truth_frames) == (None, None, None)
    assert found.areas is found.tracks is None


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [10, 20], "counts": "~"},
        {"size": [10, 20], "counts": "oooo"},
        {"size": [10, 20], "counts": ""},
        {"size": [1, 1], "counts": encode(box(100))["counts"]},
        {"size": [10, 20], "counts": [1, 2]},
        {"size": None, "counts": "0"},
        7,
    ],
)
def test_a_damaged_mask_is_named(monkeypatch, runs):
    dataset = Planted(True)
    monkeypatch.setattr(dataset, "runs", lambda mask: runs)
    with pytest.raises(DataError, match="^a, annotation 0.*: got"):
        data_statistics(dataset, "planted")


def test_histogram_at_its_edges():
    found = histogram(np.array([0.0, 0.5, 0.99, 1.0, 2.0]), (0.0, 0.5, 1.0, 2.0))
    assert found.counts == (1, 2, 2) and found.n == 5 and found.median == 0.99
    empty = histogram(np.zeros(0), (0.0, 1.0))
    assert empty.counts == (0,) and empty.mean is None and empty.median is None
    for value in (-0.1, 2.1, np.nan):
        with pytest.raises(ValueError, match="outside"):
            histogram(np.array([value]), (0.0, 2.0))


def test_faults_of_one_kind_are_one():
    faults = [
        Fault("v1/1", 'got caption_type "odd", expected one of single; repair it'),
        *(Fault(f"v/{n}", f"got a mask list of length {n}, expected 1{n}; mend it") for n in "234"),
        Fault("v2/1", 'got caption_type "other", expected one of single; repair it'),
        Fault("p", "got no file in /data/a/JPEGImages/x, expected a frame; restore it"),
        Fault("q", "got no file in /data/b/JPEGImages/y, expected a frame; restore it"),
    ]
    kinds = group_faults(faults, keep=2)
    assert [(k.count, [f.where for f in k.faults]) for k in kinds] == [
        (3, ["v/2", "v/3"]), (2, ["v1/1", "v2/1"]), (2, ["p", "q"]),
    ]  # fmt: skip
    assert kinds[0].what == faults[1].what
    assert [len(k.faults) for k in group_faults(faults)] == [3, 2, 2]
    assert group_faults([]) == []
