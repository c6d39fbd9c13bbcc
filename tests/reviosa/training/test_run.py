"""A training run: accumulation, logging, checkpoints, and going on after SIGKILL."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import Video
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import CheckpointError, ConfigError, DataError, ReviosaError, RunError
from reviosa.heads import HeadSelection
from reviosa.model import load, save
from reviosa.run_record import read_run
from reviosa.training.config import TrainConfig
from reviosa.training.data import (
    ConversationDataset,
    sample_expressions,
    sample_frames,
    share_of_videos,
)
from reviosa.training.run import build_model, share_role_token, train
from reviosa.training.trainer import TRAINABLE_FILE, last_whole_checkpoint


@pytest.fixture
def data(tmp_path):
    write_synthetic(tmp_path / "data", 8, 3, WorldConfig(height=64, width=64, frames=6))
    return tmp_path / "data"


@pytest.fixture
def start(tiny_model, tiny_processor, tmp_path):
    save(tiny_model, tiny_processor, tmp_path / "start")
    return tmp_path / "start"


def config(start, data, out, **changes):
    settings = {
        "model": str(start),
        "data": data,
        "out": out,
        "steps": 3,
        "batch_size": 8,
        "num_frames": 2,
        "expressions_per_video": 3,
        "learning_rate": 1e-4,
        "log_steps": 1,
        "save_steps": 1,
    }
    return TrainConfig.model_validate({**settings, **changes})


def weights(run):
    return load_file(run / "model" / "model.safetensors")


def largest_difference(one, two):
    assert one.keys() == two.keys()
    return max(float((one[k] - two[k]).abs().max()) for k in one)


def test_accumulation_equals_one_large_batch(start, data, tmp_path):
    heads = tmp_path / "heads.json"
    HeadSelection(pairs=((1, 2), (0, 3))).save(heads)
    # Adam divides by the gradient's size, so rounding of near-zero gradients moves weights by a
    # share of the rate: at 1e-4 the difference was 2.0e-7 on one thread, 1.3e-6 on two.
    settings = {"heads": heads, "learning_rate": 2e-5}
    whole = train(config(start, data, tmp_path / "whole", **settings))
    settings |= {"batch_size": 2, "gradient_accumulation": 4}
    parts = train(config(start, data, tmp_path / "parts", **settings))
    assert largest_difference(weights(tmp_path / "whole"), weights(tmp_path / "parts")) <= 1e-6
    before = load_file(start / "model.safetensors")
    assert largest_difference(weights(tmp_path / "whole"), before) > 1e-5, "the weights moved"
    for name in ("loss", "loss_text", "loss_bce", "loss_dice", "loss_aml"):
        assert parts.losses[name] == pytest.approx(whole.losses[name], rel=1e-4), name


def test_each_loss_is_logged_and_they_add_up(start, data, tmp_path):
    heads = tmp_path / "heads.json"
    HeadSelection(pairs=((1, 2),)).save(heads)
    train(config(start, data, tmp_path / "run", heads=heads, loss={"aml": 0.5}))
    lines = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == [1, 2, 3]
    for line in lines:
        parts = line["loss_text"] + line["loss_bce"] + line["loss_dice"] + 0.5 * line["loss_aml"]
        assert line["loss"] == pytest.approx(parts, rel=1e-4)


def test_only_what_the_paper_trains_moves(start, data, tmp_path):
    train(config(start, data, tmp_path / "run", lora={"rank": 2, "alpha": 4, "dropout": 0.0}))
    before, after = load_file(start / "model.safetensors"), weights(tmp_path / "run")
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    trained = (
        "mllm.model.language_model.",
        "mllm.lm_head",
        "mllm.model.multi_modal_projector",
        "seg_projector",
        "sam2.sam_mask_decoder",
    )
    assert [k for k in moved if not k.startswith(trained)] == []
    # Adapters were merged: projections moved, norms did not.
    assert "mllm.model.language_model.layers.0.self_attn.q_proj.weight" in moved
    assert "mllm.model.language_model.layers.0.input_layernorm.weight" not in moved
    assert load(tmp_path / "run")[0].config.lora is None


def test_a_common_role_token_levels_both_roles_and_nothing_else(start):
    before, _ = build_model(str(start), seed=0)
    model, _ = build_model(str(start), seed=0)
    share_role_token(model)
    roles = [model.config.actor_token_id, model.config.target_token_id]
    old, new = before.state_dict(), model.state_dict()
    changed = {name for name in old if not torch.equal(new[name], old[name])}
    assert len(changed) == 2, "embeddings and head"
    for name in changed:
        moved = (new[name] != old[name]).any(dim=1).nonzero()[:, 0].tolist()
        assert moved == sorted(roles)
        actor, target = new[name][roles]
        assert torch.equal(actor, target)
        assert torch.allclose(actor, (old[name][roles[0]] + old[name][roles[1]]) / 2)


def test_checkpoints_hold_the_trainable_part_alone(start, data, tmp_path):
    train(config(start, data, tmp_path / "run", lora={"rank": 2, "alpha": 4, "dropout": 0.0}))
    checkpoint = last_whole_checkpoint(tmp_path / "run" / "checkpoints")
    held = load_file(f"{checkpoint}/{TRAINABLE_FILE}")
    assert any("lora_A" in k for k in held)
    assert not any(k.startswith(("mllm.model.vision_tower", "sam2.image_encoder")) for k in held)


SCRIPT = """
import sys, warnings
warnings.filterwarnings("ignore")
from reviosa.training.config import TrainConfig
from reviosa.training.run import train
config = TrainConfig.model_validate_json(sys.argv[1])
train(config, resume=sys.argv[2] == "resume")
"""


def test_a_killed_run_resumes_to_the_same_weights(start, data, tmp_path):
    lora = {"rank": 2, "alpha": 4, "dropout": 0.1}  # dropout, so that random states matter too
    settings = {"steps": 6, "batch_size": 2, "lora": lora}
    train(config(start, data, tmp_path / "whole", **settings))

    killed = config(start, data, tmp_path / "killed", **settings)
    arguments = [sys.executable, "-c", SCRIPT, killed.model_dump_json()]
    process = subprocess.Popen([*arguments, "new"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list((tmp_path / "killed").glob("checkpoints/checkpoint-2/trainer_state.json")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model").exists()
    # A checkpoint that was being written is no obstacle.
    torn = tmp_path / "killed" / "checkpoints" / "checkpoint-99"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"epoch": ')

    with pytest.raises(RunError):
        train(killed)
    train(killed, resume=True)
    assert largest_difference(weights(tmp_path / "whole"), weights(tmp_path / "killed")) == 0
    logs = [
        [json.loads(x) for x in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    assert [x["step"] for x in logs[1]] == [1, 2, 3, 4, 5, 6]
    assert logs[0] == logs[1], "each term is that of its own steps"
    # Resuming a finished run does nothing and says so by ending.
    assert train(killed, resume=True).steps == 6


def test_a_run_that_stops_to_be_looked_at_goes_on_to_the_same_weights(start, data, tmp_path):
    lora = {"rank": 2, "alpha": 4, "dropout": 0.1}
    # Checkpoints every 3 steps: the stop at step 4 writes one of its own.
    settings = {"steps": 6, "batch_size": 2, "lora": lora, "save_steps": 3}
    train(config(start, data, tmp_path / "whole", **settings))
    looked = config(start, data, tmp_path / "looked", **settings)
    summary = train(looked, stop_at=4)
    assert summary.steps == 4 and summary.model == tmp_path / "looked" / "model-at-4"
    assert read_run(tmp_path / "looked")["status"] == "stopped"
    assert "at step 4" in read_run(tmp_path / "looked")["error"]
    at_stop = load_file(summary.model / "model.safetensors")

    # Killed before the model was written, it makes the same one again from an earlier checkpoint.
    shutil.rmtree(summary.model)
    assert train(looked, resume=True, stop_at=4).steps == 4
    assert largest_difference(at_stop, load_file(summary.model / "model.safetensors")) == 0

    train(looked, resume=True)
    assert largest_difference(weights(tmp_path / "whole"), weights(tmp_path / "looked")) == 0
    assert largest_difference(at_stop, weights(tmp_path / "whole")) > 0
    assert read_run(tmp_path / "looked")["status"] == "done"
    logs = [
        [json.loads(x) for x in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "looked")
    ]
    assert logs[0] == logs[1], "every step once, each term that of its own steps"
    with pytest.raises(RunError, match="trained to its end"):
        train(looked, resume=True, stop_at=4)


def test_a_look_at_an_earlier_step_leaves_no_hole_in_the_log(start, data, tmp_path):
    run = config(start, data, tmp_path / "run", steps=6, batch_size=2, save_steps=1)
    train(run, stop_at=5)
    # Back to step 2: the checkpoints behind it would be resumed from, and their lines are gone.
    train(run, resume=True, stop_at=2)
    train(run, resume=True)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(x)["step"] for x in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("step", [0, 3, 9])
def test_a_stop_that_is_no_step_of_the_run_is_refused(start, data, tmp_path, step):
    with pytest.raises(ConfigError, match=f"stop_at is {step}, expected a step between 1 and 2"):
        train(config(start, data, tmp_path / "run"), stop_at=step)
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so_and_stops(start, data, tmp_path):
    with pytest.raises(ReviosaError, match=r"diverged at step \d: got a loss of (nan|inf).*lower"):
        train(config(start, data, tmp_path / "run", steps=8, learning_rate=1e30))
    header = read_run(tmp_path / "run")
    assert header["status"] == "failed" and "diverged" in header["error"]
    assert not (tmp_path / "run" / "model").exists()


def test_gradient_checkpointing_gives_the_same_weights(start, data, tmp_path):
    heads = tmp_path / "heads.json"
    HeadSelection(pairs=((1, 2),)).save(heads)
    train(config(start, data, tmp_path / "plain", heads=heads, batch_size=2))
    settings = {"heads": heads, "batch_size": 2, "gradient_checkpointing": True}
    train(config(start, data, tmp_path / "saving", **settings))
    assert largest_difference(weights(tmp_path / "plain"), weights(tmp_path / "saving")) <= 1e-6


def test_bad_input_leaves_nothing_behind(start, data, tmp_path):
    heads = tmp_path / "heads.json"
    HeadSelection(pairs=((9, 0),)).save(heads)
    with pytest.raises(ConfigError, match="layer 9 does not exist"):
        train(config(start, data, tmp_path / "run", heads=heads))
    assert not (tmp_path / "run").exists()
    with pytest.raises(CheckpointError):
        train(config(tmp_path / "nowhere", data, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_draws_depend_on_seed_and_index_alone(data, tiny_processor):
    dataset = InterRVOSDataset(data)

    def ids(seed, index):
        draws = ConversationDataset(dataset, tiny_processor, 100, num_frames=2, seed=seed)
        return draws[index]["input_ids"]

    assert ids(0, 5) == ids(0, 5)
    assert ids(0, 5) != ids(1, 5)
    draws = ConversationDataset(dataset, tiny_processor, 100, num_frames=2)
    for epoch in (range(0, 8), range(8, 16)):
        assert len({draws.draw(i)[0].video_id for i in epoch}) == 8


@given(
    ids=st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=30, unique=True),
    less=st.floats(0.001, 1),
    more=st.floats(0.001, 1),
    order=st.randoms(use_true_random=False),
)
def test_a_share_of_the_videos_hangs_on_their_ids_alone(ids, less, more, order):
    less, more = sorted((less, more))
    videos = [Video(name, (), (), ()) for name in ids]
    few, many = ([v.video_id for v in share_of_videos(videos, share)] for share in (less, more))
    assert len(few) == max(1, round(less * len(ids)))
    assert set(few) <= set(many) and few == [name for name in ids if name in few]
    order.shuffle(videos)
    assert {v.video_id for v in share_of_videos(videos, less)} == set(few)
    assert share_of_videos(videos, 1.0) == videos


def test_a_share_of_the_data_is_all_that_is_drawn(data, tiny_processor):
    dataset = InterRVOSDataset(data)

    def drawn(fraction, seed=0):
        draws = ConversationDataset(
            dataset, tiny_processor, 100, num_frames=2, seed=seed, fraction=fraction
        )
        return [draws.draw(i)[0].video_id for i in range(16)]

    # 8 videos: a quarter is 2, and every seed has the same two.
    assert len(set(drawn(0.25))) == 2 and set(drawn(0.25)) == set(drawn(0.25, seed=1))
    assert set(drawn(0.25)) < set(drawn(0.5)) < set(drawn(1.0))
    default = ConversationDataset(dataset, tiny_processor, 100, num_frames=2)
    assert drawn(1.0) == [default.draw(i)[0].video_id for i in range(16)]


def test_a_run_from_before_shares_goes_on(start, data, tmp_path):
    """Its header says nothing of them; nor does that of a run on all videos."""
    settings = config(start, data, tmp_path / "run")
    train(settings)
    assert "data_fraction" not in read_run(tmp_path / "run")["config"]
    train(settings, resume=True)
    share = settings.model_copy(update={"data_fraction": 0.5})
    with pytest.raises(RunError, match="data_fraction = 0.5, expected absent"):
        train(share, resume=True)


def test_frames_are_drawn_one_from_each_part(rng=None):
    import numpy as np

    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b, c, d = sample_frames(rng, 16, 4)
        assert 0 <= a < 4 <= b < 8 <= c < 12 <= d < 16
    assert sample_frames(rng, 1, 3) == [0, 0, 0]


def test_an_interaction_is_among_the_expressions_but_at_no_fixed_turn():
    import numpy as np

    rng = np.random.default_rng(0)
    turns = set()
    for _ in range(100):
        chosen = sample_expressions(rng, [False, False, True, False, False, False], 4)
        assert len(set(chosen)) == 4
        turns.add(chosen.index(2))
    assert turns == {0, 1, 2, 3}
    assert sorted(set(sample_expressions(rng, [False, True], 5))) == [0, 1]


def test_preferred_expressions_are_taken_before_others():
    rng = np.random.default_rng(0)
    acting = [True, True, False, False, False, False]
    for _ in range(20):
        drawn = sample_expressions(
            rng, acting, 3, preferred=[False, False, False, True, False, True]
        )
        assert {3, 5} <= set(drawn) and len({0, 1} & set(drawn)) == 1


def test_an_unreadable_frame_leaves_nothing_behind(start, data, tmp_path):
    for frame in data.glob("JPEGImages/*/*.jpg"):
        if frame.stem != "00000":  # the reader opens the first frame of each video
            frame.write_bytes(b"no picture")
    with pytest.raises(DataError):
        train(config(start, data, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_torn_line_of_the_log_is_no_obstacle(start, data, tmp_path):
    settings = config(start, data, tmp_path / "run", steps=2, batch_size=2)
    train(settings)
    log = tmp_path / "run" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 2, "lo')
    train(settings, resume=True)
    assert [json.loads(x)["step"] for x in log.read_text().splitlines()] == [1, 2]


def test_half_precision_trains_without_a_gpu(start, data, tmp_path):
    summary = train(config(start, data, tmp_path / "run", precision="bf16", batch_size=2))
    assert summary.losses["loss"] > 0


@pytest.mark.parametrize(
    ("conversations", "frames", "sampling", "wording"),
    [("plain", 2, "uniform", "paper"), ("release", 5, "first", "release")],
)
def test_a_trained_model_is_asked_as_it_was_trained(
    start, data, tmp_path, conversations, frames, sampling, wording
):
    run = tmp_path / "run"
    train(config(start, data, run, steps=1, conversations=conversations))
    model, processor = load(run)
    assert (model.config.num_frames, model.config.frame_sampling) == (frames, sampling)
    assert processor.wording == wording
