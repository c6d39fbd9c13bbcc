"""The nano recipe: stages run, hand on their weights, and go on after a stop."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import CheckpointError, DataError
from reviosa.model import load
from reviosa.training.nano import run_stage
from reviosa.training.nano.clips import PARTS, cell_owners, load_clips
from reviosa.training.nano.conversations import (
    estranged,
    mirrored,
    with_strange_words,
    with_unknown_words,
)
from reviosa.training.nano.see import cell_labels, cell_offsets
from reviosa.training.nano.segment import draw_concepts
from reviosa.training.nano.watch import watch_targets


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world") / "data"
    write_synthetic(folder, 4, 3, WorldConfig(height=64, width=64, frames=8))
    return folder


@pytest.fixture
def small_batches(monkeypatch):
    from reviosa.training.nano.stages import STAGES

    for stage in STAGES.values():
        monkeypatch.setattr(stage, "batch_size", 2)


@pytest.mark.slow
def test_stages_hand_on_what_they_learned(data, tmp_path, small_batches):
    lines = []
    settings = {"steps": 2, "report_every": 1, "report": lines.append}
    see = run_stage("see", data, tmp_path, **settings)
    segment = run_stage("segment", data, tmp_path, **settings)
    watch = run_stage("watch", data, tmp_path, start_from=(see,), **settings)
    read = run_stage("read", data, tmp_path, start_from=(watch, segment), **settings)
    bind = run_stage("bind", data, tmp_path, start_from=(read, segment), **settings)
    stages = ("see", "segment", "watch", "read", "bind")
    assert [line.split()[0] for line in lines] == [name for name in stages for _ in range(2)]
    weights = {f.name: load_file(f / "model.safetensors") for f in (see, segment, read, bind)}
    tower = "mllm.model.vision_tower.encoder.layer.0.mlp.fc1.weight"
    encoder = "sam2.image_encoder.trunk.patch_embed.proj.weight"
    assert torch.equal(weights["bind"][tower], weights["see"][tower])
    decoder = "sam2.sam_mask_decoder.iou_token.weight"
    assert torch.equal(weights["bind"][encoder], weights["segment"][encoder])
    assert not torch.equal(weights["bind"][decoder], weights["segment"][decoder])
    assert not torch.equal(weights["see"][encoder], weights["segment"][encoder])
    model, processor = load(bind)
    assert processor.tokenizer.convert_tokens_to_ids("[SEG_TAR]") == model.config.target_token_id


def test_a_stopped_stage_goes_on_as_if_it_had_not_stopped(data, tmp_path, small_batches):
    def stop(line):
        if '"step": 3' in line:
            raise KeyboardInterrupt

    settings = {"steps": 4, "report_every": 1, "save_every": 2}
    run_stage("see", data, tmp_path / "whole", report=lambda line: None, **settings)
    with pytest.raises(KeyboardInterrupt):
        run_stage("see", data, tmp_path / "stopped", report=stop, **settings)
    run_stage("see", data, tmp_path / "stopped", report=lambda line: None, **settings)
    whole, stopped = (
        load_file(tmp_path / name / "see" / "model.safetensors") for name in ("whole", "stopped")
    )
    assert all(torch.equal(whole[k], stopped[k]) for k in whole)
    scores = json.loads((tmp_path / "stopped" / "see" / "scores.json").read_text())
    assert [x["step"] for x in scores["history"]] == [1, 2, 3, 4]


def test_a_stage_that_was_begun_otherwise_is_not_gone_on_with(data, tmp_path, small_batches):
    settings = {"report_every": 1, "report": lambda line: None}
    run_stage("see", data, tmp_path, 1, **settings)
    with pytest.raises(CheckpointError, match="got a stage of steps 1, expected 2; remove"):
        run_stage("see", data, tmp_path, 2, **settings)
    with pytest.raises(CheckpointError, match="got a stage of seed 0, expected 1"):
        run_stage("see", data, tmp_path, 1, seed=1, **settings)


def test_a_missing_stage_or_a_world_of_unknown_objects_is_refused(data, tmp_path):
    with pytest.raises(CheckpointError, match="run stage 'see' first"):
        run_stage("read", data, tmp_path, 1, start_from=(tmp_path / "see",))
    dataset = InterRVOSDataset(data)
    dataset.world = None
    with pytest.raises(DataError, match=r"no world\.json"):
        load_clips(dataset, tmp_path)


def test_a_clip_bank_shows_what_the_data_set_says(data, tmp_path):
    dataset = InterRVOSDataset(data)
    bank = load_clips(dataset, tmp_path)
    video = dataset.videos[2]
    anno, number = next(iter(bank.objects[2].items()))
    mask = dataset.masks(video.video_id, [anno])
    assert np.array_equal(bank.labels[2] == number + 1, mask)
    assert np.array_equal(bank.frames[2], video.read_frames())


def test_a_cell_belongs_to_the_object_that_covers_most_of_it():
    labels = np.zeros((4, 4), np.uint8)
    labels[:2, :2] = [[1, 2], [2, 2]]  # cell (0, 0): a quarter object 1, three quarters object 2
    labels[2, 2] = 1  # cell (1, 1): a quarter object 1
    attributes = np.array([[4, 0, 0, 0], [6, 1, 2, 1], [-1, -1, -1, -1]])
    cells = cell_labels(labels, attributes, 2)
    assert cells.tolist() == [[7, 2, 3, 2], [0, 0, 0, 0], [0, 0, 0, 0], [5, 1, 1, 1]]


def test_a_cell_points_at_the_middle_of_its_object():
    labels = np.zeros((4, 4), np.uint8)
    labels[:2, :] = 1  # fills both upper cells of a 2 x 2 grid: its middle lies between them
    assert cell_offsets(labels, 2).tolist() == [[0.5, 0], [-0.5, 0], [0, 0], [0, 0]]
    owner, cover = cell_owners(labels, 2, 1)
    assert owner.tolist() == [0, 0, -1, -1]
    assert cover.tolist() == [[1, 1, 0, 0]]


def test_a_patch_must_tell_no_more_than_it_can_have_seen(data, tmp_path):
    bank = load_clips(InterRVOSDataset(data), tmp_path)
    video = 0
    acting = int(np.flatnonzero(bank.parts[video])[0])
    labels = (bank.labels[video][[0, 2, 4, 6]] == acting + 1).astype(np.uint8) * (acting + 1)
    truth = watch_targets(bank, video, labels, 8, flipped=False)
    frame = torch.arange(4).repeat_interleave(64)
    owned = truth.part >= 0
    assert owned.any()
    assert not truth.known[~owned].any()
    for patch in torch.nonzero(owned)[:, 0]:
        assert truth.known[patch].tolist() == [t <= frame[patch] for t in range(4)]
    assert {PARTS[int(x)] for x in truth.part[owned]} == {PARTS[bank.parts[video, acting]]}
    # The middle of the patches that are owned is about where the object is said to be.
    last = owned & (frame == 3)
    columns = (torch.nonzero(last)[:, 0] % 8 + 0.5) / 4 - 1
    assert abs(float(columns.float().mean() - truth.way[last][0, 3, 0])) < 0.15


def test_a_mirrored_clip_moves_the_other_way(data, tmp_path):
    bank = load_clips(InterRVOSDataset(data), tmp_path)
    labels = bank.labels[1][[0, 2, 4, 6]]
    straight = watch_targets(bank, 1, labels, 8, flipped=False)
    turned = watch_targets(bank, 1, labels[..., ::-1], 8, flipped=True)
    order = torch.arange(256).reshape(4, 8, 8).flip(-1).flatten()
    assert torch.equal(turned.part[order], straight.part)
    assert torch.equal(turned.known[order], straight.known)
    way = straight.way * torch.tensor([-1.0, 1.0])
    assert torch.allclose(turned.way[order][straight.known], way[straight.known], atol=1e-6)
    assert mirrored("the star moving left") == "the star moving right"


def test_a_concept_means_all_objects_that_have_what_is_said():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[:, 0, 0], labels[:, 2, 2], labels[:, 4, 4] = 1, 2, 3
    attributes = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [-1, -1, -1, -1]])
    rng = np.random.default_rng(0)
    for _ in range(40):
        said, place, truth = draw_concepts(labels, attributes, 1, 6, rng)
        spoken = said[0] >= 0
        fits = (attributes[:3, spoken] == said[0, spoken]).all(axis=1)
        shown = [bool(truth[0, 0, 2 * i, 2 * i]) for i in range(3)]
        if place.any():
            assert place[0, 0].reshape(6, 6)[[0, 2, 4], [0, 2, 4]].astype(bool).tolist() == shown
            assert all(fit for fit, meant in zip(fits, shown, strict=True) if meant)
        else:
            assert shown == fits.tolist()


def test_strange_words_keep_the_known_ones_in_order():
    rng = np.random.default_rng(0)
    text = "the red star pushing the blue ring"
    for _ in range(50):
        words = with_strange_words(rng, text).split()
        known = iter(words)
        assert all(word in known for word in text.split())
        assert 8 <= len(words) <= 11


def test_unknown_words_keep_the_form_of_a_sentence():
    rng = np.random.default_rng(0)
    text = "the red star being pushed by the blue ring"
    said = [with_unknown_words(rng, text).split() for _ in range(50)]
    assert all(len(words) == 9 and words[3] == "being" and words[5] == "by" for words in said)
    assert {words[0] for words in said} == {"the", "a"}
    assert len({words[2] for words in said}) > 20
    assert with_unknown_words(rng, "pushing").endswith("ing")


def test_three_expressions_in_four_are_left_alone():
    rng = np.random.default_rng(0)
    text = "the red star pushing the blue ring"
    changed = sum(estranged(rng, text) != text for _ in range(400))
    assert 70 <= changed <= 130  # a quarter of 400 is 100
