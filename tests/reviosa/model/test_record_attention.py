"""Rows of any decoder's tokens against the full matrices of an eager copy of the model."""

import contextlib
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    StaticCache,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, flash_attention_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from probes import find_tokens, patch_grid, record_attention
from probes.criteria import SCORED, View, head_metrics
from reviosa.errors import ConfigError, ReviosaError
from tests.fixtures_decoders import (
    ASK,
    IMAGE,
    SIZES,
    WINDOW,
    Case,
    eager_copy,
    eager_rows,
    gemma2,
    gpt_oss,
    internvl,
    lfm2,
    llava,
    qwen2,
    qwen2_vl,
    sliding_qwen2,
)

# Measured over all cases: 3.2e-6, InternVL in KV-cache steps. Weights are drawn so large that most
# cases have rows of more than 0.9 on one key.
TOLERANCE = 1e-5
CASES = (qwen2, sliding_qwen2, gemma2, gpt_oss, lfm2, internvl, llava, qwen2_vl)


def asked(ids):
    return find_tokens(ids, ASK)


def same(got, wanted):
    assert got.dtype == torch.float32
    assert got.shape == wanted.shape
    assert torch.equal(got.isnan(), wanted.isnan())
    return (got - wanted).nan_to_num().abs().max() <= TOLERANCE


def recorded(case: Case, queries=asked, **options):
    with torch.no_grad(), record_attention(case.model, queries, **options) as record:
        case.run(use_cache=False)
    return record


@pytest.mark.parametrize("build", CASES)
def test_rows_equal_eager_attention_in_a_padded_batch(build):
    case = build()
    wanted = eager_rows(case)
    record = recorded(case)
    assert torch.equal(record.queries.position, case.positions)
    assert wanted.nan_to_num().max() > 0.7, "a test on even attention would show nothing"
    assert same(record.attention, wanted)
    assert same(recorded(case, case.positions).attention, wanted), "positions say the same"


@pytest.mark.parametrize("static", [False, True], ids=["growing cache", "static cache"])
@pytest.mark.parametrize("build", [qwen2, sliding_qwen2, gemma2, gpt_oss, lfm2, internvl, llava])
def test_rows_in_kv_cache_steps_equal_those_of_one_pass(build, static):
    case = build()
    ids, mask = case.inputs["input_ids"], case.inputs["attention_mask"]
    pixels = {k: v for k, v in case.inputs.items() if k == "pixel_values"}
    start = 10 if pixels else 5
    text = case.model.config.get_text_config()
    cache = StaticCache(config=text, max_cache_len=16) if static else None
    with torch.no_grad(), record_attention(case.model, asked) as record:
        output = case.model(
            input_ids=ids[:, :start],
            attention_mask=mask[:, :start],
            past_key_values=cache,
            use_cache=True,
            **pixels,
        )
        for step in range(start, ids.shape[1]):
            output = case.model(
                input_ids=ids[:, step : step + 1],
                attention_mask=mask[:, : step + 1],
                past_key_values=output.past_key_values,
                use_cache=True,
            )
    assert same(record.attention, eager_rows(case))


def test_rows_are_recorded_while_generating():
    """Qwen2-VL pads differently in steps and in one pass: steps are compared with eager steps."""
    case = qwen2_vl()
    ids, start = case.inputs["input_ids"], 9
    cut = ("input_ids", "attention_mask", "mm_token_type_ids")
    prompt = {k: v[:, :start] if k in cut else v for k, v in case.inputs.items()}

    def generate(model, **options):
        # Each next token is forced, so that a random model says what the case says.
        def forced(sample, before):
            return [int((*ids[sample], ASK)[len(before)])]

        options |= {"max_new_tokens": 4, "do_sample": False, "prefix_allowed_tokens_fn": forced}
        return model.generate(**prompt, **options)

    with torch.no_grad(), record_attention(case.model, asked) as record:
        generated = generate(case.model)
    assert torch.equal(generated[:, :-1], ids)
    # The last token that is generated is not read: the queries are those of the case.
    assert torch.equal(record.queries.position, case.positions)
    steps = generate(
        eager_copy(case.model), output_attentions=True, return_dict_in_generate=True
    ).attentions
    for sample, query in case.positions.clamp(min=0).nonzero().tolist():
        position = int(case.positions[sample, query])
        # Step 0 reads the prompt, step k the token at start + k - 1.
        matrices = torch.stack(steps[position - start + 1])[:, sample, :, -1]
        got = record.attention[sample, query]
        assert (got[..., : position + 1] - matrices).abs().max() <= TOLERANCE
        assert (got[..., position + 1 :] == 0).all()


def test_a_window_is_seen_in_the_record():
    case = sliding_qwen2()
    attention = recorded(case).attention
    assert (attention[1, 0, 0, :, : 6 - WINDOW + 1] > 0).all()
    assert (attention[1, 0, 1:, :, : 6 - WINDOW + 1] == 0).all()


def test_layers_without_attention_have_no_axis_and_cannot_be_asked_for():
    case = lfm2()
    assert recorded(case).layers == (1,)
    with (
        pytest.raises(ConfigError, match=r"layer 2 does not exist.*attention in layers \[1\]"),
        record_attention(case.model, asked, layers=[2]),
    ):
        pass


def test_only_the_chosen_layers_are_recorded():
    case = qwen2()
    record = recorded(case, layers=[2, 0, 2])
    assert record.layers == (0, 2)
    assert same(record.attention, eager_rows(case)[:, :, [0, 2]])


def through_flash(module, query, key, value, mask, scaling, sliding_window=None, **options):
    """What flash attention does: of the mask it has the padding alone, [batch, key]."""
    queries, keys = query.shape[2], key.shape[2]
    own = torch.arange(keys - queries, keys)[:, None]
    seen = torch.arange(keys) <= own
    if sliding_window is not None:
        seen &= torch.arange(keys) > own - sliding_window
    seen = seen if mask is None else seen & mask[:, None, None].bool()
    output = nn.functional.scaled_dot_product_attention(
        query, key, value, seen, scale=scaling, enable_gqa=True
    )
    return output.transpose(1, 2), None


@pytest.mark.parametrize("build", [qwen2, sliding_qwen2])
def test_flash_attention_is_handed_padding_alone(build, monkeypatch):
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "flash_toy", through_flash)
    monkeypatch.setitem(
        ALL_MASK_ATTENTION_FUNCTIONS._global_mapping, "flash_toy", flash_attention_mask
    )
    case = build()
    wanted = eager_rows(case)
    case.model.config._attn_implementation = "flash_toy"
    assert same(recorded(case).attention, wanted)
    # One at a time, nothing is padded and there is no mask at all.
    ids = case.inputs["input_ids"][1:]
    with torch.no_grad(), record_attention(case.model, asked) as record:
        output = case.model(ids[:, :5], use_cache=True)
        case.model(ids[:, 5:], past_key_values=output.past_key_values, use_cache=True)
    assert same(record.attention, wanted[1:, :1])


def test_rows_have_gradients_also_under_checkpointing():
    case = qwen2()
    model = case.model.train()
    weight = model.model.layers[0].self_attn.q_proj.weight

    def gradient():
        model.zero_grad()
        with record_attention(model, asked) as record:
            output = case.run(use_cache=False)
        loss = record.attention[..., :6].pow(2).nansum() + output.logits.pow(2).mean()
        loss.backward()
        return weight.grad.clone()

    plain = gradient()
    # transformers renamed the method after 5.17.
    enable = getattr(model, "activation_checkpointing_enable", None)
    (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    torch.testing.assert_close(gradient(), plain, rtol=1e-5, atol=1e-6)
    assert plain.abs().max() > 1e-3


def test_rows_are_fp32_under_autocast():
    case = qwen2()
    with torch.autocast("cpu", torch.bfloat16):
        attention = recorded(case).attention
    assert attention.dtype == torch.float32
    sums = attention.sum(-1)[~attention.isnan().any(-1)]
    # Measured 2.4e-7; rows in bf16 would be off by 4e-3.
    assert (sums - 1).abs().max() < 1e-6


def entries():
    return dict(ALL_ATTENTION_FUNCTIONS)


@pytest.mark.parametrize("build", [qwen2, qwen2_vl, gemma2])
def test_the_model_is_the_same_before_inside_and_after(build):
    case = build()
    functions, keys = entries(), list(case.model.state_dict())
    implementation = case.model.config.get_text_config()._attn_implementation
    with torch.no_grad():
        before = case.run().logits
        with record_attention(case.model, asked):
            inside = case.run().logits
            assert case.model.config.get_text_config()._attn_implementation == implementation
        with pytest.raises(RuntimeError, match="stop"), record_attention(case.model, asked):
            raise RuntimeError("stop")
        with pytest.raises(TypeError), record_attention(case.model, asked):
            case.run(no_such_argument=1, attention_mask=1)
        after = case.run().logits
    assert torch.equal(before, inside)
    assert torch.equal(before, after)
    assert list(case.model.state_dict()) == keys
    assert entries() == functions
    assert not case.model._forward_hooks
    assert not case.model._forward_pre_hooks
    assert case.model.config.get_text_config()._attn_implementation == implementation


def test_a_pass_that_fails_leaves_no_half_a_record():
    case = qwen2()

    def fail(module, args):
        raise RuntimeError("stop")

    hook = case.model.model.layers[1].register_forward_pre_hook(fail)
    with torch.no_grad(), record_attention(case.model, asked) as record:
        with pytest.raises(RuntimeError, match="stop"):
            case.run()
        with pytest.raises(ReviosaError, match="nothing is recorded yet"):
            _ = record.attention
        hook.remove()
        case.run()
    assert same(record.attention, eager_rows(case))


def test_two_models_at_once_do_not_mix():
    """Two models of one configuration object, whose blocks end in the order they began."""
    one, other = qwen2(), qwen2()
    other.model.config = other.model.model.config = one.model.config
    for layer in other.model.model.layers:
        layer.self_attn.config = one.model.config
        nn.init.normal_(layer.self_attn.q_proj.weight)
    functions = entries()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    with torch.no_grad():
        record = first.enter_context(record_attention(one.model, asked))
        another = second.enter_context(record_attention(other.model, asked))
        other.run()
        with pytest.raises(ReviosaError, match="nothing is recorded yet"):
            _ = record.attention
        one.run()
        first.close()
        assert same(another.attention, eager_rows(other))
        other.run()
        second.close()
    assert same(record.attention, eager_rows(one))
    assert same(another.attention, eager_rows(other))
    assert (record.attention - another.attention).nan_to_num().abs().max() > 0.1
    assert entries() == functions


def test_patches_of_qwen2_vl_are_found_scored_and_kept_in_order():
    """The criteria take any query token and any grid."""
    case = qwen2_vl()
    sizes = case.inputs["image_grid_thw"] // torch.tensor([1, 2, 2])
    assert sizes.tolist() == [list(size) for size in case.sizes]
    record = recorded(case, key_grid=lambda ids: patch_grid(ids, IMAGE, sizes))
    # By hand: the second sequence has 2 rows of 3 patches at its positions 1 to 6.
    places = record.vision_grid[1]
    assert places[1:7].tolist() == [
        [0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2],
    ]  # fmt: skip
    assert (places[[0, 7, 8, 9, 10, 11]] == -1).all()
    with pytest.raises(ReviosaError, match=r"\[4, 6\] patches"):
        record.on_patches()

    rows = eager_rows(case)[1, 1]
    mask = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.5, 0.0])
    is_vision = (places[:, 0] >= 0).numpy()
    attention = record.attention[1, 1].numpy()
    metrics = head_metrics(View(attention, is_vision, case.sizes[1], mask.numpy()))
    assert set(metrics) == set(SCORED)
    seen = rows[..., 1:7].sum(-1)
    share = (rows[..., 1:7] * mask).sum(-1) / seen
    assert metrics["visual_mass"].shape == (3, 4)
    torch.testing.assert_close(torch.tensor(metrics["visual_mass"]), seen, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        torch.tensor(metrics["mask_share"]), share.to(torch.tensor(metrics["mask_share"]).dtype),
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip


def test_maps_of_a_grid_that_is_given_in_another_order():
    case = qwen2()
    # The patches of a 1 x 2 x 2 image are keys 3 to 6, column by column; key 7 is text.
    grid = torch.tensor([[-1, -1, -1]] * 3 + [[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    record = recorded(case, torch.tensor([[7], [7]]), key_grid=grid)
    assert record.vision_grid.shape == (2, 8, 3)
    maps = record.on_patches()
    assert maps.shape == (2, 1, 3, 4, 1, 2, 2)
    assert torch.equal(maps.flatten(-3), record.attention[..., [3, 5, 4, 6]])
    with pytest.raises(ReviosaError, match="do not fill a grid of 1 x 3 x 3"):
        recorded(case, torch.tensor([[7], [7]]), key_grid=grid * 2).on_patches()
    with pytest.raises(ReviosaError, match="no key_grid was given"):
        _ = recorded(case).vision_grid


def test_frames_are_counted_through_the_images_of_a_sequence():
    ids = torch.tensor([[IMAGE] * 2 + [1] + [IMAGE] * 2, [1, IMAGE, IMAGE, 1, 1]])
    places = patch_grid(ids, IMAGE, [(1, 1, 2), (2, 1, 1), (1, 2, 1)])
    assert places[0, [0, 1, 3, 4]].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [2, 0, 0]]
    assert places[1, [1, 2]].tolist() == [[0, 0, 0], [0, 1, 0]]
    for sizes in ([(1, 1, 2)], [(1, 2, 2), (1, 1, 3)], [(1, 2, 3)], [(1, 1, 2)] * 4):
        with pytest.raises(ReviosaError, match=r"\[4, 2\] image tokens"):
            patch_grid(ids, IMAGE, sizes)


def test_a_query_that_is_not_read_yet_is_absent():
    case = qwen2()
    attention = recorded(case, torch.tensor([[7, 8], [-1, 3]])).attention
    assert attention.isnan().all(-1)[..., 0, 0].tolist() == [[False, True], [True, False]]
    with torch.no_grad(), record_attention(case.model, lambda ids: find_tokens(ids, 31)) as record:
        case.run()
    assert record.attention.shape == (2, 0, 3, 4, 8)


def test_a_model_that_is_called_with_embeddings():
    case = qwen2()
    embeddings = case.model.get_input_embeddings()(case.inputs["input_ids"])
    given = {"inputs_embeds": embeddings, "attention_mask": case.inputs["attention_mask"]}
    with torch.no_grad(), record_attention(case.model, case.positions) as record:
        case.model(**given)
    assert same(record.attention, eager_rows(case))
    with (
        record_attention(case.model, asked),
        pytest.raises(ReviosaError, match="give positions"),
    ):
        case.model(**given)


def test_tokens_are_found_in_order():
    ids = torch.tensor([[1, 9, 9, 2], [9, 1, 1, 1], [1, 1, 1, 1]])
    assert find_tokens(ids, 9).tolist() == [[1, 2], [0, -1], [-1, -1]]


class Attention(nn.Module):
    """An attention of nobody's, written by transformers' interface."""

    def __init__(
        self, layer_idx: int, stride: int = 1, first: int = 0, name: str = "sdpa", **options
    ) -> None:
        super().__init__()
        self.layer_idx, self.stride, self.first, self.options = layer_idx, stride, first, options
        self.config = SimpleNamespace(_attn_implementation=name)

    def forward(self, states):
        function = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, None)
        query = states.unflatten(-1, (2, -1)).transpose(1, 2)
        key = query[:, :, :: self.stride]
        mask = self.options.get("mask")
        options = {k: v for k, v in self.options.items() if k != "mask"}
        last = query[:, :, self.first :]
        output, _ = function(self, last, key, key, mask, scaling=1.0, **options)
        return output.flatten(-2)


class Plain(nn.Module):
    """A decoder of nobody's."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.embedding, self.layers = nn.Embedding(32, 8), nn.ModuleList(layers)

    def forward(self, input_ids, past_key_values=None):
        states = self.embedding(input_ids)
        for layer in self.layers:
            states = layer(states)
        return states


IDS = torch.tensor([[3, 1, 4, ASK]])


def test_a_decoder_of_ones_own_that_follows_the_interface_is_recorded():
    torch.manual_seed(0)
    model = Plain(Attention(0), Attention(1))
    with torch.no_grad(), record_attention(model, asked) as record:
        model(IDS)
        states = model.embedding(IDS)[0].unflatten(-1, (2, -1))
    # The last token sees all: softmax of its product with each, head by head.
    by_hand = torch.einsum("hd,khd->hk", states[-1], states).softmax(-1)
    torch.testing.assert_close(record.attention[0, 0, 0], by_hand)


class CrossAttention(Attention):
    """Attends to something that is not the text."""


def test_layers_of_cross_attention_are_left_out():
    model = Plain(Attention(0), CrossAttention(1), Attention(2))
    with torch.no_grad(), record_attention(model, asked) as record:
        model(IDS)
    assert record.layers == (0, 2)
    assert record.attention.shape == (1, 1, 2, 2, 4)


class OwnAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer_idx = 0

    def forward(self, states):
        return (states @ states.mT).softmax(-1) @ states


def bloom():
    return BloomForCausalLM(BloomConfig(vocab_size=32, hidden_size=8, n_layer=1, n_head=2))


def t5():
    return T5ForConditionalGeneration(
        T5Config(vocab_size=32, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (bloom, "BloomForCausalLM cannot be recorded: found BloomAttention, and none with"),
        (lambda: Plain(OwnAttention()), "Plain cannot be recorded: found OwnAttention, and none"),
        (lambda: Plain(nn.Linear(8, 8)), "found no module named attention"),
        (lambda: Plain(Attention(0), Attention(0)), "two attention modules of layer 0"),
        (t5, "T5ForConditionalGeneration is an encoder with a decoder"),
    ],
    ids=["bloom", "own attention", "no attention", "two of a layer", "encoder and decoder"],
)
def test_a_model_that_cannot_be_recorded_is_refused(build, words):
    with pytest.raises(ReviosaError, match=words), record_attention(build(), asked):
        pass


def test_a_layer_that_goes_round_the_interface_is_told():
    """A patched forward, as fused kernels of other packages bring it."""
    case = qwen2()
    attention = case.model.model.layers[1].self_attn
    attention.forward = lambda hidden_states, **more: (hidden_states, None)
    with (
        torch.no_grad(),
        record_attention(case.model, asked) as record,
        pytest.raises(ReviosaError, match=r"nothing was recorded of layers \[1\]"),
    ):
        case.run()
    with pytest.raises(ReviosaError, match="nothing is recorded yet"):
        _ = record.attention
    assert recorded(case, layers=[0, 2]).attention.shape[2] == 2


def ignores_all(module, query, key, value, mask, **options):
    return query.transpose(1, 2), None


@pytest.mark.parametrize(
    ("attention", "words"),
    [
        (Attention(0, stride=2), "layer 0 attends to 2 keys where the sequence has 4 tokens"),
        (Attention(0, first=3), "layer 0 asks for 1 queries where the pass has 4 tokens"),
        (Attention(0, name="toy", position_bias=1), "changes its scores by position_bias"),
        (Attention(0, name="toy", mask=object()), "got a object for an attention mask"),
        (Attention(0, name="toy", cu_seq_lens_q=1), "packed into one"),
        (
            Attention(0, name="flash_toy", position_ids=torch.tensor([[0, 1, 0, 1]])),
            "packed into one",
        ),
    ],
    ids=[
        "other keys",
        "the last alone",
        "position bias",
        "block mask",
        "packed",
        "packed by positions",
    ],
)
def test_what_is_not_followed_is_refused_in_the_pass(attention, words, monkeypatch):
    for name in ("toy", "flash_toy"):
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, name, ignores_all)
    model = Plain(attention)
    with record_attention(model, asked), pytest.raises(ReviosaError, match=words):
        model(IDS)


def test_layers_of_different_width_are_read_apart():
    case = qwen2()
    layer = case.model.model.layers[1].self_attn
    layer.q_proj, layer.o_proj = nn.Linear(32, 16), nn.Linear(16, 32)
    layer.num_key_value_groups = 1
    with pytest.raises(ReviosaError, match=r"different numbers of heads.*1: 2"):
        _ = recorded(case).attention
    assert recorded(case, layers=[1]).attention.shape == (2, 2, 1, 2, 8)


@pytest.mark.parametrize(
    "queries",
    [torch.tensor([1]), torch.tensor([[1.0]]), torch.tensor([[-2]])],
    ids=["one axis", "float", "below -1"],
)
def test_queries_of_another_form_are_refused(queries):
    with (
        pytest.raises(ConfigError, match="got queries"),
        record_attention(qwen2().model, queries),
    ):
        pass


def test_bad_requests_are_refused():
    case = qwen2()
    with (
        record_attention(case.model, torch.tensor([[1]])),
        pytest.raises(ReviosaError, match="positions of 1 sequences, expected 2"),
    ):
        case.run()
    with (
        pytest.raises(ConfigError, match="got a key_grid"),
        record_attention(case.model, asked, key_grid=torch.zeros(4, 2)),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="no layer"),
        record_attention(case.model, asked, None, []),
    ):
        pass
    with (
        record_attention(case.model, asked),
        pytest.raises(ReviosaError, match="recorded already"),
        record_attention(case.model, asked),
    ):
        pass
    with torch.no_grad():
        cache = case.run(use_cache=True).past_key_values
        with (
            record_attention(case.model, asked),
            pytest.raises(ReviosaError, match="before the recording began"),
        ):
            case.model(torch.tensor([[1], [1]]), past_key_values=cache)
    assert SIZES["num_key_value_heads"] < SIZES["num_attention_heads"], "cases must share keys"
