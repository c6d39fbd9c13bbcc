"""Uploaded files: each either works or is refused in one line."""

import io
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from reviosa.errors import DataError
from workbench import uploads
from workbench.uploads import read_upload

av = pytest.importorskip("av")


def film(
    frames=6, size=(64, 48), form="mp4", codec="libx264", pix_fmt="yuv420p", times=None, rate=10
) -> bytes:
    """A film whose left half is white and whose right half is black."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 255
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = Fraction(1, 1000)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.pts = times[index] if times else round(1000 * index / rate)
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def refused(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        read_upload("clip.mp4", data)
    assert "\n" not in str(error.value) and str(error.value).startswith("clip.mp4: got ")


@pytest.mark.parametrize(
    ("form", "codec", "pix_fmt"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mov", "libx264", "yuv444p10le"),
        ("matroska", "libx264", "yuv422p"),
        ("matroska", "ffv1", "gray16le"),
        ("matroska", "ffv1", "bgra"),
        ("mov", "qtrle", "argb"),
        ("avi", "mpeg4", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_odd_pixel_formats_are_read(form, codec, pix_fmt):
    video = read_upload("clip", film(form=form, codec=codec, pix_fmt=pix_fmt))
    assert video.num_frames == 6
    frame = video.read_frames([0])[0]
    assert frame.shape == (48, 64, 3) and frame.dtype == np.uint8
    assert frame[:, :28].mean() > 225 and frame[:, 36:].mean() < 30


def test_odd_sizes_and_uneven_times_are_read():
    odd = read_upload("clip", film(size=(65, 47), form="matroska", codec="ffv1", pix_fmt="bgr0"))
    assert odd.read_frames([5]).shape == (1, 47, 65, 3)
    uneven = read_upload("clip", film(form="matroska", times=[0, 10, 500, 501, 2000, 9000]))
    assert uneven.num_frames == 6


def test_a_rotated_video_is_shown_upright(monkeypatch):
    # FFmpeg's writer in PyAV keeps no rotation, so the mark is set on the decoded frames.
    found = uploads._frames

    class Turned:
        rotation, time = 90, None

        def __init__(self, frame):
            self.to_ndarray = frame.to_ndarray

    monkeypatch.setattr(uploads, "_frames", lambda n, d: (Turned(f) for f in found(n, d)))
    frame = read_upload("clip", film()).read_frames([0])[0]
    # A quarter turn against the clock: what was left (white) lies at the bottom.
    assert frame.shape == (64, 48, 3)
    assert frame[36:].mean() > 225 and frame[:28].mean() < 30


def test_large_frames_are_made_smaller():
    video = read_upload("clip", film(frames=1, size=(1440, 720)))
    assert video.read_frames([0]).shape == (1, 360, 720, 3)


def test_what_is_no_video_is_refused():
    refused(b"", "empty file")
    refused(b"hello " * 100, "no readable video")
    picture = io.BytesIO()
    Image.new("RGB", (20, 20)).save(picture, "PNG")
    refused(picture.getvalue(), "no readable video")
    refused(film()[:200], "no readable video")


def test_sound_alone_is_refused():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    refused(file.getvalue(), "without pictures")


def test_a_playlist_reaches_no_other_file(tmp_path):
    (tmp_path / "secret.ts").write_bytes(film(form="mpegts"))
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/secret.ts\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.ts'\n",
    ):
        refused(text.encode(), "no readable video")


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FRAMES", 5)
    refused(film(frames=6), "more than 5 frames")
    assert read_upload("clip", film(frames=5)).num_frames == 5
    refused(film(frames=3, form="matroska", times=[0, 100, 61_000]), "more than 60 seconds")
    refused(film(frames=1, size=(5000, 16)), "5000 x 16 pixels")
    monkeypatch.setattr(uploads, "MAX_MB", 0)
    refused(film(), "expected at most 0")
