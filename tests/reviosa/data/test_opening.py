"""Opening a data set by what lies in its folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reviosa.data import LAYOUTS, open_dataset
from reviosa.data.synthetic import WorldConfig, write_synthetic
from reviosa.errors import ConfigError, DataError
from tests.fixtures_expressions import NO_REAL_DATA, REAL, SIZE, make_mevis, make_revos, write_set


def test_the_folder_tells_the_layout(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "world", 2, 0, WorldConfig(height=48, width=48, frames=4))
    world = open_dataset(tmp_path / "world")
    assert world.layout == "interrvos" and world.world is not None
    make_mevis(tmp_path / "mevis")
    assert open_dataset(tmp_path / "mevis").layout == "mevis"
    make_revos(tmp_path / "revos")
    assert open_dataset(tmp_path / "revos" / "meta_expressions_train_.json").layout == "revos"
    assert {"interrvos", "mevis", "revos"} <= set(LAYOUTS)


def test_both_names_of_the_files_of_interrvos(tmp_path: Path) -> None:
    root = tmp_path / "world"
    write_synthetic(root, 2, 0, WorldConfig(height=48, width=48, frames=4))
    before = open_dataset(root)
    mask = before.samples[0].masks(0)
    for name in ("meta_expressions.json", "mask_dict.json"):
        (root / name).rename(root / f"new_{name}")
    again = open_dataset(root)
    assert again.layout == "interrvos" and again.identity == before.identity
    assert np.array_equal(again.samples[0].masks(0), mask)


def test_a_layout_by_name(tmp_path: Path) -> None:
    make_mevis(tmp_path)
    assert open_dataset(tmp_path, limit=1, layout="mevis").summary["videos"] == 1
    # Read as InterRVOS, which it is but for the types, every expression is a plain one.
    assert open_dataset(tmp_path, layout="interrvos").layout == "interrvos"
    with pytest.raises(ConfigError, match=r"got the layout 'coco', expected one of .*mevis"):
        open_dataset(tmp_path, layout="coco")


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got no folder there, expected a data set"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"got no data set of a known layout.*mevis: meta_expr"):
        open_dataset(tmp_path)
    make_mevis(tmp_path)
    with pytest.raises(DataError, match="got limit 0, expected at least 1"):
        open_dataset(tmp_path, limit=0)


def test_a_limit_reads_the_first_videos_alone(tmp_path: Path) -> None:
    make_mevis(tmp_path)
    meta = json.loads((tmp_path / "meta_expressions.json").read_text())
    meta["videos"]["377b1c5f"]["expressions"]["0"]["exp"] = ""
    (tmp_path / "meta_expressions.json").write_text(json.dumps(meta))
    assert len(open_dataset(tmp_path, limit=1).samples) == 2
    with pytest.raises(DataError, match="377b1c5f/0: got the expression ''"):
        open_dataset(tmp_path)


@settings(deadline=None, max_examples=40)
@given(masks=st.lists(arrays(bool, (2, *SIZE)), min_size=1, max_size=3))
def test_a_round_trip_keeps_every_bit(tmp_path_factory, masks: list[np.ndarray]) -> None:
    root = tmp_path_factory.mktemp("trip")
    ids = list(range(len(masks)))
    entries = {
        str(i): {"exp": f"object {i}", "caption_type": "single", "anno_id": [i]} for i in ids
    } | {"all": {"exp": "all", "caption_type": "multi", "anno_id": ids}}
    write_set(
        root, {"v": {"frames": ["00000", "00001"], "expressions": entries}}, dict(enumerate(masks))
    )
    data = open_dataset(root)
    for i in ids:
        assert np.array_equal(data.masks("v", [i]), masks[i])
    assert np.array_equal(data.samples[-1].masks(0), np.any(masks, axis=0))


@pytest.mark.skipif(not REAL.is_dir(), reason=NO_REAL_DATA)
def test_real_clips() -> None:
    data = open_dataset(REAL / "real_interrvos")
    assert data.layout == "interrvos" and list(data.faults()) == []
    assert data.summary | {"identity": ""} == {
        "identity": "", "videos": 2, "expressions": 6, "interactions": 2
    }  # fmt: skip
    horse = data.masks("horsejump-high", [0])
    assert horse.shape == (50, *data.size("horsejump-high"))
    united = data.masks("horsejump-high", [0, 1])
    assert (horse.sum((1, 2)) > 0).all() and (united >= horse).all()
