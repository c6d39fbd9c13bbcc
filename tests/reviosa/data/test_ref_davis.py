"""Ref-DAVIS as published: four annotators, names to repair, two encodings, DAVIS's palettes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reviosa.data.opening import open_dataset
from reviosa.data.ref_davis import RefDAVISDataset
from reviosa.errors import DataError
from tests.fixtures_layouts import make_ref_davis


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("ref-davis")
    return root, make_ref_davis(root)


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def texts(root, annotator=1, full=""):
    return root / f"davis_text_annotations/Davis17_annot{annotator}{full}.txt"


def test_annotators_objects_and_masks(made):
    root, truth = made
    data = open_dataset(root)
    assert isinstance(data, RefDAVISDataset) and data.has_truth
    assert [video.video_id for video in data.videos] == ["classic-car", "dogs-scale"]
    car, dogs = data.videos
    assert [x.exp_id for x in car.expressions] == ["0", "1", "2", "3"]
    assert [x.exp_id for x in dogs.expressions] == [str(x) for x in range(8)]
    assert [x.group for x in dogs.expressions] == [f"annotator {x}" for x in range(4)] * 2
    assert [x.text for x in car.expressions] == [f'a "red" car {x}' for x in range(4)]
    assert dogs.expressions[0].text == "a dog on the left"
    # Object 2 stands before object 1 in the files.
    assert dogs.expressions[4].text == "a dog on the right"
    assert dogs.expressions[2].text == "caf\xe9\x85 dog on the left"
    for sample in data.samples:
        number = int(sample.expression.exp_id) // 4 + 1
        assert np.array_equal(sample.masks(0), truth[sample.video.video_id, number])
    assert not list(data.faults())
    data.check_frames()


def test_splits_by_path(made):
    root, truth = made
    for name in ("val", "train"):
        assert not (root / name).exists()
    assert open_dataset(root / "val").identity == open_dataset(root).identity
    train = open_dataset(root / "train")
    assert [video.video_id for video in train.videos] == ["bear"]
    assert train.identity != open_dataset(root).identity
    assert np.array_equal(train.samples[0].masks(0), truth["bear", 1])
    assert len(RefDAVISDataset(root, limit=1).videos) == 1
    with pytest.raises(DataError, match="got no folder there"):
        open_dataset(root / "test")


def test_unsupervised_masks_come_first_and_davis_may_be_the_root_itself(copy):
    plain = copy / "DAVIS/Annotations/480p"
    other = copy / "DAVIS/Annotations_unsupervised/480p"
    shutil.copytree(plain, other)
    for path in (other / "classic-car").iterdir():
        Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(path)
    data = RefDAVISDataset(copy)
    masks = data.samples[0].masks(0)
    assert np.array_equal(masks[1], np.eye(48, 64, dtype=bool))
    for path in (copy / "DAVIS").iterdir():
        path.rename(copy / path.name)
    (copy / "DAVIS").rmdir()
    assert np.array_equal(RefDAVISDataset(copy).samples[0].masks(0), masks)


def test_every_fault_is_named_in_one_pass(copy):
    first = texts(copy)
    first.write_text(
        "\n".join(
            [
                'clasic-car 1 "a car"',
                'classic-car 1 "the same car"',
                "no object here",
                'unknown 1 "a cat"',
                'dogs-scale 0 "the ground"',
                'dogs-scale 1 "!"',
                'dogs-scale 3 "a third dog"',
            ]
        )
    )
    frames = copy / "DAVIS/JPEGImages/480p"
    shutil.rmtree(frames / "classic-car")
    (frames / "dogs-scale/00001.jpg").write_bytes(b"")
    (copy / "DAVIS/Annotations/480p/dogs-scale/00002.png").unlink()
    with pytest.raises(DataError, match=r"line 2: got object 1 of classic-car again"):
        RefDAVISDataset(copy)
    data = RefDAVISDataset(copy, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        "line 2: got object 1 of classic-car again",
        "line 3: got 'no object here'",
        "line 4: got the object 1 of 'unknown'",
        "line 5: got the object 0 of 'dogs-scale'",
        "dogs-scale/0: got the expression '!'",
        "dogs-scale, object 2: got no line in Davis17_annot1.txt",
        "dogs-scale, object 3: got no line in Davis17_annot2.txt",
        "classic-car: got no folder there",
        "00001.jpg: got an unreadable frame",
        "dogs-scale/00002.png: got no file, expected the masks",
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    assert all("\n" not in line for line in lines)


def test_a_line_that_is_missing_does_not_refuse_the_set(copy):
    lines = texts(copy, 2).read_bytes().split(b"\n")
    texts(copy, 2).write_bytes(b"\n".join(x for x in lines if not x.startswith(b"dogs-scale 2")))
    data = RefDAVISDataset(copy)
    assert len(data.samples) == 11
    assert [fault.where for fault in data.faults()] == ["dogs-scale, object 2"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("davis_text_annotations/Davis17_annot2.txt", None, "Davis17_annot2.txt: got no readable"),
        ("DAVIS/ImageSets/2017/val.txt", None, "val.txt: got no readable file"),
        ("davis_text_annotations/Davis17_annot1.txt", b'bear 1 "\xe9"', "no utf-8"),
    ],
)
def test_bad_files_are_refused_in_one_line(copy, path, content, message):
    (copy / path).unlink() if content is None else (copy / path).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        RefDAVISDataset(copy)
    assert "\n" not in str(error.value)


def test_a_folder_without_the_texts_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected the texts of Ref-DAVIS"):
        RefDAVISDataset(tmp_path)
