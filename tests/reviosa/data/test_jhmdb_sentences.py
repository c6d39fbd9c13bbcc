"""J-HMDB-Sentences as published: PNG frames, MATLAB masks, and the list of drawn frames."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from reviosa.data.jhmdb_sentences import JHMDBSentencesDataset
from reviosa.data.opening import open_dataset
from reviosa.errors import DataError
from tests.fixtures_layouts import make_jhmdb, write_json

PULL, RUN = "10_Pull_Ups", "a_run"
DRAWN = "jhmdb_sentences_samples_metadata.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("jhmdb")
    return root, make_jhmdb(root)


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def drawn(video, *numbers):
    folder = f"./jhmdb_sentences/Rename_Images/pullup/{video}"
    return [[video, f"{folder}/{number:05d}.png", "masks", 3, "text"] for number in numbers]


def test_sentences_frames_and_masks(made):
    root, truth = made
    data = open_dataset(root)
    assert isinstance(data, JHMDBSentencesDataset) and data.has_truth
    assert [video.video_id for video in data.videos] == [PULL, RUN]
    assert data.videos[0].frame_names == ("00001", "00002", "00003", "00004")
    assert data.videos[0].expressions[0].text == "man in black, pulling up"
    for sample in data.samples:
        assert list(sample.video.truth_frames) == [0, 1, 2]
        expected = truth[sample.video.video_id, 0]
        assert np.array_equal(sample.masks(0, [0, 1, 2]), expected)
        assert np.array_equal(sample.masks(0, [2, 3]), [expected[2], np.zeros_like(expected[2])])
    assert not list(data.faults())
    data.check_frames()
    assert len(JHMDBSentencesDataset(root, limit=1).videos) == 1


def test_the_drawn_frames_are_scored_where_their_list_is_there(copy):
    before = JHMDBSentencesDataset(copy).identity
    write_json(copy / DRAWN, [*drawn(PULL, 3, 1), *drawn(RUN, 2)])
    data = JHMDBSentencesDataset(copy)
    assert [list(video.truth_frames) for video in data.videos] == [[0, 2], [1]]
    assert data.identity != before
    write_json(copy / DRAWN, drawn(PULL, 3, 4))
    lines = [str(fault) for fault in JHMDBSentencesDataset(copy, strict=False).faults()]
    assert any(f"{PULL}: got the frames 00003, 00004, expected some of the 3" in x for x in lines)
    assert any(f"{RUN}: got the frames none" in line for line in lines)
    (copy / DRAWN).write_text("[1]")
    with pytest.raises(DataError, match="got an unreadable list"):
        JHMDBSentencesDataset(copy)


def test_masks_of_all_frames_and_of_a_single_one(copy):
    ones = np.ones((48, 64, 4), np.uint8)
    folder = copy / "puppet_mask/pullup" / PULL
    savemat(folder / "puppet_mask.mat", {"part_mask": ones})
    assert JHMDBSentencesDataset(copy).videos[0].annotated is None
    savemat(folder / "puppet_mask.mat", {"part_mask": ones[:, :, 0]})
    data = JHMDBSentencesDataset(copy)
    assert data.videos[0].annotated == (0,)
    assert data.samples[0].masks(0, [0]).all()


def test_every_fault_is_named_in_one_pass(copy):
    with open(copy / "jhmdb_annotation.txt", "a") as file:
        file.write(f"one column\r\n{PULL},...\r\nnowhere,a cat\r\n")
    (copy / "Rename_Images/run" / RUN / "00002.png").write_bytes(b"")
    masks = np.ones((10, 20, 3), np.uint8)
    savemat(copy / "puppet_mask/pullup" / PULL / "puppet_mask.mat", {"part_mask": masks})
    data = JHMDBSentencesDataset(copy, strict=False)
    lines = [str(fault) for fault in data.faults()]
    for expected, count in (
        ("row 4: got 'one column'", 1),
        (f"{PULL}/1: got the expression '...'", 1),
        ("nowhere: got no folder", 2),
        ("00002.png: got an unreadable frame", 1),
        ("got a mask of 10x20 pixels, expected 48x64", 3),
    ):
        assert sum(expected in line for line in lines) == count, (expected, lines)
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (None, "got no file, expected the masks of a video"),
        (b"no MATLAB at all", "got an unreadable file"),
        ({"other": np.ones((48, 64, 3))}, r'got "part_mask" of the shape \(\)'),
        ({"part_mask": np.ones((2, 48, 64, 3))}, r'got "part_mask" of the shape \(2, 48, 64, 3\)'),
    ],
)
def test_bad_masks_are_one_line_and_do_not_hide_the_rest(copy, field, message):
    path = copy / "puppet_mask/pullup" / PULL / "puppet_mask.mat"
    path.unlink()
    if isinstance(field, bytes):
        path.write_bytes(field)
    elif field is not None:
        savemat(path, field)
    with pytest.raises(DataError, match=message) as error:
        JHMDBSentencesDataset(copy)
    assert "\n" not in str(error.value)
    data = JHMDBSentencesDataset(copy, strict=False)
    assert [video.video_id for video in data.videos] == [RUN]
    assert len(list(data.faults())) == 1


def test_bad_tables_are_refused_in_one_line(copy, tmp_path):
    with pytest.raises(DataError, match="expected the sentences of J-HMDB"):
        JHMDBSentencesDataset(tmp_path)
    (copy / "jhmdb_annotation.txt").write_text("video_id,query\n")
    with pytest.raises(DataError, match="got no sentence"):
        JHMDBSentencesDataset(copy)
