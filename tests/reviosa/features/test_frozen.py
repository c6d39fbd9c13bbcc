"""Features that were kept are, bit for bit, those that are computed; what differs is not found."""

import copy
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from probes.capture import capture
from probes.over_training import RoleAttentionCallback
from reviosa import ReviosaConfig, ReviosaModel
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import ConfigError, DataError
from reviosa.features import FeatureStore, Frame, FrozenFeatures, frames_of
from reviosa.features.keys import weights_digest
from reviosa.heads import HeadSelection
from reviosa.inference import Segmenter, predict
from reviosa.model import load, save
from reviosa.model.config import PRESETS
from reviosa.model.lora import freeze_for_training
from reviosa.model.segmenter import encode_frames
from reviosa.run_record import read_run
from reviosa.training.config import TrainConfig
from reviosa.training.data import ConversationDataset, collate
from reviosa.training.objective import compute_losses
from reviosa.training.run import train
from tests.reviosa.conftest import tiny_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 6, 3, WorldConfig(height=64, width=64, frames=6))
    return folder


@pytest.fixture
def dataset(data):
    return InterRVOSDataset(data)


@pytest.fixture
def start(tiny_model, tiny_processor, tmp_path):
    save(tiny_model, tiny_processor, tmp_path / "start")
    return tmp_path / "start"


def pixels(frames=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, 3, 32, 32, generator=generator)


# The encoders, cut where training begins


def whole_patches(model, frames):
    return model.mllm.model.get_image_features(frames, return_dict=True).pooler_output


@pytest.mark.parametrize(("layer", "strategy"), [(-1, "default"), (-2, "default")])
def test_tower_and_projector_are_what_internvl_does(tiny_model, layer, strategy):
    settings = tiny_model.config.mllm_config
    settings.vision_feature_layer, settings.vision_feature_select_strategy = layer, strategy
    with torch.no_grad():
        ours = tiny_model.project(tiny_model.encode_patches(pixels(1))[None])
        assert torch.equal(ours, whole_patches(tiny_model, pixels(1)))


def test_maps_and_their_finish_are_what_sam2_does(tiny_model):
    sam2 = tiny_model.sam2
    with torch.no_grad():
        ours, theirs = encode_frames(sam2, pixels(1)), sam2.forward_image(pixels(1))
    assert len(ours.maps) == len(theirs["backbone_fpn"]) == 3
    for one, other in zip(ours.maps, theirs["backbone_fpn"], strict=True):
        assert torch.equal(one, other)
    assert torch.equal(ours.position, theirs["vision_pos_enc"][-1])


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_drops_anything_in_its_encoders(preset):
    settings = PRESETS[preset]()
    vision = ReviosaConfig(**settings).mllm_config.vision_config
    dropped = {k: v for k, v in vision.to_dict().items() if "dropout" in k or "drop_path" in k}
    assert dropped and set(dropped.values()) == {0.0}


def test_frozen_encoders_are_steady_while_the_rest_trains():
    config = tiny_config()
    config.mllm_config.vision_config.hidden_dropout_prob = 0.5
    config.sam2_overrides["image_encoder"]["trunk"]["drop_path_rate"] = 0.5
    torch.manual_seed(0)
    model = ReviosaModel(config).train()

    def twice():
        return [
            (model.encode_patches(pixels()), encode_frames(model.sam2, pixels()).maps[-1])
            for _ in range(2)
        ]

    (patches, maps), (others, other_maps) = twice()
    assert not torch.equal(patches, others) and not torch.equal(maps, other_maps)
    assert patches.requires_grad and maps.requires_grad
    freeze_for_training(model)
    model.train()
    assert model.language_model.training and model.sam2.sam_mask_decoder.training
    (patches, maps), (others, other_maps) = twice()
    assert torch.equal(patches, others) and torch.equal(maps, other_maps)
    assert not patches.requires_grad


def test_the_frames_beside_a_frame_do_not_count(tiny_model):
    with torch.no_grad():
        many = tiny_model.encode_patches(pixels(20))
        maps = encode_frames(tiny_model.sam2, pixels(20)).maps[-1]
        for index in (0, 7, 19):
            alone = pixels(20)[index : index + 1]
            assert torch.equal(many[index : index + 1], tiny_model.encode_patches(alone))
            again = encode_frames(tiny_model.sam2, alone).maps[-1]
            assert torch.equal(maps[index : index + 1], again)
        # Nor does how they lie in memory: frames that were resized lie channels last.
        turned = pixels(20).contiguous(memory_format=torch.channels_last)
        assert torch.equal(many, tiny_model.encode_patches(turned))
        assert torch.equal(maps, encode_frames(tiny_model.sam2, turned).maps[-1])


# What finds an entry, and what does not


def asked(model, processor, frames, store, encoder="both"):
    """Hits and misses of one more look at ``frames``."""
    before = store.hits, store.misses
    features = FrozenFeatures(processor, store)
    with torch.no_grad():
        if encoder in ("both", "vision"):
            features.patches(model, frames)
        if encoder in ("both", "sam"):
            features.maps(model, frames)
    return store.hits - before[0], store.misses - before[1]


@pytest.fixture
def known(tiny_model, tiny_processor, dataset, tmp_path):
    """Two frames whose features are in a store: (model, processor, video, store)."""
    store = FeatureStore(tmp_path / "features")
    video = dataset.videos[0]
    assert asked(tiny_model, tiny_processor, frames_of(video, (0, 1)), store) == (0, 4)
    assert asked(tiny_model, tiny_processor, frames_of(video, (0, 1)), store) == (4, 0)
    return tiny_model, tiny_processor, video, store


def test_features_are_found_by_content_wherever_the_frame_lies(known, data, tmp_path):
    model, processor, video, store = known
    shutil.copytree(data, tmp_path / "copy")
    copied = InterRVOSDataset(tmp_path / "copy").videos[0]
    assert asked(copy.deepcopy(model), processor, frames_of(copied, (1,)), store) == (2, 0)
    path = copied.frame_paths[1]
    path.write_bytes(copied.frame_paths[2].read_bytes())
    assert asked(model, processor, frames_of(copied, (1,)), store) == (0, 2)


def test_a_frame_that_is_found_is_not_decoded(known):
    model, processor, video, store = known
    (frame,) = frames_of(video, (0,))
    assert asked(model, processor, [frame], store) == (2, 0)
    assert frame.size == (64, 64)
    assert "pixels" not in vars(frame)


def test_pixels_without_a_file_are_known_by_themselves(known):
    model, processor, video, store = known
    shown = video.read_frames([0])[0]
    assert asked(model, processor, [Frame(pixels=shown)], store) == (0, 2)
    assert asked(model, processor, [Frame(pixels=shown.copy())], store) == (2, 0)
    assert asked(model, processor, [Frame(pixels=255 - shown)], store) == (0, 2)
    # The same bytes in another shape are another picture.
    turned = shown.reshape(32, 128, 3)
    assert asked(model, processor, [Frame(pixels=turned)], store) == (0, 2)


def test_other_weights_are_not_found_and_those_that_train_do_not_count(known):
    model, processor, video, store = known
    frames = frames_of(video, (0,))
    trained = copy.deepcopy(model)
    with torch.no_grad():
        trained.mllm.model.multi_modal_projector.linear_1.weight.add_(1)
        trained.sam2.sam_mask_decoder.conv_s0.weight.add_(1)
        trained.mllm.lm_head.weight.add_(1)
    assert asked(trained, processor, frames, store) == (2, 0)
    with torch.no_grad():
        next(trained.mllm.model.vision_tower.parameters()).add_(1)
    assert asked(trained, processor, frames, store, "vision") == (0, 1)
    assert asked(trained, processor, frames, store, "sam") == (1, 0)
    with torch.no_grad():
        next(trained.sam2.image_encoder.parameters()).add_(1)
    assert asked(trained, processor, frames, store, "sam") == (0, 1)


def test_a_digest_follows_changes_of_the_weights():
    layer = torch.nn.Linear(3, 2)
    first = weights_digest(layer)
    assert weights_digest(layer) == first == weights_digest(copy.deepcopy(layer))
    with torch.no_grad():
        layer.bias[0] += 1
    second = weights_digest(layer)
    assert second != first
    layer.double()
    assert weights_digest(layer) not in (first, second)


def test_another_way_to_prepare_or_compute_is_not_found(known):
    model, processor, video, store = known
    frames = frames_of(video, (0,))
    sharper = copy.copy(processor)
    sharper.sam_resampling = "bicubic"
    assert asked(model, sharper, frames, store, "sam") == (0, 1)
    assert asked(model, sharper, frames, store, "vision") == (1, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert asked(model, processor, frames, store) == (0, 2)
        assert asked(model, processor, frames, store) == (2, 0)
    assert asked(copy.deepcopy(model).bfloat16(), processor, frames, store) == (0, 2)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert asked(model, processor, frames, store) == (0, 2)
    finally:
        torch.set_num_threads(threads)
    other = copy.deepcopy(model)
    other.config.mllm_config.vision_config.layer_norm_eps = 0.1
    assert asked(other, processor, frames, store, "vision") == (0, 1)
    assert asked(model, processor, frames, store) == (2, 0)


# Training, watching, evaluating, capturing


def batch_of(dataset, processor, store):
    features = FrozenFeatures(processor, store)
    draws = ConversationDataset(dataset, processor, 2, num_frames=2, mask_size=8, features=features)
    return collate([draws[0], draws[1]], processor)


def gradients(model, dataset, processor, store):
    model = copy.deepcopy(model)
    freeze_for_training(model)
    model.train()
    losses = TrainConfig.model_fields["loss"].get_default(call_default_factory=True)
    compute_losses(model, batch_of(dataset, processor, store), losses).total.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_reach_what_trains_behind_the_encoders(
    tiny_model, tiny_processor, dataset, tmp_path
):
    store = FeatureStore(tmp_path / "features")
    off, cold, warm = (
        gradients(tiny_model, dataset, tiny_processor, s) for s in (None, store, store)
    )
    # Two draws of two frames, for two encoders: each frame is computed once.
    assert (store.hits, store.misses) == (8, 8)
    for name in (
        "sam2.sam_mask_decoder.conv_s0.weight",
        "sam2.sam_mask_decoder.conv_s1.weight",
        "mllm.model.multi_modal_projector.linear_1.weight",
    ):
        assert off[name].abs().sum() > 0, name
    assert not any("vision_tower" in name or "image_encoder" in name for name in off)
    for found in (cold, warm):
        assert found.keys() == off.keys()
        assert all(torch.equal(found[name], off[name]) for name in off)


def run(start, data, out, store, resume=False, **changes):
    heads = out.parent / "heads.json"
    HeadSelection(pairs=((1, 2),)).save(heads)
    settings = {
        "model": str(start), "data": data, "out": out, "steps": 3, "batch_size": 2,
        "num_frames": 2, "expressions_per_video": 3, "learning_rate": 1e-3, "log_steps": 1,
        "heads": heads, "lora": {"rank": 2, "alpha": 4, "dropout": 0.1}, **changes,
    }  # fmt: skip

    def watch(features):
        clips = ConversationDataset(
            InterRVOSDataset(data), features.processor, 4, num_frames=2, features=features
        )
        return [RoleAttentionCallback(clips, features.processor, out / "attention.jsonl", 1)]

    return train(TrainConfig.model_validate(settings), observers=watch, store=store, resume=resume)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_is_the_same_with_and_without(start, data, tmp_path, precision):
    cold, warm = (FeatureStore(tmp_path / "features") for _ in range(2))
    for name, store in (("off", None), ("cold", cold), ("warm", warm)):
        run(start, data, tmp_path / name, store, precision=precision)
    assert cold.misses > 0 and warm.misses == 0 and warm.hits == cold.hits + cold.misses
    for name in ("cold", "warm"):
        for file in ("model/model.safetensors", "log.jsonl", "attention.jsonl"):
            one, other = (tmp_path / which / file for which in ("off", name))
            if file == "log.jsonl":
                one, other = (
                    [json.loads(x) for x in y.read_text().splitlines()] for y in (one, other)
                )
                assert [x["loss"] for x in one] == [x["loss"] for x in other]
            else:
                assert one.read_bytes() == other.read_bytes(), f"{name} {file}"
        header = read_run(tmp_path / name)
        assert header["config"] == read_run(tmp_path / "off")["config"]
    # A run may go on with the other setting.
    assert run(start, data, tmp_path / "off", warm, resume=True, precision=precision).steps == 3


def test_a_sharded_training_refuses_a_store(start, data, tmp_path):
    with pytest.raises(ConfigError, match="leave out --features"):
        run(start, data, tmp_path / "run", FeatureStore(tmp_path / "features"), sharding="fsdp")
    assert not (tmp_path / "run").exists()


def test_evaluation_shares_what_training_saw(start, data, tmp_path):
    store = FeatureStore(tmp_path / "features")
    run(start, data, tmp_path / "run", store)
    before = store.misses
    model, processor = load(tmp_path / "run", device="cpu")
    video = InterRVOSDataset(data).videos[0]
    # Of each half of the video training drew some frame; those of the seen ones are known.
    features = FrozenFeatures(processor, store)
    trained = {p.stem for p in (tmp_path / "features").glob("*/*")}
    features.patches(model, frames_of(video, range(video.num_frames)))
    new = {p.stem for p in (tmp_path / "features").glob("*/*")} - trained
    assert len(new) == store.misses - before < video.num_frames


def test_predictions_are_the_same_with_and_without(tiny_model, tiny_processor, dataset, tmp_path):
    cold, warm = (FeatureStore(tmp_path / "features") for _ in range(2))
    off, first, second = (
        predict(
            Segmenter(tiny_model, tiny_processor, FrozenFeatures(tiny_processor, store)),
            dataset.samples,
        )
        for store in (None, cold, warm)
    )
    assert off == first == second
    # Every frame of every video for SAM2, the two seen ones for the tower too.
    assert cold.misses == warm.hits == 6 * (6 + 2)
    assert cold.hits == warm.misses == 0
    assert any(e["prediction_masks_act"] for v in off.values() for e in v.values())


def test_captures_are_the_same_with_and_without(tiny_model, tiny_processor, dataset, tmp_path):
    cold, warm = (FeatureStore(tmp_path / "features") for _ in range(2))
    for name, store in (("off", None), ("cold", cold), ("warm", warm)):
        capture(tiny_model, tiny_processor, dataset, tmp_path / name, maps="all", store=store)
    # Every frame of six videos for SAM2, the two seen ones for the tower too.
    assert cold.misses == 6 * (6 + 2) and warm.misses == 0
    parts = sorted(p.relative_to(tmp_path / "off") for p in (tmp_path / "off").glob("*/part-*"))
    assert {p.parent.name for p in parts} == {"samples", "heads", "maps", "predictions"}
    for name in ("cold", "warm"):
        for part in parts:
            one, other = (tmp_path / which / part for which in ("off", name))
            if part.suffix == ".parquet":
                pd.testing.assert_frame_equal(pd.read_parquet(one), pd.read_parquet(other))
            elif part.suffix == ".safetensors":
                one, other = load_file(one), load_file(other)
                assert one.keys() == other.keys()
                assert all(torch.equal(one[k], other[k]) for k in one), f"{name} {part}"
            else:
                assert one.read_bytes() == other.read_bytes(), f"{name} {part}"


def test_frames_of_different_sizes_are_refused(tiny_model, tiny_processor, data, tmp_path):
    from PIL import Image

    shutil.copytree(data, tmp_path / "data")
    video = InterRVOSDataset(tmp_path / "data").videos[0]
    segmenter = Segmenter(tiny_model, tiny_processor)
    last = video.num_frames - 1
    assert last not in segmenter.seen_frames(video.num_frames)
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(video.frame_paths[last])
    features = segmenter.encode(video)
    prompts = torch.zeros(1, tiny_model.sam2.hidden_dim)
    with pytest.raises(DataError, match=r"00005\.jpg: got a frame of 32x64 pixels"):
        list(segmenter.track(features, prompts))
