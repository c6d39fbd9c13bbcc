"""The model's contract: counts that must match, what trains, what is saved and loaded."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor

from reviosa import ReviosaConfig, ReviosaModel
from reviosa.errors import CheckpointError, ConfigError, ReviosaError
from reviosa.model import load, model_identity, save
from reviosa.model.lora import freeze_for_training, inject_lora, merge_lora, trainable_names
from reviosa.model.roles import find_roles, vision_grid
from reviosa.model.segmenter import encode_frames


@pytest.fixture
def batch(tiny_processor):
    torch.manual_seed(1)
    ids, _ = tiny_processor.conversation(
        ["the star pushing the ring", "the ring"],
        ["It is [SEG_ACT] and [SEG_TAR].", "It is [SEG_ACT]."],
        2,
    )
    return {
        "input_ids": torch.tensor([ids]),
        "pixel_values": torch.randn(1, 2, 3, 32, 32),
        "sam_pixel_values": torch.randn(1, 2, 3, 32, 32),
    }


def test_every_role_token_gets_a_mask_on_every_frame(tiny_model, batch):
    output = tiny_model(**batch)
    # Two expressions, the first with a target; SAM2's low resolution is 32 / 4 = 8 pixels.
    assert output.prompt_row.tolist() == [0, 0, 1]
    assert output.prompt_role.tolist() == [0, 1, 0]
    assert output.mask_logits.shape == (3, 2, 8, 8)
    assert output.mask_iou.shape == (3, 2)
    assert output.logits.shape == (1, batch["input_ids"].shape[1], 384)


def test_a_mask_follows_its_own_sample(tiny_model, batch):
    """Two samples in a batch give what each gives alone."""
    other = {k: v.clone() for k, v in batch.items()}
    other["pixel_values"] += 1
    other["sam_pixel_values"] += 1
    both = {k: torch.cat([batch[k], other[k]]) for k in batch}
    with torch.no_grad():
        joined = tiny_model(**both).mask_logits
        alone = torch.cat([tiny_model(**batch).mask_logits, tiny_model(**other).mask_logits])
    # Measured difference 1.5e-7, from batched matrix products.
    torch.testing.assert_close(joined, alone, rtol=0, atol=2e-6)
    assert (alone[:3] - alone[3:]).abs().max() > 1e-3


def test_image_tokens_are_counted_against_the_features(tiny_model, batch):
    batch["pixel_values"] = batch["pixel_values"][:, :1]
    with pytest.raises(ReviosaError, match=r"\[8\] image tokens but the frames give \[4\]"):
        tiny_model(**batch)


def test_image_tokens_of_each_sample_are_counted(tiny_model, tiny_processor):
    """Three frames and one against twice two: the sum is right, each sample is not."""
    texts = [tiny_processor.conversation(["the star"], [None], frames)[0] for frames in (3, 1)]
    ids, mask = tiny_processor.pad(texts)
    with pytest.raises(ReviosaError, match=r"\[12, 4\] image tokens .* \[8, 8\]"):
        tiny_model(ids, mask, pixel_values=torch.randn(2, 2, 3, 32, 32))


@pytest.mark.parametrize("frames", [1, 3])
def test_sam_frames_are_counted(tiny_model, batch, frames):
    both = {k: torch.cat([v, v]) for k, v in batch.items() if k != "sam_pixel_values"}
    with torch.no_grad():
        features = encode_frames(tiny_model.sam2, torch.randn(frames, 3, 32, 32))
    with pytest.raises(ReviosaError, match=f"features of {frames} frames for 2 conversations"):
        tiny_model(**both, sam_features=features)


def test_role_tokens_are_paired_with_their_expression():
    ids = torch.tensor([[1, 8, 2, 9, 8, 2, 2], [2, 2, 8, 2, 8, 9, 2]])
    roles = find_roles(ids, actor_id=8, target_id=9)
    assert roles.sample.tolist() == [0, 0, 1, 1]
    assert roles.position.tolist() == [[1, 3], [4, -1], [2, -1], [4, 5]]


@pytest.mark.parametrize(
    ("ids", "message"),
    [([9, 8], "no actor token before it"), ([8, 9, 9], "at most one target")],
)
def test_role_tokens_in_an_impossible_order_are_refused(ids, message):
    with pytest.raises(ReviosaError, match=message):
        find_roles(torch.tensor([ids]), actor_id=8, target_id=9)


def test_patches_stand_frame_by_frame_and_row_by_row():
    ids = torch.tensor([[7, 5, 5, 5, 5, 7, 5, 5, 5, 5]])
    grid = vision_grid(ids, image_token_id=5, grid=2)[0].tolist()
    assert grid[0] == [-1, -1, -1]
    assert grid[1:5] == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert grid[6:] == [[1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]


def test_generation_sees_the_frames(tiny_model, tiny_processor, batch):
    ids, _ = tiny_processor.conversation(["the star"], [None], 2)

    def scores(pixels):
        generated = tiny_model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
            pixel_values=pixels,
            max_new_tokens=3,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=383,
            output_scores=True,
            return_dict_in_generate=True,
        )
        return torch.stack(generated.scores)

    one, two = scores(batch["pixel_values"]), scores(batch["pixel_values"] + 1)
    assert one.shape[0] == 3
    assert (one - two).abs().max() > 1e-4


def test_what_trains_is_what_the_release_trains(tiny_model):
    inject_lora(tiny_model, rank=2, alpha=4)
    freeze_for_training(tiny_model)
    names = trainable_names(tiny_model)
    parts = {
        "mllm.lm_head", "mllm.model.multi_modal_projector", "seg_projector",
        "sam2.sam_mask_decoder", "mllm.model.language_model.embed_tokens",
    }  # fmt: skip
    for part in parts:
        assert any(n.startswith(part) for n in names), part
    adapters = [n for n in names if "lora_" in n]
    # Seven projections a layer, three layers, an A and a B each.
    assert len(adapters) == 7 * 3 * 2
    rest = [n for n in names if n not in adapters and not n.startswith(tuple(parts))]
    assert rest == []


def test_merging_adapters_keeps_the_function(tiny_model, batch):
    inject_lora(tiny_model, rank=2, alpha=4, dropout=0.0)
    for name, parameter in tiny_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        before = tiny_model(**batch).logits
        merge_lora(tiny_model)
        after = tiny_model(**batch).logits
    # Measured difference 5.7e-6 on logits up to 1.1: one rounding of the merged weights.
    torch.testing.assert_close(after, before, rtol=1e-4, atol=2e-5)
    assert not [n for n in tiny_model.state_dict() if "lora_" in n]


def test_adapters_that_are_there_are_kept_and_others_refused(tiny_model):
    """A converted training checkpoint comes with its adapters."""
    inject_lora(tiny_model, rank=2, alpha=4)
    names = list(tiny_model.state_dict())
    inject_lora(tiny_model, rank=2, alpha=4)
    assert list(tiny_model.state_dict()) == names
    with pytest.raises(ConfigError, match="adapters of .*'rank': 2.* the run asks for .*'rank': 4"):
        inject_lora(tiny_model, rank=4, alpha=8)


def test_a_checkpoint_comes_back_as_it_was(tiny_model, tiny_processor, batch, tmp_path):
    folder = tmp_path / "model"
    save(tiny_model, tiny_processor, folder)
    loaded, processor = load(folder, device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch).mask_logits, tiny_model(**batch).mask_logits)
    assert isinstance(AutoModel.from_pretrained(folder), ReviosaModel)
    assert type(AutoProcessor.from_pretrained(folder)) is type(processor)
    assert processor.grid == 2
    assert len(model_identity(folder)) == 16
    with pytest.raises(FileExistsError):
        save(tiny_model, tiny_processor, folder)


def test_a_checkpoint_with_adapters_comes_back(tiny_model, tiny_processor, batch, tmp_path):
    inject_lora(tiny_model, rank=2, alpha=4, dropout=0.0)
    torch.nn.init.normal_(next(p for n, p in tiny_model.named_parameters() if "lora_B" in n))
    save(tiny_model, tiny_processor, tmp_path / "model")
    loaded, _ = load(tmp_path / "model", device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch).logits, tiny_model(**batch).logits)


def test_a_checkpoint_that_is_not_one_is_refused(tiny_model, tiny_processor, tmp_path):
    with pytest.raises(CheckpointError, match="no such folder"):
        load(tmp_path / "nothing")
    folder = tmp_path / "model"
    save(tiny_model, tiny_processor, folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()

    tensors = load_file(weights)
    name = "seg_projector.0.weight"
    save_file({**tensors, name: torch.zeros(3, 3)}, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"{name} has the shape \[3, 3\].*\[32, 32\]"):
        load(folder)

    fewer = {k: v for k, v in tensors.items() if k != name}
    save_file(fewer, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"lacks 1 tensors, first {name}"):
        load(folder)

    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(folder)

    weights.unlink()
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        load(folder)


def test_a_configuration_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no preset is called '7b'; choose one of nano, 1b, 4b"):
        ReviosaConfig.preset("7b")
    with pytest.raises(ConfigError, match="vocabulary holds ids 0 to 383"):
        ReviosaConfig(actor_token_id=5000)
    with pytest.raises(ConfigError, match="needs a token of its own"):
        ReviosaConfig(actor_token_id=9, target_token_id=9)


def test_presets_have_the_published_shapes():
    one, four = ReviosaConfig.preset("1b"), ReviosaConfig.preset("4b")
    assert (one.num_layers, one.num_heads, one.grid) == (24, 14, 16)
    assert (four.num_layers, four.num_heads, four.grid) == (36, 16, 16)
    for config in (one, four):
        assert config.mllm_config.text_config.num_key_value_heads == 2
        assert json.loads(config.to_json_string())["sam2_base"] == "sam2/sam2_hiera_l"


@pytest.mark.parametrize(
    ("name", "internvl", "hidden"), [("1b", 938_193_024, 896), ("4b", 3_712_637_952, 2048)]
)
def test_published_shapes_have_the_published_parameter_counts(name, internvl, hidden):
    """On the meta device, to the last parameter.

    The counts of InternVL2_5-1B and 4B are those the model hub gives for the published files; by
    hand: InternViT-300M 304,012,288 (24 layers of 12,598,272, patches 603,136, positions 1,049,600,
    class 1,024), the projector 4,482,816 or 12,595,200, Qwen2.5-0.5B 629,697,920 and 3B
    3,396,030,464 with 151,674 rows of embeddings and of head. ReVIOSa adds six rows to each.
    SAM 2.0 Hiera-L: 224,430,130 (224.4 million in its own table).
    """
    with torch.device("meta"):
        model = ReviosaModel(ReviosaConfig.preset(name))

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(model.mllm) == internvl + 2 * 6 * hidden
    assert count(model.mllm.model.vision_tower) == 304_012_288
    assert count(model.sam2) == 224_430_130
    # Linear(d, d), Linear(d, 256), with biases.
    assert count(model.seg_projector) == hidden * hidden + hidden + hidden * 256 + 256


def test_a_bf16_model_segments_and_tracks(tiny_model, batch):
    from reviosa.model.segmenter import encode_frames
    from reviosa.model.tracker import MemoryTracker

    with torch.no_grad():
        wanted = tiny_model(**batch).mask_logits
        half = tiny_model.bfloat16()
        got = half(**{k: v.bfloat16() if v.is_floating_point() else v for k, v in batch.items()})
        features = encode_frames(half.sam2, batch["sam_pixel_values"][0].bfloat16())
        tracker = MemoryTracker(half.sam2, 2)
        tracker.condition(0, features.take(torch.tensor([0, 0, 0])), got.prompts)
        tracked = tracker.track(1, features.take(torch.tensor([1, 1, 1]))).masks()
    # bf16 has 8 bits of mantissa; logits here are about 0.3.
    assert (got.mask_logits - wanted).abs().max() < 0.05
    assert tracked.shape == (3, 8, 8) and tracked.isfinite().all()


def test_an_argument_the_model_does_not_know_is_refused(tiny_model, batch):
    with pytest.raises(TypeError, match="pixel_value"):
        tiny_model(batch["input_ids"], pixel_value=batch["pixel_values"])


def test_sam2_overrides_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="check the names and values in sam2_overrides"):
        ReviosaModel(ReviosaConfig(sam2_overrides={"nonsense": 1}))
    with pytest.raises(ConfigError, match="has no configuration 'sam9'"):
        ReviosaModel(ReviosaConfig(sam2_base="sam9"))
