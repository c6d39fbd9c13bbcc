"""Linear probes on planted directions, on rote learners, and on what cannot be fitted."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score

from probes.linear import fit
from probes.linear.accuracy import _Score, probe_layers
from probes.linear.control import control_labels, share_met
from probes.linear.fit import balanced_accuracy, predict_held_out, video_folds
from probes.linear.results import ProbeResults, read_results, write_results
from reviosa.errors import DataError, RunError

VIDEOS, EACH, CLASSES, LAYERS, HIDDEN, PLANTED = 20, 6, 3, 4, 6, 3


@pytest.fixture(scope="module")
def planted():
    """Noise; layer 3 has a direction for each class. Classes fall anywhere."""
    rng = np.random.default_rng(0)
    n = VIDEOS * EACH
    labels = rng.integers(CLASSES, size=n)
    states = rng.normal(size=(n, LAYERS, HIDDEN))
    states[:, PLANTED:] += 4 * np.eye(HIDDEN)[labels][:, None]
    videos = np.repeat([f"v{i}" for i in range(VIDEOS)], EACH)
    types = np.array([f"t{i}" for i in rng.integers(12, size=n)])
    return states, np.array(list("abc"))[labels], videos, types


@pytest.fixture(scope="module")
def found(planted):
    return probe_layers("letter", *planted, draws=2, resamples=400)


def test_a_planted_direction_is_read_where_it_is_and_nowhere_else(found):
    for layer, result in enumerate(found.layers):
        accuracy, control = result.accuracy, result.control
        assert (accuracy.n, accuracy.n_videos) == (VIDEOS * EACH, VIDEOS)
        if layer >= PLANTED:
            # Means 4 apart in two coordinates, unit noise: 1 - 2 Phi(-4 / sqrt 2) = 0.995.
            assert accuracy.value > 0.93 and result.selectivity.ci[0] > 0.4
        else:
            # Chance and three standard errors of 120 guesses: 1/3 + 3 sqrt(2/9 / 120).
            assert accuracy.value < 0.463 and result.selectivity.ci[0] < 0
        assert control.value < 0.463
        assert result.selectivity.value == pytest.approx(accuracy.value - control.value)
    assert found.readable_from == PLANTED
    assert set(found.chosen_layers) == {3} and found.chosen.accuracy.value > 0.93
    assert abs(found.majority.value - 1 / CLASSES) < 0.1
    assert found.types_met == 1.0 and found.unfinished == 0
    assert found.reason is None and found.left_out == {}


def test_numbers_are_plain_and_the_same_again(planted, found, tmp_path):
    states, *rest = planted
    before = states.copy()
    one, two = (probe_layers("x", states[:, 3:], *rest, draws=1, resamples=50) for _ in range(2))
    assert one == two and (states == before).all()
    results = ProbeResults(tuple("abcd"), (found,), {"verb": "unknown"}, {"letter": "which?"},
                           120, 0, 0, 5, 2, 400, 0)  # fmt: skip
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results
    text = (tmp_path / "linear.json").read_text()
    (tmp_path / "linear.json").write_text(text.replace('"schema": 1', '"schema": 9'))
    with pytest.raises(RunError, match="another schema, expected 1"):
        read_results(tmp_path)
    (tmp_path / "linear.json").write_text(text[:40])
    with pytest.raises(RunError, match="unreadable file"):
        read_results(tmp_path)
    with pytest.raises(RunError, match="no linear.json"):
        read_results(tmp_path / "nowhere")
    json.dumps(results.to_json(), allow_nan=False)


def test_a_probe_that_knows_the_video_by_heart_gains_nothing():
    """States are the video's own direction, labels the video's own: all of it is in the states, and
    folds that cut through videos read all of it."""
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(16), 6)
    labels = np.arange(16)[codes] % 2
    states = np.eye(16)[codes] + 0.01 * rng.normal(size=(96, 16))
    cut = KFold(5, shuffle=True, random_state=0)
    leaky = cross_val_score(LogisticRegression(), states, labels, cv=cut)
    assert leaky.mean() == 1.0
    videos = np.array([f"v{i}" for i in codes])
    result = probe_layers("video", states[:, None], labels, videos, videos, draws=2, resamples=200)
    (layer,) = result.layers
    assert layer.accuracy.value < 0.65 and layer.selectivity.ci[0] < 0
    assert result.types_met == 0.0 and result.readable_from is None


def test_a_probe_that_knows_the_type_by_heart_is_not_selective():
    """Hewitt and Liang's point: a label that is a function of the type, on states that tell the
    type, is read in full, and so are random labels of the types."""
    rng = np.random.default_rng(2)
    codes = rng.integers(6, size=180)
    states = np.eye(6)[codes] + 0.01 * rng.normal(size=(180, 6))
    labels, types = np.array(list("xyzxyz"))[codes], np.array(list("abcdef"))[codes]
    videos = np.repeat([f"v{i}" for i in range(18)], 10)
    result = probe_layers("type", states[:, None], labels, videos, types, draws=2, resamples=200)
    (layer,) = result.layers
    assert layer.accuracy.value == layer.control.value == 1.0
    assert layer.selectivity.value == 0.0 and result.readable_from is None


def test_from_a_tokens_embedding_only_the_role_can_be_read():
    """Two vectors, one a role; the colour is drawn regardless of the role."""
    rng = np.random.default_rng(3)
    n = 240
    roles = np.arange(n) % 2
    states = rng.normal(size=(2, 8))[roles][:, None]
    colors = np.array(["red", "green", "blue", "white"])[rng.integers(4, size=n)]
    videos = np.repeat([f"v{i}" for i in range(24)], 10)
    role = probe_layers("role", states, np.array(["actor", "target"])[roles], videos, colors,
                        draws=2, resamples=200)  # fmt: skip
    assert role.layers[0].accuracy.value == 1.0
    color = probe_layers("color", states, colors, videos, colors, draws=2, resamples=200)
    low, high = color.layers[0].accuracy.ci
    assert low < 0.25 < high and color.readable_from is None


def test_what_the_words_do_not_tell_is_counted_apart():
    """The state holds the label only where it is said."""
    rng = np.random.default_rng(4)
    labels = rng.integers(2, size=200)
    said = np.arange(200) % 2 == 0
    states = rng.normal(size=(200, 1, 4))
    states[said, 0, 0] += 6 * labels[said] - 3
    videos = np.repeat([f"v{i}" for i in range(20)], 10)
    result = probe_layers("x", states, labels, videos, videos, said, draws=2, resamples=200)
    unsaid = result.layers[0].unsaid
    assert result.layers[0].accuracy.value > 0.7
    assert unsaid.n == 100 and abs(unsaid.value - 0.5) < 0.15
    assert result.readable_from == 0 and result.seen_from is None
    # One video in which it is not told: a number, and no interval over videos.
    told = videos != "v7"
    alone = probe_layers("x", states, labels, videos, videos, told, draws=1, resamples=50)
    unsaid = alone.layers[0].unsaid
    assert unsaid.value is not None and unsaid.ci is None and "1 video" in unsaid.reason
    everything = probe_layers("x", states, labels, videos, videos, np.ones(200, bool), draws=1,
                              resamples=50)  # fmt: skip
    assert everything.layers[0].unsaid.value is None and everything.layers[0].unsaid.n == 0


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Recalls 0.3, 0.6 and 0.9 that differ between 24 videos; measured: 0.93 of 300."""
    rng = np.random.default_rng(5)
    recall = np.array([0.3, 0.6, 0.9])
    held = 0
    for trial in range(300):
        truth = rng.integers(3, size=(24, 6))
        chance = rng.beta(4 * recall, 4 * (1 - recall), size=(24, 3))
        right = rng.random(truth.shape) < np.take_along_axis(chance, truth, axis=1)
        guess = np.where(right, truth, (truth + 1) % 3).reshape(-1, 1)
        score = _Score(np.repeat(np.arange(24), 6).astype(str), 300, trial)
        low, high = score.estimate(score.of(truth.ravel(), guess)[:, 0]).ci
        held += low <= recall.mean() <= high
    assert 0.89 < held / 300 < 0.99


def test_balanced_accuracy_by_hand():
    """Class 0: 3 of 4, class 1: 0 of 1. Video b alone: 1 of 2 and 0 of 1."""
    truth, guess = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 0])
    assert balanced_accuracy(truth, guess) == pytest.approx((3 / 4 + 0) / 2)
    score = _Score(np.array(["a", "a", "b", "b", "b"]), 200, 0)
    draws = score.of(truth, guess[:, None])[:, 0]
    assert draws[0] == pytest.approx(3 / 8)
    # Twice a: class 1 is not there. Twice b, or one each.
    assert set(np.round(draws, 6)) == {1.0, 0.25, 0.375}
    among = score.of(truth, guess[:, None], np.array([False, False, True, True, False]))
    assert among[0, 0] == pytest.approx(1 / 2)


def test_folds_keep_videos_whole_and_spread_the_classes():
    rng = np.random.default_rng(6)
    videos = np.repeat(np.arange(13), 5)
    labels = rng.integers(2, size=65)
    labels[(videos == 3) | (videos == 8)] = 2
    labels[(labels == 2) & ~np.isin(videos, (3, 8))] = 0
    for seed in range(20):
        folds = video_folds(labels, videos, 5, seed)
        assert all(len(set(folds[videos == video])) == 1 for video in range(13))
        sizes = [len(set(videos[folds == fold])) for fold in range(5)]
        assert max(sizes) - min(sizes) <= 1
        assert folds[videos == 3][0] != folds[videos == 8][0], "else nobody could learn class 2"
    assert set(video_folds(labels[:10], videos[:10], 5, 0)) == {0, 1}, "two videos, two folds"


def test_predictions_depend_on_no_other_held_out_video(planted):
    """Not even by the scale: standardisation is of what a probe was fitted on."""
    states, names, videos, _ = planted
    labels = np.unique(names, return_inverse=True)[1]
    small = states[:, 2:4]
    before = predict_held_out(small, labels, videos, labels[None], folds=4)
    wild = small.copy()
    wild[videos == "v0"] = 1e6
    after = predict_held_out(wild, labels, videos, labels[None], folds=4)
    beside = (before.fold == before.fold[videos == "v0"][0]) & (videos != "v0")
    assert beside.any()
    assert (before.predicted[beside] == after.predicted[beside]).all()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=8, max_size=60),
    st.integers(0, 5),
)
def test_control_labels_are_the_types_own(rows, seed):
    labels = np.unique([label for label, _ in rows], return_inverse=True)[1]
    types = np.array([f"t{kind}" for _, kind in rows])
    control = control_labels(labels, types, np.random.default_rng(seed))
    assert all(len(set(control[types == kind])) == 1 for kind in types)
    classes, kinds = labels.max() + 1, len(set(types))
    assert len(set(control)) >= min(classes, kinds)


def test_control_labels_are_as_frequent_as_the_true_ones():
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    each = np.array([f"t{i}" for i in range(100)])
    # A type a sample: a permutation.
    assert (np.bincount(control_labels(labels, each, rng)) == [60, 30, 10]).all()
    pairs = np.array([f"t{i // 2}" for i in range(100)])
    draws = [np.bincount(control_labels(labels, pairs, rng)) for _ in range(50)]
    assert (np.mean(draws, axis=0) == [60, 30, 10]).all(), "even sizes fill even places"
    agree = [np.mean(control_labels(labels, each, rng) == labels) for _ in range(100)]
    # By chance: 0.6^2 + 0.3^2 + 0.1^2 = 0.46.
    assert np.mean(agree) == pytest.approx(0.46, abs=0.02)


def test_share_met_by_hand():
    """t is in both folds (2 of 4 samples), u and w in one each."""
    assert share_met(list("ttuw"), np.array([0, 1, 0, 1])) == 0.5


def test_a_class_that_only_the_held_out_videos_have_is_never_guessed():
    states = np.random.default_rng(8).normal(size=(12, 2, 3))
    labels = np.repeat([0, 1], 6)
    held = predict_held_out(states, labels, labels.astype(str), labels[None], folds=5)
    assert (held.predicted == 1 - labels[:, None]).all() and held.fits == 0
    assert (held.majority == 1 - labels).all()


@pytest.mark.parametrize(
    ("labels", "videos", "reason"),
    [
        (["a"] * 6, list("uuvvww"), "1 of 1 classes held by 2 videos or more"),
        (list("aaabbb"), list("uuuvvv"), "0 of 2 classes"),
        (list("ab") * 3, ["u"] * 6, "0 of 2 classes"),
        ([], [], "0 of 0 classes"),
    ],
)
def test_what_cannot_be_probed_says_why(labels, videos, reason):
    states = np.random.default_rng(9).normal(size=(len(labels), 2, 3))
    result = probe_layers("x", states, labels, videos, labels, resamples=50)
    assert reason in result.reason and result.layers == () and result.chosen is None


def test_a_class_of_one_video_is_left_out_and_two_videos_suffice():
    rng = np.random.default_rng(10)
    labels, videos = list("ababc") * 4, ["u"] * 5 + ["v"] * 15
    states = rng.normal(size=(20, 1, 1))
    states[:, 0, 0] += np.array([10.0 * (x == "b") for x in labels])
    labels = ["c" if x == "c" and v == "u" else ("a" if x == "c" else x)
              for x, v in zip(labels, videos, strict=True)]  # fmt: skip
    result = probe_layers("x", states, labels, videos, labels, resamples=50)
    assert result.left_out == {"c": 1} and set(result.classes) == {"a", "b"}
    assert result.layers[0].accuracy.value == 1.0 and result.n == 19


def test_bad_states_and_lengths(planted):
    states, labels, videos, types = planted
    broken = states.copy()
    broken[5, 2, 0] = np.nan
    with pytest.raises(DataError, match=r"1 states that are not finite \(first: sample 5, layer 2"):
        probe_layers("letter", broken, labels, videos, types)
    with pytest.raises(ValueError, match="119 labels"):
        probe_layers("letter", states, labels[:-1], videos, types)


def test_fits_that_do_not_converge_are_counted_and_warn_nobody(planted, monkeypatch):
    monkeypatch.setattr(fit, "_MOST_STEPS", 1)
    states, labels, videos, types = planted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = probe_layers("letter", states[:, :1], labels, videos, types, draws=1, resamples=50)
    # 5 folds of one layer: 4 strengths in 3 inner folds, then the label and its control.
    assert result.fits == 5 * (4 * 3 + 2)
    assert 0 < result.unfinished <= result.fits
