"""``reviosa score``: forms of predictions on the layouts they belong to, with their rules."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from reviosa.data import open_dataset
from reviosa.evaluation import encode_prediction, write_predictions
from tests.fixtures_layouts import (
    make_a2d,
    make_ref_davis,
    make_ref_youtube_vos,
    make_sa_v_frames,
)

FULL = pytest.approx(100)


@pytest.fixture
def davis(tmp_path):
    """Ref-DAVIS, and its true palettes as the predictions of four annotators."""
    make_ref_davis(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set" / "val")
    truth = tmp_path / "set" / "DAVIS" / "Annotations" / "480p"
    for annotator in range(4):
        for video in dataset.videos:
            place = tmp_path / "out" / f"anno_{annotator}" / video.video_id
            shutil.copytree(truth / video.video_id, place)
    return dataset, tmp_path / "out"


def test_palettes_of_four_annotators_on_ref_davis(cli, davis):
    dataset, out = davis
    result = cli("score", out, "--data", dataset.root, "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)
    assert scores["predictions"]["form"] == "ref-davis"
    rule = scores["rule"]
    assert rule["name"] == "ref-davis"
    assert rule["means"]["all"]["J&F"] == FULL
    assert rule["means"].keys() == {"all", *(f"annotator {index}" for index in range(4))}
    assert scores["rvos"] == {"J": 100, "F": 100, "J&F": 100, "n": len(dataset.samples)}

    shown = cli("score", out, "--data", dataset.root, "--table", 5, "--name", "mine")
    assert "annotator 3" in shown.out and "J decay" in shown.out
    row = next(line for line in shown.out.splitlines() if "scored here" in line)
    assert row.replace("│", " ").split() == ["mine", "-", "-", "-", "100.0", "scored", "here"]
    assert "averaged over expressions" in shown.out
    assert "Warning" not in shown.out

    # An annotator that was not handed in: its expressions are missing, and 0.
    shutil.rmtree(out / "anno_2")
    result = cli("score", out, "--data", dataset.root, "--json")
    assert result.code == 1
    assert "out: got no folder anno_2, expected one for each annotator" in result.err
    scores = json.loads(result.out)
    assert scores["rule"]["means"]["annotator 2"]["J&F"] == 0
    assert scores["rule"]["means"]["all"]["J&F"] == pytest.approx(75)
    assert len(scores["missing"]) == len(dataset.samples) // 4

    result = cli("score", out / "anno_1", "--data", dataset.root)
    assert result.code == 2
    assert "got palettes of one annotator" in result.err


def test_objects_of_sa_v(cli, tmp_path):
    make_sa_v_frames(tmp_path / "set")
    truth = tmp_path / "set" / "Annotations_6fps"
    result = cli("score", truth, "--data", tmp_path / "set", "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)
    assert (scores["predictions"]["form"], scores["rule"]["name"]) == ("png", "sa-v")
    dataset = open_dataset(tmp_path / "set")
    assert scores["rvos"]["n"] == len(dataset.samples)
    assert scores["rvos"]["J&F"] == FULL

    # The value 0 of a palette cannot be object 000, and 1 may be meant for 000 or 001.
    palettes = tmp_path / "palettes" / dataset.videos[0].video_id
    shutil.copytree(truth / dataset.videos[0].video_id / "001", palettes)
    result = cli("score", palettes.parent, "--data", tmp_path / "set")
    assert result.code == 2
    assert "got palettes, expected <video>/<object>/<frame>.png" in result.err


def test_masks_of_expressions_on_ref_youtube_vos(cli, tmp_path):
    make_ref_youtube_vos(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set" / "train")
    for sample in dataset.samples:
        folder = tmp_path / "out" / "Annotations" / sample.expression.sample_id
        folder.mkdir(parents=True)
        for name, mask in zip(sample.video.frame_names, sample.masks(0), strict=True):
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name}.png")
    result = cli("score", tmp_path / "out", "--data", dataset.root, "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)
    assert scores["rule"]["means"] == {
        "all": {"J": 100, "F": 100, "J&F": 100, "n": len(dataset.samples)}
    }
    shown = cli("score", tmp_path / "out", "--data", dataset.root, "--table", 5).out
    assert "Warning: the folder's name is not valid; the column is of that split." in shown


def half(tmp_path, dataset):
    """Predictions whose right half is empty, so that no score is 0 or 100."""
    predictions: dict = {}
    for sample in dataset.samples:
        masks = sample.masks(0).copy()
        masks[:, :, masks.shape[2] // 2 :] = False
        record = encode_prediction("", sample.video.frame_names, "", masks, None)
        predictions.setdefault(sample.expression.video_id, {})[sample.expression.exp_id] = record
    write_predictions(tmp_path / "half.json", predictions)
    return tmp_path / "half.json"


def test_rules_by_name_and_several_processes(cli, tmp_path):
    make_a2d(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set" / "test")
    arguments = ("score", half(tmp_path, dataset), "--data", dataset.root)
    scores = json.loads(cli(*arguments, "--json").out)
    assert scores["rule"]["name"] == "a2d"
    means = scores["rule"]["means"]["all"]
    assert 0 < means["mean IoU"] < 100
    assert "P@0.9" in means
    shown = cli(*arguments).out
    assert "overall IoU" in shown and f"{means['mean IoU']:.1f}" in shown

    other = json.loads(cli(*arguments, "--rule", "mevis", "--workers", 2, "--json").out)
    assert other["rule"]["name"] == "mevis"
    assert other["rule"]["means"]["all"] == other["rvos"] == scores["rvos"]

    result = cli(*arguments, "--rule", "olympics")
    assert result.code == 2
    assert "got the rule 'olympics', expected one of interrvos, mevis" in result.err
