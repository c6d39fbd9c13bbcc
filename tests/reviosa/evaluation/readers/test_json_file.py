"""ReVIOSa's JSON: every fault by name, and what can be scored beside it."""

import json

import numpy as np
import pytest

from reviosa.data.rle import decode, encode
from reviosa.errors import DataError
from reviosa.evaluation import read_predictions, write_predictions
from reviosa.evaluation.readers import open_predictions

SIZE = (5, 7)
NAMES = ["00000", "00001", "00002"]
FULL = encode(np.ones(SIZE, bool))
EMPTY = encode(np.zeros(SIZE, bool))
SMALL = encode(np.ones((3, 7), bool))


def record(actor, target=(), **more):
    return {"prediction_masks_act": actor, "prediction_masks_tar": list(target), **more}


def write(path, predictions):
    path.write_text(json.dumps(predictions))
    return path


def ask(source, exp="0", role="actor", indices=(0, 1, 2)):
    return source.find("v", exp, role, NAMES, SIZE, indices)


def test_masks_of_both_roles_on_the_asked_frames(tmp_path):
    value = {"v": {"0": record([FULL, EMPTY, FULL], [EMPTY] * 3)}}
    source = open_predictions(write(tmp_path / "p.json", value))
    assert source.form == "json"
    assert source.roles == ("actor", "target")
    assert source.faults == ()
    assert list(source.ids()) == [("v", "0")]
    found = ask(source, indices=(1, 2))
    assert found.faults == ()
    assert [decode(rle).all() for (rle,) in found.masks] == [False, True]
    assert not any(decode(rle).any() for (rle,) in ask(source, role="target").masks)


def test_a_role_that_is_not_named_is_empty_without_a_fault(tmp_path):
    source = open_predictions(write(tmp_path / "p.json", {"v": {"0": record([FULL] * 3)}}))
    assert ask(source, role="target") == type(ask(source))([[], [], []])


def test_no_prediction_is_no_mask(tmp_path):
    source = open_predictions(write(tmp_path / "p.json", {"v": {"0": record([FULL] * 3)}}))
    assert ask(source, exp="1").masks is None
    assert ask(source, exp="1").faults == ()


FAULTS = {
    "wrong length": (record([FULL]), None, "got 1 masks in prediction_masks_act, expected 3"),
    "wrong size": (
        record([FULL, SMALL, FULL]),
        None,
        "frame 1: got a mask of 3x7 pixels, expected 5x7",
    ),
    "null masks": (
        record([None, FULL, None]),
        [[], [FULL], []],
        "got null for 2 of 3 masks in prediction_masks_act (first: frame 0)",
    ),
    "no list": ({"prediction_masks_act": None}, None, "got a null in prediction_masks_act"),
    "no masks": ({"exp": "a dog"}, None, "got no prediction_masks_act"),
    "no record": (None, None, "got a null, expected a prediction"),
    "no RLE": (record([FULL, "x", FULL]), None, "frame 1: got the mask record 'x'"),
}


def test_frames_without_truth_are_not_looked_at(tmp_path):
    value = {"v": {"0": record([None, FULL, SMALL])}}
    source = open_predictions(write(tmp_path / "p.json", value))
    assert ask(source, indices=(1,)) == type(ask(source))([[FULL]])


@pytest.mark.parametrize(("value", "masks", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_and_stays_with_its_expression(tmp_path, value, masks, told):
    whole = {"v": {"0": value, "1": record([FULL] * 3)}}
    source = open_predictions(write(tmp_path / "p.json", whole))
    found = ask(source)
    assert found.masks == masks
    (fault,) = found.faults
    assert told in fault
    assert ask(source, exp="1").masks == [[FULL]] * 3
    assert ask(source, exp="1").faults == ()


def test_a_video_that_is_no_video(tmp_path):
    source = open_predictions(write(tmp_path / "p.json", {"w": [], "v": {"0": record([FULL] * 3)}}))
    assert source.faults == ("w: got a list, expected {expression id: prediction}",)
    assert ask(source).masks is not None


def test_older_files_have_the_actor_alone(tmp_path):
    source = open_predictions(
        write(tmp_path / "p.json", {"v": {"0": {"prediction_masks": [FULL] * 3}}})
    )
    assert source.roles == ("actor",)
    assert ask(source).masks == [[FULL]] * 3
    assert ask(source, role="target").masks is None


def test_parts_are_merged_and_doubles_are_told(tmp_path):
    write(tmp_path / "results_pid_0.json", {"v": {"0": record([FULL] * 3)}})
    write(
        tmp_path / "results_pid_1.json", {"v": {"1": record([FULL] * 3), "0": record([EMPTY] * 3)}}
    )
    (tmp_path / "config.json").write_text("[]")
    source = open_predictions(tmp_path)
    assert sorted(source.ids()) == [("v", "0"), ("v", "1")]
    assert source.faults == (
        "v/0 stands in results_pid_0.json and results_pid_1.json; the last one is scored",
    )
    assert ask(source).masks == [[EMPTY]] * 3


def test_an_expression_that_stands_twice_in_one_file(tmp_path):
    one, two = json.dumps(record([FULL] * 3)), json.dumps(record([EMPTY] * 3))
    (tmp_path / "p.json").write_text(f'{{"v": {{"0": {one}}}, "v": {{"0": {two}}}}}')
    source = open_predictions(tmp_path / "p.json")
    assert source.faults == ("v/0 stands twice; the last one is scored",)
    assert ask(source).masks == [[EMPTY]] * 3


def test_a_part_that_ends_too_early_leaves_the_others(tmp_path):
    write(tmp_path / "results_pid_0.json", {"v": {"0": record([FULL] * 3)}})
    cut = json.dumps({"v": {"1": record([FULL] * 3), "2": record([FULL] * 3)}})[:-20]
    (tmp_path / "results_pid_1.json").write_text(cut)
    source = open_predictions(tmp_path)
    assert sorted(source.ids()) == [("v", "0"), ("v", "1")]
    (fault,) = source.faults
    assert fault.startswith(f"results_pid_1.json ends too early at byte {len(cut)}, in v/2;")


def test_a_run_of_evaluate_is_a_folder_of_predictions(tmp_path):
    write_predictions(tmp_path / "predictions.json", {"v": {"0": record([FULL] * 3)}})
    (tmp_path / "evaluation.json").write_text("{}")
    source = open_predictions(tmp_path)
    assert list(source.ids()) == [("v", "0")]
    assert read_predictions(tmp_path / "predictions.json")["v"]["0"]["prediction_masks_tar"] == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "got an empty file"),
        (b" \n", "got an empty file"),
        (b"P6 1 1", "got no JSON object"),
        (b"[]", "got no JSON object"),
        (b"\xff\xfe{", "got no JSON object"),
        (b'{"loss": 1}', "got no prediction with a list of masks"),
        (b'{"videos": {"v": {"frames": [], "expressions": {}}}}', "got no prediction"),
        (b"{nothing}", "got no prediction with a list of masks"),
    ],
)
def test_what_is_no_prediction_file_is_refused(tmp_path, content, told):
    path = tmp_path / "p.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told) as caught:
        open_predictions(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="got no readable file"):
        open_predictions(tmp_path / "p.json")
    with pytest.raises(DataError, match="got a folder without predictions"):
        open_predictions(tmp_path)


def test_nothing_predicted_is_still_a_prediction_file(tmp_path):
    for content in ("{}", "{", '{"v": {'):
        (tmp_path / "p.json").write_text(content)
        found = open_predictions(tmp_path / "p.json")
        assert list(found.ids()) == []
        # Both roles are missing, as for a file that lacks one expression.
        assert found.roles == ("actor", "target")
