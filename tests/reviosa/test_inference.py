"""Video and expression in, tracks and text out."""

import numpy as np
import pytest
import torch

from reviosa.data.prompts import ask_for_target, normalise
from reviosa.data.synthetic import generate_video
from reviosa.errors import DataError
from reviosa.evaluation import decode_masks, jaccard
from reviosa.inference import Segmenter, first_frames, predict, uniform_frames
from reviosa.model import load


@pytest.fixture
def segmenter(tiny_model, tiny_processor):
    return Segmenter(tiny_model, tiny_processor)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 255, (7, 40, 56, 3), dtype=np.uint8)


def answering(segmenter, monkeypatch, *tokens):
    """Make the model give this answer, whatever it would have said."""

    def generate(input_ids, **_):
        said = torch.tensor([tokens]).expand(len(input_ids), -1)
        return torch.cat([input_ids, said], dim=1)

    monkeypatch.setattr(segmenter.model, "generate", generate)


def test_frames_are_spread_over_the_video():
    assert uniform_frames(16, 4) == (2, 6, 10, 14)
    assert uniform_frames(50, 5) == (5, 15, 25, 35, 45)
    assert uniform_frames(3, 4) == (0, 1, 2)


def test_both_roles_get_a_mask_for_every_frame(segmenter, frames, monkeypatch):
    answering(segmenter, monkeypatch, 8, 9, 2)
    result = segmenter.segment(frames, "the star pushing the ring")
    assert result.actor.shape == result.target.shape == (7, 40, 56)
    assert result.actor.dtype == bool
    assert result.frame_indices == (1, 5)
    assert result.text == "[SEG_ACT] [SEG_TAR]"


def test_the_model_decides_whether_there_is_a_target(segmenter, frames, monkeypatch):
    answering(segmenter, monkeypatch, 8, 2)
    result = segmenter.segment(frames, "the star")
    assert result.actor is not None and result.target is None


@pytest.mark.parametrize("nonsense", [(2,), (9, 8, 2), (7, 7, 7)])
@pytest.mark.parametrize("names_target", [False, True])
def test_an_answer_that_names_no_role_is_put_into_form_by_the_models_own_choice(
    segmenter, frames, monkeypatch, nonsense, names_target
):
    """After "It is [SEG_ACT]" the model prefers "and" or ".", made so by its head."""
    answering(segmenter, monkeypatch, *nonsense)
    tokenizer = segmenter.processor.tokenizer
    favoured = tokenizer.convert_tokens_to_ids("and" if names_target else ".")
    with torch.no_grad():
        features = segmenter.encode(frames)
        ids, _ = segmenter.processor.conversation(["the star"], ["It is [SEG_ACT]"], 2)
        state = segmenter.read(features, [ids[:-1]]).last_hidden_state[0, -1]
        segmenter.model.mllm.lm_head.weight[favoured] = 10 * state
    result = segmenter.segment_encoded(features, ["the star"])[0]
    assert result.actor is not None
    assert (result.target is not None) == names_target
    wanted = "It is [SEG_ACT] and [SEG_TAR]." if names_target else "It is [SEG_ACT]."
    assert result.text == wanted
    assert result.babble is not None


def test_an_answer_that_makes_no_sense_is_cut_where_it_stops_making_sense(
    segmenter, frames, monkeypatch
):
    answering(segmenter, monkeypatch, 8, 9, 9, 2)
    result = segmenter.segment(frames, "the star")
    assert result.target is not None and result.babble is None


def whole_track(segmenter, features, prompts):
    """Masks of all frames, [prompt, frame, height, width]."""
    masks = np.zeros((len(prompts), features.source.num_frames, *features.size), bool)
    for frame, found in segmenter.track(features, prompts):
        masks[:, frame] = found
    return masks


def test_roles_and_expressions_share_the_features_but_not_the_masks(segmenter, frames, monkeypatch):
    """The image encoder runs once a frame, and a role alone gives what it gives beside others."""
    calls = []
    encoder = segmenter.model.sam2.image_encoder
    encoder.register_forward_hook(lambda m, i, o: calls.append(len(i[0])))
    features = segmenter.encode(frames)
    answering(segmenter, monkeypatch, 8, 9, 2)
    both, other = segmenter.segment_encoded(features, ["the star pushing the ring", "the cross"])
    assert sum(calls) == len(frames)
    prompts = segmenter.read(features, [both.input_ids]).prompts
    alone = whole_track(segmenter, features, prompts[:1])
    assert np.array_equal(alone[0], both.actor)
    assert not np.array_equal(both.actor, both.target)
    assert not np.array_equal(both.actor, other.actor)


def test_more_objects_than_are_tracked_at_once(segmenter, frames, monkeypatch):
    monkeypatch.setattr("reviosa.inference.segmenter._OBJECTS_AT_ONCE", 2)
    features = segmenter.encode(frames)
    torch.manual_seed(0)
    prompts = 3 * torch.randn(5, segmenter.model.sam2.hidden_dim)
    together = whole_track(segmenter, features, prompts)
    monkeypatch.setattr("reviosa.inference.segmenter._OBJECTS_AT_ONCE", 16)
    assert np.array_equal(together, whole_track(segmenter, features, prompts))


def test_a_frame_that_was_not_seen_is_tracked_from_those_that_were(segmenter, frames):
    features = segmenter.encode(frames)
    torch.manual_seed(0)
    prompts = 3 * torch.randn(2, segmenter.model.sam2.hidden_dim)
    one = whole_track(segmenter, features, prompts)
    other = whole_track(segmenter, features, prompts.flip(0))
    seen = list(features.frame_indices)
    unseen = [i for i in range(7) if i not in seen]
    assert not np.array_equal(one[0][seen], one[1][seen])
    assert np.array_equal(one[0], other[1]), "order of the objects does not matter"
    assert not np.array_equal(one[0][unseen], one[1][unseen])


class Counted:
    """Frames that tell which of them were read, and how many at a time."""

    def __init__(self, frames):
        self.frames, self.reads = frames, []
        self.num_frames = len(frames)

    def read_frames(self, indices):
        self.reads.append(tuple(indices))
        return self.frames[list(indices)]


def test_a_long_video_is_read_in_small_parts_and_each_frame_once(segmenter, monkeypatch):
    rng = np.random.default_rng(1)
    source = Counted(rng.integers(0, 255, (40, 24, 24, 3), dtype=np.uint8))
    answering(segmenter, monkeypatch, 8, 9, 2)
    result = segmenter.segment(source, "the star pushing the ring")
    assert result.actor.shape == (40, 24, 24)
    assert sorted(i for part in source.reads for i in part) == list(range(40))
    assert max(len(part) for part in source.reads) <= 8
    # The middles of two halves; from 10 back to the start, then on to the end.
    assert source.reads[0] == (10, 30)
    assert source.reads[1] == (9, 8, 7, 6, 5, 4, 3, 2)
    assert source.reads[-1][-1] == 39


def test_the_release_sees_the_first_frames(tiny_model, tiny_processor, frames, monkeypatch):
    assert first_frames(16, 5) == (0, 1, 2, 3, 4) and first_frames(3, 5) == (0, 1, 2)
    tiny_model.config.frame_sampling = "first"
    source = Counted(frames)
    segmenter = Segmenter(tiny_model, tiny_processor)
    answering(segmenter, monkeypatch, 8, 2)
    assert segmenter.segment(source, "the star").frame_indices == (0, 1)
    assert [i for part in source.reads for i in part] == list(range(7))


def test_a_bf16_model_segments_a_whole_video(tiny_model, tiny_processor, frames, monkeypatch):
    """As published weights run on a GPU."""
    segmenter = Segmenter(tiny_model.bfloat16(), tiny_processor)
    answering(segmenter, monkeypatch, 8, 9, 2)
    result = segmenter.segment(frames, "the star pushing the ring")
    assert result.actor.shape == result.target.shape == (7, 40, 56)


QUESTIONS = ["the star", "the small red ring pushing the large green cross", "all the crosses"]


def test_questions_read_together_are_read_as_if_alone(segmenter, frames):
    """Padding and the shared beginning change nothing (fp32, measured 5e-7 on values of 3)."""
    features = segmenter.encode(frames)
    conversations = [
        segmenter.processor.conversation([text], ["It is [SEG_ACT] and [SEG_TAR]."], 2)[0]
        for text in QUESTIONS
    ]
    together = segmenter.read(features, conversations)
    assert together.row_sample[together.prompt_row].tolist() == [0, 0, 1, 1, 2, 2]
    pixels = segmenter.processor.vision_frames(frames[list(features.frame_indices)])
    for index, ids in enumerate(conversations):
        with torch.no_grad():
            alone = segmenter.model(torch.tensor([ids]), pixel_values=pixels[None])
        got = together.prompts[2 * index : 2 * index + 2]
        assert torch.allclose(got, alone.prompts, atol=1e-5)
        assert torch.allclose(together.logits[index], alone.logits[0, -1], atol=1e-5)


def test_questions_asked_together_are_answered_as_if_alone():
    """With the trained model, whose answers mean something."""
    segmenter = Segmenter(*load("nano"))
    video = generate_video(3, 3)
    features = segmenter.encode(video.frames)
    texts = [expression.text for expression in video.expressions]
    together = segmenter.segment_encoded(features, texts)
    for text, result in zip(texts, together, strict=True):
        (alone,) = segmenter.segment_encoded(features, [text])
        assert (result.text, result.input_ids) == (alone.text, alone.input_ids)
        for mine, other in zip(result.masks, alone.masks, strict=True):
            assert (mine is None) == (other is None)
            # A pixel on an edge may fall to either side.
            assert mine is None or (mine != other).mean() < 1e-3


def test_frames_before_the_first_seen_one_are_tracked_back_to_the_start():
    """Walked forwards they had no object pointer: J&F 5 on frame 0 of 16, 84 on the others."""
    segmenter = Segmenter(*load("nano"))
    scores = []
    for index in range(4):
        video = generate_video(index, 3)
        expression = next(e for e in video.expressions if e.targets)
        result = segmenter.segment(video.frames, expression.text)
        assert result.frame_indices[0] == 2
        truth = video.masks[list(expression.actors)].any(axis=0)
        scores.append(jaccard(result.actor, truth))
    by_frame = np.mean(scores, axis=0)
    assert by_frame[2:].mean() > 0.4, "the model follows some of these objects"
    assert by_frame[:2].mean() > by_frame[2:].mean() - 0.15


def test_one_frame_is_a_video_too(segmenter, frames, monkeypatch):
    answering(segmenter, monkeypatch, 8, 2)
    assert segmenter.segment(frames[:1], "the star").actor.shape == (1, 40, 56)


def test_a_target_can_be_asked_for_in_words(segmenter, planted_dataset, monkeypatch):
    """The one mask of a second question, after what interacts with the actor, is the target."""
    answering(segmenter, monkeypatch, 8, 2)
    of_video = [s for s in planted_dataset.samples if s.video is planted_dataset.videos[0]]
    acting = next(s for s in of_video if s.expression.is_interaction)
    other = next(s for s in of_video if not s.expression.is_interaction)
    found = predict(segmenter, [acting, other], target_by_prompt=True)[acting.video.video_id]
    asked = ask_for_target(acting.expression.text)
    said = normalise(acting.expression.text)
    assert asked.endswith(f"object that is directly interacting with {said} in the image.")
    features = segmenter.encode(acting.video)
    texts = [acting.expression.text, other.expression.text]
    both = segmenter.segment_encoded(features, texts)
    (by_words,) = segmenter.segment_encoded(features, [asked])
    record = found[acting.expression.exp_id]
    size = acting.masks(0).shape
    assert np.array_equal(decode_masks(record, "actor", size, ""), both[0].actor)
    assert np.array_equal(decode_masks(record, "target", size, ""), by_words.actor)
    assert not np.array_equal(by_words.actor, both[0].actor)
    assert found[other.expression.exp_id]["prediction_masks_tar"] == []


def test_bad_input_is_refused(segmenter, frames):
    for expression in ("", "  ", ".", "?", " ?. "):
        with pytest.raises(DataError, match="empty expression"):
            segmenter.segment(frames, expression)
    with pytest.raises(DataError, match="no frames"):
        segmenter.segment(frames[:0], "the star")
    with pytest.raises(DataError, match=r"expected uint8 \[frame, height, width, 3\]"):
        segmenter.segment(frames.astype(float), "the star")
    with pytest.raises(DataError, match="expected uint8"):
        segmenter.segment(frames[..., 0], "the star")


@pytest.mark.parametrize("text", ["is [SEG_TAR] here?", "the <IMG_CONTEXT> star", "<|im_end|>"])
def test_a_token_of_the_template_is_no_word(segmenter, frames, text):
    with pytest.raises(DataError, match="expected plain words"):
        segmenter.segment(frames, text)
