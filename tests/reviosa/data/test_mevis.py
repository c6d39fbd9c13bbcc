"""The reader of MeViS, on its splits as they are published."""

import json
from pathlib import Path

import numpy as np
import pytest

from reviosa.data import open_dataset
from reviosa.data.mevis import MevisDataset
from reviosa.errors import DataError
from tests.fixtures_expressions import make_mevis


def test_a_split_with_truth(tmp_path: Path) -> None:
    masks = make_mevis(tmp_path)
    data = open_dataset(tmp_path)
    assert isinstance(data, MevisDataset) and data.layout == "mevis" and data.has_truth
    assert [s.expression.sample_id for s in data.samples] == [
        "0a43a414/0",
        "0a43a414/1",
        "377b1c5f/0",
    ]
    assert [s.expression.caption_type for s in data.samples] == ["single", "multi", "single"]
    assert np.array_equal(data.samples[0].masks(0), masks[0])
    assert np.array_equal(data.samples[1].masks(0), masks[0] | masks[1])
    assert not data.samples[1].masks(1).any(), "no expression of MeViS has a target"
    assert data.interactions == () and list(data.faults()) == []
    united = data.rles("0a43a414", (0, 1), [1, 0])
    assert united is not None
    # Object 1 is absent from frame 1: there, one mask is united; on frame 0, two.
    assert [len(frame) for frame in united] == [1, 2]


def test_the_split_whose_truth_is_kept_back(tmp_path: Path) -> None:
    make_mevis(tmp_path, truth=False)
    data = open_dataset(tmp_path)
    assert isinstance(data, MevisDataset) and not data.has_truth
    assert [s.expression.actor_ids for s in data.samples] == [(), (), ()]
    data.check_frames()
    assert data.size("377b1c5f") == (24, 32) and list(data.faults()) == []
    with pytest.raises(DataError, match="got a split without masks"):
        data.samples[0].masks(0)
    with pytest.raises(DataError, match="got a split without masks"):
        data.require_truth()


def test_a_split_with_ids_needs_its_masks(tmp_path: Path) -> None:
    make_mevis(tmp_path)
    (tmp_path / "mask_dict.json").unlink()
    with pytest.raises(DataError, match="neither mask_dict.json"):
        open_dataset(tmp_path)


def test_an_expression_without_ids_among_others_is_a_fault(tmp_path: Path) -> None:
    make_mevis(tmp_path)
    path = tmp_path / "meta_expressions.json"
    meta = json.loads(path.read_text())
    del meta["videos"]["377b1c5f"]["expressions"]["0"]["anno_id"]
    path.write_text(json.dumps(meta))
    with pytest.raises(DataError, match="377b1c5f/0: got no annotation id"):
        open_dataset(tmp_path)
    loose = open_dataset(tmp_path, strict=False)
    assert [fault.where for fault in loose.faults()] == ["377b1c5f/0"]
    assert len(loose.samples) == 2
