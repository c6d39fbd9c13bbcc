"""What comes in goes out again: names, types and bytes of every tensor, and the tokens."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reviosa import ReviosaConfig
from reviosa.conversion import convert, export
from reviosa.errors import CheckpointError, ConfigError
from reviosa.inference import Segmenter
from reviosa.model import load
from tests.fixtures_published import (
    BASE_ROWS,
    ROWS,
    SAM2,
    internvl_folder,
    internvl_tensors,
    reviosa_folder,
    sam2_file,
    sam2_tensors,
    training_file,
    training_tensors,
)


def read_folder(folder: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    return tensors


def assert_same(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert sorted(got) == sorted(wanted)
    for key, tensor in wanted.items():
        assert got[key].dtype == tensor.dtype and got[key].shape == tensor.shape, key
        assert torch.equal(got[key].view(torch.uint8), tensor.contiguous().view(torch.uint8)), key


@pytest.fixture
def from_internvl(tmp_path):
    source = internvl_folder(tmp_path / "internvl", internvl_tensors())
    convert(source, tmp_path / "ours", sam2=sam2_file(tmp_path / "sam2.pt"), sam2_shape=SAM2)
    return tmp_path / "ours"


@pytest.mark.parametrize("kind", ["sa2va", "reviosa"])
def test_a_published_model_comes_back_byte_for_byte(tmp_path, kind):
    source, tensors = reviosa_folder(tmp_path / "source", f"{kind}_chat", template="phi3_chat")
    convert(source, tmp_path / "ours", sam2_shape=SAM2)
    count = export(tmp_path / "ours", tmp_path / "back", kind)
    assert count == len(tensors)
    assert_same(read_folder(tmp_path / "back"), tensors)
    # And that can be read again: the same checkpoint of ours.
    convert(tmp_path / "back", tmp_path / "again", sam2_shape=SAM2)
    assert_same(read_folder(tmp_path / "again"), read_folder(tmp_path / "ours"))


def test_internvl_and_sam2_come_back_byte_for_byte(tmp_path, from_internvl):
    export(from_internvl, tmp_path / "back", "internvl")
    assert_same(read_folder(tmp_path / "back"), internvl_tensors())
    assert json.loads((tmp_path / "back/config.json").read_text())["llm_config"]["vocab_size"] == (
        BASE_ROWS
    )
    export(from_internvl, tmp_path / "sam2-back.pt", "sam2")
    back = torch.load(tmp_path / "sam2-back.pt", weights_only=True)
    assert_same(back["model"], sam2_tensors())


def test_a_training_checkpoint_comes_back_byte_for_byte(tmp_path):
    done = convert(
        training_file(tmp_path / "iter_4000.pth"),
        tmp_path / "ours",
        base=internvl_folder(tmp_path / "base", internvl_tensors()),
        sam2=sam2_file(tmp_path / "sam2.pt"),
        sam2_shape=SAM2,
    )
    assert not done.fresh, "nothing was drawn at random"
    export(tmp_path / "ours", tmp_path / "back.pth", "training")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert_same(back["state_dict"], training_tensors())


def test_adapters_are_merged_where_a_layout_has_none(tmp_path):
    """W + 2 B A, the release's alpha being twice the rank."""
    base, trained = internvl_tensors(), training_tensors()
    convert(
        training_file(tmp_path / "iter_4000.pth"),
        tmp_path / "ours",
        base=internvl_folder(tmp_path / "base", base),
        sam2=sam2_file(tmp_path / "sam2.pt"),
        sam2_shape=SAM2,
    )
    export(tmp_path / "ours", tmp_path / "hf", "reviosa")
    merged = read_folder(tmp_path / "hf")
    name = "layers.1.mlp.down_proj"
    stem = f"mllm.model.language_model.base_model.model.model.{name}"
    a, b = (trained[f"{stem}.lora_{x}.default.weight"] for x in "AB")
    wanted = base[f"language_model.model.{name}.weight"] + 2 * b @ a
    assert torch.allclose(merged[f"language_model.model.{name}.weight"], wanted, atol=1e-6)
    assert not any("lora" in key for key in merged)


def test_role_tokens_keep_their_ids_under_our_names(tmp_path):
    source, _ = reviosa_folder(tmp_path / "source")
    convert(source, tmp_path / "ours", sam2_shape=SAM2)
    model, processor = load(tmp_path / "ours", device="cpu")
    assert model.dtype == torch.float32, "on the CPU"
    assert ReviosaConfig.from_pretrained(tmp_path / "ours").dtype == torch.bfloat16
    half, _ = load(tmp_path / "ours", device="cpu", dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    # REVIOSA.md 1.3: [SEG], <p>, </p>, <vp>, </vp>, [SEG_OBJ] follow the base vocabulary.
    assert model.config.actor_token_id == BASE_ROWS
    assert model.config.target_token_id == ROWS - 1
    tokenizer = processor.tokenizer
    assert tokenizer.convert_tokens_to_ids(["[SEG_ACT]", "[SEG_TAR]"]) == [BASE_ROWS, ROWS - 1]
    assert "[SEG]" not in tokenizer.get_vocab()

    export(tmp_path / "ours", tmp_path / "back", "reviosa")
    from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

    text = "<img><IMG_CONTEXT></img>\nsegment the réd one<|im_end|> It is [SEG] and [SEG_OBJ]."
    before, after = (Qwen2Tokenizer.from_pretrained(x) for x in (source, tmp_path / "back"))
    assert after(text)["input_ids"] == before(text)["input_ids"]
    ours = text.replace("[SEG]", "[SEG_ACT]").replace("[SEG_OBJ]", "[SEG_TAR]")
    assert tokenizer(ours)["input_ids"] == before(text)["input_ids"]


def test_new_tokens_are_the_only_new_rows(tmp_path, from_internvl):
    """The source's rows stay; those of the six tokens are small and fixed by the seed."""
    key = "mllm.model.language_model.embed_tokens.weight"
    rows = read_folder(from_internvl)[key]
    old = internvl_tensors()["language_model.model.embed_tokens.weight"]
    assert torch.equal(rows[:BASE_ROWS], old) and len(rows) == ROWS
    # Standard deviation 0.02 over 6 x 32 values: 0.0202 with a spread of 0.001.
    assert 0.015 < rows[BASE_ROWS:].std() < 0.025
    for seed, same in ((0, True), (1, False)):
        again = from_internvl.parent / f"seed{seed}"
        convert(
            from_internvl.parent / "internvl",
            again,
            sam2=from_internvl.parent / "sam2.pt",
            sam2_shape=SAM2,
            seed=seed,
        )
        assert torch.equal(read_folder(again)[key], rows) == same


@pytest.mark.parametrize(
    ("template", "question", "end"),
    [
        ("qwen_chat", "<|im_start|>user\n", "<|im_end|>"),
        ("phi3_chat", "<|user|>\n", "<|end|>"),
    ],
)
def test_the_template_of_the_weights_is_kept(tmp_path, template, question, end):
    """The published 4B was trained with phi3's marks, as plain text (REVIOSA.md 1.4)."""
    source, _ = reviosa_folder(tmp_path / "source", template=template)
    convert(source, tmp_path / "ours", sam2_shape=SAM2)
    _, processor = load(tmp_path / "ours", device="cpu")
    ids, labels = processor.conversation(["a dog"], ["It is [SEG_ACT]."], 1)
    text = processor.tokenizer.decode(ids)
    frame = "<img>" + 4 * "<IMG_CONTEXT>" + "</img>"
    assert text.startswith(f"{question}{frame}\nPlease segment a dog.{end}\n")
    supervised = [i for i, label in zip(ids, labels, strict=True) if label >= 0]
    assert processor.tokenizer.decode(supervised) == f"It is [SEG_ACT].{end}"
    assert processor.decode(supervised) == "It is [SEG_ACT]."


def test_a_checkpoint_that_lacks_a_tensor_is_not_written(tmp_path, from_internvl):
    """A third of InternVL's joined queries, keys and values would make two thirds of a tensor."""
    path = from_internvl / "model.safetensors"
    whole = load_file(path)
    key = "mllm.model.vision_tower.encoder.layer.1.attention.k_proj.weight"
    for change in ({}, {key: whole[key][:3].clone()}):
        odd = {k: v for k, v in whole.items() if k != key} | change
        save_file(odd, path, metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match=f"1 tensors are not what .* first {key}"):
            export(from_internvl, tmp_path / "back", "internvl")
        assert not (tmp_path / "back").exists()
    save_file({**whole, "odd": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"first odd: got \[1\], expected none"):
        export(from_internvl, tmp_path / "back", "reviosa")


def test_a_checkpoint_without_the_settings_of_its_processor(tmp_path, from_internvl):
    """transformers would fill in those of the nano model."""
    path = from_internvl / "processor_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "image_size": 56}))
    with pytest.raises(CheckpointError, match="the two belong to different models"):
        load(from_internvl, device="cpu")
    path.unlink()
    for use in (load, lambda folder: export(folder, tmp_path / "back", "reviosa")):
        with pytest.raises(CheckpointError, match=r"no processor_config\.json"):
            use(from_internvl)
    assert not (tmp_path / "back").exists()


def test_a_language_model_without_a_first_token(tmp_path):
    source, _ = reviosa_folder(tmp_path / "source")
    path = source / "config.json"
    config = json.loads(path.read_text())
    config["llm_config"]["bos_token_id"] = None
    path.write_text(json.dumps(config))
    convert(source, tmp_path / "ours", sam2_shape=SAM2)
    export(tmp_path / "ours", tmp_path / "back", "reviosa")
    back = json.loads((tmp_path / "back" / "config.json").read_text())
    assert back["llm_config"]["bos_token_id"] is None


def test_a_template_nobody_knows_is_asked_for(tmp_path):
    source, _ = reviosa_folder(tmp_path / "source", template="vicuna")
    with pytest.raises(CheckpointError, match="'vicuna', expected one of .* say with --template"):
        convert(source, tmp_path / "ours", sam2_shape=SAM2)
    with pytest.raises(ConfigError, match="no chat template is called 'vicuna'"):
        convert(source, tmp_path / "ours", sam2_shape=SAM2, template="vicuna")
    assert not (tmp_path / "ours").exists()
    convert(source, tmp_path / "ours", sam2_shape=SAM2, template="phi3_chat")
    assert load(tmp_path / "ours", device="cpu")[1].template == "phi3_chat"


def test_weights_without_adapters_are_no_training_checkpoint(tmp_path, from_internvl):
    with pytest.raises(CheckpointError, match="without adapters"):
        export(from_internvl, tmp_path / "back.pth", "training")
    assert not (tmp_path / "back.pth").exists()


def test_an_answer_in_plain_text_marks_ends_at_its_mark(tmp_path, monkeypatch):
    """``<|end|>`` is five plain tokens to this tokenizer; what follows it is never asked for."""
    source, _ = reviosa_folder(tmp_path / "source", template="phi3_chat")
    convert(source, tmp_path / "ours", sam2_shape=SAM2)
    model, processor = load(tmp_path / "ours", device="cpu")
    ids = processor.tokenizer("It is [SEG_ACT].<|end|> and on and on")["input_ids"]
    script, real = iter(ids), model.forward

    @functools.wraps(real)
    def scripted(*args, **kwargs):
        output = real(*args, **kwargs)
        if kwargs.get("find_prompts") is None and kwargs.get("logits_to_keep") == 1:
            output.logits[:, -1] = torch.nn.functional.one_hot(
                torch.tensor(next(script)), output.logits.shape[-1]
            )
        return output

    segmenter = Segmenter(model, processor)
    features = segmenter.encode(np.zeros((2, 24, 24, 3), np.uint8))
    monkeypatch.setattr(model, "forward", scripted)
    first, second = segmenter.answer(features, ["a dog", "the large red one"])
    assert (first.text, first.babble) == ("It is [SEG_ACT].", None) == second[1:]
    said = processor.tokenizer.decode(first.ids).split("<|assistant|>\n")[1]
    assert said == "It is [SEG_ACT].<|end|>"
    assert next(script) == ids[len(processor.tokenizer("It is [SEG_ACT].<|end|>")["input_ids"])]
