"""Files that cannot be trusted or do not fit are refused, and nothing is left behind."""

import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reviosa.conversion import convert
from reviosa.conversion.files import open_pickle
from reviosa.errors import CheckpointError
from reviosa.model import load
from tests.fixtures_published import (
    BASE_ROWS,
    SAM2,
    internvl_folder,
    internvl_tensors,
    reviosa_folder,
    sam2_file,
    sam2_tensors,
    training_file,
    training_tensors,
)


@pytest.fixture
def published(tmp_path):
    folder, _ = reviosa_folder(tmp_path / "in" / "source", shards=1)
    return folder


def refuses(tmp_path, match, source, **options):
    """``convert`` refuses, and the folder it would have written into stays empty."""
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match=match):
        convert(source, out / "ours", sam2_shape=SAM2, **options)
    assert not out.exists() or not list(out.iterdir())


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class Malicious:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_cut_off_safetensors_file(tmp_path, published):
    cut(published / "model.safetensors")
    refuses(tmp_path, "cannot be read .* cut off", published)


def test_a_missing_shard(tmp_path):
    folder, _ = reviosa_folder(tmp_path / "in" / "source", shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    refuses(tmp_path, "1 of 3 shards are missing, first model-00002", folder)


def test_shards_of_another_download(tmp_path):
    folder, _ = reviosa_folder(tmp_path / "in" / "source", shards=2)
    os.replace(
        folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors"
    )
    (folder / "model-00001-of-00002.safetensors").write_bytes(
        (folder / "model-00002-of-00002.safetensors").read_bytes()
    )
    refuses(tmp_path, "not where the index has it", folder)


def test_an_index_that_promises_more(tmp_path):
    folder, _ = reviosa_folder(tmp_path / "in" / "source", shards=2)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["more"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    refuses(tmp_path, "names 1 tensors that no shard holds, first more", folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}'])
def test_an_index_that_is_none(tmp_path, published, content):
    (published / "model.safetensors.index.json").write_text(content)
    refuses(tmp_path, "got no index of shards", published)


def test_a_misnamed_tensor(tmp_path, published):
    rewrite(published, lambda t: t.update({"mlp1.5.bias": t.pop("mlp1.1.bias")}))
    refuses(
        tmp_path,
        "1 unknown: mlp1.5.bias; 1 missing: mllm.model.multi_modal_projector.linear_1.bias",
        published,
    )


def test_a_tensor_of_another_shape(tmp_path, published):
    rewrite(published, lambda t: t.update({"mlp1.3.weight": torch.zeros(32, 31)}))
    refuses(tmp_path, r"1 of another shape: .*linear_2.weight \[32, 31\] for \[32, 32\]", published)


def test_more_embedding_rows_than_the_configuration_has(tmp_path, published):
    key = "language_model.lm_head.weight"
    rewrite(published, lambda t: t.update({key: torch.zeros(900, 32)}))
    refuses(tmp_path, r"mllm.lm_head.weight \[900, 32\] for", published)


def test_fewer_embedding_rows_than_the_configuration_has(tmp_path, published):
    key = "language_model.model.embed_tokens.weight"
    rewrite(published, lambda t: t.update({key: t[key][:-1].clone()}))
    refuses(tmp_path, r"1 of another shape: mllm.model.language_model.embed_tokens", published)


@pytest.mark.parametrize(
    "lost",
    [
        "text_hidden_fcs.2.bias",
        "mllm.model.mlp1.1.weight",
        "mllm.model.language_model.base_model.model.lm_head.weight",
        "mllm.model.language_model.base_model.model.model.layers.1.mlp.up_proj.lora_B.default.weight",
        "grounding_encoder.sam2_model.sam_mask_decoder.mask_tokens.weight",
    ],
)
def test_a_training_checkpoint_without_a_tensor_that_was_trained(tmp_path, lost):
    """The base has most of these too, untrained: they must not be taken from there."""
    (tmp_path / "in").mkdir()
    tensors = training_tensors()
    del tensors[lost]
    torch.save({"state_dict": tensors}, tmp_path / "in" / "iter_9.pth")
    refuses(
        tmp_path,
        "not every tensor fits; 1 missing: ",
        tmp_path / "in" / "iter_9.pth",
        base=internvl_folder(tmp_path / "in" / "base", internvl_tensors()),
        sam2=sam2_file(tmp_path / "in" / "sam2.pt"),
    )


def test_a_training_checkpoint_with_the_rows_of_its_base(tmp_path):
    (tmp_path / "in").mkdir()
    tensors, key = training_tensors(), "mllm.model.language_model.base_model.model.lm_head.weight"
    tensors[key] = tensors[key][:BASE_ROWS].clone()
    torch.save({"state_dict": tensors}, tmp_path / "in" / "iter_9.pth")
    refuses(
        tmp_path,
        "1 of another shape: mllm.lm_head.weight",
        tmp_path / "in" / "iter_9.pth",
        base=internvl_folder(tmp_path / "in" / "base", internvl_tensors()),
        sam2=sam2_file(tmp_path / "in" / "sam2.pt"),
    )


def test_many_odd_tensors_are_counted_and_some_named(tmp_path, published):
    rewrite(published, lambda t: t.update({f"odd.{i:02d}": torch.zeros(1) for i in range(20)}))
    refuses(tmp_path, "20 unknown: odd.00, .*, odd.07 and 12 more", published)


def test_partial_converts_what_fits_and_tells(tmp_path, published):
    def change(tensors):
        tensors["odd"] = torch.zeros(1)
        del tensors["text_hidden_fcs.0.bias"]
        del tensors["language_model.model.norm.weight"]
        tensors["mlp1.3.weight"] = torch.zeros(32, 31)

    rewrite(published, change)
    done = convert(published, tmp_path / "ours", sam2_shape=SAM2, partial=True)
    assert done.unknown == ["odd"]
    assert done.missing == ["mllm.model.language_model.norm.weight", "seg_projector.0.bias"]
    assert len(done.misshapen) == 1
    model, _ = load(tmp_path / "ours", device="cpu")
    # What was drawn is what a new model starts with: a norm of ones.
    assert torch.equal(model.language_model.norm.weight, torch.ones(32))


@pytest.mark.parametrize("where", ["training", "sam2"])
def test_a_pickle_that_would_run_code_is_not_run(tmp_path, where):
    (tmp_path / "in").mkdir()
    target = tmp_path / "made"
    path = tmp_path / "in" / "file.pth"
    tensors = training_tensors() if where == "training" else sam2_tensors()
    torch.save({"state_dict": tensors, "meta": Malicious(target)}, path)
    folder = internvl_folder(tmp_path / "in" / "base", internvl_tensors())
    match = "more than tensors, and reading that would run code from it .*mkdir"
    if where == "training":
        sam2 = sam2_file(tmp_path / "in" / "sam2.pt")
        refuses(tmp_path, match, path, base=folder, sam2=sam2)
    else:
        refuses(tmp_path, match, folder, sam2=path)
    assert not target.exists()


def rezip(path, change, compress=zipfile.ZIP_STORED):
    """Write an archive of torch.save anew with records changed, check sums right."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    change(records)
    with zipfile.ZipFile(path, "w", compress) as archive:
        for name, content in records.items():
            archive.writestr(name, content)


def largest(records):
    return max((name for name in records if "/data/" in name), key=lambda name: len(records[name]))


def test_an_archive_with_a_hole(tmp_path):
    """A download that left zeros behind: names, shapes and lengths are as they were."""
    (tmp_path / "in").mkdir()
    path = sam2_file(tmp_path / "in" / "sam2.pt")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        name = largest({x: archive.read(x) for x in archive.namelist()})
        start = archive.getinfo(name).header_offset + 400
    path.write_bytes(content[:start] + bytes(800) + content[start + 800 :])
    folder = internvl_folder(tmp_path / "in" / "base", internvl_tensors())
    refuses(tmp_path, f"check sum of its record {name} is wrong.* damaged", folder, sam2=path)


def test_an_archive_whose_record_was_shortened(tmp_path):
    def change(records):
        name = largest(records)
        records[name] = records[name][: len(records[name]) // 2]

    (tmp_path / "in").mkdir()
    path = sam2_file(tmp_path / "in" / "sam2.pt")
    rezip(path, change)
    folder = internvl_folder(tmp_path / "in" / "base", internvl_tensors())
    refuses(tmp_path, "sam2.pt: the file cannot be read", folder, sam2=path)


def test_an_archive_that_was_packed_again_is_read_right(tmp_path):
    path = tmp_path / "sam2.pt"
    torch.save({"model": {"a": torch.arange(1000.0)}}, path)
    rezip(path, lambda records: None, zipfile.ZIP_DEFLATED)
    assert torch.equal(open_pickle(path)["a"].read(), torch.arange(1000.0))


def with_pickle(path, text):
    """An archive of torch.save whose pickle is ``text``."""

    def change(records):
        pickled = next(x for x in records if x.endswith("data.pkl"))
        records[pickled] = text.encode("latin1")

    torch.save({"a": torch.zeros(1)}, path)
    rezip(path, change)
    return path


@pytest.mark.parametrize(
    ("called", "told"),
    [
        ("numpy.testing._private.utils.runstring", "numpy.testing"),
        ("pathlib.os.system", "pathlib.os.system"),
        ("mmengine.runner.evil", "mmengine.runner.evil"),
        ("builtins.eval", "eval"),
    ],
)
def test_what_only_sounds_like_a_log_is_not_read(tmp_path, called, told):
    """The pickle of {"state_dict": {}, "meta": f("x")} by hand, f an arbitrary name."""
    module, name = called.rsplit(".", 1)
    text = f"\x80\x02}}(X\n\0\0\0state_dict}}X\4\0\0\0metac{module}\n{name}\nX\1\0\0\0x\x85Ru."
    path = with_pickle(tmp_path / "iter_1.pth", text)
    with pytest.raises(CheckpointError, match=rf"run code from it \(it calls {told}") as caught:
        open_pickle(path)
    assert "will likely succeed" not in str(caught.value)


def test_a_call_through_a_stand_in_does_nothing(tmp_path):
    """getattr("x", "y")("z"): the stand-in is inert, and what it makes cannot be called."""
    text = (
        "\x80\x02}(X\n\0\0\0state_dict}X\4\0\0\0metacbuiltins\ngetattr\n"
        "X\1\0\0\0xX\1\0\0\0y\x86RX\1\0\0\0z\x85Ru."
    )
    with pytest.raises(CheckpointError, match="run code from it; where you trust it"):
        open_pickle(with_pickle(tmp_path / "iter_1.pth", text))


def lose_token(folder, token, vocab=False):
    """Take a token out of every file of a tokenizer; with ``vocab`` a word, whose id goes free."""
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    added = json.loads((folder / "added_tokens.json").read_text())
    words = json.loads((folder / "vocab.json").read_text())
    if vocab:
        del words[token]
    else:
        del added[token]
        decoder = settings["added_tokens_decoder"]
        settings["added_tokens_decoder"] = {
            i: x for i, x in decoder.items() if x["content"] != token
        }
        settings["additional_special_tokens"].remove(token)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "vocab.json").write_text(json.dumps(words))


@pytest.mark.parametrize("token", ["[SEG]", "[SEG_OBJ]", "<IMG_CONTEXT>"])
def test_a_token_that_was_lost(tmp_path, published, token):
    """Added anew, a role token would take the row of another trained token."""
    lose_token(published, token)
    refuses(tmp_path, "the tokenizer (gives .* the id .* its files say|has no )", published)


def test_a_word_that_was_lost(tmp_path, published):
    """All later ids would move by one."""
    lose_token(published, "Ā", vocab=True)
    refuses(tmp_path, "the id .* its files say|tokenizer cannot be read", published)


def test_embeddings_without_the_row_of_a_token(tmp_path, published):
    """Configuration and matrices agree, but the target's token has no row."""
    keys = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
    rewrite(published, lambda t: t.update({key: t[key][:-1].clone() for key in keys}))
    path = published / "config.json"
    config = json.loads(path.read_text())
    config["llm_config"]["vocab_size"] -= 1
    path.write_text(json.dumps(config))
    refuses(tmp_path, "2 missing: .*embed_tokens.weight rows", published)


def test_two_names_for_one_tensor(tmp_path, published):
    stem = "grounding_encoder.sam2_model.memory_encoder.fuser.layers.0"
    rewrite(published, lambda t: t.update({f"{stem}.gamma": t[f"{stem}.g_weight"] + 9}))
    refuses(tmp_path, "1 unknown: .*fuser.layers.0.g", published)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_a_tensor_of_no_type_that_weights_have(tmp_path, published, dtype):
    rewrite(published, lambda t: t.update({"mlp1.3.weight": t["mlp1.3.weight"].to(dtype)}))
    refuses(tmp_path, "1 of another shape: .* of no type that weights have", published)


@pytest.mark.parametrize(
    "change",
    [
        {"force_image_size": "28"},
        {"model_type": []},
        {"template": []},
        {"downsample_ratio": 0},
        {"llm_config": {"rope_scaling": {"type": "linear", "factor": 4}}},
        {"llm_config": {"num_key_value_heads": 0}},
        {"llm_config": {"hidden_size": "32"}},
        {"vision_config": {"patch_size": 0}},
        {"vision_config": {"num_attention_heads": 3}},
    ],
)
def test_a_configuration_that_cannot_be(tmp_path, published, change):
    path = published / "config.json"
    config = json.loads(path.read_text())
    for name, value in change.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(config))
    refuses(tmp_path, "config.json", published)


@pytest.mark.parametrize(
    "content",
    [
        {3: torch.zeros(1)},
        {"mllm.a": torch.zeros(1).to_sparse()},
        {"mllm.a": torch.empty(1, device="meta")},
    ],
    ids=["number", "sparse", "meta"],
)
def test_what_is_no_plain_tensor_by_name(tmp_path, content):
    torch.save(content, tmp_path / "iter_1.pth")
    with pytest.raises(CheckpointError, match="expected tensors by name|cannot be read"):
        open_pickle(tmp_path / "iter_1.pth")


def test_a_trainers_log_beside_the_weights_is_passed_over(tmp_path, monkeypatch):
    """mmengine keeps its HistoryBuffers in every checkpoint; they need no mmengine here."""
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self._log_history = np.array([1.0, 2.0])
            self._statistics_methods = {"mean": self.mean}

        def mean(self):
            raise AssertionError("called")

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    log = {"log_scalars": {"train/loss": HistoryBuffer()}, "last": np.float64(0.5)}
    path = tmp_path / "iter_4.pth"
    torch.save({"state_dict": {"a": torch.ones(2)}, "message_hub": log, "meta": path}, path)
    with pytest.raises(pickle.UnpicklingError, match="HistoryBuffer|getattr"):
        torch.load(path, weights_only=True)
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.delitem(sys.modules, name)
    tensors = open_pickle(path)
    assert list(tensors) == ["a"] and torch.equal(tensors["a"].read(), torch.ones(2))


@pytest.mark.parametrize("content", ["cut", "empty", "text", "list", "no tensors"])
def test_a_damaged_training_checkpoint(tmp_path, content):
    (tmp_path / "in").mkdir()
    path = training_file(tmp_path / "in" / "iter_1.pth")
    if content == "cut":
        cut(path)
    elif content == "empty":
        path.write_bytes(b"")
    elif content == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    else:
        torch.save({"mllm.a": torch.zeros(1), "epoch": 3}, path)
    match = {
        "list": "got a list, expected tensors by name",
        "no tensors": "got 'epoch' is none, expected tensors",
    }.get(content, "iter_1.pth: the file cannot be read .* cut off or a pointer to the file")
    refuses(tmp_path, match, path)


def test_a_folder_that_deepspeed_wrote(tmp_path):
    (tmp_path / "iter_2.pth").mkdir()
    torch.save(
        {"module": training_tensors(), "ds_version": "0.15", "lr_scheduler": None},
        tmp_path / "iter_2.pth" / "mp_rank_00_model_states.pt",
    )
    done = convert(
        tmp_path / "iter_2.pth",
        tmp_path / "ours",
        base=internvl_folder(tmp_path / "base", internvl_tensors()),
        sam2=sam2_file(tmp_path / "sam2.pt"),
        sam2_shape=SAM2,
    )
    assert done.layout == "training"
    (tmp_path / "iter_3.pth").mkdir()
    refuses(tmp_path, "got 0 files called .*model_states.pt", tmp_path / "iter_3.pth")


def test_sources_that_are_not_whole_say_what_else_is_needed(tmp_path):
    (tmp_path / "in").mkdir()
    base = internvl_folder(tmp_path / "in" / "base", internvl_tensors())
    training, sam2 = training_file(tmp_path / "in/t.pth"), sam2_file(tmp_path / "in/sam2.pt")
    refuses(tmp_path, "give with --base the folder of the InternVL-2.5", training)
    refuses(tmp_path, "give with --sam2 its file", training, base=base)
    refuses(tmp_path, "give with --sam2 its file", base)
    refuses(tmp_path, "these are the weights of SAM2 alone", sam2)
    refuses(tmp_path, "got --base for a checkpoint that is whole", base, base=base, sam2=sam2)
    whole, _ = reviosa_folder(tmp_path / "in" / "whole")
    refuses(tmp_path, "got --sam2 for weights that hold it", whole, sam2=sam2)
    torch.save({"something": torch.zeros(1)}, tmp_path / "in" / "odd.pth")
    refuses(tmp_path, "tensors such as something", tmp_path / "in" / "odd.pth")
    refuses(tmp_path, "no such file", tmp_path / "in" / "absent.pth")


def test_a_checkpoint_of_ours_needs_no_conversion(tmp_path, published):
    convert(published, tmp_path / "ours", sam2_shape=SAM2)
    refuses(tmp_path, "a checkpoint of ours already; say with --to", tmp_path / "ours")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_type": "llava"}, "model_type 'llava', expected one of"),
        ({"ps_version": "v1"}, "sets ps_version to 'v1'"),
        ({"select_layer": -2}, "sets select_layer to -2"),
        ({"llm_config": {"architectures": ["InternLM2ForCausalLM"]}}, "is a InternLM2ForCausalLM"),
        ({"llm_config": {}}, "has no llm_config.vocab_size"),
        ({"vision_config": {"qk_normalization": True}}, "qk_normalization to True"),
    ],
)
def test_another_architecture(tmp_path, published, change, match):
    path = published / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refuses(tmp_path, match, published)


def test_a_folder_without_its_parts(tmp_path, published):
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"):
        (published / name).unlink()
    refuses(tmp_path, "neither tokenizer.json nor vocab.json", published)
    (published / "config.json").write_text("{")
    refuses(tmp_path, "config.json: the file cannot be read", published)
    (published / "config.json").write_text("[]")
    refuses(tmp_path, "got a list, expected a JSON object", published)


def test_weights_that_are_not_there(tmp_path, published):
    (published / "model.safetensors").unlink()
    refuses(tmp_path, "got no .safetensors file", published)


def test_a_tokenizer_that_cannot_be_read(tmp_path, published):
    (published / "vocab.json").write_text("{")
    refuses(tmp_path, "the tokenizer cannot be read", published)


def test_a_sam2_of_no_known_size(tmp_path, published):
    with pytest.raises(CheckpointError, match="Hiera of width 24 with 7 blocks"):
        convert(published, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_the_sizes_of_the_sam2_package_are_known_by_their_tensors():
    """Widths and blocks of Hiera T, S, B+, L, and one tensor that only SAM 2.1 has."""
    from reviosa.conversion.files import Stored
    from reviosa.conversion.shapes import sam2_base

    def tensors(width, blocks, *more):
        keys = [f"image_encoder.trunk.blocks.{i}.norm1.weight" for i in range(blocks)]
        shapes = dict.fromkeys([*keys, *more], (1,))
        shapes["image_encoder.trunk.patch_embed.proj.weight"] = (width, 3, 7, 7)
        return {k: Stored(v, True, lambda: None) for k, v in shapes.items()}

    for width, blocks, letter in ((96, 12, "t"), (96, 16, "s"), (112, 24, "b+"), (144, 48, "l")):
        assert sam2_base(tensors(width, blocks), "x") == f"sam2/sam2_hiera_{letter}"
        newer = tensors(width, blocks, "no_obj_embed_spatial")
        assert sam2_base(newer, "x") == f"sam2.1/sam2.1_hiera_{letter}"
