"""Ref-SAV in both published forms: Sa2VA's texts over SA-V's masklets, and MeViS's files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reviosa.data.opening import open_dataset
from reviosa.data.ref_sav import RefSAVDataset
from reviosa.data.rle import decode
from reviosa.errors import DataError
from tests.fixtures_layouts import make_ref_sav_train, make_ref_sav_valid, write_json

TRAIN, VALID = "sav_000001", "sav_055001"


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    root = tmp_path_factory.mktemp("ref-sav")
    return root, *make_ref_sav_train(root)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    root = tmp_path_factory.mktemp("ref_sav_eval")
    return root, *make_ref_sav_valid(root)


def change(path, edit):
    record = json.loads(path.read_text())
    edit(record)
    write_json(path, record)


def test_training_expressions_long_and_short(train):
    root, truth, decoded = train
    data = open_dataset(root)
    assert isinstance(data, RefSAVDataset) and data.has_truth
    (video,) = data.videos
    assert video.num_frames == 3 and np.array_equal(video.read_frames(), decoded)
    assert [(x.exp_id, x.group) for x in video.expressions[:3]] == [
        ("0", "long"),
        ("0_short_0", "short"),
        ("0_short_1", "short"),
    ]
    assert video.expressions[3].text.startswith("The object is number 1")
    assert video.expressions[4].text == "A thing 1"
    for sample in data.samples:
        expected = truth[TRAIN, sample.expression.exp_id[0]]
        assert np.array_equal(sample.masks(0), expected)
        rles = data.rles(TRAIN, sample.expression.actor_ids, [2])
        assert rles is not None and np.array_equal(decode(rles[0][0]), expected[2])
    assert not list(data.faults())
    data.check_frames()


def test_evaluation_frames_are_the_named_ones_of_the_clip(valid):
    root, truth, decoded = valid
    data = open_dataset(root)
    assert isinstance(data, RefSAVDataset) and data.has_truth
    (video,) = data.videos
    assert video.frame_names == ("00000", "00004", "00008")
    assert np.array_equal(video.read_frames(), decoded)
    one, both = data.samples
    assert (one.expression.group, both.expression.group) == ("long", "short")
    assert (one.expression.caption_type, both.expression.caption_type) == ("single", "multi")
    assert np.array_equal(one.masks(0), truth[VALID, "10"])
    assert np.array_equal(both.masks(0), truth[VALID, "10"] | truth[VALID, "11"])
    rles = data.rles(VALID, both.expression.actor_ids)
    assert rles is not None and [len(row) for row in rles] == [1, 2, 2]
    assert not list(data.faults())


def test_evaluation_frames_may_lie_in_a_folder(valid, tmp_path):
    root = Path(shutil.copytree(valid[0], tmp_path / "copy"))
    shutil.rmtree(root / "videos/sav_055")
    folder = root / "videos" / VALID
    folder.mkdir()
    for name, picture in zip(("00000", "00004", "00008"), valid[2], strict=True):
        Image.fromarray(picture).save(folder / f"{name}.png")
    data = open_dataset(root)
    assert np.array_equal(data.videos[0].read_frames(), valid[2])
    assert np.array_equal(data.samples[0].masks(0), valid[1][VALID, "10"])


def test_clips_may_lie_beside_the_texts(train, tmp_path):
    root = Path(shutil.copytree(train[0], tmp_path / "copy"))
    (root / "sam_v_full/sav_000").rename(root / "sav_000")
    (root / "sam_v_full").rmdir()
    assert open_dataset(root).videos[0].num_frames == 3


def test_every_fault_of_the_training_form_is_named_in_one_pass(train, tmp_path):
    root = Path(shutil.copytree(train[0], tmp_path / "copy"))

    def edit(record):
        objects = record[TRAIN]["objects"]
        objects["0"]["formated"] = ""
        objects["1"]["short_caps"].append(None)
        objects["7"] = {"formated": "nobody"}
        objects["x"] = {"formated": "nobody"}
        record["gone"] = {**record[TRAIN], "video_path": "sav_000/gone.mp4"}
        record["odd"] = {"objects": {}}

    change(root / "Ref-SAV.json", edit)
    data = RefSAVDataset(root, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        f"{TRAIN}/0: got the expression ''",
        f"{TRAIN}/1_short_2: got the expression None",
        "got 2 masklets, expected number 7 too",
        f"{TRAIN}/x: got",
        "gone.mp4: got no file, expected one of gone",
        'odd: got a record without "video_path"',
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    assert all("\n" not in line for line in lines)
    with pytest.raises(DataError, match=f"{TRAIN}/0: got the expression ''"):
        RefSAVDataset(root)


def test_every_fault_of_the_evaluation_form_is_named_in_one_pass(valid, tmp_path):
    root = Path(shutil.copytree(valid[0], tmp_path / "copy"))

    def edit(record):
        videos = record["videos"]
        spoken = videos[VALID]["expressions"]
        spoken["2"] = {"exp": "no ids"}
        spoken["3"] = {"exp": "unknown", "anno_id": [99, 10]}
        spoken["4"] = {"exp": "short list", "anno_id": [12]}
        spoken["5"] = {"exp": "damaged", "anno_id": [13]}
        spoken["6"] = {"exp": "nowhere", "anno_id": [14]}
        spoken["7"] = {"exp": "small", "anno_id": [15]}
        videos["sav_055009"] = {"frames": ["00000"], "expressions": {}}
        videos["odd"] = None

    change(root / "meta_expressions_valid.json", edit)

    def masks(record):
        full = record["10"]
        record["12"] = full[:1]
        record["13"] = [full[0], {"size": [48, 64], "counts": "0"}, None]
        record["14"] = [None] * 3
        record["15"] = [{"size": [1, 1], "counts": "01"}, full[0], full[0]]

    change(root / "mask_dict.json", masks)
    data = RefSAVDataset(root, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        f"{VALID}/2: got the annotations None",
        f"{VALID}/3, annotation 99: got no list of masks, expected 3",
        f"{VALID}/4, annotation 12: got 1 masks, expected 3",
        f"{VALID}, object 13, frame 1: got an RLE whose runs do not fill",
        f"{VALID}, object 14: got no pixel on any of 3 frames",
        f"{VALID}, object 15, frame 00000: got a mask of 1x1 pixels, expected 48x64",
        "sav_055009: got neither a folder",
        'odd: got a record without "frames"',
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    with pytest.raises(DataError, match=f"{VALID}/2: got the annotations None"):
        RefSAVDataset(root)


def test_bad_files_are_refused_in_one_line(valid, tmp_path):
    with pytest.raises(DataError, match="got neither Ref-SAV.json nor meta_expressions_valid.json"):
        RefSAVDataset(tmp_path)
    root = Path(shutil.copytree(valid[0], tmp_path / "copy"))
    (root / "mask_dict.json").unlink()
    with pytest.raises(DataError, match="mask_dict.json: got no readable file"):
        RefSAVDataset(root)
    (root / "meta_expressions_valid.json").write_text('{"videos": []}')
    with pytest.raises(DataError, match="got no videos, expected at least one"):
        RefSAVDataset(root)


@pytest.mark.parametrize("kind", [2, [0], "long", 0.5])
def test_an_unknown_type_is_named(valid, tmp_path, kind):
    root = Path(shutil.copytree(valid[0], tmp_path / "copy"))
    path = root / "meta_expressions_valid.json"
    meta = json.loads(path.read_text())
    name, video = next(iter(meta["videos"].items()))
    exp_id = next(iter(video["expressions"]))
    video["expressions"][exp_id]["type_id"] = kind
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match=f"{name}/{exp_id}: got type_id .* expected 0 .long. or 1"):
        open_dataset(root)
