"""Commands on data sets in other layouts than the project's own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from probes.store import CaptureStore
from reviosa.data import open_dataset
from reviosa.evaluation import decode_masks
from reviosa.evaluation.metrics import jaccard
from reviosa.inference import Segmenter, predict
from reviosa.run_record import is_done
from tests.fixtures_expressions import NO_REAL_DATA, REAL, make_mevis, make_revos
from workbench.models import load_model


@pytest.mark.parametrize("layout", ["mevis", "revos", "mixture"])
def test_evaluate(cli, tmp_path, layout):
    make_mevis(tmp_path / "mevis")
    make_revos(tmp_path / "revos")
    valid = tmp_path / "revos" / "meta_expressions_valid_.json"
    (tmp_path / "mix.yaml").write_text(f"parts: [{{path: mevis}}, {{path: {valid}}}]")
    path, n = {
        "mevis": (tmp_path / "mevis", 3), "revos": (valid, 2), "mixture": (tmp_path / "mix.yaml", 5)
    }[layout]  # fmt: skip
    result = cli("evaluate", "--data", path, "--out", tmp_path / "run", "--device", "cpu", "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)
    assert scores["rvos"]["n"] == n and scores["target"]["n"] == 0 and not scores["missing"]
    predicted = json.loads((tmp_path / "run" / "predictions.json").read_text())
    assert sum(map(len, predicted.values())) == n
    result = cli("evaluate", "--data", path, "--out", tmp_path / "no", "--protocol", "target")
    assert result.code == 2 and "none is an interaction" in result.err


def test_a_split_without_truth_is_predicted_and_not_scored(cli, tmp_path):
    make_mevis(tmp_path / "valid", truth=False)
    arguments = ["evaluate", "--data", tmp_path / "valid", "--out", tmp_path / "run"]
    result = cli(*arguments, "--device", "cpu")
    assert result.code == 0, result.err
    assert "keeps its masks back: there is nothing to score" in result.out
    predicted = json.loads((tmp_path / "run" / "predictions.json").read_text())
    assert {video: list(of_video) for video, of_video in predicted.items()} == {
        "0a43a414": ["0", "1"], "377b1c5f": ["0"],
    }  # fmt: skip
    assert is_done(tmp_path / "run") and not (tmp_path / "run" / "evaluation.json").exists()
    again = cli(*arguments, "--device", "cpu", "--resume", "--json")
    assert json.loads(again.out) == {
        "predictions": str(tmp_path / "run" / "predictions.json"), "scored": False
    }  # fmt: skip


@pytest.mark.parametrize("command", ["train", "capture"])
def test_nothing_is_trained_or_captured_without_truth(cli, tmp_path, command):
    make_mevis(tmp_path / "valid", truth=False)
    arguments = [command, "--data", tmp_path / "valid", "--out", tmp_path / "run"]
    if command == "train":
        arguments += ["--preset", "nano"]
    result = cli(*arguments)
    assert result.code == 2 and "got a split without masks" in result.err
    assert len(result.err.strip().splitlines()) == 1 and not (tmp_path / "run").exists()


def test_a_path_without_a_data_set_says_what_was_looked_for(cli, tmp_path):
    result = cli("capture", "--data", tmp_path, "--out", tmp_path / "run")
    assert result.code == 2 and "mevis: meta_expressions.json" in result.err


def test_training_on_a_mixture_can_be_resumed(cli, tmp_path, checkpoint):
    make_mevis(tmp_path / "mevis")
    make_revos(tmp_path / "revos")
    (tmp_path / "mix.yaml").write_text(
        "parts: [{path: mevis}, {path: revos/meta_expressions_train_.json, weight: 2}]"
    )
    arguments = [
        "train", "--preset", "nano", "--data", tmp_path / "mix.yaml",
        "--set", f"model={checkpoint}", "--set", "steps=3", "--set", "batch_size=2",
    ]  # fmt: skip
    assert cli(*arguments, "--out", tmp_path / "whole").code == 0
    assert cli(*arguments, "--out", tmp_path / "parts", "--stop-at", "1").code == 0
    assert cli(*arguments, "--out", tmp_path / "parts", "--resume").code == 0
    whole, parts = (
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "parts")
    )
    assert whole == parts


def test_capture_scores_the_frames_with_truth_alone(tmp_path):
    from probes.capture import capture

    make_mevis(tmp_path / "mevis")
    data = open_dataset(tmp_path / "mevis", limit=1)
    data.videos = tuple(replace(video, annotated=(0, 2)) for video in data.videos)
    loaded = load_model("nano", "cpu", None)
    capture(loaded.model, loaded.processor, data, tmp_path / "run", gradients=False)
    rows = CaptureStore(tmp_path / "run").samples()
    segmenter = Segmenter(loaded.model, loaded.processor)
    predictions = predict(segmenter, data.samples)
    for row, sample in zip(rows.to_dict("records"), data.samples, strict=True):
        assert list(row["frame_indices"]) == [0, 2] and row["n_frames"] == 2
        record = predictions[row["video_id"]][row["exp_id"]]
        masks = decode_masks(record, "actor", (3, *data.size(row["video_id"])), row["sample_id"])
        truth = sample.masks(0, [0, 2])
        assert row["j"] == pytest.approx(float(np.mean(jaccard(masks[[0, 2]], truth))))


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason=NO_REAL_DATA)
def test_evaluate_on_real_clips(cli, tmp_path):
    arguments = ["evaluate", "--data", REAL / "real_interrvos", "--out", tmp_path / "run"]
    result = cli(*arguments, "--device", "cpu", "--json")
    assert result.code == 0, result.err
    scores = json.loads(result.out)
    assert scores["rvos"]["n"] == 6 and scores["target"]["n"] == 2
