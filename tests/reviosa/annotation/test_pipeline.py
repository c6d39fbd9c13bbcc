import json
import shutil
from dataclasses import replace

import pytest

from reviosa.annotation.assemble import write_set
from reviosa.annotation.clip_record import read_clips
from reviosa.annotation.pipeline import annotate
from reviosa.annotation.settings import AnnotationConfig
from reviosa.data import InterRVOSDataset
from reviosa.errors import DataError, RunError
from reviosa.run_record import read_run
from tests.fixtures_annotation import settings
from tests.fixtures_llm import fake_llm


def run(videos, out, url, **options):
    return annotate(videos.folder, out, AnnotationConfig.model_validate(settings(url)), **options)


@pytest.fixture(scope="module")
def finished(few_videos, few_truth, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    with fake_llm(few_truth) as server:
        summary = run(few_videos, out, server.url)
    return out, summary, server


def test_the_set_holds_every_interaction_of_the_world(finished, few_videos):
    out, summary, _ = finished
    dataset = InterRVOSDataset(out / "set")
    dataset.check_frames()
    assert summary["set"]["videos"] == len(few_videos.world) == len(dataset.videos)
    for name, world in few_videos.world.items():
        video = next(v for v in dataset.videos if v.video_id == f"{name}_clip000")
        said = json.loads((out / "set" / "meta_expressions.json").read_text())["videos"]
        entries = said[video.video_id]["expressions"].values()
        roles = {
            (*x["subject/object"]["obj_id"]["subject"], *x["subject/object"]["obj_id"]["object"])
            for x in entries
            if x["caption_type"] == "unidirectional"
        }
        pairs = {(x["actor"], x["target"]) for x in world["interactions"]}
        assert roles == pairs | {(two, one) for one, two in pairs}


def test_the_set_is_filled_as_the_layout_has_it(finished):
    out, summary, _ = finished
    videos = json.loads((out / "set" / "meta_expressions.json").read_text())["videos"]
    masks = json.loads((out / "set" / "mask_dict.json").read_text())
    assert len(masks) == summary["set"]["objects"]
    for clip_id, video in videos.items():
        tracks = json.loads((out / "tracks" / f"{clip_id}.json").read_text())
        for entry in video["expressions"].values():
            roles = entry["subject/object"]
            assert entry["obj_id"] == roles["obj_id"]["subject"]
            assert entry["anno_id"] == roles["anno_id"]["subject"]
            for role in ("subject", "object"):
                objects, annos = roles["obj_id"][role], roles["anno_id"][role]
                assert [masks[str(a)] for a in annos] == [tracks[str(o)]["mask"] for o in objects]
            has_target = entry["caption_type"] == "unidirectional"
            assert bool(roles["obj_id"]["object"]) == has_target
    assert sum(len(v["expressions"]) for v in videos.values()) == summary["passed"]


def test_candidates_are_told_with_verdict_reasons_and_twins(finished):
    out, summary, _ = finished
    videos = json.loads((out / "candidates.json").read_text())["videos"]
    entries = {(c, x): e for c, v in videos.items() for x, e in v["expressions"].items()}
    assert len(entries) == summary["candidates"] == summary["passed"] + summary["failed"]
    assert all((e["verdict"] == "fail") == bool(e["reasons"]) for e in entries.values())
    twins = {key: e for key, e in entries.items() if e["twin"]}
    assert twins
    for (clip_id, exp_id), entry in twins.items():
        twin = entries[clip_id, entry["twin"]]
        assert twin["twin"] == exp_id
        assert (twin["actor_ids"], twin["target_ids"]) == (entry["target_ids"], entry["actor_ids"])


def test_a_run_goes_on_by_another_way_but_not_with_other_words(finished, few_videos, few_truth):
    out, summary, _ = finished
    with fake_llm(few_truth) as server:
        again = run(few_videos, out, server.url, resume=True)
        assert again == summary and server.seen == []
        assert read_run(out)["transport"]["phrases"]["base_url"] == server.url
        changed = settings(server.url, marks={"frames": 2})
        with pytest.raises(RunError, match="config.marks.frames"):
            annotate(few_videos.folder, out, AnnotationConfig.model_validate(changed), resume=True)


def test_a_broken_video_or_frame_is_dropped_and_the_others_go_on(
    few_videos, few_truth, finished, tmp_path
):
    folder = tmp_path / "given"
    shutil.copytree(few_videos.folder, folder)
    one, two, three = sorted(few_videos.world)
    (folder / "tracks" / f"{one}.json").write_text("{")
    with fake_llm(few_truth) as server:
        videos = replace(few_videos, folder=folder)
        # The frame is lost after the clip was prepared.
        (folder / "videos" / two / "00001.jpg").write_bytes(b"torn")
        summary = run(videos, tmp_path / "run", server.url)
    dropped = json.loads((tmp_path / "run" / "dropped.json").read_text())
    assert summary["set"]["videos"] == 1
    assert [x["item"] for x in dropped if x["stage"] == "tracks"] == [one]
    seen = [x for x in dropped if x["stage"] == "appearance"]
    assert {x["item"].split("/")[1] for x in seen} == {f"{two}_clip000"}
    assert all("unreadable frame" in x["why"] for x in seen)
    assert [v.video_id for v in InterRVOSDataset(tmp_path / "run" / "set").videos] == [
        f"{three}_clip000"
    ]


def test_nothing_left_is_an_error_that_says_why(few_videos, tmp_path):
    changes = {"clips": {"least_frames": 100}}
    config = AnnotationConfig.model_validate(settings("http://localhost:1/v1", **changes))
    with pytest.raises(DataError, match="8 frames, a clip needs 100"):
        annotate(few_videos.folder, tmp_path / "run", config)


def test_the_set_is_written_anew_whole_or_not_at_all(finished, tmp_path, monkeypatch):
    out = tmp_path / "run"
    shutil.copytree(finished[0], out)
    before = sorted(path.name for path in out.iterdir())
    (out / ".set-new").mkdir()
    (out / "..set-new-killed" / "JPEGImages").mkdir(parents=True)
    assert write_set(out) == finished[1]["set"]
    assert sorted(path.name for path in out.iterdir()) == before
    # A frame is lost: the set that stands stays, and nothing half-written beside it.
    clip = next(iter(read_clips(out).values()))
    monkeypatch.setattr("reviosa.annotation.assemble.read_clips", lambda run: {
        key: replace(x, files=("gone.jpg",)) if key == clip.clip_id else x
        for key, x in read_clips(run).items()
    })  # fmt: skip
    with pytest.raises(DataError, match="gone.jpg"):
        write_set(out)
    assert sorted(path.name for path in out.iterdir()) == before
    assert InterRVOSDataset(out / "set").summary["videos"] == finished[1]["set"]["videos"]
