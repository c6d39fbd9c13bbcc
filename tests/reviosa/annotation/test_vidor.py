import json
import os
from pathlib import Path

import numpy as np
import pytest

from reviosa.annotation.vidor import read_vidor
from reviosa.errors import DataError

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("REVIOSA_SHARED_DATA", ROOT.parent / "shared" / "data")) / "vidor"


def record():
    box = {"xmin": 1, "ymin": 2, "xmax": 5, "ymax": 8}
    return {
        "video_id": "1", "frame_count": 3, "width": 10, "height": 20,
        "subject/objects": [{"tid": 0, "category": "dog"}, {"tid": 4, "category": "ball"}],
        "trajectories": [[{"tid": 0, "bbox": box}], [], [{"tid": 0, "bbox": box}]],
        "relation_instances": [
            {"subject_tid": 0, "object_tid": 4, "predicate": "chase", "begin_fid": 0, "end_fid": 3}
        ],
    }  # fmt: skip


def write(path, value):
    path.write_text(json.dumps(value))
    return path


def test_boxes(tmp_path):
    video = read_vidor(write(tmp_path / "a.json", record()))
    assert (video.num_frames, video.size) == (3, (20, 10))
    assert video.categories == {0: "dog", 4: "ball"}
    np.testing.assert_array_equal(video.boxes[0][0], [1, 2, 5, 8])
    assert np.isnan(video.boxes[0][1]).all() and np.isnan(video.boxes[4]).all()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("frame_count", 4, "trajectories of 3 frames"),
        ("subject/objects", [{"tid": 4, "category": "ball"}], "frame 0: got a box of object 0"),
        ("trajectories", [[], [], [{"tid": 0}]], "'bbox'"),
        ("trajectories", [[], [], [{"tid": 0, "bbox": dict(xmin=6, ymin=0, xmax=5, ymax=1)}]],
         "frame 2, object 0"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_place(tmp_path, key, value, words):
    path = write(tmp_path / "a.json", {**record(), key: value})
    with pytest.raises(DataError) as error:
        read_vidor(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_a_file_that_is_missing_torn_or_of_another_form(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_vidor(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"frame_count": 3')
    with pytest.raises(DataError, match="broken JSON"):
        read_vidor(tmp_path / "torn.json")
    with pytest.raises(DataError, match="no 'frame_count'"):
        read_vidor(write(tmp_path / "other.json", {"a": 1}))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real annotation files are not here")
@pytest.mark.parametrize(
    ("name", "frames", "objects"),
    [("3598080384", 368, 2), ("2793806282", 1925, 6), ("11566930393", 872, 3)],
)
def test_real_files(name, frames, objects):
    video = read_vidor(REAL / f"{name}.json")
    assert (video.num_frames, len(video.categories)) == (frames, objects)
    for boxes in video.boxes.values():
        there = boxes[np.isfinite(boxes).all(axis=1)]
        assert (there >= 0).all() and (there <= [video.size[1], video.size[0]] * 2).all()
