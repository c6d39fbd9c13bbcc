"""``reviosa convert`` as a user calls it; the conversion itself has tests of its own."""

import json

import pytest
import torch

from reviosa.conversion import convert
from reviosa.model import load
from reviosa.model.segmenter import build_sam2
from tests.fixtures_published import (
    SAM2,
    internvl_folder,
    internvl_tensors,
    reviosa_folder,
    sam2_file,
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convert")
    source, tensors = reviosa_folder(folder / "source")
    convert(source, folder / "ours", sam2_shape=SAM2)
    return folder / "ours", len(tensors)


def test_ours_out_and_what_it_says(cli, ours, tmp_path):
    model, tensors = ours
    shown = cli("convert", str(model), str(tmp_path / "hf"), "--to", "reviosa")
    assert shown.code == 0 and shown.out == (
        f"{tensors} tensors written to {tmp_path / 'hf'} in the layout reviosa\n"
    )
    shown = cli("convert", str(model), str(tmp_path / "s.pt"), "--to", "sam2", "--json")
    record = json.loads(shown.out)
    assert record["layout"] == "sam2" and record["out"].endswith("s.pt")


def test_internvl_and_a_sam2_of_the_package_become_a_model(cli, tmp_path):
    """The size of SAM2 is read off its tensors; what is new is told."""
    folder = internvl_folder(tmp_path / "internvl", internvl_tensors())
    tiny = build_sam2("sam2.1/sam2.1_hiera_t").half().state_dict()
    torch.save({"model": tiny}, tmp_path / "sam2.1_hiera_tiny.pt")
    out = tmp_path / "ours"
    shown = cli("convert", str(folder), str(out), "--sam2", str(tmp_path / "sam2.1_hiera_tiny.pt"))
    assert shown.code == 0, shown.err
    assert "from the layout internvl" in shown.out
    assert "new and untrained: " in shown.out and "seg_projector.0.weight" in shown.out
    config = json.loads((out / "config.json").read_text())
    assert config["sam2_base"] == "sam2.1/sam2.1_hiera_t"
    model, _ = load(out, device="cpu")
    assert model.sam2.image_size == 1024


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{ours}", "{tmp}/new"], "a checkpoint of ours already; say with --to"),
        (["{ours}", "{tmp}/new", "--to", "onnx"], "no layout is called 'onnx'"),
        (["{ours}", "{tmp}/new", "--to", "sam2", "--partial"], "for weights that come in"),
        (["{ours}", "{tmp}", "--to", "sam2"], "got a path that exists"),
        (["{tmp}/nowhere", "{tmp}/new"], "no such file"),
        (["{tmp}/nowhere", "{tmp}/new", "--to", "sam2"], "no such folder"),
        (["{tmp}/internvl", "{tmp}/new"], "give with --sam2 its file"),
        # The small SAM2 of the tests is none of the package's.
        (["{tmp}/internvl", "{tmp}/new", "--sam2", "{tmp}/sam2.pt"], "Hiera of width 24"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(cli, ours, tmp_path, arguments, words):
    internvl_folder(tmp_path / "internvl", internvl_tensors())
    sam2_file(tmp_path / "sam2.pt")
    before = sorted(tmp_path.iterdir())
    shown = cli("convert", *(x.format(ours=ours[0], tmp=tmp_path) for x in arguments))
    assert shown.code == 2 and shown.err.count("\n") == 1 and words in shown.err
    assert sorted(tmp_path.iterdir()) == before
