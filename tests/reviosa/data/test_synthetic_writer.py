"""A synthetic data set on disk: the layout, its truth, and nothing half-written."""

import json
from pathlib import Path

import numpy as np
import pytest

from reviosa.data import InterRVOSDataset
from reviosa.data.synthetic import MUTUAL_VERBS, VERBS, WorldConfig, generate_video, write_synthetic
from reviosa.errors import ConfigError, DataError

VIDEOS, SEED = 4, 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "data"
    write_synthetic(out, VIDEOS, SEED)
    return out


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_reads_back_what_was_generated(root: Path) -> None:
    data = InterRVOSDataset(root)
    data.require_targets()
    assert len(data.videos) == VIDEOS
    position = 0
    for index, video in enumerate(data.videos):
        made = generate_video(index, SEED)
        frames = video.read_frames().astype(int)
        assert frames.shape == made.frames.shape
        assert np.abs(frames - made.frames).mean() < 4  # JPEG's loss
        for expected in made.expressions:
            sample = data.samples[position]
            position += 1
            assert sample.expression.text == expected.text
            assert sample.expression.caption_type == expected.caption_type
            truth = [made.masks[list(ids)].any(0) for ids in (expected.actors, expected.targets)]
            assert np.array_equal(sample.masks(0), truth[0])
            assert np.array_equal(sample.masks(1), truth[1])
    assert position == len(data.samples)


def test_world_labels(root: Path) -> None:
    data = InterRVOSDataset(root)
    assert data.world is not None
    assert data.world["schema"] == 1 and data.world["seed"] == SEED
    assert data.world["config"]["frames"] == 16
    used: list[int] = []
    for index, video in enumerate(data.videos):
        made = generate_video(index, SEED)
        record = data.world["videos"][video.video_id]
        annos = [item["anno_id"] for item in record["objects"]]
        used += annos
        assert [item["obj_id"] for item in record["objects"]] == list(range(len(made.objects)))
        for item, mask in zip(record["objects"], made.masks, strict=True):
            assert np.array_equal(data.masks(video.video_id, [item["anno_id"]]), mask)
        for name in ("shape", "color", "texture", "size", "motion"):
            assert [i[name] for i in record["objects"]] == [getattr(i, name) for i in made.objects]
        expected = [(e.first, e.second, e.verb) for e in made.events if not e.mutual]
        assert [tuple(i.values()) for i in record["interactions"]] == expected
        assert all(i["verb"] in VERBS for i in record["interactions"])
        assert all(i["verb"] in MUTUAL_VERBS for i in record["mutual"])
        assert len(record["mutual"]) + len(expected) == len(made.events)
        flags = [record["expressions"][e.exp_id]["needs_looking"] for e in video.expressions]
        assert flags == [e.needs_looking for e in made.expressions]
    # Annotation ids are unique over the whole set.
    assert used == list(range(len(used)))


def test_hidden_objects_are_null(tmp_path: Path) -> None:
    # Walks through seeds until an object is gone for a frame: the file must say null there.
    for seed in range(40):
        made = generate_video(0, seed)
        gone = ~made.masks.any(axis=(2, 3))
        if gone.any():
            break
    write_synthetic(tmp_path / "data", 1, seed)
    masks = json.loads((tmp_path / "data" / "mask_dict.json").read_text())
    assert [[rle is None for rle in track] for track in masks.values()] == gone.tolist()


def test_every_byte_follows_from_the_seed(root: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path / "again", VIDEOS, SEED, WorldConfig(), workers=2)
    assert contents(tmp_path / "again") == contents(root)
    write_synthetic(tmp_path / "other", 1, SEED + 1)
    video = "synth_3_00000"
    assert (tmp_path / "other" / "JPEGImages" / video / "00000.jpg").is_file()


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_synthetic(tmp_path / "data", 2, 0, progress=lambda *values: told.append(values))
    assert told == [(1, 2), (2, 2)]


def test_existing_folder_is_left_alone(root: Path) -> None:
    before = contents(root)
    with pytest.raises(DataError, match="got a path that exists"):
        write_synthetic(root, 1, 0)
    assert contents(root) == before


@pytest.mark.parametrize("numbers", [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_bad_numbers(tmp_path: Path, numbers: tuple[int, int, int]) -> None:
    videos, seed, workers = numbers
    with pytest.raises(DataError, match="expected at least"):
        write_synthetic(tmp_path / "data", videos, seed, workers=workers)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviosa.data.synthetic.world._TRIES", 9)
    crowded = WorldConfig(
        small_diameter=(0.45, 0.46), large_diameter=(0.48, 0.5), min_objects=6, camera_pan=0.0
    )
    with pytest.raises(ConfigError):
        write_synthetic(tmp_path / "data", 1, 0, crowded)
    assert not list(tmp_path.iterdir())
