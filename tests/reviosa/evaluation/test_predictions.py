"""Prediction files: what is written is read, and what is broken is named."""

import json
import re

import numpy as np
import pytest

from reviosa.data.rle import encode
from reviosa.errors import DataError
from reviosa.evaluation import (
    decode_masks,
    encode_prediction,
    read_predictions,
    write_predictions,
)


@pytest.fixture
def masks():
    return np.random.default_rng(0).random((2, 3, 5, 7)) < 0.5


def record(**changes):
    rle = encode(np.ones((5, 7), bool))
    return {"prediction_masks_act": [rle, None], "prediction_masks_tar": [], **changes}


def test_round_trip(tmp_path, masks):
    actor, target = masks
    both = encode_prediction("a dog chases a cat", ("a", "b", "c"), "Sure [SEG_ACT]", actor, target)
    one = encode_prediction("the café", ("a", "b", "c"), "", actor, None)
    path = tmp_path / "predictions.json"
    write_predictions(path, {"v": {"0": both, "1": one}})

    read = read_predictions(path)
    assert read["v"]["0"]["exp"] == "a dog chases a cat"
    assert read["v"]["0"]["frames"] == ["a", "b", "c"]
    assert read["v"]["0"]["text_prediction"] == "Sure [SEG_ACT]"
    assert read["v"]["1"]["exp"] == "the café"
    assert read["v"]["1"]["prediction_masks_tar"] == []
    shape = (3, 5, 7)
    np.testing.assert_array_equal(decode_masks(read["v"]["0"], "actor", shape, "v/0"), actor)
    np.testing.assert_array_equal(decode_masks(read["v"]["0"], "target", shape, "v/0"), target)
    nothing = decode_masks(read["v"]["1"], "target", shape, "v/1")
    assert nothing.shape == shape
    assert nothing.dtype == np.bool_
    assert not nothing.any()


def test_null_is_an_empty_mask_and_other_keys_are_kept(tmp_path):
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps({"v": {"0": record(index=3)}}))
    prediction = read_predictions(path)["v"]["0"]
    assert prediction["index"] == 3
    masks = decode_masks(prediction, "actor", (2, 5, 7), "v/0")
    assert masks.all(axis=(1, 2)).tolist() == [True, False]
    assert not masks[1].any()


BROKEN = [
    ([], "got a JSON list"),
    (None, "got a JSON null"),
    ({"v": []}, "v: got a list"),
    ({"v": {"0": None}}, "v/0: got a null"),
    ({"v": {"0": {"prediction_masks_act": []}}}, "v/0: got no prediction_masks_tar"),
    ({"v": {"0": {"prediction_masks_tar": []}}}, "v/0: got no prediction_masks_act"),
    ({"v": {"0": record(prediction_masks_act=None)}}, "v/0: got a null in prediction_masks_act"),
    ({"v": {"0": record(frames="00000")}}, 'v/0: got a str in "frames"'),
    (
        {"v": {"0": record(frames=["0", "1", "2"])}},
        "v/0: got 2 masks in prediction_masks_act, expected 3",
    ),
    (
        {"v": {"0": record(prediction_masks_tar=[{"size": [5, 7]}])}},
        "v/0, prediction_masks_tar, frame 0: got the mask record",
    ),
    (
        {"v": {"0": record(prediction_masks_tar=[None, {"size": [5], "counts": "0"}])}},
        "v/0, prediction_masks_tar, frame 1: got the RLE size [5]",
    ),
]


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=[case[1] for case in BROKEN])
def test_broken_records(tmp_path, content, message):
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)

    with pytest.raises(DataError, match=re.escape(message)):
        write_predictions(tmp_path / "new" / "predictions.json", content)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", [b"", b'{"v": {', b"\xff\xfe\x00", b"P6 1 1"])
def test_no_json(tmp_path, content):
    path = tmp_path / "predictions.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="broken JSON") as caught:
        read_predictions(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_predictions(tmp_path / "predictions.json")
    with pytest.raises(DataError, match="Is a directory"):
        read_predictions(tmp_path)


def test_masks_must_fit_the_frames(masks):
    with pytest.raises(DataError, match="got 3 masks in prediction_masks_act, expected 2"):
        encode_prediction("a dog", ("a", "b"), "", masks[0], None)


def test_decode_names_place_and_both_numbers():
    with pytest.raises(DataError, match=r"v/0: got 2 masks.*expected 3"):
        decode_masks(record(), "actor", (3, 5, 7), "v/0")
    with pytest.raises(DataError, match=r"v/0, prediction_masks_act, frame 0: .*5x7.*7x5"):
        decode_masks(record(), "actor", (2, 7, 5), "v/0")
    with pytest.raises(DataError, match="v/0: got no prediction_masks_act"):
        decode_masks({}, "actor", (2, 7, 5), "v/0")
    broken = record(prediction_masks_act=[{"size": [5, 7], "counts": "a"}, None])
    with pytest.raises(DataError, match="v/0, prediction_masks_act, frame 0: "):
        decode_masks(broken, "actor", (2, 5, 7), "v/0")
