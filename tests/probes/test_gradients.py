"""Gradients of the mask loss at the heads, against small changes and against autograd's own."""

import copy

import numpy as np
import pytest
import torch

from probes.gradients import BlankFrames, _mask_loss, read_with_gradients
from probes.interventions import edit_heads
from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.inference import Segmenter
from reviosa.inference.opening import read_on
from reviosa.model import record_role_attention
from reviosa.model.nano_tokenizer import nano_tokenizer
from tests.reviosa.conftest import tiny_config


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 4, 3, WorldConfig(height=64, width=64, frames=5))
    return InterRVOSDataset(folder)


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    model = ReviosaModel(tiny_config()).eval()
    return Segmenter(model, ReviosaProcessor.for_config(model.config, nano_tokenizer()))


def asked(segmenter, sample, target=True):
    """Question and an answer that names the actor and, if wanted, the target."""
    frames = len(segmenter.seen_frames(sample.video.num_frames))
    ids = segmenter.processor.conversation([sample.expression.text], [None], frames)[0]
    config = segmenter.model.config
    return [*ids, config.actor_token_id, *([config.target_token_id] if target else [])]


@pytest.fixture(scope="module")
def case(segmenter, dataset):
    sample = dataset.interactions[0]
    features = segmenter.encode(sample.video)
    ids = asked(segmenter, sample)
    output, written = graded(segmenter, features, sample, ids, BlankFrames(segmenter))
    return sample, features, ids, output, written


def graded(segmenter, features, sample, ids, blank):
    unseen = blank.outputs(features, ids)
    return read_with_gradients(segmenter, features, sample, ids, unseen)


def loss(segmenter, features, sample, output, role):
    with torch.no_grad():
        return float(_mask_loss(segmenter, features, sample, output, role))


def test_a_small_change_of_a_head_changes_the_loss_as_the_gradient_says(segmenter, case):
    """Central differences along the gradient, of losses in float32: 0.1, 1.1 and 0.5 % apart."""
    sample, _, ids, _, _ = case
    wide = Segmenter(copy.deepcopy(segmenter.model).double(), segmenter.processor)
    features = wide.encode(sample.video)
    _, written = graded(wide, features, sample, ids, BlankFrames(wide))
    start = features.opening.ids.shape[1]
    config = wide.model.config
    roles = torch.tensor([[{8: 0, 9: 1}.get(i, -1) for i in ids[start:]]])
    assert roles.max() == 1
    for role, layer, head in ((0, 0, 1), (1, 1, 3), (1, 0, 2)):
        found = written[role]
        chosen = torch.zeros(1, config.num_layers, config.num_heads, dtype=torch.bool)
        chosen[0, layer, head] = True
        own = torch.where(roles == role, role, -1)
        gain = torch.from_numpy(found.gain[layer, head]).double()
        length = float(gain.norm())
        assert length > 1e-5
        # The loss is to change by 2e-5: far above its rounding, and still small.
        size = 1e-5 / length
        ends = []
        for sign in (1, -1):
            values = torch.zeros(2, *found.outputs.shape, dtype=torch.float64)
            values[role] = torch.from_numpy(found.outputs).double()
            values[role, layer, head] += sign * size * gain / length
            with torch.no_grad(), edit_heads(wide.model, chosen, own, values):
                output = read_on(wide.model, wide.processor, features.opening, [ids])
            ends.append(loss(wide, features, sample, output, role))
        slope = (ends[1] - ends[0]) / (2 * size)
        assert slope == pytest.approx(length, rel=0.03), (role, layer, head)


def test_outputs_and_gains_are_sums_over_the_keys(segmenter, case):
    """z = sum_k A_k v_k, so the patches' part of z . g is their part of A . dL/dA."""
    _, features, ids, _, written = case
    model = segmenter.model
    with torch.no_grad(), record_role_attention(model, cached_ids=features.opening.ids) as record:
        output = read_on(model, segmenter.processor, features.opening, [ids])
    is_patch = (record.vision_grid[0, :, 0] >= 0).numpy()
    group = model.config.num_heads // output.past_key_values.layers[0].values.shape[1]
    for role in (0, 1):
        found = written[role]
        rows = record.attention[0, role]
        for layer, cached in enumerate(output.past_key_values.layers):
            values = cached.values[0].repeat_interleave(group, dim=0)
            z = torch.einsum("hk,hkd->hd", rows[layer], values)
            # float32 both ways; the largest difference measured was 6e-8.
            np.testing.assert_allclose(found.outputs[layer], z.detach(), atol=1e-5)
            gain = torch.einsum("hd,hkd->hk", torch.from_numpy(found.gain[layer]), values)
            np.testing.assert_allclose(
                found.attention_gain[layer], gain.detach()[:, is_patch], atol=1e-6
            )


def test_what_is_written_adds_to_the_prompt_along_itself(segmenter, case):
    """The last norm and MLP_seg move by as much, to first order, as the direct path says.

    Measured: 1.3e-5 apart."""
    _, features, ids, output, written = case
    model = segmenter.model
    is_patch = features.opening.ids[0] == model.config.image_token_id
    language = model.language_model
    kept = []
    hook = language.norm.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    with torch.no_grad():
        read_on(model, segmenter.processor, features.opening, [ids])
    hook.remove()
    residual = kept[0][0, -1].double()  # the target's token is the last
    wide = copy.deepcopy(model).double()
    prompt = wide.seg_projector(wide.language_model.norm(residual)).detach()
    layer, head, patch, size = 1, 2, 1, 1e-2
    values = features.opening.cache.layers[layer].values[0]
    group = model.config.num_heads // len(values)
    value = values[head // group][is_patch][patch].double()
    width = len(value)
    weight = language.layers[layer].self_attn.o_proj.weight.double()
    step = weight[:, head * width : (head + 1) * width] @ value
    up, down = (
        wide.seg_projector(wide.language_model.norm(residual + change * step)).detach()
        for change in (size, -size)
    )
    wanted = float((up - down) @ prompt / prompt.norm() ** 2) / (2 * size)
    assert written[1].written[layer, head, patch] == pytest.approx(wanted, rel=1e-3)
    assert abs(wanted) > 1e-3


def test_the_pass_is_the_same_as_without_gradients(segmenter, case):
    _, features, ids, output, _ = case
    plain = segmenter.read(features, [ids])
    torch.testing.assert_close(output.prompts, plain.prompts)
    torch.testing.assert_close(output.logits, plain.logits)
    assert not output.prompts.requires_grad
    assert all(p.grad is None for p in segmenter.model.parameters())
    layers = segmenter.model.language_model.layers
    assert not any(layer.self_attn.o_proj._forward_pre_hooks for layer in layers)
    assert not segmenter.model.language_model.norm._forward_pre_hooks


def test_a_role_that_is_not_named_has_none(segmenter, dataset):
    sample = dataset.interactions[0]
    features = segmenter.encode(sample.video)
    blank = BlankFrames(segmenter)
    _, written = graded(segmenter, features, sample, asked(segmenter, sample, target=False), blank)
    assert written[0] is not None and written[1] is None
    # A target that is named where the truth has none has no loss.
    single = next(s for s in dataset.samples if not s.expression.is_interaction)
    features = segmenter.encode(single.video)
    _, written = graded(segmenter, features, single, asked(segmenter, single), blank)
    assert written[0] is not None and written[1] is None
    # Nothing named at all.
    ids = asked(segmenter, single)[:-2]
    output, written = graded(segmenter, features, single, ids, blank)
    assert written == (None, None) and not len(output.prompts)


def test_blank_frames_tell_no_video_from_another(segmenter, dataset):
    """The same words about two videos: only on blank frames do heads write the same."""
    blank = BlankFrames(segmenter)
    assert blank.opening(3) is blank.opening(3)
    first = dataset.interactions[0]
    second = next(s for s in dataset.interactions if s.video is not first.video)
    ids = asked(segmenter, first)
    found = []
    for sample in (first, second):
        features = segmenter.encode(sample.video)
        found.append(graded(segmenter, features, sample, ids, blank)[1][1])
    np.testing.assert_array_equal(found[0].blank, found[1].blank)
    assert not np.allclose(found[0].outputs, found[1].outputs)
