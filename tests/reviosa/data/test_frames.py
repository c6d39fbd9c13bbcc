"""Frames from a folder and their faults."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reviosa.data import read_frame_folder
from reviosa.data.records import Video
from reviosa.errors import DataError


def save(path: Path, value: int, size: tuple[int, int] = (8, 6)) -> None:
    Image.new("RGB", size, (value, value, value)).save(path)


def test_sorted_by_name_and_only_images(tmp_path: Path) -> None:
    for name, value in (("00002.png", 20), ("00000.png", 0), ("00001.PNG", 10)):
        save(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("no frame")
    (tmp_path / "._00000.png").write_text("left by a copying tool")
    video = read_frame_folder(tmp_path)
    assert video.frame_names == ("00000", "00001", "00002")
    assert video.video_id == tmp_path.name
    frames = video.read_frames()
    assert frames.shape == (3, 6, 8, 3) and frames.dtype == np.uint8
    assert frames[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert video.read_frames([2, 0])[:, 0, 0, 0].tolist() == [20, 0]


def test_grey_and_palette_frames_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 7).save(tmp_path / "0.png")
    Image.new("P", (4, 4)).save(tmp_path / "1.png")
    assert read_frame_folder(tmp_path).read_frames().shape == (2, 4, 4, 3)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got no folder there"):
        read_frame_folder(tmp_path / "nowhere")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got a folder without frames"):
        read_frame_folder(tmp_path)


def test_unreadable_frame_is_named(tmp_path: Path) -> None:
    save(tmp_path / "0.png", 1)
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.jpg: got an unreadable frame"):
        read_frame_folder(tmp_path).read_frames()


def test_truncated_frame_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "0.jpg")
    content = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "0.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"0\.jpg: got an unreadable frame"):
        read_frame_folder(tmp_path).read_frames()


def test_frames_of_different_sizes(tmp_path: Path) -> None:
    save(tmp_path / "0.png", 1, (8, 6))
    save(tmp_path / "1.png", 1, (6, 8))
    with pytest.raises(DataError, match=r"1\.png: got a frame of 8x6 pixels, expected 6x8"):
        read_frame_folder(tmp_path).read_frames()


def test_vanished_frame(tmp_path: Path) -> None:
    save(tmp_path / "0.png", 1)
    video = read_frame_folder(tmp_path)
    (tmp_path / "0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png: got no file"):
        video.read_frames()


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    video = Video("v", ("a\0",), (tmp_path / "a\0.jpg",))
    for read in (video.read_frames, lambda: video.frame_size(0)):
        with pytest.raises(DataError, match="got an unreadable frame .*null"):
            read()


def test_no_indices_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "0.png", 1)
    with pytest.raises(DataError, match="got no frame to read"):
        read_frame_folder(tmp_path).read_frames([])


def test_frames_without_leading_zeros_stand_in_the_order_of_their_numbers(tmp_path):
    for name in ("1.jpg", "2.jpg", "10.jpg", "11.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert read_frame_folder(tmp_path).frame_names == ("1", "2", "10", "11")


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"both a\.jpg and a\.png"):
        read_frame_folder(tmp_path)
