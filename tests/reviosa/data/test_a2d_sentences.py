"""A2D-Sentences as published: clips, sentences in a table, HDF5 masks of a few frames."""

import builtins
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from reviosa.data.a2d_sentences import A2DSentencesDataset
from reviosa.data.opening import open_dataset
from reviosa.errors import ConfigError, DataError
from tests.fixtures_layouts import make_a2d, pictures, write_clip

TEST, TRAIN = "EadxBPmQvtg", "AbcdEFGhijk"
MASKS = "text_annotations/a2d_annotation_with_instances"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("a2d")
    return root, *make_a2d(root)


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def test_sentences_masks_and_frames_of_the_test_split(made):
    root, truth, decoded = made
    data = open_dataset(root)
    assert isinstance(data, A2DSentencesDataset) and data.has_truth
    (video,) = data.videos
    assert video.video_id == TEST
    assert np.array_equal(video.read_frames(), decoded[TEST])
    # Files count from 1.
    assert list(video.truth_frames) == [0, 4]
    man, dog = data.samples
    assert man.expression.text == "a man, in a green shirt, is walking"
    assert [x.exp_id for x in video.expressions] == ["0", "1"]
    assert np.array_equal(man.masks(0, [0, 4]), truth[TEST, 0])
    assert np.array_equal(dog.masks(0, [0, 4]), truth[TEST, 2])
    assert not dog.masks(0, [0]).any() and dog.masks(0, [4]).any()
    assert not list(data.faults())
    data.check_frames()


def test_the_training_split_has_a_frame_with_a_single_mask(made):
    root, truth, _ = made
    data = open_dataset(root / "train")
    assert [video.video_id for video in data.videos] == [TRAIN]
    assert np.array_equal(data.samples[0].masks(0, [0, 4]), truth[TRAIN, 0])
    assert A2DSentencesDataset(root / "test").identity == A2DSentencesDataset(root).identity


def test_a_mask_too_many_at_the_end_is_left_out(copy, made):
    path = copy / MASKS / TEST / "00005.h5"
    with h5py.File(path, "r+") as file:
        masks = np.asarray(file["reMask"])
        del file["reMask"]
        file["reMask"] = np.concatenate([masks, masks[:1]])
    data = A2DSentencesDataset(copy)
    assert np.array_equal(data.samples[0].masks(0, [0, 4]), made[1][TEST, 0])


def test_every_fault_is_named_in_one_pass(copy):
    texts = copy / "text_annotations/a2d_annotation.txt"
    with open(texts, "a") as file:
        file.write(f"{TEST},seven,a cat\r\n{TEST},7,a cat\r\n{TEST},0,\r\nnowhere,0,a cat\r\n")
        file.write(f"{TEST},0\r\nclipless,0,a cat\r\nmaskless,0,a cat\r\n")
    with open(copy / "Release/videoset.csv", "a") as file:
        file.writelines(f"{x},1,0,1,48,64,6,2,1\n" for x in ("clipless", "maskless"))
    write_clip(copy / "Release/clips320H/maskless.mp4", pictures(2))
    folder = copy / MASKS / TEST
    (folder / "00002.h5").write_bytes(b"no HDF5")
    with h5py.File(folder / "00003.h5", "w") as file:
        file["instance"], file["reMask"] = [0, 1], np.ones((1, 64, 48), np.uint8)
    with h5py.File(folder / "00004.h5", "w") as file:
        file["instance"], file["reMask"] = [0], np.ones((20, 10), np.uint8)
    with h5py.File(folder / "00006.h5", "w") as file:
        file["instance"] = [0]
    shutil.copy(folder / "00005.h5", folder / "00009.h5")
    data = A2DSentencesDataset(copy, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected in (
        f"row 7: got '{TEST},seven,a cat'",
        f"{TEST}/3: got the expression ''",
        "row 10: got the video 'nowhere'",
        f"row 11: got '{TEST},0'",
        "clipless.mp4: got no file, expected a video clip",
        "maskless: got no masks there",
        "00002.h5: got an unreadable file",
        "00003.h5: got masks of the shape (1, 64, 48) for 2 instances",
        f"{TEST}, object 0, frame 00003: got a mask of 10x20 pixels, expected 48x64",
        "00006.h5: got an unreadable file",
        "got a clip of 6 frames, expected frame 8 too, which has masks",
    ):
        assert sum(expected in line for line in lines) == 1, (expected, lines)
    assert all("\n" not in line for line in lines)
    with pytest.raises(DataError, match="row 7: got"):
        A2DSentencesDataset(copy)


def test_masks_of_a_broken_clip_are_looked_at_too(copy):
    (copy / "Release/clips320H" / f"{TEST}.mp4").write_bytes(b"no clip")
    (copy / MASKS / TEST / "00005.h5").write_bytes(b"no HDF5")
    lines = [str(fault) for fault in A2DSentencesDataset(copy).faults()]
    assert len(lines) == 2
    assert "got an unreadable clip" in lines[0] and "00005.h5: got an unreadable" in lines[1]


def test_an_instance_that_is_nowhere_is_a_fault(copy):
    with open(copy / "text_annotations/a2d_annotation.txt", "a") as file:
        file.write(f"{TEST},7,a cat\n")
    lines = [str(fault) for fault in A2DSentencesDataset(copy).faults()]
    assert len(lines) == 1 and f"{TEST}, object 7: got no pixel on any of 2 frames" in lines[0]


def test_without_h5py_one_line_says_what_to_install(made, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError("no h5py")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install 'reviosa-workbench\[hdf5\]'"):
        A2DSentencesDataset(made[0])


def test_bad_files_are_refused_in_one_line(copy, tmp_path):
    with pytest.raises(DataError, match="expected the sentences of A2D"):
        A2DSentencesDataset(tmp_path)
    (copy / "Release/videoset.csv").write_text(f"{TRAIN},1,0,1,48,64,6,2,0\n")
    with pytest.raises(DataError, match="got the video 'EadxBPmQvtg', expected one of"):
        A2DSentencesDataset(copy)
    (copy / "text_annotations/a2d_annotation.txt").write_text("video_id,instance_id,query\n")
    with pytest.raises(DataError, match="got no sentence about a video of the split test"):
        A2DSentencesDataset(copy)
    (copy / "text_annotations/a2d_missed_videos.txt").unlink()
    with pytest.raises(DataError, match="a2d_missed_videos.txt: got no readable file"):
        A2DSentencesDataset(copy)
