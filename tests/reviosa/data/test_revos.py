"""The reader of ReVOS, on its folder as it is published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reviosa.data import open_dataset
from reviosa.data.revos import RevosDataset
from reviosa.errors import DataError
from tests.fixtures_expressions import make_revos

VALID = "meta_expressions_valid_.json"


def change(root: Path, name: str, edit: Callable[[Any], None]) -> None:
    value = json.loads((root / name).read_text())
    edit(value)
    (root / name).write_text(json.dumps(value))


def test_both_splits_lie_in_one_folder(tmp_path: Path) -> None:
    masks = make_revos(tmp_path)
    data = open_dataset(tmp_path / VALID)
    assert isinstance(data, RevosDataset) and data.layout == "revos"
    assert [(s.expression.exp_id, s.expression.group) for s in data.samples] == [
        ("0", "referring"), ("1", "reasoning"),
    ]  # fmt: skip
    assert np.array_equal(data.samples[1].masks(0), masks[0] | masks[1])
    assert data.samples[0].video.read_frames().shape == (3, 24, 32, 3)
    assert np.array_equal(data.foreground("LVVIS/00012", [2, 0]), (masks[0] | masks[1])[[2, 0]])
    assert list(data.faults()) == []
    train = open_dataset(tmp_path / "meta_expressions_train_.json")
    assert [video.video_id for video in train.videos] == ["OVIS/b"]
    assert train.identity != data.identity


def test_a_folder_of_two_splits_asks_for_one(tmp_path: Path) -> None:
    make_revos(tmp_path)
    with pytest.raises(DataError, match=f"got 2 splits, expected one; give its file.*{VALID}"):
        open_dataset(tmp_path)
    (tmp_path / "meta_expressions_train_.json").unlink()
    assert len(open_dataset(tmp_path).samples) == 2


def test_a_type_that_is_none(tmp_path: Path) -> None:
    make_revos(tmp_path)
    change(
        tmp_path, VALID,
        lambda x: x["videos"]["LVVIS/00012"]["expressions"]["0"].update(type_id=3),
    )  # fmt: skip
    with pytest.raises(DataError, match="LVVIS/00012/0: got type_id 3, expected 0"):
        open_dataset(tmp_path / VALID)


def test_every_fault_of_its_own_is_listed(tmp_path: Path) -> None:
    make_revos(tmp_path)
    change(tmp_path, VALID, lambda x: x["videos"]["LVVIS/00012"].update(height=32, width=24))

    def damage(foreground: Any) -> None:
        record = foreground["LVVIS/00012"]
        record["masks_rle"] = [*record["masks_rle"], {"size": [24, 32], "counts": "5"}]

    change(tmp_path, "mask_dict_foreground.json", damage)
    found = [str(fault) for fault in open_dataset(tmp_path / VALID).faults()]
    assert len(found) == 3
    assert "LVVIS/00012: got height and width (32, 24), expected (24, 32)" in found[0]
    assert "foreground: got a mask list of length 4, expected 3" in found[1]
    assert "foreground, frame 3: got an RLE whose runs do not fill 24x32" in found[2]


def test_the_foreground_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    make_revos(tmp_path)
    change(tmp_path, "mask_dict_foreground.json", lambda x: x.pop("LVVIS/00012"))
    data = open_dataset(tmp_path / VALID)
    assert isinstance(data, RevosDataset)
    with pytest.raises(DataError, match='LVVIS/00012, foreground: got no "masks_rle"'):
        data.foreground("LVVIS/00012")
    (tmp_path / "mask_dict_foreground.json").unlink()
    data = open_dataset(tmp_path / VALID)
    assert isinstance(data, RevosDataset) and list(data.faults()) == []
    with pytest.raises(DataError, match="neither mask_dict_foreground.json"):
        data.foreground("LVVIS/00012")
