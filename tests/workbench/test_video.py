"""Frames in, masks and overlays out."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from reviosa.data.rle import decode
from reviosa.errors import ConfigError, DataError
from workbench.video import ReadVideo, read_video, write_segmentation


@pytest.fixture
def video():
    rng = np.random.default_rng(0)
    return ReadVideo(rng.integers(0, 255, (3, 10, 12, 3), dtype=np.uint8), ("a", "b", "c"))


def test_masks_are_written_as_they_are(tmp_path, video):
    actor = np.zeros((3, 10, 12), bool)
    actor[0, 2:4, 3:9] = True  # 12 of 360 pixels, on one frame of three
    result = SimpleNamespace(text="It is [SEG_ACT].", babble=None, actor=actor, target=None)
    summary = write_segmentation(tmp_path / "out", video, "a dog", result)
    assert summary == {
        "expression": "a dog",
        "text": "It is [SEG_ACT].",
        "babble": None,
        "frames": 3,
        "actor": {"frames_with_mask": 1, "mean_area": pytest.approx(12 / 360)},
        "target": None,
    }
    for index, name in enumerate(video.names):
        written = np.asarray(Image.open(tmp_path / "out" / "actor" / f"{name}.png"))
        assert written.dtype == np.uint8
        assert (written == actor[index] * 255).all()
    assert not (tmp_path / "out" / "target").exists()
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (np.stack([decode(rle) for rle in record["actor"]]) == actor).all()
    assert record["target"] is None


def test_overlays_take_the_colour_of_the_role(tmp_path, video):
    grey = ReadVideo(np.full((1, 64, 64, 3), 128, np.uint8), ("a",))
    target = np.zeros((1, 64, 64), bool)
    target[0, 16:48, 16:48] = True
    result = SimpleNamespace(text="", babble="and", actor=None, target=target)
    write_segmentation(tmp_path / "out", grey, "x", result)
    red, green, blue = np.asarray(Image.open(tmp_path / "out" / "overlay" / "a.jpg"))[
        32, 32
    ].tolist()
    assert red > 128 > blue and red > green  # vermillion, D55E00
    assert (
        np.asarray(Image.open(tmp_path / "out" / "overlay" / "a.jpg"))[2, 2].tolist() == [128] * 3
    )


def test_nothing_is_left_when_writing_fails(tmp_path, video):
    result = SimpleNamespace(text="", babble="and", actor=np.zeros((2, 10, 12), bool), target=None)
    with pytest.raises(ValueError, match="shorter"):
        write_segmentation(tmp_path / "out", video, "x", result)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_read_in_the_order_of_names(tmp_path, video):
    for name, frame in zip(("b", "a", "c"), video.frames, strict=True):
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    read = read_video(tmp_path)
    assert read.names == ("a", "b", "c")
    assert (read.frames == video.frames[[1, 0, 2]]).all()


def test_a_video_file_without_pyav_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"needs PyAV.*reviosa-workbench\[video\]"):
        read_video(tmp_path / "film.mp4")


def test_a_broken_video_file_is_explained(tmp_path, monkeypatch):
    def broken(path):
        raise ValueError("Invalid data found when processing input")

    monkeypatch.setitem(sys.modules, "av", SimpleNamespace(open=broken))
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="film.mp4: got no readable video"):
        read_video(tmp_path / "film.mp4")
