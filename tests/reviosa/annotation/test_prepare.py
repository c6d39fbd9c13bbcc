"""What goes in: folders, video files, masks and boxes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from reviosa.annotation.prepare import plan, prepare
from reviosa.annotation.settings import AnnotationConfig
from reviosa.annotation.sources import find_sources, identity_of
from reviosa.annotation.tracks import (
    ObjectTrack,
    Tracks,
    box_tracks,
    load_tracks,
    read_tracks,
    write_tracks,
)
from reviosa.data.frames import read_frame_folder
from reviosa.data.rle import decode, encode
from reviosa.errors import DataError
from tests.fixtures_annotation import settings


@pytest.fixture
def config():
    return AnnotationConfig.model_validate(settings("http://localhost/v1"))


def frames(folder, count=6, size=(24, 32), suffix="png"):
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", size[::-1], (40 * index, 90, 20)).save(folder / f"{index:03d}.{suffix}")


def square(left, size=(24, 32)):
    mask = np.zeros(size, bool)
    mask[4:12, left : left + 8] = True
    return mask


def tracks(count=6, size=(24, 32)):
    moving = [encode(square(2 * index, size)) for index in range(count)]
    glimpse = [None, encode(square(20, size)), *[None] * (count - 2)]
    return {
        "3": {"category": "dog", "mask": moving},
        "7": {"category": "ball/sports_ball", "mask": glimpse},
    }


def vidor(count=6, size=(24, 32)):
    boxes = [
        [{"tid": 3, "bbox": {"xmin": 2 * i, "ymin": 4, "xmax": 2 * i + 8, "ymax": 12}}]
        for i in range(count)
    ]
    return {
        "frame_count": count, "height": size[0], "width": size[1], "trajectories": boxes,
        "subject/objects": [{"tid": 3, "category": "dog"}, {"tid": 9, "category": "cat"}],
        "relation_instances": [],
    }  # fmt: skip


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_videos_are_found_in_subfolders_beside_their_files(tmp_path):
    frames(tmp_path / "videos" / "0001" / "b")
    (tmp_path / "videos" / "0002").mkdir()
    for name in ("a.mp4", "c.MP4", "._a.mp4", "notes.txt"):
        (tmp_path / "videos" / "0002" / name).touch()
    write(tmp_path / "tracks" / "0001" / "b.json", {})
    write(tmp_path / "boxes" / "0001" / "b.json", {})
    write(tmp_path / "boxes" / "0002" / "a.json", {})
    sources, dropped = find_sources(tmp_path)
    assert [(x.name, x.path.name, x.boxes) for x in sources] == [
        ("a", "a.mp4", True), ("b", "b", False),
    ]  # fmt: skip
    assert [(x.item, x.stage) for x in dropped] == [("c", "tracks")]
    assert "there is neither" in dropped[0].why
    before = identity_of(sources)
    write(tmp_path / "boxes" / "0002" / "a.json", {"other": 1})
    assert identity_of(sources) != before


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="got no folder videos in it"):
        find_sources(tmp_path)
    frames(tmp_path / "videos" / "a")
    with pytest.raises(DataError, match="got 1 videos, none of them with a file"):
        find_sources(tmp_path)
    frames(tmp_path / "videos" / "x" / "a")
    for place in ("a", "x/a"):
        write(tmp_path / "tracks" / f"{place}.json", {})
    with pytest.raises(DataError, match="a second video called a"):
        find_sources(tmp_path)


def test_a_folder_of_frames_with_masks(tmp_path, config):
    frames(tmp_path / "in" / "videos" / "v")
    write(tmp_path / "in" / "tracks" / "v.json", tracks())
    (source,) = find_sources(tmp_path / "in")[0]
    found = prepare(source, tmp_path / "run", config, read_frame_folder, None)
    (clip,) = found.clips
    assert clip.clip_id == "v_clip000" and dict(clip.objects) == {3: "dog"}
    assert clip.video.frame_names == tuple(f"{i:03d}" for i in range(6))
    assert [(x.stage, x.item) for x in found.dropped] == [("tracks", "v_clip000/7")]
    # All objects' masks are kept, those of the dropped one too.
    kept = json.loads((tmp_path / "run" / "tracks" / "v_clip000.json").read_text())
    assert kept == tracks()
    assert not (tmp_path / "run" / "frames").exists(), "frames are used where they are"
    assert clip.tracks().areas(3).tolist() == [64 / (24 * 32)] * 6


def test_clips_of_a_long_video_begin_at_their_bins(tmp_path):
    changes = {
        "clips": {"bin_frames": 4, "least_frames": 3, "most_frames": 3},
        "objects": {"longest_glimpse": 0},
    }
    config = AnnotationConfig.model_validate(settings("http://localhost/v1", **changes))
    frames(tmp_path / "in" / "videos" / "v", 11)
    write(tmp_path / "in" / "tracks" / "v.json", tracks(11))
    (source,) = find_sources(tmp_path / "in")[0]
    clips = prepare(source, tmp_path / "run", config, read_frame_folder, None).clips
    assert [(x.clip_id, x.start) for x in clips] == [("v_clip000", 0), ("v_clip002", 8)]
    assert clips[1].video.frame_names == ("008", "009", "010")
    np.testing.assert_array_equal(clips[1].tracks().mask(3, 0), square(16))
    planned, lost = plan(source, config)
    assert [clip.clip_id for clip, _ in planned] == [clip.clip_id for clip in clips]


def test_boxes_are_tracked_where_the_object_is(tmp_path, config):
    frames(tmp_path / "in" / "videos" / "v")
    write(tmp_path / "in" / "boxes" / "v.json", vidor())
    (source,) = find_sources(tmp_path / "in")[0]
    seen = []

    def track(video, boxes):
        seen.append((video.num_frames, sorted(boxes)))
        return {
            key: [None if np.isnan(b[0]) else encode(square(int(b[0]))) for b in track]
            for key, track in boxes.items()
        }

    (clip,) = prepare(source, tmp_path / "run", config, read_frame_folder, track).clips
    assert seen == [(6, [3])], "the cat has no box in the clip"
    assert dict(clip.objects) == {3: "dog"}
    np.testing.assert_array_equal(clip.tracks().mask(3, 2), square(4))
    ((planned, boxes),), lost = plan(source, config)
    assert planned.clip_id == clip.clip_id and dict(planned.objects) == {3: "dog"}
    np.testing.assert_array_equal(boxes.mask(3, 2), square(4))


def test_a_video_file_becomes_frames_of_the_run(tmp_path, config):
    av = pytest.importorskip("av")
    from workbench.video import open_video

    path = tmp_path / "in" / "videos" / "v.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            picture = np.full((48, 64, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    write(tmp_path / "in" / "tracks" / "v.json", tracks(5, (48, 64)))
    (source,) = find_sources(tmp_path / "in")[0]
    (clip,) = prepare(source, tmp_path / "run", config, open_video, None).clips
    assert clip.video.frame_names == tuple(f"{i:05d}" for i in range(5))
    assert clip.video.frame_paths[0].parent == tmp_path / "run" / "frames" / "v_clip000"
    means = clip.video.read_frames().mean(axis=(1, 2, 3))
    np.testing.assert_allclose(means, [0, 40, 80, 120, 160], atol=4)


@pytest.mark.parametrize(
    ("folder", "value", "words"),
    [
        ("tracks", tracks(5), "got 5 masks, expected 6"),
        ("tracks", tracks(6, (24, 30)), "24x30 pixels, expected 24x32"),
        ("tracks", {"dog": tracks()["3"]}, "object id 'dog'"),
        ("tracks", {"3": {"mask": []}}, "object 3: got"),
        ("tracks", {"3": {"category": "dog", "mask": [{"size": [24, 32], "counts": "x"}] * 6}},
         "object 3, frame 0"),
        ("tracks", [], "got a JSON list"),
        ("tracks", {}, "got no mask at all"),
        ("boxes", vidor(6, (24, 30)), "boxes for 24x30 pixels, expected 24x32"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_its_video_is_told(tmp_path, config, folder, value, words):
    frames(tmp_path / "in" / "videos" / "v")
    write(tmp_path / "in" / folder / "v.json", value)
    (source,) = find_sources(tmp_path / "in")[0]
    with pytest.raises(DataError) as error:
        prepare(source, tmp_path / "run", config, read_frame_folder, None)
    assert words in str(error.value) and "v.json" in str(error.value)


def test_a_video_that_is_too_short_or_has_no_object_is_listed(tmp_path, config):
    frames(tmp_path / "in" / "videos" / "short", 3)
    write(tmp_path / "in" / "tracks" / "short.json", tracks(3))
    frames(tmp_path / "in" / "videos" / "empty")
    write(tmp_path / "in" / "tracks" / "empty.json", {"7": tracks()["7"]})
    found = {}
    for source in find_sources(tmp_path / "in")[0]:
        found[source.name] = prepare(source, tmp_path / "run", config, read_frame_folder, None)
    assert (
        found["short"].clips == [] and "3 frames, a clip needs 4" in found["short"].dropped[0].why
    )
    assert found["empty"].clips == []
    assert "none of its objects" in found["empty"].dropped[-1].why


def test_filled_boxes():
    boxes = np.array([[2.0, 1, 5, 4], [np.nan] * 4])
    found = box_tracks({1: "dog"}, {1: boxes}, (6, 8))
    mask = decode(found.objects[1].masks[0], (6, 8))
    assert np.argwhere(mask).min(axis=0).tolist() == [1, 2]
    assert np.argwhere(mask).max(axis=0).tolist() == [3, 4]
    assert found.objects[1].masks[1] is None


def test_tracks_alone_say_size_and_length(tmp_path):
    write(tmp_path / "t.json", tracks())
    found = read_tracks(tmp_path / "t.json")
    assert found.size == (24, 32) and len(found.objects[7].masks) == 6
    write(tmp_path / "t.json", {"7": {"category": "dog", "mask": [None]}})
    with pytest.raises(DataError, match="no mask at all"):
        read_tracks(tmp_path / "t.json")
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_tracks(tmp_path / "t.json")


def test_masks_that_are_written_again_are_read_again(tmp_path):
    # A dashboard outlives the run whose masks it has read.
    for left in (2, 14):
        made = Tracks({1: ObjectTrack("dog", (encode(square(left)),))}, (24, 32))
        write_tracks(tmp_path / "t.json", made)
        assert load_tracks(tmp_path / "t.json", (24, 32)).mask(1, 0).argmax(axis=1).max() == left
