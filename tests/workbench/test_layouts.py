"""``reviosa evaluate`` and ``reviosa score`` on every published layout that keeps no RLE list."""

import json

import pytest

from reviosa.data import open_dataset
from reviosa.evaluation import encode_prediction, write_predictions
from reviosa.model import load
from reviosa.training.data import ConversationDataset
from tests.fixtures_layouts import (
    make_a2d,
    make_jhmdb,
    make_ref_davis,
    make_ref_sav_train,
    make_ref_sav_valid,
    make_ref_youtube_vos,
    make_sa_v_frames,
    make_sa_v_train,
)

LAYOUTS = {
    "ref-youtube-vos": (make_ref_youtube_vos, "train"),
    "ref-davis": (make_ref_davis, "val"),
    "sa-v": (make_sa_v_frames, ""),
    "sa-v training": (make_sa_v_train, ""),
    "ref-sav": (make_ref_sav_train, ""),
    "ref-sav evaluation": (make_ref_sav_valid, ""),
    "a2d-sentences": (make_a2d, "test"),
    "jhmdb-sentences": (make_jhmdb, ""),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def made(request, tmp_path_factory):
    """The folder of a split, and the data set in it."""
    make, split = LAYOUTS[request.param]
    root = tmp_path_factory.mktemp("set")
    make(root)
    folder = root / split if split else root
    dataset = open_dataset(folder)
    assert dataset.layout == request.param.split()[0]
    return folder, dataset


def test_evaluate_predicts_and_scores_every_expression(cli, made, checkpoint, tmp_path):
    folder, dataset = made
    out = tmp_path / "run"
    result = cli("evaluate", "--model", checkpoint, "--data", folder, "--out", out, "--limit", 1)
    assert result.code == 0, result.err
    first = dataset.videos[0]
    scores = json.loads((out / "evaluation.json").read_text())
    assert scores["rvos"]["n"] == len(first.expressions)
    assert 0 <= scores["rvos"]["J"] <= 100
    assert scores["missing"] == []
    predictions = json.loads((out / "predictions.json").read_text())
    assert predictions.keys() == {first.video_id}
    for expression in first.expressions:
        record = predictions[first.video_id][expression.exp_id]
        assert record["frames"] == list(first.frame_names)
        assert len(record["prediction_masks_act"]) in (0, first.num_frames)


def test_the_truth_scores_100(cli, made, tmp_path):
    folder, dataset = made
    predictions: dict = {}
    for sample in dataset.samples:
        expression, names = sample.expression, sample.video.frame_names
        record = encode_prediction(expression.text, names, "[SEG_ACT]", sample.masks(0), None)
        predictions.setdefault(expression.video_id, {})[expression.exp_id] = record
    write_predictions(tmp_path / "truth.json", predictions)
    result = cli("score", tmp_path / "truth.json", "--data", folder, "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)["rvos"]
    assert scores == {"J": 100.0, "F": 100.0, "J&F": 100.0, "n": len(dataset.samples)}


def test_a_split_without_truth_is_predicted_and_not_scored(cli, checkpoint, tmp_path):
    make_ref_youtube_vos(tmp_path / "set")
    valid, out = tmp_path / "set/valid", tmp_path / "run"
    result = cli("evaluate", "--model", checkpoint, "--data", valid, "--out", out)
    assert result.code == 0, result.err
    assert (out / "predictions.json").is_file() and not (out / "evaluation.json").exists()


def test_training_draws_frames_that_have_truth(made, checkpoint):
    _, dataset = made
    draws = ConversationDataset(dataset, load(checkpoint)[1], 4, 2, 2)
    for index in range(4):
        video, frames, samples = draws.draw(index)
        assert set(frames) <= set(video.truth_frames)
        shown = [sample.masks(0, frames) for sample in samples]
        assert {masks.shape[1:] for masks in shown} == {dataset.size(video.video_id)}
    assert any(sample.masks(0, sample.video.truth_frames).any() for sample in dataset.samples)
    draws[0]
