"""The commands that run a model, on one of toy size that names no role by itself."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from probes.over_training import mean_head_metrics
from probes.store import CaptureStore
from reviosa.data import InterRVOSDataset
from reviosa.errors import ConfigError
from reviosa.evaluation import encode_prediction, read_scores, write_predictions
from reviosa.model import load
from reviosa.run_record import read_run
from reviosa.training.data import ConversationDataset
from reviosa.training.log import read_log
from tests.fixtures_capture import make_dataset
from workbench.models import load_captured, load_model


@pytest.fixture
def perfect(tmp_path, dataset):
    """Predictions that are the truth."""
    predictions = {}
    for sample in dataset.samples:
        expression = sample.expression
        target = sample.masks(1) if expression.is_interaction else None
        record = encode_prediction(
            expression.text, sample.video.frame_names, "It is [SEG_ACT].", sample.masks(0), target
        )
        predictions.setdefault(expression.video_id, {})[expression.exp_id] = record
    write_predictions(tmp_path / "perfect.json", predictions)
    return tmp_path / "perfect.json"


def test_score_of_the_truth_is_100(cli, dataset, perfect):
    result = cli("score", perfect, "--data", dataset.root, "--json")
    assert result.code == 0
    scores = json.loads(result.out)
    n = len(dataset.interactions)
    full = {"J": 100.0, "F": 100.0, "J&F": 100.0}
    assert scores["actor"] == {**full, "n": n}
    assert scores["target"] == {**full, "n": n}
    assert scores["rvos"] == {**full, "n": len(dataset.samples)}


def test_a_missing_prediction_is_counted_and_named(cli, dataset, perfect):
    predictions = json.loads(perfect.read_text())
    video = next(iter(predictions))
    del predictions[video]["0"]
    perfect.write_text(json.dumps(predictions))
    result = cli("score", perfect, "--data", dataset.root, "--json")
    assert json.loads(result.out)["missing"] == [f"{video}/0"]
    # One expression of n is 0, the others are 100.
    n = len(dataset.samples)
    assert json.loads(result.out)["rvos"]["J"] == pytest.approx(100 * (n - 1) / n)
    assert result.code == 1
    assert "1 expression has no prediction and counts as 0" in result.err


def test_one_protocol_alone(cli, dataset, perfect):
    result = cli("score", perfect, "--data", dataset.root, "--protocol", "target")
    assert "Target" in result.out and "100.0" in result.out
    assert "Actor" not in result.out and "RVOS" not in result.out


@pytest.fixture
def no_interactions(tmp_path):
    """A data set whose expressions are all about one object."""
    dataset = make_dataset(tmp_path / "solo", videos=1)
    path = dataset.root / "meta_expressions.json"
    meta = json.loads(path.read_text())
    for video in meta["videos"].values():
        for expression in video["expressions"].values():
            expression["caption_type"] = "single"
    path.write_text(json.dumps(meta))
    return dataset.root


@pytest.mark.parametrize("protocol", ["actor", "target"])
def test_target_needs_interactions(cli, tmp_path, no_interactions, perfect, protocol):
    result = cli("score", perfect, "--data", no_interactions, "--protocol", protocol)
    assert result.code == 2
    assert "none is an interaction" in result.err
    out = tmp_path / "run"
    result = cli("evaluate", "--data", no_interactions, "--out", out, "--protocol", protocol)
    assert result.code == 2
    assert not out.exists()


def test_without_interactions_there_is_still_rvos(cli, no_interactions, perfect):
    scores = json.loads(cli("score", perfect, "--data", no_interactions, "--json").out)
    assert scores["target"] == {"J": None, "F": None, "J&F": None, "n": 0}
    assert scores["rvos"]["n"] > 0


def test_evaluate_writes_a_whole_run(cli, tmp_path, dataset, checkpoint):
    out = tmp_path / "run"
    arguments = ("evaluate", "--model", checkpoint, "--data", dataset.root, "--limit", 1)
    result = cli(*arguments, "--out", out, "--device", "cpu", "--json")
    assert result.code == 0
    scores = json.loads(result.out)
    assert json.loads((out / "evaluation.json").read_text()) == scores
    # What was written is what the other command reads, and scores the same; it was asked for one
    # video of two, so the other's expressions are missing there.
    again = json.loads(cli("score", out / "predictions.json", "--data", dataset.root, "--json").out)
    assert {s.split("/")[0] for s in again["missing"]} == {dataset.videos[1].video_id}
    # The scores of single expressions average to what is printed.
    table = read_scores(out / "scores.parquet")
    actor = table[table.role == "actor"]
    assert len(actor) == scores["rvos"]["n"]
    assert 100 * actor.jf.mean() == pytest.approx(scores["rvos"]["J&F"])
    header = read_run(out)
    assert (header["kind"], header["status"]) == ("evaluate", "done")
    assert header["model"]["name"] == str(checkpoint)
    assert len(header["model"]["identity"]) == 16

    result = cli(*arguments, "--out", out)
    assert result.code == 2 and "not empty" in result.err


def test_an_unknown_device_is_bad_input(cli, tmp_path, dataset, checkpoint):
    result = cli(
        "evaluate", "--model", checkpoint, "--data", dataset.root, "--out", tmp_path / "run",
        "--device", "abacus",
    )  # fmt: skip
    assert result.code == 2
    assert "cannot use the device 'abacus'" in result.err
    assert not (tmp_path / "run").exists()


def test_capture_can_be_called_again_only_to_resume(cli, tmp_path, dataset, checkpoint):
    out = tmp_path / "run"
    arguments = ("capture", "--model", checkpoint, "--data", dataset.root, "--out", out, "--json")
    result = cli(*arguments)
    assert json.loads(result.out) == {"out": str(out), "samples": len(dataset.samples)}
    before = CaptureStore(out).samples()
    assert cli(*arguments).code == 2
    assert cli(*arguments, "--resume").code == 0
    assert len(CaptureStore(out).samples()) == len(before)


def test_a_captured_model_is_loaded_again_as_it_was(cli, tmp_path, dataset, checkpoint):
    """With its shuffled weights and its frames, not as the checkpoint has them."""
    out = tmp_path / "run"
    options = ("--data", dataset.root, "--limit", 1, "--shuffle-weights", 3, "--frames", "first")
    assert cli("capture", "--model", checkpoint, *options, "--out", out).code == 0
    header = CaptureStore(out).run
    assert header["model"]["shuffled"] == "3"
    assert header["model"]["identity"].endswith("-shuffled-3")
    again = load_captured(out, header, None, "cpu")
    assert header["model"].items() >= again.header.items()
    assert again.model.config.frame_sampling == "first"
    plain = load_model(str(checkpoint), "cpu").model
    shuffled = dict(again.model.named_parameters())
    changed = {
        name for name, weight in plain.named_parameters() if not torch.equal(weight, shuffled[name])
    }
    assert changed and all("language_model.layers." in name for name in changed)
    # Nothing but the places of the entries has changed.
    for name in changed:
        before = dict(plain.named_parameters())[name]
        assert torch.equal(before.flatten().sort()[0], shuffled[name].flatten().sort()[0]), name
    other = load_model(str(checkpoint), "cpu", shuffled=4).model
    assert any(not torch.equal(w, shuffled[n]) for n, w in other.named_parameters())
    unknown = dict(header, model=None)
    with pytest.raises(ConfigError, match="does not say of which model; give --model"):
        load_captured(out, unknown, None, "cpu")


@pytest.mark.parametrize(("pair", "words"), [([3, 0], "layer 3"), ([0, 4], "head 4")])
def test_capture_refuses_heads_the_model_lacks(
    cli, tmp_path, dataset, checkpoint, pair, words
):  # the toy model has 3 layers of 4 heads
    heads = tmp_path / "heads.json"
    heads.write_text(json.dumps({"pairs": [pair]}))
    result = cli(
        "capture", "--model", checkpoint, "--data", dataset.root, "--out", tmp_path / "run",
        "--heads", heads,
    )  # fmt: skip
    assert result.code == 2
    assert f"{words} does not exist" in result.err
    assert not (tmp_path / "run").exists()


def test_train_from_a_file_with_overrides(cli, tmp_path, dataset, checkpoint):
    config = tmp_path / "train.yaml"
    config.write_text(
        f"model: {checkpoint}\ndata: {dataset.root}\nout: run\nsteps: 5\nbatch_size: 1\n"
        "num_frames: 2\nexpressions_per_video: 1\nlog_steps: 1\n"
    )
    result = cli("train", "--config", config, "--set", "steps=2", "--set", "loss.text=1e-1")
    assert result.code == 0, result.err
    assert result.out.startswith("2 steps; loss ")
    header = read_run(tmp_path / "run")
    assert header["config"]["loss"]["text"] == 0.1
    assert header["status"] == "done"
    result = cli("segment", dataset.videos[0].frame_paths[0].parent, "a dog",
                 "--model", tmp_path / "run", "--out", tmp_path / "out")  # fmt: skip
    assert result.code == 0, result.err


def test_attention_over_training_is_recorded_and_changes_nothing(
    cli, tmp_path, dataset, checkpoint
):
    arguments = ["train", "--preset", "nano", "--data", dataset.root]
    for key, value in {
        "model": checkpoint, "steps": 3, "batch_size": 1, "num_frames": 2,
        "expressions_per_video": 2, "log_steps": 1, "learning_rate": 1e-3,
    }.items():  # fmt: skip
        arguments += ["--set", f"{key}={value}"]
    watched = ["--set", f"attention_data={dataset.root}", "--set", "attention_steps=2"]
    assert cli(*arguments, *watched, "--out", tmp_path / "watched").code == 0
    assert cli(*arguments, "--out", tmp_path / "plain").code == 0
    one, two = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("watched", "plain")
    )
    assert all(torch.equal(one[key], two[key]) for key in one)

    lines = read_log(tmp_path / "watched" / "attention.jsonl")
    assert [(x["step"], x["role"]) for x in lines] == [
        (step, role) for step in (0, 2, 3) for role in ("actor", "target")
    ]
    shares = np.array([x["mask_share"] for x in lines if x["role"] == "actor"], dtype=float)
    model, processor = load(checkpoint)
    assert shares.shape == (3, model.config.num_layers, model.config.num_heads)
    assert np.abs(shares[0] - shares[2]).max() > 1e-6, "training moved attention"
    # A run that is finished is not trained again, looked at again, or robbed of its losses.
    summary = read_run(tmp_path / "watched")["summary"]
    assert cli(*arguments, *watched, "--out", tmp_path / "watched", "--resume").code == 0
    assert read_run(tmp_path / "watched")["summary"] == summary and summary["losses"]
    assert read_log(tmp_path / "watched" / "attention.jsonl") == lines
    # The last line is what the saved model does on the same clips.
    model, processor = load(tmp_path / "watched")
    clips = ConversationDataset(
        InterRVOSDataset(dataset.root), processor, len(dataset.videos), 2, 2
    )
    again = mean_head_metrics(model, processor, [clips[i] for i in range(len(clips))])
    # Merging the adapters rounds: measured 3e-6.
    assert np.abs(again["actor"]["mask_share"] - shares[2]).max() < 1e-4


@pytest.mark.slow
def test_features_are_shared_by_training_capture_and_evaluation(cli, tmp_path, dataset, checkpoint):
    features = ["--features", tmp_path / "features"]
    train = [
        "train", "--preset", "nano", "--data", dataset.root, "--set", f"model={checkpoint}",
        "--set", "steps=2", "--set", "batch_size=2", "--set", f"attention_data={dataset.root}",
    ]  # fmt: skip
    capture = ["capture", "--model", checkpoint, "--data", dataset.root]
    evaluate = ["evaluate", "--model", checkpoint, "--data", dataset.root]
    for name, command in (("train", train), ("capture", capture), ("evaluate", evaluate)):
        plain = cli(*command, "--out", tmp_path / name)
        assert plain.code == 0 and "features:" not in plain.err
        kept = cli(*command, *features, "--out", tmp_path / f"{name}-kept")
        assert kept.code == 0, kept.err
        (line,) = [x for x in kept.err.splitlines() if x.startswith("features: ")]
        assert f" MB stored in {tmp_path / 'features'}" in line
        one, other = (read_run(tmp_path / x) for x in (name, f"{name}-kept"))
        assert one["config"] == other["config"] and one.get("summary") == other.get("summary")
    # The captured model is the one that is evaluated: every frame is known by then.
    assert ", 0 computed, 0.0 MB stored" in line
    one, other = (tmp_path / x / "predictions.json" for x in ("evaluate", "evaluate-kept"))
    assert one.read_bytes() == other.read_bytes()
    one, other = (tmp_path / x / "model" / "model.safetensors" for x in ("train", "train-kept"))
    assert one.read_bytes() == other.read_bytes()


def test_one_token_for_every_expression(cli, tmp_path, dataset, checkpoint):
    """The paper's baseline: interactions are answered with the actor alone."""
    result = cli(
        "train", "--preset", "nano", "--data", dataset.root, "--out", tmp_path / "run",
        "--set", f"model={checkpoint}", "--set", "steps=1", "--set", "batch_size=2",
        "--set", "roles=actor", "--set", f"attention_data={dataset.root}", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    actor, target = read_log(tmp_path / "run" / "attention.jsonl")[:2]
    assert np.isfinite(np.array(actor["mask_share"], dtype=float)).all()
    assert {x for row in target["mask_share"] for x in row} == {None}, "no target token was read"
    processor = load(checkpoint)[1]
    data = InterRVOSDataset(dataset.root)
    draws = ConversationDataset(data, processor, 2, 2, 5, targets=False)
    target = processor.tokenizer.convert_tokens_to_ids("[SEG_TAR]")
    for index in range(2):
        assert any(s.expression.is_interaction for s in draws.draw(index)[2])
        assert target not in draws[index]["input_ids"]
        assert not draws[index]["has_target"].any()


def test_segment_a_folder_of_frames(cli, tmp_path, dataset, checkpoint):
    frames = dataset.videos[0].frame_paths[0].parent
    out = tmp_path / "out"
    result = cli("segment", frames, "a dog", "--model", checkpoint, "--out", out, "--json")
    assert result.code == 0, result.err
    summary = json.loads(result.out)
    assert summary["expression"] == "a dog" and summary["frames"] == 8
    record = json.loads((out / "result.json").read_text())
    assert record["frames"] == list(dataset.videos[0].frame_names)
    assert len(list((out / "overlay").iterdir())) == 8
    assert cli("segment", frames, "a dog", "--model", checkpoint, "--out", out).code == 2


def test_an_answer_that_was_put_into_form_is_said_to_be(
    cli, tmp_path, dataset, checkpoint, monkeypatch
):
    """A model that babbles decides between the proper answers; nobody may take it for its own."""
    from reviosa.inference import Segmenter

    answer = Segmenter.answer
    monkeypatch.setattr(
        Segmenter, "answer", lambda *a: [x._replace(babble="and and") for x in answer(*a)]
    )
    frames = dataset.videos[0].frame_paths[0].parent
    arguments = ("segment", frames, "a dog", "--model", checkpoint, "--out")
    assert "named no role by itself" in cli(*arguments, tmp_path / "one").out
    assert json.loads(cli(*arguments, tmp_path / "two", "--json").out)["babble"] == "and and"
    arguments = ("--model", checkpoint, "--data", dataset.root, "--limit", 1, "--json")
    scored = cli("evaluate", *arguments, "--out", tmp_path / "evaluated")
    count = len(dataset.videos[0].expressions)
    assert json.loads(scored.out)["put_into_form"] == count
    assert f"{count} answers named no role" in scored.err
    assert cli("capture", *arguments, "--out", tmp_path / "captured").code == 0
    samples = CaptureStore(tmp_path / "captured").samples()
    assert (samples.put_into_form == samples.emitted).all() and samples.emitted.any()


@pytest.mark.parametrize("expression", ["", "  "])
def test_segment_refuses_an_empty_expression(cli, tmp_path, dataset, expression):
    frames = dataset.videos[0].frame_paths[0].parent
    result = cli("segment", frames, expression, "--out", tmp_path / "out")
    assert result.code == 2
    assert "empty expression" in result.err


def test_segment_refuses_frames_of_different_sizes(cli, tmp_path):
    for name, size in (("0", (32, 24)), ("1", (24, 32))):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / f"{name}.png")
    result = cli("segment", tmp_path, "a dog", "--out", tmp_path / "out")
    assert result.code == 2
    assert "1.png" in result.err
    assert not (tmp_path / "out").exists()
