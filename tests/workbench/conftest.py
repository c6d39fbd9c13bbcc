"""The command line called in this process, and small things for it to work on."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.model import save
from reviosa.model.nano_tokenizer import nano_tokenizer
from tests.fixtures_capture import make_capture, make_dataset
from tests.reviosa.conftest import tiny_config
from workbench.cli import _OFFLINE, main

_TRAIN = {
    "steps": 2, "batch_size": 1, "num_frames": 2, "expressions_per_video": 2, "attention_steps": 1,
}  # fmt: skip
_CLAIM = {"says": "AML <b>helps</b> | most", "source": "nowhere", "better": "aml/rvos",
         "than": "plain/rvos", "paper": 1.0}  # fmt: skip


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd, monkeypatch):
    """Call ``reviosa ARGUMENTS``; the environment it sets is put back."""
    monkeypatch.delenv("REVIOSA_DEBUG", raising=False)
    for name in _OFFLINE:
        # Set first, so that the value main() gives is taken back even where there was none.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def call(*arguments) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(exit.value.code, out, err)

    return call


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("set") / "data", videos=2)


@pytest.fixture(scope="session")
def capture_run(tmp_path_factory, dataset) -> Path:
    return make_capture(tmp_path_factory.mktemp("runs") / "capture", dataset)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A model of toy size with random weights, which names no role by itself."""
    torch.manual_seed(0)
    config = tiny_config()
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save(ReviosaModel(config), ReviosaProcessor.for_config(config, nano_tokenizer()), folder)
    return folder


@pytest.fixture
def sweep_file(tmp_path, dataset, checkpoint):
    """Write a sweep file of two arms and one seed, with what is given in place of its values."""

    def write(**changes) -> Path:
        train = tmp_path / "train.yaml"
        train.write_text(yaml.safe_dump({**_TRAIN, "model": str(checkpoint)}))
        value = {
            "name": "small",
            "train": "train.yaml",
            "data": str(dataset.root),
            "selection": str(dataset.root),
            "selection_videos": 1,
            "report": str(dataset.root),
            "seeds": [0],
            "baseline": "plain",
            "arms": {
                "plain": {"title": "no AML", "set": {"roles": "actor"}, "target_by_prompt": True},
                "aml": {"title": "AML", "heads": {"strategy": "top-layer", "k": 2}},
            },
            "claims": [_CLAIM],
            **changes,
        }  # fmt: skip
        path = tmp_path / "sweep.yaml"
        path.write_text(
            yaml.safe_dump({k: v for k, v in value.items() if v is not None}, sort_keys=False)
        )
        return path

    return write
