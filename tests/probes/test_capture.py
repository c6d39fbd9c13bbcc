"""Capture against the model itself, and what is left when it is killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from probes.capture import capture
from probes.criteria import CRITERIA
from probes.hidden_norms import record_hidden_norms
from probes.store import CaptureStore
from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import ConfigError, DataError, RunError
from reviosa.heads import HeadSelection
from reviosa.inference import Segmenter
from reviosa.model import record_attention, record_role_attention, save
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.model.roles import vision_grid
from tests.reviosa.conftest import tiny_config


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 12, 3, WorldConfig(height=64, width=64, frames=5))
    return folder


@pytest.fixture(scope="module")
def model():
    """A model of toy size with random weights, talked into naming both roles."""
    torch.manual_seed(0)
    model = ReviosaModel(tiny_config()).eval()
    model.config.max_new_tokens = 3
    with torch.no_grad():
        # After the prompt the answer is "[SEG_ACT] [SEG_TAR] <end>", whatever is seen.
        head, table = model.mllm.lm_head.weight, model.get_input_embeddings().weight
        table.mul_(3)
        head.mul_(0.01)
        last = nano_tokenizer()("\n")["input_ids"][0]
        for before, after in ((last, 8), (8, 9), (9, 2)):
            head[after] += 4 * table[before]
    return model


@pytest.fixture(scope="module")
def processor(model):
    return ReviosaProcessor.for_config(model.config, nano_tokenizer())


@pytest.fixture(scope="module")
def whole(model, processor, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    summary = capture(model, processor, InterRVOSDataset(data), folder, maps="all")
    return folder, summary


def test_every_expression_and_role_is_there_once(whole, data):
    folder, summary = whole
    dataset = InterRVOSDataset(data)
    table = CaptureStore(folder).samples()
    wanted = [(s.expression.sample_id, "actor") for s in dataset.samples]
    wanted += [(s.expression.sample_id, "target") for s in dataset.interactions]
    assert sorted(zip(table.sample_id, table.role, strict=True)) == sorted(wanted)
    assert summary.samples == len(dataset.samples)
    assert table.emitted.all()


def test_patches_and_text_make_the_whole_row(whole, processor):
    """Softmax: a row sums to 1. Half floats keep 11 bits, so 0.001 covers both parts."""
    folder, _ = whole
    store = CaptureStore(folder)
    for row in store.samples().itertuples():
        seen, read = (
            store.map(row.sample_id, row.role),
            store.text_attention(row.sample_id, row.role),
        )
        assert read.pairs == seen.pairs
        total = seen.values.sum(axis=(1, 2, 3)) + read.values.sum(axis=1)
        np.testing.assert_allclose(total, 1, atol=1e-3)
        # The sequence ends with the token that looks, and holds its question and every patch.
        assert read.tokens[-1] == {"actor": "[SEG_ACT]", "target": "[SEG_TAR]"}[row.role]
        assert sum(t for t in read.tokens if isinstance(t, int)) == seen.values[0].size
        assert len(read.tokens) - sum(isinstance(t, int) for t in read.tokens) == len(
            read.values[0]
        )
        words = "".join(t for t in read.tokens if isinstance(t, str))
        # The nano tokenizer knows whole words and puts the spaces between them.
        assert row.expression.replace(" ", "") in words


def test_text_attention_is_the_models(whole, model, processor, data):
    """One pair, against a pass of our own with the model's plain attention."""
    folder, _ = whole
    store, dataset = CaptureStore(folder), InterRVOSDataset(data)
    sample = dataset.interactions[1]
    segmenter = Segmenter(model, processor)
    features = segmenter.encode(sample.video)
    ids = segmenter.answer(features, [sample.expression.text])[0].ids
    position = segmenter.role_tokens(features, ids)[1]
    with (
        torch.inference_mode(),
        record_attention(
            model,
            torch.tensor([[position]]),
            lambda given: vision_grid(given, model.config.image_token_id, model.config.grid),
            cached_ids=features.opening.ids,
        ) as record,
    ):
        segmenter.read(features, [ids])
    text = torch.tensor(ids[: position + 1]) != model.config.image_token_id
    wanted = record.attention[0, 0, 1, 0, : position + 1][text].numpy()
    found = store.text_attention(sample.expression.sample_id, "target")
    np.testing.assert_allclose(found.values[found.pairs.index((1, 0))], wanted, atol=1e-3)
    assert store.text_attention("none/0", "actor") is None


def test_what_is_stored_is_what_the_model_does(whole, model, processor, data):
    """Head metrics of one sample, computed by hand from a pass of our own."""
    folder, _ = whole
    store, dataset = CaptureStore(folder), InterRVOSDataset(data)
    sample = dataset.interactions[1]
    row = store.samples().query("sample_id == @sample.expression.sample_id and role == 'target'")
    row = row.iloc[0]
    frames = list(row.frame_indices)
    ids, _ = processor.conversation([sample.expression.text], [None], len(frames))
    ids = torch.tensor([[*ids, 8, 9, 2]])
    pixels = processor.vision_frames(sample.video.read_frames(frames))[None]
    with torch.no_grad(), record_role_attention(model) as record:
        model(ids, pixel_values=pixels)
    attention = record.on_patches()[0, 1].double().numpy()  # [layer, head, frame, row, column]
    # 64 pixels on a 2 x 2 grid: each patch is 32 x 32 pixels.
    truth = sample.masks(1, frames).reshape(len(frames), 2, 32, 2, 32).mean(axis=(2, 4))
    mass = attention.sum(axis=(2, 3, 4))
    share = (attention * truth).sum(axis=(2, 3, 4)) / mass
    stored = store.sample_heads(sample.expression.sample_id, "target")
    # float32 on both ways; the largest difference measured was 8.4e-8.
    np.testing.assert_allclose(stored["visual_mass"], mass, atol=1e-5)
    np.testing.assert_allclose(stored["text_mass"], 1 - mass, atol=1e-5)
    np.testing.assert_allclose(stored["mask_share"], share, atol=1e-5)
    np.testing.assert_allclose(stored["lift"], share / truth.mean(), rtol=1e-4)
    # Against the other role, and on hidden states that transformers itself gives.
    actor = record.on_patches()[0, 0].double().numpy()
    other = sample.masks(0, frames).reshape(len(frames), 2, 32, 2, 32).mean(axis=(2, 4))
    wrong = (attention * other).sum(axis=(2, 3, 4)) / mass
    np.testing.assert_allclose(stored["role_contrast"], share - wrong, atol=1e-5)
    assert not np.allclose(actor, attention) and (stored["role_divergence"] > 0).all()
    embeddings = model._insert_patches(
        ids, model.get_input_embeddings()(ids), model.image_features(pixels)
    )
    states = model.language_model(inputs_embeds=embeddings, output_hidden_states=True).hidden_states
    is_patch = ids[0] == model.config.image_token_id
    norms = torch.stack([x[0, is_patch].norm(dim=-1) for x in states[:-1]]).detach().numpy()
    sinks = norms > 3 * np.median(norms, axis=1, keepdims=True)
    flat = attention.reshape(*attention.shape[:2], -1)
    on_sinks = (flat * sinks[:, None]).sum(axis=-1) / mass
    np.testing.assert_allclose(stored["sink_share"], on_sinks, atol=1e-5)
    assert row.mask_area == pytest.approx(truth.mean())
    assert row.query_position == ids.shape[1] - 2
    kept = store.map(sample.expression.sample_id, "target")
    one = kept.pairs.index((1, 3))
    # Maps are stored in half precision, relative to their maximum.
    np.testing.assert_allclose(kept.values[one], attention[1, 3], atol=attention[1, 3].max() / 500)


def test_nulls_of_other_videos_and_other_tokens(whole, model, processor, data):
    """By hand, of the first interaction: all samples of this data are in one chunk of 32 or two."""
    folder, _ = whole
    store, dataset = CaptureStore(folder), InterRVOSDataset(data)
    part = dataset.samples[:32]
    place = next(i for i, s in enumerate(part) if s.expression.is_interaction)
    sample = part[place]
    rows = store.samples().set_index(["sample_id", "role"])
    maps, masks = {}, {}
    for other in part:
        key = other.expression.sample_id
        if other.expression.is_interaction:
            frames = list(rows.loc[(key, "target")].frame_indices)
            truth = other.masks(1, frames).reshape(len(frames), 2, 32, 2, 32)
            masks[key] = truth.mean(axis=(2, 4)).ravel()
            seen = store.map(key, "target").values.reshape(3, 4, -1).astype(np.float64)
            maps.setdefault(other.video.video_id, []).append(seen / seen.sum(-1, keepdims=True))
    mine = sample.expression.sample_id
    after = [
        s.expression for s in [*part[place + 1 :], *part[:place]] if s.expression.is_interaction
    ]
    lender = next(e for e in after if e.video_id != sample.video.video_id)
    own = store.map(mine, "target").values.reshape(3, 4, -1).astype(np.float64)
    stored = store.sample_heads(mine, "target")
    elsewhere = (own * masks[lender.sample_id]).sum(-1) / own.sum(-1)
    # Maps are kept in half precision.
    np.testing.assert_allclose(stored["mask_share_elsewhere"], elsewhere, atol=2e-3)
    others = [np.mean(m, axis=0) for video, m in maps.items() if video != sample.video.video_id]
    typical = (np.mean(others, axis=0) * masks[mine]).sum(-1)
    np.testing.assert_allclose(stored["mask_share_typical"], typical, atol=2e-3)
    # The token drawn blindly is another than the target's, and looks elsewhere.
    assert np.abs(stored["mask_share_any_token"] - stored["mask_share"]).max() > 1e-3
    row = rows.loc[(mine, "target")]
    objects = {i for e in sample.video.expressions for i in e.actor_ids + e.target_ids}
    assert row.objects == len(objects) and 0 <= row.centrality <= 1 and 0 < row.centre_share < 1


def test_gradients_are_stored_for_named_roles_with_a_truth(whole):
    store = CaptureStore(whole[0])
    for role in ("actor", "target"):
        for name in ("gradient_attention", "head_importance", "vision_sensitivity"):
            values = store.head_array(name, role).values
            assert np.isfinite(values).all() and (values >= 0).all() and values.max() > 0


def test_hidden_norms_are_those_of_the_last_pass(model, processor):
    """And nothing is left of the recording."""
    before = [len(layer._forward_pre_hooks) for layer in model.language_model.layers]
    ids = torch.tensor([processor.conversation(["a ring"], [None], 1)[0]])
    pixels = processor.vision_frames(np.zeros((1, 64, 64, 3), np.uint8))[None]
    with torch.no_grad(), record_hidden_norms(model) as norms:
        model(ids[:, :5], use_cache=False)
        model(ids, pixel_values=pixels)
    assert len(norms) == model.config.num_layers
    assert all(x.shape == ids.shape and x.dtype == torch.float32 for x in norms)
    assert [len(layer._forward_pre_hooks) for layer in model.language_model.layers] == before


SCRIPT = """
import sys, warnings
warnings.filterwarnings("ignore")
from probes.capture import capture
from reviosa.data.interrvos import InterRVOSDataset
from reviosa.model import load
model, processor = load(sys.argv[1], device="cpu")
capture(model, processor, InterRVOSDataset(sys.argv[2]), sys.argv[3], maps="all")
"""


def test_a_killed_capture_resumes_without_loss_or_doubles(whole, model, processor, data, tmp_path):
    save(model, processor, tmp_path / "model")
    run = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "model"), str(data), str(run)]
    )
    deadline = time.monotonic() + 200
    while not list(run.glob("samples/part-00000.parquet")):
        assert process.poll() is None, "the capture ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    dataset = InterRVOSDataset(data)
    with pytest.raises(RunError, match="another process"):
        capture(model, processor, dataset, run, maps="all", resume=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(run.glob("samples/part-00002.parquet")), "killed half-way"

    with pytest.raises(RunError):
        capture(model, processor, dataset, run, maps="all")
    summary = capture(model, processor, dataset, run, maps="all", resume=True)
    assert summary.resumed > 0
    one, two = CaptureStore(whole[0]), CaptureStore(run)
    pd.testing.assert_frame_equal(one.samples(), two.samples())
    for role in ("actor", "target"):
        np.testing.assert_array_equal(
            one.head_array("mask_share", role).values, two.head_array("mask_share", role).values
        )
    assert one.map_keys() == two.map_keys()


def test_a_role_that_was_not_emitted_is_kept_and_counts_zero(
    model, processor, data, tmp_path, monkeypatch
):
    def generate(input_ids, **_):
        said = torch.tensor([[8, 2]]).expand(len(input_ids), -1)
        return torch.cat([input_ids, said], dim=1)

    monkeypatch.setattr(model, "generate", generate)
    dataset = InterRVOSDataset(data, limit=3)
    capture(model, processor, dataset, tmp_path / "run", maps="none")
    store = CaptureStore(tmp_path / "run")
    targets = store.samples().query("role == 'target'")
    assert len(targets) == len(dataset.interactions) > 0
    assert not targets.emitted.any()
    assert np.isnan(store.head_array("mask_share", "target").values).all()
    assert not store.map_keys()


def test_attention_and_masks_are_of_the_same_tokens(model, processor, data, tmp_path, monkeypatch):
    """Of an answer that names the actor twice, the first actor and the first target count."""

    def generate(input_ids, **_):
        said = torch.tensor([[8, 8, 9, 2]]).expand(len(input_ids), -1)
        return torch.cat([input_ids, said], dim=1)

    monkeypatch.setattr(model, "generate", generate)
    dataset = InterRVOSDataset(data, limit=3)
    capture(model, processor, dataset, tmp_path / "run", maps="all")
    store = CaptureStore(tmp_path / "run")
    rows = store.samples().set_index(["sample_id", "role"]).query("emitted")
    assert set(rows.index.get_level_values("role")) == {"actor", "target"}
    for (sample, role), row in rows.iterrows():
        if role == "target":
            assert row.query_position == rows.loc[(sample, "actor")].query_position + 2
    shares = store.head_array("mask_share", "target").values
    assert len(shares) == len(dataset.interactions) and np.isfinite(shares).all()
    assert {role for _, role in store.map_keys()} == {"actor", "target"}


def test_bad_input_leaves_nothing_behind(model, processor, data, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    frame = sorted(copy.glob("JPEGImages/*/*.jpg"))[2]
    frame.write_bytes(b"no picture")
    with pytest.raises(DataError, match=frame.name):
        capture(model, processor, InterRVOSDataset(copy), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    heads = HeadSelection(pairs=((0, 77),))
    with pytest.raises(ConfigError, match="head 77"):
        capture(model, processor, InterRVOSDataset(data), tmp_path / "run", heads=heads)
    assert not (tmp_path / "run").exists()


def test_without_gradients_their_criteria_are_not_there(whole, model, processor, data, tmp_path):
    dataset = InterRVOSDataset(data, limit=2)
    capture(model, processor, dataset, tmp_path / "run", maps="none", gradients=False)
    store, with_them = CaptureStore(tmp_path / "run"), CaptureStore(whole[0])
    left_out = set(with_them.criteria) - set(store.criteria)
    assert left_out == {n for n, item in CRITERIA.items() if item.needs_gradients}
    assert len(left_out) == 5
    sample = dataset.interactions[0].expression.sample_id
    one, two = (x.sample_heads(sample, "target") for x in (store, with_them))
    for name in ("mask_share", "auroc", "mask_share_any_token"):
        np.testing.assert_allclose(one[name], two[name], atol=1e-6)
    with pytest.raises(ConfigError, match="not scored by head_importance, which came later or"):
        store.head_array("head_importance", "actor")
    with pytest.raises(RunError, match="got config.gradients = absent"):
        capture(model, processor, dataset, tmp_path / "run", maps="none", resume=True)
