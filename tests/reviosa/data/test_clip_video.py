"""Frames of a clip by number are the frames that decoding it in order gives."""

import builtins
import io
import os
import pickle
import threading

import numpy as np
import pytest
from PIL import Image

from reviosa.data import clip_video
from reviosa.data.clip_video import ClipVideo
from reviosa.errors import ConfigError, DataError
from tests.fixtures_layouts import pictures, write_clip

KINDS = {
    "h264": ("a.mp4", {}),
    "one key frame": ("a.mp4", {"gop": 250, "b_frames": 3}),
    "open groups": ("a.mp4", {"gop": 10, "options": {"x264-params": "open-gop=1:scenecut=0"}}),
    "mpeg4 without time stamps": ("a.avi", {"codec": "mpeg4"}),
    "matroska": ("a.mkv", {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_in_any_order_is_the_one_decoded_in_order(kind, tmp_path):
    name, options = KINDS[kind]
    truth = write_clip(tmp_path / name, pictures(41), **options)
    video = ClipVideo("v", tmp_path / name)
    assert video.num_frames == len(truth) == 41
    assert video.frame_names[:2] == ("00000", "00001")
    order = [*range(41), *range(40, -1, -1), *np.random.default_rng(0).integers(0, 41, 60)]
    for index in order:
        assert np.array_equal(video.read_frames([int(index)])[0], truth[index]), index
    for index in (7, 0, 40):
        with Image.open(io.BytesIO(video.read_file(index))) as image:
            assert image.format == "PNG"
            assert np.array_equal(np.array(image), truth[index])
    assert video.frame_size(3) == truth.shape[1:3]
    assert not list(video.faults())


def test_steps_and_names_choose_frames_of_the_clip(tmp_path):
    truth = write_clip(tmp_path / "a.mp4", pictures(10))
    stepped = ClipVideo("v", tmp_path / "a.mp4", step=4)
    assert stepped.frame_names == ("00000", "00004", "00008")
    assert np.array_equal(stepped.read_frames(), truth[::4])
    named = ClipVideo("v", tmp_path / "a.mp4", names=("00003", "00009"))
    assert named.num_frames == 2
    assert np.array_equal(named.read_frames([1, 0]), truth[[9, 3]])


def test_neighbours_do_not_decode_from_the_start(tmp_path, monkeypatch):
    write_clip(tmp_path / "a.mp4", pictures(40), gop=250)
    video = ClipVideo("v", tmp_path / "a.mp4")
    video.read_file(0)
    rewound = []
    monkeypatch.setattr(clip_video._Clip, "_rewind", lambda self: rewound.append(1))
    clip = clip_video._open(video.clip)
    before = clip._frames
    for index in range(1, 40):
        video.read_file(index)
    # The decoder that began at the first frame went on to the last.
    assert clip._frames is before
    assert not rewound


def test_a_kept_frame_is_not_decoded_again(tmp_path, monkeypatch):
    write_clip(tmp_path / "a.mp4", pictures(4))
    video = ClipVideo("v", tmp_path / "a.mp4")
    first = video.read_file(2)
    monkeypatch.setattr(clip_video._Clip, "pixels", None)
    assert video.read_file(2) == first


def test_nothing_is_read_until_it_is_asked_for(tmp_path):
    video = ClipVideo("v", tmp_path / "later.mp4", annotated=(0,))
    assert list(video.truth_frames) == [0]
    assert "later.mp4" in repr(video)
    write_clip(tmp_path / "later.mp4", pictures(3))
    assert video.num_frames == 3


def test_a_clip_that_was_replaced_is_opened_again(tmp_path):
    path = tmp_path / "a.mp4"
    write_clip(path, pictures(3))
    ClipVideo("v", path).read_file(0)
    truth = write_clip(path, pictures(5, seed=9))
    assert np.array_equal(ClipVideo("v", path).read_frames(), truth)


def test_copies_threads_and_forks_read_the_same(tmp_path):
    truth = write_clip(tmp_path / "a.mp4", pictures(30))
    video = ClipVideo("v", tmp_path / "a.mp4")
    video.read_frames([5])
    copy = pickle.loads(pickle.dumps(video))
    assert copy == video
    wrong: list[int] = []

    def read(start: int) -> None:
        wrong.extend(i for i in range(start, 30, 3) if (copy.read_frames([i])[0] != truth[i]).any())

    threads = [threading.Thread(target=read, args=(x,)) for x in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    # Another process has decoders of its own, even where it was forked from this one.
    clip = clip_video._open(video.clip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        assert clip_video._open(video.clip) is not clip


def test_each_fault_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"none.mp4: got no file, expected a video clip"):
        ClipVideo("v", tmp_path / "none.mp4").read_file(0)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"text.mp4: got an unreadable clip"):
        ClipVideo("v", tmp_path / "text.mp4").read_file(0)
    write_clip(tmp_path / "a.mp4", pictures(3))
    short = ClipVideo("v", tmp_path / "a.mp4", names=("00002", "00003"), annotated=(0, 1))
    with pytest.raises(DataError, match="got a clip of 3 frames, expected frame 3 too"):
        short.read_file(1)
    assert ["expected frame 3 too" in str(fault) for fault in short.faults()] == [True]
    with pytest.raises(DataError, match="00x: got a frame's name without a number"):
        ClipVideo("v", tmp_path / "a.mp4", names=("00x",)).read_file(0)
    with pytest.raises(DataError, match="got no frame to read"):
        ClipVideo("v", tmp_path / "a.mp4").read_frames([])
    late = ClipVideo("v", tmp_path / "a.mp4", annotated=(0, 8))
    assert ["expected frame 8 too" in str(fault) for fault in late.faults()] == [True]


def test_a_clip_cut_off_in_the_middle_is_a_fault(tmp_path):
    write_clip(tmp_path / "a.mp4", pictures(30, size=(96, 128)))
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    faults = list(ClipVideo("v", tmp_path / "cut.mp4").faults())
    assert len(faults) == 1 and "cut.mp4" in faults[0].where


def test_without_pyav_one_line_says_what_to_install(tmp_path, monkeypatch):
    write_clip(tmp_path / "a.mp4", pictures(2))
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "av":
            raise ImportError("no av")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install 'reviosa-workbench\[video\]'"):
        ClipVideo("v", tmp_path / "a.mp4").read_file(0)
