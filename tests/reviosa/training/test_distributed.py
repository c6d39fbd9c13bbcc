"""Two processes train what one trains: gradients of a step are those of the whole batch."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from reviosa.heads import HeadSelection
from reviosa.model import save
from tests.fixtures_capture import make_dataset


def run(folder, name, processes, **settings):
    """Train through the command line, under torchrun where there are several processes."""
    config = {
        "model": str(folder / "start"),
        "steps": 3,
        "learning_rate": 2e-5,
        "num_frames": 2,
        "expressions_per_video": 3,
        "log_steps": 1,
        **settings,
    }
    (folder / f"{name}.yaml").write_text(json.dumps(config))
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), "workbench.cli", "train"]
    files = ["--config", folder / f"{name}.yaml", "--data", folder / "data", "--out", folder / name]
    done = subprocess.run(
        [*command, *map(str, files), "--heads", str(folder / "heads.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def log(folder, name):
    return [json.loads(x) for x in (folder / name / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def folder(tmp_path, tiny_model, tiny_processor):
    make_dataset(tmp_path / "data")
    save(tiny_model, tiny_processor, tmp_path / "start")
    HeadSelection(pairs=((1, 2), (0, 3))).save(tmp_path / "heads.json")
    return tmp_path


def test_two_processes_equal_one_with_twice_the_batch(folder):
    """Interactions and answers differ from process to process; each counts as in one batch."""
    run(folder, "one", 1, batch_size=4)
    done = run(folder, "two", 2, batch_size=2)
    assert done.stdout.count("checkpoint in") == 1, "one process speaks"
    one, two = (load_file(folder / name / "model" / "model.safetensors") for name in ("one", "two"))
    start = load_file(folder / "start" / "model.safetensors")
    moved = max(float((one[k] - start[k]).abs().max()) for k in one)
    off = max(float((one[k] - two[k]).abs().max()) for k in one)
    assert moved > 1e-5 and off <= 1e-6
    lines = zip(log(folder, "one"), log(folder, "two"), strict=True)
    for single, double in lines:
        for name in ("loss", "loss_text", "loss_bce", "loss_dice", "loss_aml"):
            assert double[name] == pytest.approx(single[name], rel=1e-4), name
    assert json.loads((folder / "two" / "run.json").read_text())["status"] == "done"
    assert not torch.equal(one["seg_projector.0.weight"], start["seg_projector.0.weight"])


def test_sharding_without_gpus_is_refused(folder):
    from reviosa.errors import ConfigError
    from reviosa.training.config import TrainConfig
    from reviosa.training.run import train

    if torch.cuda.is_available():
        pytest.skip("there is a GPU, on which sharding works")
    config = {"model": str(folder / "start"), "data": folder / "data", "out": folder / "run"}
    with pytest.raises(ConfigError, match="needs GPUs and there is none"):
        train(TrainConfig(**config, sharding="fsdp"))
    assert not (folder / "run").exists()


def test_sharded_weights_cannot_be_watched(folder):
    from pydantic import ValidationError

    from reviosa.training.config import TrainConfig

    config = {"model": "nano", "data": folder / "data", "out": folder / "run"}
    with pytest.raises(ValidationError, match="attention_data needs the whole model"):
        TrainConfig(**config, sharding="fsdp", attention_data=folder / "data")
