"""Frames in, masks and overlays out."""

import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from reviosa.data.frames import read_frame_folder
from reviosa.data.rle import decode
from reviosa.errors import ConfigError, DataError
from reviosa.inference import SegmentationResult, encode_track
from workbench.video import VideoFile, open_video, write_segmentation


def result(text="It is [SEG_ACT].", babble=None, actor=None, target=None):
    tracks = tuple(None if masks is None else encode_track(masks) for masks in (actor, target))
    return SegmentationResult(text, tracks, (0,), (), babble)


def folder(path, frames, names="abc"):
    path.mkdir()
    for name, frame in zip(names, frames, strict=False):
        Image.fromarray(frame).save(path / f"{name}.png")
    return read_frame_folder(path)


@pytest.fixture
def video(tmp_path):
    rng = np.random.default_rng(0)
    return folder(tmp_path / "in", rng.integers(0, 255, (3, 10, 13, 3), dtype=np.uint8))


@pytest.fixture
def film(tmp_path):
    """A film of 30 frames, each of its own grey, a key frame every 12."""
    av = pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(30):
            picture = np.full((32, 48, 3), 8 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_masks_are_written_as_they_are(tmp_path, video):
    actor = np.zeros((3, 10, 13), bool)
    actor[0, 2:4, 3:9] = True  # 12 of 390 pixels, on one frame of three
    summary = write_segmentation(tmp_path / "out", video, "a dog", result(actor=actor))
    assert summary == {
        "expression": "a dog",
        "text": "It is [SEG_ACT].",
        "babble": None,
        "frames": 3,
        "actor": {"frames_with_mask": 1, "mean_area": pytest.approx(12 / 390)},
        "target": None,
    }
    for index, name in enumerate(video.frame_names):
        written = np.asarray(Image.open(tmp_path / "out" / "actor" / f"{name}.png"))
        assert written.dtype == np.uint8
        assert (written == actor[index] * 255).all()
    assert not (tmp_path / "out" / "target").exists()
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (np.stack([decode(rle) for rle in record["actor"]]) == actor).all()
    assert record["target"] is None and record["frames"] == ["a", "b", "c"]


def test_overlays_take_the_colour_of_the_role(tmp_path):
    grey = folder(tmp_path / "in", np.full((1, 64, 64, 3), 128, np.uint8))
    target = np.zeros((1, 64, 64), bool)
    target[0, 16:48, 16:48] = True
    write_segmentation(tmp_path / "out", grey, "x", result(target=target))
    overlay = np.asarray(Image.open(tmp_path / "out" / "overlay" / "a.jpg"))
    red, green, blue = overlay[32, 32].tolist()
    assert red > 128 > blue and red > green  # vermillion, D55E00
    assert overlay[2, 2].tolist() == [128] * 3


def test_overlays_are_joined_to_a_film(tmp_path, video):
    pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")
    write_segmentation(tmp_path / "out", video, "x", result(actor=np.ones((3, 10, 13), bool)))
    written = VideoFile(tmp_path / "out" / "overlay.mp4")
    # The odd width was made even; folders of frames have no rate, ten a second is taken.
    assert (written.num_frames, written.rate) == (3, Fraction(10))
    assert written.read_frames([1]).shape == (1, 10, 14, 3)


def test_without_pyav_there_is_no_film(tmp_path, video, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    write_segmentation(tmp_path / "out", video, "x", result(actor=np.ones((3, 10, 13), bool)))
    assert (tmp_path / "out" / "overlay" / "a.jpg").is_file()
    assert not (tmp_path / "out" / "overlay.mp4").exists()


def test_nothing_is_left_when_writing_fails(tmp_path, video):
    short = result(actor=np.zeros((2, 10, 13), bool))
    with pytest.raises(IndexError):
        write_segmentation(tmp_path / "out", video, "x", short)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    "indices", [(0, 1, 2), (3, 10, 17, 29), (9, 8, 7), (29,), (0,), (12, 11, 25)]
)
def test_frames_of_a_file_are_found_in_any_order(film, indices):
    """Across key frames, backwards and forwards; each frame's grey is eight times its index."""
    opened = open_video(film)
    assert (opened.num_frames, opened.rate) == (30, Fraction(25))
    assert opened.frame_names[:2] == ("00000", "00001")
    frames = opened.read_frames(indices)
    assert frames.shape == (len(indices), 32, 48, 3) and frames.dtype == np.uint8
    # The codec rounds: off by less than half a step of the greys.
    assert np.abs(frames.mean(axis=(1, 2, 3)) - 8 * np.array(indices)).max() < 3


def test_frames_of_a_file_are_found_in_one_walk_after_another(film):
    """The file stays where it was left: at its end, in the middle, behind what comes next."""
    opened = open_video(film)
    for indices in ((29,), (0, 1), (2,), (3, 20), (7,), (28, 29), (11, 13)):
        greys = opened.read_frames(indices).mean(axis=(1, 2, 3))
        assert np.abs(greys - 8 * np.array(indices)).max() < 3


def test_frames_in_order_are_decoded_once(film, monkeypatch):
    opened = open_video(film)
    opened.read_frames([0])
    monkeypatch.setattr(opened, "_jump", None)
    for index in range(1, 30):
        opened.read_frames([index])


def test_frames_of_one_time_stamp_are_told_apart(film, tmp_path):
    """A recorder that stumbled: four frames, the middle two at the same time."""
    import av

    path = tmp_path / "stumble.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        for index, stamp in enumerate((0, 1, 1, 3)):
            picture = np.full((32, 48, 3), 60 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            for packet in stream.encode(frame):
                packet.pts = packet.dts = 40 * stamp
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    opened = open_video(path)
    assert opened.num_frames == 4
    for indices in ((0, 1, 2, 3), (2,), (3,), (1,)):
        greys = opened.read_frames(indices).mean(axis=(1, 2, 3))
        assert np.abs(greys - 60 * np.array(indices)).max() < 3


def test_a_film_taken_upright_is_shown_upright(film, tmp_path):
    """As a telephone writes it: lying pixels, and a matrix that turns them clockwise by 90."""
    import av

    lying = tmp_path / "lying.mp4"
    with av.open(str(lying), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        picture = np.zeros((32, 48, 3), np.uint8)
        picture[:, :24] = 200
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    content = lying.read_bytes()
    one, minus = (1 << 16).to_bytes(4, "big"), (-(1 << 16)).to_bytes(4, "big", signed=True)
    nothing = bytes(4)
    identity = one + 3 * nothing + one
    place = content.index(identity, content.index(b"tkhd"))
    turned = nothing + one + nothing + minus + nothing
    upright = tmp_path / "upright.mp4"
    upright.write_bytes(content[:place] + turned + content[place + len(turned) :])
    frame = open_video(upright).read_frames([0])[0]
    assert frame.shape == (48, 32, 3)
    # What was at the left is at the top after a quarter turn clockwise.
    assert frame[:20].mean() > 180 and frame[28:].mean() < 20


def test_a_file_that_changed_is_told(film, tmp_path):
    """It was written anew, shorter, while it was open; going back to its start shows that."""
    import av

    opened = open_video(film)
    short = tmp_path / "short.mp4"
    with av.open(str(short), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        picture = np.zeros((32, 48, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    short.replace(film)
    with pytest.raises(DataError, match="frame 4 cannot be found again"):
        opened.read_frames([4])


@pytest.mark.parametrize("indices", [[], [-1], [30], [3, 99]])
def test_frames_that_are_not_there(film, indices):
    with pytest.raises(IndexError, match="expected some of 0 to 29"):
        open_video(film).read_frames(indices)


@pytest.mark.parametrize("kind", ["OSError", "InvalidDataError", "DecoderNotFoundError"])
def test_whatever_ffmpeg_raises_is_explained(film, monkeypatch, kind):
    import av

    opened = open_video(film)
    error = OSError(5, "lost") if kind == "OSError" else getattr(av.error, kind)(5, "lost")

    def fail(_):
        raise error

    monkeypatch.setattr(opened, "_decoded", fail)
    with pytest.raises(DataError, match="film.mp4: got no readable video"):
        opened.read_frames([0])


def test_a_video_file_without_pyav_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"needs PyAV.*reviosa-workbench\[video\]"):
        open_video(tmp_path / "film.mp4")


def test_a_broken_video_file_is_explained(tmp_path):
    pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="film.mp4: got no readable video"):
        open_video(tmp_path / "film.mp4")
