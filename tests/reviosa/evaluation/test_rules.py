"""How benchmarks average: each rule on numbers that were worked out by hand."""

import numpy as np
import pytest

from reviosa.data.records import Expression
from reviosa.evaluation.metrics import FrameScores
from reviosa.evaluation.rules import (
    RULES,
    ObjectRule,
    a2d,
    davis_semi_supervised,
    davis_unsupervised,
    interrvos,
    mevis,
    ref_davis,
    ref_youtube_vos,
    revos,
    sa_v,
)
from reviosa.evaluation.scoring import ObjectScores, RoleFrames


def track(j, f=None, *, role="actor", kind="single", group="", true=None, predicted=None,
          common=None, exp="0"):  # fmt: skip
    """One role of an expression; the pixel counts are 10 a frame if not given."""
    ten = [10] * len(j)
    counts = (ten if given is None else given for given in (common, predicted, true))
    frames = FrameScores(
        np.array(j, float), np.array(j if f is None else f, float), *map(np.array, counts)
    )
    return RoleFrames(Expression("v", exp, "it", kind, (0,), (), group), role, frames, False)


def objects(j, f=None, group="", video="v"):
    """Scores [predicted, true, frame]."""
    j = np.array(j, float)
    return ObjectScores(
        video, group, j, j if f is None else np.array(f, float), (False,) * j.shape[0]
    )


def test_mevis_frames_then_expressions():
    # (0.2 + 0.4) / 2 = 0.3 and 0.9: a long video weighs as much as a short one.
    roles = [track([0.2, 0.4], [0.4, 0.6]), track([0.9], [0.7])]
    want = {"J": 60, "F": 60, "J&F": 60, "n": 2}
    assert mevis(roles)["all"] == pytest.approx(want)
    assert ref_youtube_vos(roles)["all"] == pytest.approx(want)


def test_only_actors_count_outside_interrvos():
    roles = [track([0.5]), track([0.1], role="target", kind="unidirectional")]
    assert mevis(roles)["all"]["J"] == 50 and mevis(roles)["all"]["n"] == 1
    assert sa_v([track([0.5] * 3), roles[1]])["all"]["n"] == 1
    assert a2d(roles)["all"]["n"] == 1


def test_interrvos_three_settings():
    roles = [
        track([0.8, 0.6], [0.4, 0.4], kind="unidirectional"),
        track([0.1, 0.3], [0.2, 0.4], kind="unidirectional", role="target"),
        track([0.1, 0.1], [0.2, 0.2]),
    ]
    means = interrvos(roles)
    assert means["actor"] == pytest.approx({"J": 70, "F": 40, "J&F": 55, "n": 1})
    assert means["target"] == pytest.approx({"J": 20, "F": 30, "J&F": 25, "n": 1})
    assert means["rvos"] == pytest.approx({"J": 40, "F": 30, "J&F": 35, "n": 2})


def test_revos_rounds_and_takes_the_plain_mean_of_the_two_kinds():
    roles = [
        # 33.333... and 66.666... per cent, rounded to 33.33 and 66.67.
        track([1, 0, 0], [1, 1, 0], group="referring"),
        track([0.5] * 3, group="reasoning"),
        track([0.25] * 3, group="reasoning"),
        track([0.3] * 3, group="reasoning"),
        track([1.0] * 3),  # type 2 counts nowhere
    ]
    means = revos(roles)
    assert means["referring"] == {"J": 33.33, "F": 66.67, "J&F": 50.0, "n": 1}
    assert means["reasoning"] == pytest.approx({"J": 35, "F": 35, "J&F": 35, "n": 3})
    # (33.33 + 35) / 2: not the mean of four expressions, which would be 34.58.
    assert means["overall"] == pytest.approx({"J": 34.165, "F": 50.835, "J&F": 42.5, "n": 4})


def test_revos_without_one_kind_has_no_overall():
    means = revos([track([0.5], group="referring")])
    assert means["reasoning"] == {"J": None, "F": None, "J&F": None, "n": 0}
    assert means["overall"] == {"J": None, "F": None, "J&F": None, "n": 1}


def test_davis_semi_supervised_skips_first_and_last():
    # Of 0.6, 0.8, 0.4 and 0.2: mean 0.5; two of four above 0.5; and the quarters of four frames
    # begin at round(1, 1.75, 2.5, 3.25, 4) = 1, 2, 3 (2.5 is pushed up), 3, 4 and share their ends:
    # (0.6 + 0.8) / 2 - (0.4 + 0.2) / 2 = 0.4.
    one = track([0, 0.6, 0.8, 0.4, 0.2, 0], [0] * 6)
    means = davis_semi_supervised([one])["all"]
    assert means == pytest.approx(
        {"J": 50, "F": 0, "J&F": 25, "n": 1, "J recall": 50, "J decay": 40, "F recall": 0,
         "F decay": 0}
    )  # fmt: skip


def test_davis_means_are_over_objects_not_videos():
    # Exactly 0.5 is no recall. One frame is left of the second: its decay is 0.
    means = davis_semi_supervised([track([0, 0.5, 0.7, 0]), track([0, 1, 0])])["all"]
    # Two frames: quarters begin at round(1, 1.25, 1.5, 1.75, 2) = 1, 1, 2, 2, 2: 0.5 - 0.7.
    assert means["J"] == pytest.approx(80) and means["J recall"] == pytest.approx(75)
    assert means["J decay"] == pytest.approx(-10)


def test_davis_drops_what_has_no_frame_left():
    means = davis_semi_supervised([track([1, 1]), track([0, 0.5, 0])])["all"]
    assert means["J"] == 50 and means["n"] == 1
    assert davis_semi_supervised([track([1, 1])])["all"] == {
        **dict.fromkeys(["J", "F", "J&F", "J recall", "J decay", "F recall", "F decay"]), "n": 0
    }  # fmt: skip


def test_davis_decay_of_a_long_track():
    # 400 frames: quarters begin at round(1, 100.75, 200.5, 300.25, 400) = 1, 101, 201, 300, 400.
    # The first has frames 1 to 101, the last 300 to 400: 1 - 0.
    values = np.zeros(402)
    values[1:102] = 1
    assert davis_semi_supervised([track(values)])["all"]["J decay"] == pytest.approx(100)


def test_davis_unsupervised_matches_objects():
    # Straight 0.6 + 0.1, crossed 0.5 + 0.4: the greater sum is taken, not the best pair first.
    found = objects([[[0.6, 0.6], [0.5, 0.5]], [[0.4, 0.4], [0.1, 0.1]]])
    means = davis_unsupervised([found])["all"]
    assert means["J"] == pytest.approx(45) and means["n"] == 2
    # By J alone straight would win (1.0 against 0.9); with F it is 0.5 against 0.9.
    j = [[[0.6], [0.5]], [[0.4], [0.4]]]
    f = [[[0.0], [0.5]], [[0.4], [0.0]]]
    means = davis_unsupervised([objects(j, f)])["all"]
    assert means["J"] == pytest.approx(45) and means["F"] == pytest.approx(45)


def test_davis_unsupervised_counts_every_frame_and_object():
    one = objects([[[0.0, 0.3, 0.6]]])
    three = objects(np.eye(3)[:, :, None] * [1.0, 0.5], video="w")
    # Objects: 0.3 and three of 0.75.
    means = davis_unsupervised([one, three])["all"]
    assert means["J"] == pytest.approx(100 * (0.3 + 3 * 0.75) / 4) and means["n"] == 4


def test_ref_davis_is_the_mean_of_annotators():
    first = [objects([[[0.2]]], group="annotator 0"), objects([[[0.4]]], group="annotator 0")]
    means = ref_davis([first[0], objects([[[0.9]]], group="annotator 1"), first[1]])
    assert means["annotator 0"]["J"] == pytest.approx(30)
    assert means["annotator 1"]["J"] == pytest.approx(90)
    assert means["all"] == pytest.approx({"J": 60, "F": 60, "J&F": 60, "n": 3})
    # Expression by expression, without matching, it is another number: 50.
    roles = [track([0.2]), track([0.4]), track([0.9])]
    assert RULES["ref-davis-expressions"].means(roles)["all"]["J"] == pytest.approx(50)
    assert ref_davis([])["all"] == {"J": None, "F": None, "J&F": None, "n": 0}


def test_sa_v_starts_where_the_object_is_first_seen():
    # Of the frames between, the second is the first with a pixel of either: 0.4, 0.8 count.
    late = track([0, 1, 0.4, 0.8, 0], true=[5, 0, 0, 5, 5], predicted=[0, 0, 3, 5, 5])
    assert sa_v([late])["all"]["J"] == pytest.approx(60)
    # Seen in truth first.
    truth = track([0, 0.1, 0.3, 0], true=[0, 5, 0, 5], predicted=[0, 0, 0, 0])
    assert sa_v([truth])["all"]["J"] == pytest.approx(20)
    # Never in the truth of these frames: it does not count, whatever was predicted.
    absent = track([1, 0, 0, 1], true=[5, 0, 0, 5], predicted=[5, 5, 5, 5])
    assert sa_v([absent])["all"] == {"J": None, "F": None, "J&F": None, "n": 0}
    assert sa_v([late, absent, truth])["all"] == pytest.approx(
        {"J": 40, "F": 40, "J&F": 40, "n": 2}
    )


def test_a2d_pools_all_frames():
    roles = [
        track([0.5, 0.95], common=[10, 95], predicted=[20, 95], true=[10, 100]),
        track([0.7], common=[7], predicted=[7], true=[10]),
    ]
    means = a2d(roles)["all"]
    # (10 + 95 + 7) / (20 + 100 + 10)
    assert means["overall IoU"] == pytest.approx(100 * 112 / 130)
    assert means["mean IoU"] == pytest.approx(100 * (0.5 + 0.95 + 0.7) / 3)
    # Exactly 0.5 and 0.7 are not above.
    above = [100 * count / 3 for count in (2, 2, 1, 1, 1)]
    assert [means[f"P@{k}"] for k in (0.5, 0.6, 0.7, 0.8, 0.9)] == pytest.approx(above)
    assert means["n"] == 3


def test_a2d_leaves_out_frames_that_do_not_show_the_instance():
    # An empty prediction there (J 1) must not count, nor the pixels of one that is not empty.
    shown = track([0.5], common=[10], predicted=[20], true=[10])
    hidden = track([1, 0.5, 0], common=[0, 10, 0], predicted=[0, 20, 70], true=[0, 10, 0])
    assert a2d([hidden]) == a2d([shown])
    assert a2d([hidden])["all"]["n"] == 1
    nowhere = track([1.0], common=[0], predicted=[0], true=[0])
    assert a2d([nowhere]) == a2d([]) and a2d([])["all"]["P@0.9"] is None


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_an_answer_for_nothing(name):
    means = RULES[name].means([])
    for row in means.values():
        assert row["n"] == 0
        assert all(value is None for key, value in row.items() if key != "n")


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_all_for_what_is_perfect(name):
    if isinstance(RULES[name], ObjectRule):
        given = [objects(np.ones((2, 2, 5)), group=f"annotator {x}") for x in range(2)]
    else:
        given = [
            track([1.0] * 5, kind="unidirectional", role=role, group=group)
            for role in ("actor", "target") for group in ("referring", "reasoning")
        ]  # fmt: skip
    for row in RULES[name].means(given).values():
        assert row["n"]
        for key, value in row.items():
            if key != "n":
                assert value == (0 if "decay" in key else 100), key
