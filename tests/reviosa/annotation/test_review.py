"""A person's decisions: what is refused, what is kept of many writers, what goes into the set."""

import copy
import json
import multiprocessing

import pytest

from reviosa.annotation.review import (
    Decision,
    apply_review,
    check_decision,
    decide,
    read_review,
    review_path,
    stale_decisions,
    take_back,
)
from reviosa.errors import DataError, RunError


def entry(text, kind="single", actors=(0,), targets=(), verdict="pass", twin=None):
    return {
        "exp": text, "caption_type": kind, "actor_ids": list(actors), "target_ids": list(targets),
        "stage": "phrases", "twin": twin, "verdict": verdict,
        "reasons": [] if verdict == "pass" else ["it is odd"],
    }  # fmt: skip


CANDIDATES = {
    "schema": 1,
    "videos": {
        "a_clip000": {
            "frames": ["00000"],
            "objects": {"0": "dog", "1": "ball", "7": "child"},
            "expressions": {
                "x": entry("a dog bites a ball", "unidirectional", [0], [1], twin="y"),
                "y": entry("a ball is bitten", "unidirectional", [1], [0], twin="x"),
                "bad": entry("as an AI", verdict="fail"),
                "broken": entry("a dog bites", "unidirectional", [0], [], "fail"),
            },
        },
        "b_clip000": {
            "frames": ["00000"],
            "objects": {"0": "cat"},
            "expressions": {"x": entry("a cat sits")},
        },
    },
}
EDIT = {"exp": "a child holds a dog", "caption_type": "unidirectional", "actor_ids": [7],
        "target_ids": [0]}  # fmt: skip


def test_without_decisions_what_passed_goes_in():
    kept = apply_review(CANDIDATES, {})
    assert {clip: list(items) for clip, items in kept.items()} == {
        "a_clip000": ["x", "y"], "b_clip000": ["x"],
    }  # fmt: skip


def test_decisions_are_kept_and_applied(tmp_path):
    before = copy.deepcopy(CANDIDATES)
    for sample_id, decision in {
        "a_clip000/y": Decision.now("reject"),
        "a_clip000/bad": Decision.now("edit", {**EDIT, "other": 1}),
        "b_clip000/x": Decision.now("reject"),
    }.items():
        decide(tmp_path, CANDIDATES, sample_id, decision)
    record = json.loads(review_path(tmp_path).read_text())
    assert record["schema"] == 1
    assert record["decisions"]["a_clip000/bad"] == {
        "decision": "edit", **EDIT, "when": record["decisions"]["a_clip000/bad"]["when"],
    }  # fmt: skip
    assert record["decisions"]["a_clip000/y"]["when"].endswith("+00:00")
    kept = apply_review(CANDIDATES, read_review(tmp_path))
    assert list(kept) == ["a_clip000"] and list(kept["a_clip000"]) == ["x", "bad"]
    assert {k: kept["a_clip000"]["bad"][k] for k in EDIT} == EDIT
    # Its twin is not in the set: it is a twin no more. The candidates stay as they are.
    assert kept["a_clip000"]["x"]["twin"] is None and before == CANDIDATES

    take_back(tmp_path, "a_clip000/y")
    take_back(tmp_path, "never/decided")
    decide(tmp_path, CANDIDATES, "b_clip000/x", Decision.now("accept"))
    found = read_review(tmp_path)
    assert {k: d.decision for k, d in found.items()} == {
        "a_clip000/bad": "edit", "b_clip000/x": "accept",
    }  # fmt: skip
    kept = apply_review(CANDIDATES, found)
    assert kept["a_clip000"]["x"]["twin"] == "y" and list(kept["b_clip000"]) == ["x"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exp": " . "}, "empty expression"),
        ({"exp": None}, "got None as expression"),
        ({"exp": "a [SEG_TAR] dog"}, "with the token"),
        ({"caption_type": "odd"}, "got the kind 'odd'"),
        ({"actor_ids": []}, "got 0 actors, expected 1 or more"),
        ({"actor_ids": [7, 7]}, "expected each object once"),
        ({"actor_ids": [5]}, "got the actor 5, expected an object of the clip (0, 1, 7)"),
        ({"actor_ids": ["7"]}, "expected a list of object ids"),
        ({"actor_ids": [True]}, "expected a list of object ids"),
        ({"actor_ids": None}, "expected a list of object ids"),
        ({"target_ids": []}, "an interaction without a target"),
        ({"target_ids": [7]}, "object 7 as actor and as target"),
        ({"target_ids": [9]}, "got the target 9"),
        ({"caption_type": "single"}, "got a target for the kind single"),
        ({"caption_type": "multi"}, "expected 2 or more for the kind multi"),
        ({"caption_type": "single", "actor_ids": [0, 1]}, "expected exactly 1"),
    ],
)
def test_an_edit_that_would_break_the_set_is_refused(tmp_path, change, said):
    with pytest.raises(DataError, match="^a_clip000/bad: ") as error:
        decide(tmp_path, CANDIDATES, "a_clip000/bad", Decision.now("edit", EDIT | change))
    assert said in str(error.value)
    assert not review_path(tmp_path).exists()
    # Nor does one come in that was written by hand.
    with pytest.raises(DataError, match="^a_clip000/bad: "):
        apply_review(CANDIDATES, {"a_clip000/bad": Decision("edit", "", EDIT | change)})


def test_accepting_what_is_broken_is_refused():
    check_decision(CANDIDATES, "a_clip000/bad", Decision.now("accept"))
    with pytest.raises(DataError, match=r"without a target.*\(edit it, then it can go"):
        check_decision(CANDIDATES, "a_clip000/broken", Decision.now("accept"))
    check_decision(CANDIDATES, "a_clip000/broken", Decision.now("reject"))
    with pytest.raises(DataError, match="got an edit without content"):
        check_decision(CANDIDATES, "a_clip000/bad", Decision.now("edit"))
    for name in ("a_clip000/gone", "gone/x", "x", ""):
        with pytest.raises(DataError, match="a name that no candidate has"):
            check_decision(CANDIDATES, name, Decision.now("reject"))


def test_decisions_about_what_is_gone_change_nothing():
    decisions = {"a_clip000/old": Decision.now("accept"), "b_clip000/x": Decision.now("accept")}
    assert stale_decisions(CANDIDATES, decisions) == ("a_clip000/old",)
    assert apply_review(CANDIDATES, decisions) == apply_review(CANDIDATES, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "unreadable file"),
        ("[]", "got schema 'list'"),
        ('{"schema": 2, "decisions": {}}', "got schema 2, expected 1"),
        ('{"schema": 1}', 'no object "decisions"'),
        ('{"schema": 1, "decisions": {"a/x": {"decision": "maybe"}}}', "expected a decision"),
        ('{"schema": 1, "decisions": {"a/x": 3}}', "expected a decision"),
        ('{"schema": 1, "decisions": {"a/x": {"decision": "edit"}}}', "no 'exp' in the edit"),
    ],
)
def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path, text, said):
    review_path(tmp_path).write_text(text)
    with pytest.raises(RunError) as error:
        read_review(tmp_path)
    assert said in str(error.value)
    with pytest.raises(RunError):
        decide(tmp_path, CANDIDATES, "b_clip000/x", Decision.now("accept"))
    assert review_path(tmp_path).read_text() == text


def test_a_folder_that_is_gone(tmp_path):
    assert read_review(tmp_path / "gone") == {}
    with pytest.raises(RunError, match="no folder to write in"):
        decide(tmp_path / "gone", CANDIDATES, "b_clip000/x", Decision.now("accept"))


def _decide_many(folder, candidates, first):
    for number in range(first, first + 20):
        decide(folder, candidates, f"c/{number}", Decision.now("reject"))


def test_no_decision_of_several_readers_is_lost(tmp_path):
    said = {str(number): entry("a dog") for number in range(60)}
    candidates = {"schema": 1, "videos": {"c": {"objects": {"0": "dog"}, "expressions": said}}}
    start = multiprocessing.get_context("spawn").Process
    readers = [start(target=_decide_many, args=(tmp_path, candidates, n)) for n in (0, 20, 40)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(read_review(tmp_path)) == 60
