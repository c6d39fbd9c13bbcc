"""The command line called in this process, and small things for it to work on."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from reviosa import ReviosaModel, ReviosaProcessor
from reviosa.model import save
from reviosa.model.nano_tokenizer import nano_tokenizer
from tests.fixtures_capture import make_capture, make_dataset
from tests.reviosa.conftest import tiny_config
from workbench.cli import _OFFLINE, main


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
