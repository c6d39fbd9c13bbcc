"""``reviosa annotate`` on synthetic videos, asked of a server that knows the truth."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from reviosa.data import InterRVOSDataset
from reviosa.data.rle import decode
from reviosa.run_record import read_run
from tests.fixtures_annotation import KEY_NAME, Truth, Videos, make_videos, settings
from tests.fixtures_llm import FAULTS, FakeLLM, at_random, fake_llm

KEY = "sk-very-secret-0123456789"
# As many as one would call a set take minutes.
AND_TWENTY = pytest.mark.parametrize(
    "case", [3, pytest.param(20, marks=pytest.mark.slow)], indirect=True, ids="{} videos".format
)
NAMES = ("meta_expressions.json", "mask_dict.json")


@dataclass(frozen=True)
class Case:
    videos: Videos
    truth: Truth
    reference: Path
    """A run that met no fault."""
    summary: dict


@pytest.fixture(scope="module", params=[3])
def case(request, tmp_path_factory):
    """Videos, the truth about them, and what comes of them without a fault."""
    from reviosa.annotation.pipeline import annotate
    from reviosa.annotation.settings import AnnotationConfig

    folder = tmp_path_factory.mktemp("annotate")
    videos = make_videos(folder, request.param)
    truth = Truth(videos, folder / "truth")
    with fake_llm(truth) as server:
        config = AnnotationConfig.model_validate(settings(server.url))
        summary = annotate(videos.folder, folder / "reference", config)
    return Case(videos, truth, folder / "reference", summary)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv(KEY_NAME, KEY)


def written(path: Path, server: FakeLLM, **changes) -> Path:
    """A configuration file for a server."""
    path.write_text(yaml.safe_dump(settings(server.url, **changes)))
    return path


def files_of(run: Path) -> list[bytes]:
    return [(run / "set" / name).read_bytes() for name in NAMES]


def require_no_key(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@AND_TWENTY
def test_training_and_evaluation_take_the_set(cli, case, checkpoint, tmp_path):
    dataset = InterRVOSDataset(case.reference / "set")
    dataset.check_frames()
    dataset.require_targets()
    assert len(dataset.videos) == len(case.videos.world)
    kinds = {x.expression.caption_type for x in dataset.samples}
    # In three videos nothing happens to be mutual, and nothing moves alike.
    few = {"single", "unidirectional"}
    assert kinds == (few if len(dataset.videos) == 3 else few | {"multi", "bidirectional"})
    root = dataset.root
    train = ["--set", f"model={checkpoint}", "--set", "steps=2", "--set", "batch_size=1"]
    result = cli("train", "--preset", "nano", "--data", root, "--out", tmp_path / "t", *train)
    assert result.code == 0, result.err
    result = cli(
        "evaluate", "--model", checkpoint, "--data", root, "--limit", 1, "--out", tmp_path / "e"
    )
    assert result.code == 0, result.err


@AND_TWENTY
def test_killed_three_times_it_sends_nothing_twice(case, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "workbench.cli", "annotate", "--videos", str(case.videos.folder),
        "--out", str(out), "--json",
    ]  # fmt: skip
    environment = {**os.environ, KEY_NAME: KEY}
    requests = sum(stage["requests"] for stage in case.summary["spent"].values())
    lost, kept = 0, 0
    with fake_llm(case.truth) as server:
        command += ["--config", str(written(tmp_path / "c.yaml", server))]
        # In the first stage, in the second, and in the last.
        for share in (0.1, 0.5, 0.9):
            before = len(server.seen)
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            while len(server.seen) < share * requests:
                assert process.poll() is None, process.communicate()[1].decode()
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            time.sleep(0.3)  # what was under way reaches the server
            assert not (out / "set").exists()
            # A file that was being written when the process died begins with a dot.
            cached = len(list((out / "llm" / "cache").rglob("[!.]*.json")))
            # What was sent and is not in the cache was in flight.
            lost += len(server.seen) - before - (cached - kept)
            kept = cached
            command += ["--resume"] if "--resume" not in command else []
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert len(server.seen) == len({seen.content for seen in server.seen}) + lost
        assert {seen.key for seen in server.seen} == {KEY}
    assert lost <= 3 * 4, "no more than were in flight at once"
    assert files_of(out) == files_of(case.reference)
    assert json.loads(result.stdout)["set"] == case.summary["set"]
    require_no_key(tmp_path)


@AND_TWENTY
def test_with_every_fifth_request_failing_the_set_is_the_same(cli, case, tmp_path, key):
    out = tmp_path / "run"
    stage = settings("http://localhost/v1")["stages"]["appearance"]
    quick = {**stage, "timeout_s": 1.0, "concurrency": 16}
    with fake_llm(case.truth, at_random(0.2, seed=3), hang_s=1.5) as server:
        quick["base_url"] = server.url
        config = written(tmp_path / "c.yaml", server, stages=dict.fromkeys(
            ("appearance", "referring", "interactions", "phrases"), quick
        ))  # fmt: skip
        result = cli("annotate", "--videos", case.videos.folder, "--out", out, "--config", config)
        assert result.code == 0, result.err
        assert len(set(server.faults) & set(FAULTS)) > 3, "of several kinds"
        assert sum(server.faults.values()) > 0.1 * len(server.seen)
    assert files_of(out) == files_of(case.reference)
    assert json.loads((out / "dropped.json").read_text()) == []
    require_no_key(tmp_path)
    assert KEY not in result.out + result.err


def test_what_is_never_answered_is_dropped_and_listed(cli, case, tmp_path, key):
    out, gone = tmp_path / "run", []

    def faults(repetition, body):
        # One question of a text model is refused for ever.
        text = json.dumps(body["messages"][1])
        if not gone and "Class: " in text and "Appearance" in text:
            gone.append(text)
        return "refusal" if gone and text == gone[0] else None

    with fake_llm(case.truth, faults) as server:
        config = written(tmp_path / "c.yaml", server, retries=1)
        arguments = ["annotate", "--videos", case.videos.folder, "--out", out, "--config", config]
        result = cli(*arguments, "--json")
        assert result.code == 0, result.err
        summary = json.loads(result.out)
        (dropped, *others) = json.loads((out / "dropped.json").read_text())
        assert dropped["stage"] == "referring" and dropped["item"].startswith("referring/synth_5_")
        assert "refus" in dropped["why"]
        # Objects that look and move alike are one question; each of them is listed.
        assert summary["dropped"] == {"referring": 1 + len(others)}
        missing = 3 * (1 + len(others))
        assert summary["candidates"] == case.summary["candidates"] - missing
        # Asked for again, and got, when the run is resumed.
        gone[0] = ""
        result = cli(*arguments, "--resume", "--json")
    assert json.loads(result.out)["dropped"] == {}
    assert files_of(out) == files_of(case.reference)


def test_over_budget_it_stops_and_says_so(cli, case, tmp_path, key):
    out = tmp_path / "run"
    with fake_llm(case.truth) as server:
        config = written(tmp_path / "c.yaml", server)
        arguments = ["annotate", "--videos", case.videos.folder, "--out", out, "--config", config]
        result = cli(*arguments, "--budget", 0.09)
        assert result.code == 2
        assert "budget" in result.err and "0.09" in result.err
        header = read_run(out)
        assert header["status"] == "failed" and "budget" in header["error"]
        spent = sum(stage["dollars"] for stage in header["spent"].values())
        assert 0.02 < spent <= 0.09
        assert not (out / "set").exists()
        sent = len(server.seen)
        result = cli(*arguments, "--resume", "--json")
        assert result.code == 0, result.err
        assert len(server.seen) == len({seen.content for seen in server.seen}) > sent
    assert files_of(out) == files_of(case.reference)
    total = sum(stage["dollars"] for stage in json.loads(result.out)["spent"].values())
    # 100 tokens in and 20 out a request.
    assert total == pytest.approx(len(server.seen) * (100 * 10 + 20 * 100) / 1e6)


def test_a_dry_run_sends_and_writes_nothing(cli, case, tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_NAME, raising=False)
    with fake_llm(case.truth) as server:
        config = written(tmp_path / "c.yaml", server)
        before = set(tmp_path.rglob("*"))
        arguments = ["annotate", "--videos", case.videos.folder, "--out", tmp_path / "run"]
        result = cli(*arguments, "--config", config, "--dry-run", "--json")
        assert result.code == 0, result.err
        told = cli(*arguments, "--config", config, "--dry-run")
        assert server.seen == []
    assert set(tmp_path.rglob("*")) == before
    found = json.loads(result.out)
    count = len(case.videos.world)
    assert (found["clips"], found["objects"]) == (count, case.summary["objects"])
    assert found["stages"]["appearance"]["requests"] == case.summary["objects"]
    assert found["stages"]["interactions"]["requests"] == count
    # One interaction a clip is assumed, each with a twin.
    assert found["stages"]["phrases"]["requests"] == 2 * count
    assert found["total"]["dollars"] == pytest.approx(
        sum(stage["dollars"] for stage in found["stages"].values())
    )
    assert "one unidirectional interaction" in told.out and f"{count} clips" in told.out


def test_a_persons_decisions_go_into_the_set_that_is_written_again(cli, case, tmp_path, key):
    from reviosa.annotation.candidates import read_candidates
    from reviosa.annotation.review import Decision, decide

    out = tmp_path / "run"
    with fake_llm(case.truth) as server:
        config = written(tmp_path / "c.yaml", server)
        arguments = ["annotate", "--videos", case.videos.folder, "--out", out, "--config", config]
        assert cli(*arguments).code == 0
        sent = len(server.seen)
        candidates = read_candidates(out)
        clip_id, clip = next(iter(candidates["videos"].items()))
        one, two = [x for x, e in clip["expressions"].items() if e["verdict"] == "pass"][:2]
        decide(out, candidates, f"{clip_id}/{one}", Decision.now("reject"))
        content = {**clip["expressions"][two], "exp": "the thing that a person saw"}
        decide(out, candidates, f"{clip_id}/{two}", Decision.now("edit", content))
        result = cli(*arguments, "--resume", "--json")
        assert result.code == 0, result.err
        assert len(server.seen) == sent
    assert json.loads(result.out)["set"]["expressions"] == case.summary["set"]["expressions"] - 1
    said = [x.expression.text for x in InterRVOSDataset(out / "set").samples]
    assert "the thing that a person saw" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clips": {"least_frame": 4}}, "did you mean 'clips.least_frames'"),
        ({"marks": {"frames": 0}}, "marks.frames"),
        ({"stages": {}}, "stages.appearance"),
    ],
)
def test_a_wrong_setting_is_named(cli, case, tmp_path, change, words):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({**settings("http://localhost/v1"), **change}))
    result = cli(
        "annotate", "--videos", case.videos.folder, "--out", tmp_path / "run", "--config", path
    )
    assert result.code == 2 and words in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["api_key", "key_env", "base_url", "timeout_s", "max_tokens"])
@pytest.mark.parametrize("way", ["file", "option"])
def test_a_key_among_the_settings_is_repeated_nowhere(cli, case, tmp_path, key, way):
    path, options = tmp_path / "c.yaml", []
    record = settings("http://localhost/v1")
    if way == "file":
        record["stages"]["phrases"] = {**record["stages"]["phrases"], key: KEY}
    else:
        options = ["--set", f"stages.phrases.{key}={KEY}"]
    path.write_text(yaml.safe_dump(record))
    out = tmp_path / "run"
    result = cli(
        "annotate", "--videos", case.videos.folder, "--out", out, "--config", path, *options
    )
    assert result.code == 2 and f"stages.phrases.{key}" in result.err
    assert KEY not in result.out + result.err
    assert not out.exists()


def test_a_dry_run_without_a_clip_says_why(cli, case, tmp_path):
    # The shipped settings want clips of 200 frames.
    result = cli("annotate", "--videos", case.videos.folder, "--out", tmp_path / "r", "--dry-run")
    assert result.code == 2
    assert "no clip with an object" in result.err
    assert "8 frames, a clip needs 200 (clips.least_frames)" in result.err


def test_without_a_key_nothing_is_begun(cli, case, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    options = ["--set", "clips.least_frames=4", "--set", "objects.longest_glimpse=1"]
    result = cli("annotate", "--videos", case.videos.folder, "--out", tmp_path / "run", *options)
    assert result.code == 2 and "OPENAI_API_KEY" in result.err
    assert not (tmp_path / "run").exists(), "not even the masks were made"


def test_boxes_are_turned_into_masks_by_the_nano_segmenter(cli, tmp_path, key):
    videos = make_videos(tmp_path, 1, frames=5)
    masks = json.loads(next((videos.folder / "tracks").iterdir()).read_text())
    (name,) = videos.world
    trajectories = [
        [
            {"tid": int(tid), "bbox": box_of(decode(track["mask"][frame]))}
            for tid, track in masks.items()
            if track["mask"][frame] is not None
        ]
        for frame in range(5)
    ]
    objects = [{"tid": int(tid), "category": track["category"]} for tid, track in masks.items()]
    annotation = {
        "frame_count": 5, "width": 64, "height": 64, "subject/objects": objects,
        "trajectories": trajectories, "relation_instances": [],
    }  # fmt: skip
    (videos.folder / "tracks").rename(videos.folder / "not-given")
    (videos.folder / "boxes").mkdir()
    (videos.folder / "boxes" / f"{name}.json").write_text(json.dumps(annotation))

    def answer(body):
        schema = body["response_format"]["json_schema"]["schema"]["properties"]
        shape = objects[0]["category"]
        if "interactions" in schema:
            return json.dumps({"interactions": []})
        if "merge" in schema:
            return json.dumps({"merge": False, "objects": [], "phrase": ""})
        return json.dumps({name: f"the only {shape} there is" for name in schema})

    out = tmp_path / "run"
    with fake_llm(answer) as server:
        changes = {"tracking": {"fit_steps": 5, "every": 2}}
        config = written(tmp_path / "c.yaml", server, **changes)
        arguments = ["annotate", "--videos", videos.folder, "--out", out, "--config", config]
        told = cli(*arguments, "--dry-run", "--json")
        assert json.loads(told.out)["objects"] == len(objects)
        cli(*arguments, "--device", "cpu")
    header = read_run(out)
    assert header["kind"] == "annotate" and header["model"]["name"] == "nano"
    made = json.loads((out / "tracks" / f"{name}_clip000.json").read_text())
    assert made.keys() == masks.keys()
    for tid, track in made.items():
        for frame, rle in enumerate(track["mask"]):
            assert rle is None or masks[tid]["mask"][frame] is not None
    assert any(rle for track in made.values() for rle in track["mask"])


def box_of(mask):
    rows, columns = mask.nonzero()
    return {
        "xmin": int(columns.min()), "ymin": int(rows.min()),
        "xmax": int(columns.max()) + 1, "ymax": int(rows.max()) + 1,
    }  # fmt: skip


def test_the_shipped_configuration_is_that_of_the_release():
    from reviosa.annotation.settings import AnnotationConfig
    from workbench.config import load_config, preset_path

    config = load_config(AnnotationConfig, preset_path("annotate", "default"))
    plain = AnnotationConfig(stages=config.stages)
    assert config == plain, "beyond the stages it repeats the defaults"
    assert config.stages.appearance.model == config.stages.interactions.model == "gpt-4o"
    assert config.stages.appearance.max_tokens == 1000
    text = config.stages.phrases
    assert (text.temperature, text.top_p, text.max_tokens) == (0.6, 0.9, 1024)
