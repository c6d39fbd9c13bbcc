"""Ref-YouTube-VOS as published: palettes, texts beside the split, and the real validation text."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reviosa.data.opening import open_dataset
from reviosa.data.ref_youtube_vos import RefYouTubeVOSDataset
from reviosa.errors import DataError
from tests.fixtures_layouts import SIZE, make_ref_youtube_vos, write_json

REAL = Path(__file__).parents[4] / "shared/data/ref_youtube_vos/meta_expressions_valid.json"
FIRST, SECOND = "003234408d", "0043f083b5"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("ref-youtube-vos")
    return root, make_ref_youtube_vos(root)


@pytest.fixture
def copy(made, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def edit(path, change):
    value = json.loads(path.read_text())
    change(value["videos"])
    write_json(path, value)


def test_masks_are_bit_for_bit_what_was_written(made):
    root, truth = made
    data = open_dataset(root / "train")
    assert isinstance(data, RefYouTubeVOSDataset) and data.has_truth
    assert [video.video_id for video in data.videos] == [FIRST, SECOND]
    assert data.size(FIRST) == SIZE
    spoken = [1, 2, 1]
    for sample in data.samples:
        expected = truth[sample.video.video_id, spoken[int(sample.expression.exp_id)]]
        assert np.array_equal(sample.masks(0), expected)
        assert np.array_equal(sample.masks(0, [2, 0]), expected[[2, 0]])
        assert not sample.masks(1).any()
    # Objects of two videos never share an annotation.
    actors = [sample.expression.actor_ids for sample in data.samples]
    assert actors == [(0,), (1,), (0,), (2,), (3,), (2,)]
    assert data.videos[0].frame_names == ("00000", "00005", "00010")
    assert len(data.videos[0].truth_frames) == 3
    assert not list(data.faults())
    data.check_frames()


def test_the_validation_split_has_texts_and_frames_but_no_truth(made):
    data = open_dataset(made[0] / "valid")
    assert not data.has_truth
    assert data.samples[0].expression.actor_ids == ()
    assert data.samples[0].video.read_frames().shape == (3, *SIZE, 3)
    assert not list(data.faults())
    with pytest.raises(DataError, match="got a split without masks"):
        data.require_truth()


def test_test_videos_are_left_out_of_the_validation_split_where_they_are_told(copy):
    texts = copy / "meta_expressions/valid/meta_expressions.json"
    whole = json.loads(texts.read_text())["videos"]
    [kept] = whole
    write_json(texts, {"videos": {"of test": {"frames": ["0"], "expressions": {}}, **whole}})
    with pytest.raises(DataError, match="of test: got no file for 1 of 1 frames"):
        open_dataset(copy / "valid")
    hidden = copy / "meta_expressions/test/meta_expressions.json"
    write_json(hidden, {"videos": {"of test": {}, "another": {}}})
    data = open_dataset(copy / "valid")
    assert [video.video_id for video in data.videos] == [kept]
    assert len(open_dataset(copy / "train").videos) == 2
    write_json(hidden, {"videos": dict.fromkeys(["of test", *whole])})
    assert open_dataset(copy / "train").has_truth
    with pytest.raises(DataError, match="got the videos of .* alone, expected others too"):
        open_dataset(copy / "valid")


def test_a_missing_mask_is_told_at_opening(copy):
    (copy / "train/Annotations" / SECOND / "00010.png").unlink()
    with pytest.raises(DataError, match=f"{SECOND}: got no mask of 1 frames .first: 00010"):
        open_dataset(copy / "train")


@pytest.mark.parametrize("number", [1.5, True, float("inf"), [1]])
def test_an_object_is_an_integer(copy, number):
    edit(
        copy / "meta_expressions/train/meta_expressions.json",
        lambda videos: videos[FIRST]["expressions"]["0"].update(obj_id=number),
    )
    with pytest.raises(DataError, match=f"{FIRST}/0: got the object .* expected its number"):
        open_dataset(copy / "train")


def test_limit_and_identity(made, copy):
    root = made[0] / "train"
    data = RefYouTubeVOSDataset(root, limit=1)
    assert len(data.videos) == 1 and len(data.samples) == 3
    assert data.identity == RefYouTubeVOSDataset(root).identity
    edit(
        copy / "meta_expressions/train/meta_expressions.json",
        lambda videos: videos[FIRST]["expressions"]["0"].update(exp="another"),
    )
    assert RefYouTubeVOSDataset(copy / "train").identity != data.identity
    with pytest.raises(DataError, match="got limit 0"):
        RefYouTubeVOSDataset(root, limit=0)


def test_a_split_folder_may_hold_its_texts_itself(copy):
    texts = copy / "meta_expressions/train/meta_expressions.json"
    texts.rename(copy / "train/meta_expressions.json")
    data = open_dataset(copy / "train")
    assert isinstance(data, RefYouTubeVOSDataset) and len(data.samples) == 6


def test_the_folder_above_is_refused_with_the_way_to_go(made):
    with pytest.raises(DataError, match=r"choose the folder of the split \(.../train or"):
        RefYouTubeVOSDataset(made[0])


def test_every_fault_is_named_in_one_pass(copy):
    train = copy / "train"
    (train / "JPEGImages" / FIRST / "00005.jpg").unlink()
    Image.new("RGB", (30, 20)).save(train / "JPEGImages" / SECOND / "00005.jpg")
    masks = train / "Annotations"
    (masks / FIRST / "00010.png").write_bytes(b"no picture")
    Image.new("P", (20, 30)).save(masks / FIRST / "00000.png")
    Image.new("RGB", SIZE[::-1]).save(masks / SECOND / "00000.png")
    (masks / SECOND / "00010.png").unlink()

    def change(videos):
        spoken = videos[FIRST]["expressions"]
        spoken["0"]["obj_id"] = "7"
        del spoken["1"]["obj_id"]
        spoken["2"]["exp"] = " . "
        spoken["3"] = {"exp": "a penguin", "obj_id": "1"}
        spoken["4"] = {"exp": "a penguin", "obj_id": "two"}
        videos["broken"] = {"frames": []}

    edit(copy / "meta_expressions/train/meta_expressions.json", change)
    data = RefYouTubeVOSDataset(train, strict=False)
    found = [str(fault) for fault in data.faults()]
    assert len(data.samples) == 4  # one of the first video, all of the second
    for expected in (
        f"{FIRST}/0: got the object 7, expected one of the video's objects in meta.json",
        f"{FIRST}/1: got the object None, expected its number",
        f"{FIRST}/2: got the expression ' . ', expected words",
        f"{FIRST}/4: got the object 'two', expected its number",
        'broken: got a record without "frames"',
        "00005.jpg: got no file, expected a frame",
        "00005.jpg: got a frame of 30x20 pixels, expected 64x48",
        "00010.png: got an unreadable picture",
        f"{FIRST}, object 1, frame 00000: got a mask of 30x20 pixels, expected 48x64",
        f"{SECOND}/00000.png: got a picture in the mode RGB",
        f"{SECOND}/00010.png: got no file, expected the masks of a frame",
    ):
        assert sum(expected in line for line in found) == 1, (expected, found)
    assert all("\n" not in line for line in found)


def test_a_mask_of_another_size_is_a_fault_and_an_error(copy):
    masks = copy / "train/Annotations" / FIRST
    Image.fromarray(np.ones((20, 30), np.uint8)).save(masks / "00000.png")
    data = RefYouTubeVOSDataset(copy / "train")
    lines = [str(fault) for fault in data.faults()]
    assert lines == [
        f"{FIRST}, object {number}, frame 00000: got a mask of 20x30 pixels, expected 48x64 like "
        "the frames; write the masks at the frames' size"
        for number in (1, 2)
    ]
    with pytest.raises(DataError, match="got a mask of 20x30 pixels"):
        data.samples[0].masks(0)


def test_masks_are_looked_at_where_the_first_frame_is_missing(copy):
    (copy / "train/JPEGImages" / FIRST / "00000.jpg").unlink()
    (copy / "train/Annotations" / FIRST / "00010.png").unlink()
    lines = [str(fault) for fault in RefYouTubeVOSDataset(copy / "train", strict=False).faults()]
    assert len(lines) == 2
    assert "00000.jpg: got no file" in lines[0] and "00010.png: got no file" in lines[1]


def test_an_object_that_is_nowhere_is_a_fault(copy):
    (copy / "train/meta.json").unlink()
    edit(
        copy / "meta_expressions/train/meta_expressions.json",
        lambda videos: videos[SECOND]["expressions"]["1"].update(obj_id="5"),
    )
    lines = [str(fault) for fault in RefYouTubeVOSDataset(copy / "train").faults()]
    assert len(lines) == 1
    assert f"{SECOND}, object 5: got no pixel on any of 3 frames" in lines[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "got broken JSON"),
        ("[]", "got a JSON list, expected an object"),
        ('{"videos": {}}', 'got no "videos"'),
        ('{"videos": {"a": 3}}', 'a: got a record without "frames"'),
        (
            '{"videos": {"a": {"frames": ["0"], "expressions": {}}}}',
            r"a: got no file for 1 of 1 frames \(first: 0\)",
        ),
    ],
)
def test_bad_texts_are_refused_in_one_line(copy, content, message):
    (copy / "meta_expressions/train/meta_expressions.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        RefYouTubeVOSDataset(copy / "train")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not REAL.is_file(), reason=f"the real validation text is not at {REAL}")
def test_the_real_validation_text_is_read_whole(tmp_path):
    place = tmp_path / "meta_expressions/valid/meta_expressions.json"
    place.parent.mkdir(parents=True)
    shutil.copy(REAL, place)
    (tmp_path / "valid").mkdir()
    data = open_dataset(tmp_path / "valid", strict=False)
    assert isinstance(data, RefYouTubeVOSDataset) and not data.has_truth
    assert (len(data.videos), len(data.samples)) == (507, 2096)
    first = data.samples[0]
    assert first.expression.sample_id == "0062f687f1/0"
    assert first.expression.text == "a dog is with its puppies on the cloth"
    assert first.video.frame_names[:3] == ("00000", "00005", "00010")
    # Only the frames are missing.
    assert all("expected a frame" in fault.what for fault in data.faults())
