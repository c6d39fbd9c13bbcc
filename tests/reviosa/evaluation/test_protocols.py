"""Actor, Target and RVOS on a data set that was written to disk and read back."""

import json

import numpy as np
import pytest
from PIL import Image

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.rle import encode
from reviosa.errors import DataError
from reviosa.evaluation import (
    RoleScore,
    boundary_f,
    encode_prediction,
    evaluate_predictions,
    jaccard,
    protocol_means,
    read_predictions,
    write_predictions,
)

HEIGHT, WIDTH, FRAMES = 20, 30, 3
NAMES = [f"{index:05d}" for index in range(FRAMES)]


def track(top, left, step=0):
    """An object of 6 x 8 pixels that moves right by ``step`` pixels a frame."""
    masks = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    for frame in range(FRAMES):
        masks[frame, top : top + 6, left + step * frame : left + step * frame + 8] = True
    return masks


DOG, CAT, BALL = track(2, 2, 1), track(10, 3, 2), track(12, 20)
BALL[1] = False  # hidden in one frame: null in the file

INTERACTION = {"subject": [0], "object": [1]}
EXPRESSIONS = {
    "0": {"exp": "a dog chasing a cat", "caption_type": "unidirectional", "anno_id": [0]}
    | {"subject/object": {"anno_id": INTERACTION}},
    "1": {"exp": "the dog", "caption_type": "single", "anno_id": [0]},
    "2": {"exp": "a cat and a ball", "caption_type": "multi", "anno_id": [1, 2]},
    "3": {"exp": "a cat hitting a ball", "caption_type": "unidirectional", "anno_id": [1]}
    | {"subject/object": {"anno_id": {"subject": [1], "object": [2]}}},
}


def write_dataset(root, expressions=EXPRESSIONS):
    folder = root / "JPEGImages" / "park"
    folder.mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.jpg")
    meta = {"videos": {"park": {"expressions": expressions, "frames": NAMES}}}
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    masks = {
        str(index): [encode(mask) if mask.any() else None for mask in masks]
        for index, masks in enumerate((DOG, CAT, BALL))
    }
    (root / "mask_dict.json").write_text(json.dumps(masks))
    return InterRVOSDataset(root)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data")


def predict(actor, target=None):
    return encode_prediction("", NAMES, "", actor, target)


def perfect():
    return {
        "park": {
            "0": predict(DOG, CAT),
            "1": predict(DOG),
            "2": predict(CAT | BALL),
            "3": predict(CAT, BALL),
        }
    }


def test_perfect_predictions(dataset):
    evaluation = evaluate_predictions(dataset, perfect())
    assert evaluation.to_json() == {
        "actor": {"J": 100.0, "F": 100.0, "J&F": 100.0, "n": 2},
        "target": {"J": 100.0, "F": 100.0, "J&F": 100.0, "n": 2},
        "rvos": {"J": 100.0, "F": 100.0, "J&F": 100.0, "n": 4},
        "missing": [],
        "unknown": [],
    }
    roles = [(score.sample_id, score.role, score.caption_type) for score in evaluation.scores]
    assert roles == [
        ("park/0", "actor", "unidirectional"),
        ("park/0", "target", "unidirectional"),
        ("park/1", "actor", "single"),
        ("park/2", "actor", "multi"),
        ("park/3", "actor", "unidirectional"),
        ("park/3", "target", "unidirectional"),
    ]


def test_means_over_frames_then_expressions(dataset):
    predictions = perfect()
    # Two columns too far right: 6 of 10 columns shared.
    moved = np.roll(DOG, 2, axis=2)
    predictions["park"]["1"] = predict(moved)
    # Right in the first frame only: (1 + 0 + 0) / 3.
    first = CAT.copy()
    first[1:] = False
    predictions["park"]["0"] = predict(DOG, first)
    evaluation = evaluate_predictions(dataset, predictions)
    single = evaluation.scores[2]
    assert single.j == pytest.approx(0.6)
    assert single.j == jaccard(moved, DOG).mean()
    assert single.f == boundary_f(moved, DOG).mean()
    assert single.jf == (single.j + single.f) / 2
    assert evaluation.scores[1].j == evaluation.scores[1].f == pytest.approx(1 / 3)

    result = evaluation.to_json()
    assert result["actor"]["J"] == 100
    assert result["target"]["J"] == pytest.approx(100 * (1 / 3 + 1) / 2)
    assert result["target"]["J&F"] == pytest.approx(100 * (1 / 3 + 1) / 2)
    assert result["rvos"]["J"] == pytest.approx(100 * (1 + 0.6 + 1 + 1) / 4)
    assert result["rvos"]["F"] == pytest.approx(100 * (3 + single.f) / 4)
    assert result["rvos"]["J&F"] == pytest.approx((result["rvos"]["J"] + result["rvos"]["F"]) / 2)


def test_missing_counts_as_zero_and_is_listed(dataset):
    predictions = perfect()
    del predictions["park"]["0"], predictions["park"]["1"]
    evaluation = evaluate_predictions(dataset, predictions)
    assert evaluation.missing == ("park/0", "park/1")
    assert [score.missing for score in evaluation.scores] == [True, True, True] + [False] * 3
    result = evaluation.to_json()
    assert result["missing"] == ["park/0", "park/1"]
    assert result["actor"] == {"J": 50.0, "F": 50.0, "J&F": 50.0, "n": 2}
    assert result["target"] == {"J": 50.0, "F": 50.0, "J&F": 50.0, "n": 2}
    assert result["rvos"] == {"J": 50.0, "F": 50.0, "J&F": 50.0, "n": 4}


def test_no_video_predicted(dataset):
    evaluation = evaluate_predictions(dataset, {"zoo": {"0": predict(DOG)}})
    assert len(evaluation.missing) == 4
    assert evaluation.unknown == ("zoo/0",)
    assert evaluation.to_json()["rvos"] == {"J": 0.0, "F": 0.0, "J&F": 0.0, "n": 4}


def test_a_role_that_was_not_named_is_empty_masks(dataset):
    predictions = perfect()
    predictions["park"]["0"] = predict(DOG)  # no target
    predictions["park"]["3"] = predict(None)  # neither role
    evaluation = evaluate_predictions(dataset, predictions)
    assert evaluation.missing == ()
    assert not any(score.missing for score in evaluation.scores)
    by_role = {(score.sample_id, score.role): score for score in evaluation.scores}
    assert by_role["park/0", "actor"].j == 1
    assert by_role["park/0", "target"].j == by_role["park/0", "target"].f == 0
    assert by_role["park/3", "actor"].j == 0
    # The ball is hidden in one frame of three, and there nothing is right.
    hidden = by_role["park/3", "target"]
    assert hidden.j == hidden.f == pytest.approx(1 / 3)


def test_target_of_an_expression_without_one_is_not_scored(dataset):
    predictions = perfect()
    predictions["park"]["1"] = predict(DOG, CAT)
    assert evaluate_predictions(dataset, predictions).to_json()["target"]["n"] == 2


def test_without_interactions(tmp_path):
    dataset = write_dataset(tmp_path / "data", {"1": EXPRESSIONS["1"]})
    result = evaluate_predictions(dataset, {"park": {"1": predict(DOG)}}).to_json()
    nothing = {"J": None, "F": None, "J&F": None, "n": 0}
    assert result["actor"] == result["target"] == nothing
    assert result["rvos"] == {"J": 100.0, "F": 100.0, "J&F": 100.0, "n": 1}
    json.dumps(result, allow_nan=False)


def test_through_a_file(dataset, tmp_path):
    write_predictions(tmp_path / "predictions.json", perfect())
    read = read_predictions(tmp_path / "predictions.json")
    assert evaluate_predictions(dataset, read) == evaluate_predictions(dataset, perfect())


def test_wrong_number_of_masks(dataset):
    predictions = perfect()
    predictions["park"]["3"]["prediction_masks_tar"].pop()
    with pytest.raises(DataError, match=r"park/3: got 2 masks in prediction_masks_tar, expected 3"):
        evaluate_predictions(dataset, predictions)


def test_wrong_size(dataset):
    predictions = perfect()
    predictions["park"]["2"]["prediction_masks_act"][1] = encode(np.ones((WIDTH, HEIGHT), bool))
    with pytest.raises(DataError, match=r"park/2, .*act, frame 1: .*30x20.*expected 20x30"):
        evaluate_predictions(dataset, predictions)


def test_progress(dataset):
    calls = []
    evaluate_predictions(dataset, perfect(), progress=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_protocol_means_weigh_expressions_not_videos():
    def score(video, exp, role, caption_type, j, f):
        return RoleScore(video, exp, role, caption_type, j, f, missing=False)

    scores = [
        score("a", "0", "actor", "unidirectional", 0.8, 0.6),
        score("a", "0", "target", "unidirectional", 0.2, 0.4),
        score("a", "1", "actor", "bidirectional", 0.5, 0.5),
        score("b", "0", "actor", "single", 0.2, 0.4),
    ]
    means = protocol_means(scores)
    assert means["actor"] == pytest.approx({"J": 80, "F": 60, "J&F": 70, "n": 1})
    assert means["target"] == pytest.approx({"J": 20, "F": 40, "J&F": 30, "n": 1})
    assert means["rvos"] == pytest.approx({"J": 50, "F": 50, "J&F": 50, "n": 3})
