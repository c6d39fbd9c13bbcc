"""SA-V as published: frames with one PNG an object, and clips with files of masklets."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reviosa.data.clip_video import ClipVideo
from reviosa.data.opening import open_dataset
from reviosa.data.rle import decode, encode
from reviosa.data.sa_v import SAVDataset
from reviosa.errors import DataError
from tests.fixtures_layouts import SIZE, make_sa_v_frames, make_sa_v_train, write_json


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    root = tmp_path_factory.mktemp("sav_val")
    return root, make_sa_v_frames(root)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("sav_000")
    return root, *make_sa_v_train(root)


@pytest.fixture
def copy(clips, tmp_path):
    return Path(shutil.copytree(clips[0], tmp_path / "copy"))


def test_validation_objects_are_expressions_on_every_fourth_frame(frames):
    root, truth = frames
    data = open_dataset(root)
    assert isinstance(data, SAVDataset) and data.has_truth
    (video,) = data.videos
    assert video.num_frames == 6 and list(video.truth_frames) == [0, 4]
    assert [(x.exp_id, x.text) for x in video.expressions] == [
        ("000", "object 000"),
        ("001", "object 001"),
    ]
    for sample in data.samples:
        expected = truth[video.video_id, sample.expression.exp_id]
        assert np.array_equal(sample.masks(0, video.truth_frames), expected)
    # They overlap, so no palette could hold them.
    assert np.logical_and(*(s.masks(0, [0, 4]) for s in data.samples)).any()
    assert data.rles(video.video_id, [0]) is None
    assert not list(data.faults())
    data.check_frames()


def test_training_masklets_are_the_masks_of_every_fourth_frame_of_the_clip(clips):
    root, truth, decoded = clips
    data = open_dataset(root)
    assert isinstance(data, SAVDataset)
    (video,) = data.videos
    assert isinstance(video, ClipVideo)
    assert np.array_equal(video.read_frames(), decoded)
    assert list(video.truth_frames) == [0, 4] and video.num_frames == 6
    assert [(x.exp_id, x.text, x.group) for x in video.expressions] == [
        ("000", "object 000", "manual"),
        ("001", "object 001", "manual"),
        ("auto_000", "object 000", "auto"),
    ]
    for sample in data.samples:
        expected = truth[video.video_id, sample.expression.exp_id]
        assert np.array_equal(sample.masks(0, [0, 4]), expected)
        assert not sample.masks(0, [1, 5]).any()
        rles = data.rles(video.video_id, sample.expression.actor_ids)
        assert rles is not None and [len(row) for row in rles] == [1, 0, 0, 0, 1, 0]
        assert np.array_equal(decode(rles[4][0]), expected[1])
    assert not list(data.faults())
    data.check_frames()


def test_folders_of_clips_are_read_together(copy, tmp_path):
    root = tmp_path / "sav_train"
    for name in ("sav_000", "sav_001"):
        shutil.copytree(copy, root / name)
    for path in (root / "sav_001").iterdir():
        path.rename(path.with_name(path.name.replace("sav_000001", "sav_001001")))
    (root / "sav_001/sav_001001_auto.json").unlink()
    data = open_dataset(root)
    assert [len(video.expressions) for video in data.videos] == [3, 2]
    assert len(SAVDataset(root, limit=1).videos) == 1
    assert np.array_equal(data.samples[3].masks(0, [4]), data.samples[0].masks(0, [4]))


def test_every_fault_of_a_frames_split_is_named_in_one_pass(frames, tmp_path):
    root = Path(shutil.copytree(frames[0], tmp_path / "copy"))
    (root / "sav_val.txt").write_text("sav_000123\nsav_000999\n")
    video = root / "JPEGImages_24fps/sav_000123"
    (video / "00003.jpg").write_bytes(b"")
    masks = root / "Annotations_6fps/sav_000123"
    (masks / "000/00004.png").unlink()
    Image.new("1", (8, 8), 1).save(masks / "001/00000.png")
    shutil.copy(masks / "001/00004.png", masks / "001/00008.png")
    data = SAVDataset(root, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        "JPEGImages_24fps/sav_000999: got no folder there",
        "got masks of 1 frames that are not there (first: 00008)",
        "00003.jpg: got an unreadable frame",
        "000/00004.png: got no file, expected the masks of a frame",
        "sav_000123, object 001, frame 00000: got a mask of 8x8 pixels, expected 48x64",
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    with pytest.raises(DataError, match="got masks of 1 frames that are not there"):
        SAVDataset(root)


def test_every_fault_of_a_clips_split_is_named_in_one_pass(copy):
    def change(name, edit):
        record = json.loads((copy / name).read_text())
        edit(record)
        write_json(copy / name, record)

    manual = "sav_000001_manual.json"
    change(manual, lambda x: x["masklet"][0][0].update(counts="oops!"))
    change(manual, lambda x: x["masklet"][1][1].update(encode(np.ones((8, 8), bool))))
    change(manual, lambda x: x["masklet"].append(x["masklet"][0]))
    change("sav_000001_auto.json", lambda x: x["masklet"][1].append(None))
    shutil.copy(copy / manual, copy / "sav_000002_manual.json")
    data = SAVDataset(copy, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        "sav_000002.mp4: got no file, expected the clip beside its masklets",
        "auto.json: got 2 masks in row 1, expected 1",
        "got a clip of 6 frames, expected frame 8 too, which has masks",
        "sav_000001, object 000, frame 0: got an RLE whose runs do not fill",
        "sav_000001, object 001, frame 00004: got a mask of 8x8 pixels, expected 48x64",
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    with pytest.raises(DataError, match="got 2 masks in row 1"):
        SAVDataset(copy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "got broken JSON"),
        ("{}", 'got no lists "masklet" and "masklet_id"'),
        ('{"masklet": [], "masklet_id": [1, 1]}', "expected integers, each once"),
        ('{"masklet": [], "masklet_id": ["1"]}', "expected integers, each once"),
        ('{"masklet": [3], "masklet_id": [1]}', "got int masks in row 0, expected 1"),
    ],
)
def test_bad_masklets_are_refused_in_one_line(copy, content, message):
    (copy / "sav_000001_manual.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        SAVDataset(copy)
    assert "\n" not in str(error.value)


def test_a_folder_of_neither_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a split of SA-V"):
        SAVDataset(tmp_path)
    (tmp_path / "JPEGImages_24fps").mkdir()
    (tmp_path / "sav_test.txt").write_text("\n")
    with pytest.raises(DataError, match="sav_test.txt: got an empty list"):
        SAVDataset(tmp_path)


def test_sizes(clips, frames):
    assert SAVDataset(clips[0]).size("sav_000001") == SIZE
    assert SAVDataset(frames[0]).size("sav_000123") == SIZE
