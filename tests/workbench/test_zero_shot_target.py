"""The paper's Table 4: a checkpoint of the Sa2VA layout is asked for the target in words."""

import json

import pytest

from reviosa.conversion import convert
from reviosa.data import InterRVOSDataset
from reviosa.data.prompts import TARGET_QUESTION, ask_for_target, normalise, question
from reviosa.errors import DataError
from reviosa.evaluation import read_predictions
from reviosa.model import ReviosaProcessor
from reviosa.run_record import read_run
from tests.fixtures_published import SAM2, reviosa_folder

PAPER = "Please segment the object that is directly interacting with {expression} in the image."


@pytest.fixture(scope="module")
def sa2va(tmp_path_factory):
    """Published in small: one token, [SEG]; what stands for ours is new and untrained."""
    folder = tmp_path_factory.mktemp("sa2va")
    source, _ = reviosa_folder(folder / "source", kind="sa2va_chat")
    done = convert(source, folder / "model", sam2_shape=SAM2)
    assert done.layout == "sa2va" and done.fresh
    return folder / "model"


def test_the_whole_question_is_the_papers():
    assert TARGET_QUESTION == PAPER
    asked = ask_for_target(" A man Throwing a ball. ")
    said = "Please segment the object that is directly interacting with a man throwing a ball "
    for wording in ("Please segment {expression}.", "Please segment {expression} in this video."):
        assert question(asked, wording) == f"{said}in the image."
    # An expression that asks by itself is asked as it is; its target is asked for all the same.
    assert question(ask_for_target("Who throws a ball?")) == PAPER.format(
        expression="who throws a ball"
    )
    for empty in ("", " . ", "?"):
        with pytest.raises(DataError, match="empty expression"):
            ask_for_target(empty)
    with pytest.raises(DataError, match="expected plain words"):
        question(ask_for_target("a [SEG_TAR] ball"))


def test_a_model_of_one_token_is_asked_in_the_papers_words(
    cli, tmp_path, dataset, sa2va, monkeypatch
):
    asked = []
    read = ReviosaProcessor._ids

    def _ids(self, text):
        asked.append(text)
        return read(self, text)

    monkeypatch.setattr(ReviosaProcessor, "_ids", _ids)
    arguments = ("evaluate", "--model", sa2va, "--data", dataset.root, "--limit", 1)
    arguments = (*arguments, "--device", "cpu", "--out", tmp_path / "run", "--json")
    result = cli(*arguments, "--target-by-prompt")
    assert result.code == 0, result.err
    first = InterRVOSDataset(dataset.root, 1)
    texts = [s.expression.text for s in first.interactions]
    questions = {text.split("</img>\n")[-1].split("<|im_end|>")[0] for text in asked}
    wanted = {PAPER.format(expression=normalise(text)) for text in texts}
    plain = {f"Please segment {normalise(s.expression.text)}." for s in first.samples}
    assert questions - {"It is [SEG_ACT]."} >= wanted | plain
    assert not {q for q in questions if "interacting" in q} - wanted

    scores = json.loads(result.out)
    assert scores == json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert scores["target_by_prompt"] == PAPER and scores["target"]["n"] == len(texts)
    assert read_run(tmp_path / "run")["config"]["target_by_prompt"] == PAPER
    assert "zero-shot" in result.err
    # Each interaction has a target, the mask of the one token.
    found = read_predictions(tmp_path / "run" / "predictions.json")
    for sample in first.samples:
        record = found[sample.expression.video_id][sample.expression.exp_id]
        assert bool(record["prediction_masks_tar"]) == sample.expression.is_interaction


def test_without_it_the_file_says_nothing_of_it(cli, tmp_path, dataset, checkpoint):
    arguments = ("evaluate", "--model", checkpoint, "--data", dataset.root, "--limit", 1)
    result = cli(*arguments, "--device", "cpu", "--out", tmp_path / "run", "--json")
    assert result.code == 0 and "target_by_prompt" not in json.loads(result.out)
    assert "zero-shot" not in result.err
