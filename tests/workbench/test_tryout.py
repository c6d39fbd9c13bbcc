"""One expression on one video, and the sentence with its roles exchanged."""

import numpy as np
import pytest

from probes.capture import capture
from probes.store import CaptureStore
from reviosa.errors import DataError
from reviosa.inference import Segmenter
from workbench.models import load_model
from workbench.tryout import passive_twin, swapped_nouns, try_expression


@pytest.fixture(scope="module")
def segmenter():
    loaded = load_model("nano", "cpu")
    return Segmenter(loaded.model, loaded.processor)


@pytest.fixture(scope="module")
def trial(segmenter, dataset):
    sample = dataset.interactions[0]
    return try_expression(segmenter, sample.video, sample.expression.text)


def test_it_is_what_a_capture_stores(segmenter, dataset, trial, tmp_path):
    capture(segmenter.model, segmenter.processor, dataset, tmp_path / "run", "all", gradients=False)
    store = CaptureStore(tmp_path / "run")
    sample = dataset.interactions[0].expression
    kept = store.map(sample.sample_id, "actor")
    assert trial.looked
    for layer, head in kept.pairs:
        stored = kept.values[kept.pairs.index((layer, head))]
        # Maps are stored as 8-bit steps of their own maximum, or as float16.
        np.testing.assert_allclose(
            trial.looked["actor"].maps[layer, head], stored, atol=0.01 * stored.max() + 1e-6
        )
    row = store.samples().query("sample_id == @sample.sample_id and role == 'actor'").iloc[0]
    assert trial.result.text == row.text
    assert list(trial.result.frame_indices) == list(row.frame_indices)


def test_weights_of_a_head_sum_to_one_over_its_words(trial):
    for looked in trial.looked.values():
        assert looked.words.shape[-1] == len(trial.words)
        np.testing.assert_allclose(looked.words.sum(axis=-1), 1, atol=1e-4)
        # A frame is one word, and its weight is what lies on its patches.
        frames = [i for i, word in enumerate(trial.words) if word.startswith("frame ")]
        assert len(frames) == looked.maps.shape[2]
        np.testing.assert_allclose(
            looked.words[..., frames], looked.maps.sum(axis=(3, 4)), atol=1e-5
        )
    assert "".join(trial.words).replace(" ", "").count("[SEG_ACT]") >= 1


def test_masks_are_those_of_a_plain_segmentation(segmenter, dataset, trial):
    sample = dataset.interactions[0]
    plain = segmenter.segment(sample.video, sample.expression.text)
    assert plain.actor is not None
    for frame in range(sample.video.num_frames):
        np.testing.assert_array_equal(trial.masks(frame)["actor"], plain.actor[frame])


def test_progress_ends_at_the_last_frame(segmenter, dataset):
    video, told = dataset.samples[0].video, []
    try_expression(segmenter, video, "the red star", lambda done, total: told.append((done, total)))
    assert told[-1] == (video.num_frames, video.num_frames)
    assert told == sorted(told)


def test_an_empty_expression_is_refused(segmenter, dataset):
    with pytest.raises(DataError, match="empty expression"):
        try_expression(segmenter, dataset.samples[0].video, "  ")


def test_passive_twins_say_the_same_event():
    active = "the small ring jumping over the red star"
    passive = "the red star being jumped over by the small ring"
    assert passive_twin(active) == passive
    assert passive_twin(passive) == active
    assert passive_twin("a dog chasing a cat") == "a cat being chased by a dog"
    assert passive_twin("a dog licking a cat") is None
    assert passive_twin("the star moving left") is None


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("the ring pushing the star", "the star pushing the ring"),
        ("the ring being pushed by the star", "the star being pushed by the ring"),
        ("a dog licking a cat", "a cat licking a dog"),
        ("a man in a hat riding the brown horse", "the brown horse riding a man in a hat"),
        ("a cat being licked by a dog", "a dog being licked by a cat"),
        ("the dog that is running after a cat", "a cat that is running after the dog"),
        ("the two stars moving together", None),
        ("the red star", None),
        ("", None),
        ("a " * 2000, None),
    ],
)  # fmt: skip
def test_noun_phrases_around_a_verb_are_exchanged(text, swapped):
    assert swapped_nouns(text) == swapped
