"""Recorded rows against eager attention's full matrices, in every situation they are used in."""

import pytest
import torch

from probes import record_role_attention
from reviosa.errors import ConfigError, ReviosaError
from reviosa.model.lora import inject_lora, recompute_activations

# Measured over the cases below: 1e-8, and 4.8e-7 under LoRA; the bar of the design is 1e-5.
TOLERANCE = 1e-6


def conversation(processor, *turns, frames=2):
    expressions = [x for x, _ in turns]
    answers = [f"It is [SEG_ACT]{' and [SEG_TAR]' if two else ''}." for _, two in turns]
    return processor.conversation(expressions, answers, frames)[0]


def batch_of(processor, *sequences, left=False, frames=2):
    torch.manual_seed(1)
    ids, mask = processor.pad(sequences, left=left)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": torch.randn(len(sequences), frames, 3, 32, 32),
    }


def eager_matrices(model, batch):
    """Every layer's attention as the eager implementation computes it, [batch, head, q, k] each."""
    language = model.language_model
    before = language.config._attn_implementation
    language.config._attn_implementation = "eager"
    matrices = []
    hooks = [
        layer.self_attn.register_forward_hook(lambda m, i, out: matrices.append(out[1]))
        for layer in language.layers
    ]
    try:
        with torch.no_grad():
            model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
        language.config._attn_implementation = before
    return torch.stack(matrices, dim=1)


def expected_rows(model, batch):
    """Rows picked out of the full matrices: [row, role, layer, head, key]."""
    matrices = eager_matrices(model, batch)
    ids = batch["input_ids"]
    rows = []
    for sample in range(len(ids)):
        for position in (ids[sample] == model.config.actor_token_id).nonzero()[:, 0].tolist():
            later = ids[sample, position:]
            next_actor = (later[1:] == model.config.actor_token_id).nonzero()[:, 0]
            end = int(next_actor[0]) + 1 if len(next_actor) else len(later)
            target = (later[:end] == model.config.target_token_id).nonzero()[:, 0]
            actor_row = matrices[sample, :, :, position]
            target_row = (
                matrices[sample, :, :, position + int(target[0])]
                if len(target)
                else torch.full_like(actor_row, float("nan"))
            )
            rows.append(torch.stack([actor_row, target_row]))
    return torch.stack(rows)


def same(got, wanted):
    assert got.shape == wanted.shape
    assert torch.equal(got.isnan(), wanted.isnan())
    return (got - wanted).nan_to_num().abs().max() <= TOLERANCE


@pytest.mark.parametrize("left", [False, True], ids=["right-padded", "left-padded"])
def test_rows_equal_eager_attention_in_a_padded_batch(tiny_model, tiny_processor, left):
    short = conversation(tiny_processor, ("the red star", False))
    long = conversation(tiny_processor, ("the red star pushing the blue ring", True))
    batch = batch_of(tiny_processor, short, long, left=left)
    wanted = expected_rows(tiny_model, batch)
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        tiny_model(**batch)
    assert same(record.attention, wanted)
    assert record.attention[0, 1].isnan().all(), "the first expression has no target"
    present = record.attention[~record.attention.isnan().any(-1)]
    torch.testing.assert_close(present.sum(-1), torch.ones(len(present)))


def test_rows_of_several_expressions_in_one_conversation(tiny_model, tiny_processor):
    turns = [("the star pushing the ring", True), ("the ring", False), ("it", True)]
    batch = batch_of(tiny_processor, conversation(tiny_processor, *turns))
    wanted = expected_rows(tiny_model, batch)
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        tiny_model(**batch)
    assert len(wanted) == 3
    assert same(record.attention, wanted)
    assert record.roles.sample.tolist() == [0, 0, 0]


def test_rows_under_lora(tiny_model, tiny_processor):
    inject_lora(tiny_model, rank=4, alpha=8, dropout=0.0)
    for name, parameter in tiny_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    wanted = expected_rows(tiny_model, batch)
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        tiny_model(**batch)
    assert same(record.attention, wanted)


def test_rows_in_kv_cache_steps_equal_those_of_one_pass(tiny_model, tiny_processor):
    ids = conversation(tiny_processor, ("the star pushing the ring", True))
    batch = batch_of(tiny_processor, ids)
    wanted = expected_rows(tiny_model, batch)
    first_role = ids.index(tiny_model.config.actor_token_id)
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        output = tiny_model(
            batch["input_ids"][:, :first_role],
            attention_mask=batch["attention_mask"][:, :first_role],
            pixel_values=batch["pixel_values"],
            use_cache=True,
        )
        for step in range(first_role, len(ids)):
            output = tiny_model(
                batch["input_ids"][:, step : step + 1],
                attention_mask=batch["attention_mask"][:, : step + 1],
                past_key_values=output.past_key_values,
                use_cache=True,
            )
    assert same(record.attention, wanted)


def test_rows_are_recorded_while_generating(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("the star", False)))
    prompt = batch["input_ids"][:, : batch["input_ids"][0].tolist().index(8)]
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        # Each next token is forced, so that a random model names a role.
        forced = iter([8, 2])
        ids = tiny_model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            pixel_values=batch["pixel_values"],
            max_new_tokens=2,
            do_sample=False,
            pad_token_id=0,
            prefix_allowed_tokens_fn=lambda b, s: [next(forced)],
        )
    assert ids[0, -2] == 8
    assert record.attention.shape[:2] == (1, 2)
    torch.testing.assert_close(record.attention[0, 0].sum(-1), torch.ones(3, 4))


@pytest.mark.parametrize("inside", [True, False], ids=["backward inside", "backward outside"])
def test_gradient_checkpointing_records_once_and_gives_the_same_gradient(
    tiny_model, tiny_processor, inside
):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    wanted = expected_rows(tiny_model, batch)

    def gradient(backward_inside):
        tiny_model.zero_grad()
        with record_role_attention(tiny_model) as record:
            output = tiny_model(**batch, use_cache=False)
            loss = record.attention[..., :8].pow(2).nansum() + output.logits.pow(2).mean()
            if backward_inside:
                loss.backward()
        if not backward_inside:
            loss.backward()
        return record, tiny_model.language_model.layers[0].self_attn.q_proj.weight.grad.clone()

    tiny_model.train()
    _, plain = gradient(True)
    recompute_activations(tiny_model)
    record, checkpointed = gradient(inside)
    assert same(record.attention.detach(), wanted)
    assert plain.abs().max() > 0
    torch.testing.assert_close(checkpointed, plain, rtol=1e-5, atol=1e-7)


def test_reentrant_checkpointing_is_refused_for_it_trains_nothing(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    tiny_model.train()
    enable = getattr(tiny_model.language_model, "activation_checkpointing_enable", None)
    (enable or tiny_model.language_model.gradient_checkpointing_enable)({"use_reentrant": True})
    with pytest.raises(ReviosaError, match="reentrant"), record_role_attention(tiny_model):
        tiny_model(**batch, use_cache=False)


def test_only_the_chosen_layers_are_recorded(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    with torch.no_grad(), record_role_attention(tiny_model, layers=[2]) as record:
        tiny_model(**batch)
    assert record.layers == (2,)
    assert same(record.attention, expected_rows(tiny_model, batch)[:, :, 2:])


def test_the_model_is_the_same_before_inside_and_after(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    before = tiny_model(**batch).logits
    keys, implementation = list(tiny_model.state_dict()), attention_of(tiny_model)
    with record_role_attention(tiny_model):
        inside = tiny_model(**batch).logits
        assert list(tiny_model.state_dict()) == keys
    with pytest.raises(RuntimeError, match="stop"), record_role_attention(tiny_model):
        raise RuntimeError("stop")
    with pytest.raises(ReviosaError), record_role_attention(tiny_model):
        tiny_model(batch["input_ids"], pixel_values=batch["pixel_values"][:, :1])
    assert torch.equal(before, inside)
    assert torch.equal(before, tiny_model(**batch).logits)
    assert list(tiny_model.state_dict()) == keys
    assert attention_of(tiny_model) == implementation == "sdpa"
    assert not tiny_model._forward_hooks and not tiny_model._forward_pre_hooks


def attention_of(model):
    return model.language_model.config._attn_implementation


def test_a_second_model_is_not_recorded(tiny_model, tiny_processor):
    from copy import deepcopy

    other = deepcopy(tiny_model)
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        other(**batch)
    with pytest.raises(ReviosaError, match="nothing is recorded yet"):
        _ = record.attention


def test_the_grid_says_where_each_patch_lies(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        tiny_model(**batch)
    places = record.vision_grid[0][record.vision_grid[0, :, 0] >= 0].tolist()
    # Two frames of a 2 x 2 grid, frame after frame, each row by row.
    assert places == [
        [0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1],
        [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1],
    ]  # fmt: skip
    maps = record.on_patches()
    assert maps.shape == (1, 2, 3, 4, 2, 2, 2)
    first = (batch["input_ids"][0] == tiny_model.config.image_token_id).nonzero()[:, 0]
    assert torch.equal(maps[0, 0, 1, 2].flatten(), record.attention[0, 0, 1, 2, first])


def test_changing_one_patch_moves_its_own_row(tiny_model, tiny_processor):
    """A capture proves itself: what it records depends on what the model sees."""
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("a chasing b", True)))
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        tiny_model(**batch)
        one = record.attention
        batch["pixel_values"][:, 1] += 1
        tiny_model(**batch)
    assert (record.attention - one).abs().max() > 1e-4


def test_bad_requests_are_refused(tiny_model):
    with (
        pytest.raises(ConfigError, match=r"layer 7 does not exist.*0 to 2"),
        record_role_attention(tiny_model, layers=[7]),
    ):
        pass
    with (
        record_role_attention(tiny_model),
        pytest.raises(ReviosaError, match="recorded already"),
        record_role_attention(tiny_model),
    ):
        pass


def test_samples_that_name_their_roles_at_different_steps_keep_their_rows(
    tiny_model, tiny_processor
):
    """The second sample names its actor one step before the first does."""
    ids = conversation(tiny_processor, ("the star", False))
    prompt = ids[: ids.index(8)]
    batch = batch_of(tiny_processor, prompt + [7, 8], prompt + [8, 9])
    wanted = expected_rows(tiny_model, batch)
    length = len(prompt)
    with torch.no_grad(), record_role_attention(tiny_model) as record:
        output = tiny_model(
            batch["input_ids"][:, :length],
            attention_mask=batch["attention_mask"][:, :length],
            pixel_values=batch["pixel_values"],
            use_cache=True,
        )
        for step in (length, length + 1):
            output = tiny_model(
                batch["input_ids"][:, step : step + 1],
                attention_mask=batch["attention_mask"][:, : step + 1],
                past_key_values=output.past_key_values,
                use_cache=True,
            )
    assert same(record.attention, wanted)


def test_a_recording_that_begins_behind_the_cache_is_refused(tiny_model, tiny_processor):
    batch = batch_of(tiny_processor, conversation(tiny_processor, ("the star", False)))
    with torch.no_grad():
        output = tiny_model(**batch, use_cache=True)
        with (
            record_role_attention(tiny_model),
            pytest.raises(ReviosaError, match="before the recording began"),
        ):
            tiny_model(torch.tensor([[8]]), past_key_values=output.past_key_values)


def test_one_recording_sees_several_passes_that_go_on_from_one_cache(tiny_model, tiny_processor):
    """Questions about one video in parts of different size: each part is a record of its own."""
    texts = [("the star", False), ("the red ring", True), ("the cup", True)]
    whole = [conversation(tiny_processor, turn) for turn in texts]
    start = max(i for i, token in enumerate(whole[0]) if token == tiny_model.config.image_token_id)
    pixels = batch_of(tiny_processor, whole[0])["pixel_values"]
    opening = torch.tensor([whole[0][: start + 1]])
    with torch.no_grad(), record_role_attention(tiny_model, cached_ids=opening) as record:
        for part in (whole[:1], whole[1:], whole[:1]):
            cache = tiny_model(opening, pixel_values=pixels, use_cache=True).past_key_values
            cache.batch_repeat_interleave(len(part))
            ids, mask = tiny_processor.pad(part)
            tiny_model(
                ids[:, start + 1 :], attention_mask=mask, past_key_values=cache, use_cache=True
            )
            batch = {
                "input_ids": ids,
                "attention_mask": mask,
                "pixel_values": pixels.expand(len(part), -1, -1, -1, -1),
            }
            assert same(record.attention, expected_rows(tiny_model, batch))
