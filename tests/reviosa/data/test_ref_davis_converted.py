"""Converted forms of Ref-DAVIS: annotators come back, masks are counted as Sa2VA counts them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reviosa.data.mevis import MevisDataset
from reviosa.data.opening import open_dataset
from reviosa.data.ref_davis_converted import ConvertedRefDAVISDataset
from reviosa.data.ref_youtube_vos import RefYouTubeVOSDataset
from reviosa.data.rle import encode
from reviosa.data.statistics import data_statistics
from reviosa.errors import DataError
from tests.fixtures_layouts import truth_masks, write_frames, write_json, write_palettes

OBJECTS = {"dogs-jump": 3, "blackswan": 1}
NAMES = ("00000", "00001")


def expressions(objects):
    return {
        str(4 * number + annotator): {"exp": f"thing {number}", "obj_id": str(number + 1)}
        for number in range(objects)
        for annotator in range(4)
    }


@pytest.fixture
def made(tmp_path):
    """MeViS's form without ``anno_id``, its masks numbered over string-sorted expressions."""
    videos, masks, truth = {}, {}, {}
    for seed, (video, count) in enumerate(OBJECTS.items()):
        write_frames(tmp_path / "valid/JPEGImages" / video, NAMES, seed)
        truth[video] = truth_masks(len(NAMES), count, seed)
        videos[video] = {"expressions": expressions(count), "frames": list(NAMES)}
        # 0, 1, 10, 11, 2, 3, ...: the order in which Sa2VA meets them.
        for exp_id in sorted(videos[video]["expressions"]):
            track = truth[video][int(exp_id) // 4]
            masks[str(len(masks))] = [encode(mask) for mask in track]
    write_json(tmp_path / "valid/meta_expressions.json", {"videos": videos})
    write_json(tmp_path / "valid/mask_dict.json", masks)
    return tmp_path / "valid", truth


def check(data, truth):
    for sample in data.samples:
        number = int(sample.expression.exp_id)
        expected = truth[sample.video.video_id][number // 4]
        assert np.array_equal(sample.masks(0), expected), sample.expression.exp_id
        assert sample.expression.group == f"annotator {number % 4}"


def test_annotations_are_counted_over_string_sorted_expressions(made):
    root, truth = made
    data = open_dataset(root)
    assert isinstance(data, ConvertedRefDAVISDataset) and data.has_truth
    ids = {x.exp_id: x.actor_ids for x in data.videos[0].expressions}
    assert ids["10"] == (2,) and ids["2"] == (4,)
    # An object counts once, though each of its four expressions has an annotation.
    assert data_statistics(data, "davis").objects == sum(OBJECTS.values())
    check(data, truth)
    assert not list(data.faults())
    assert open_dataset(root, layout="ref-davis").identity == data.identity


def test_written_annotation_ids_come_first(made):
    root, truth = made
    path = root / "meta_expressions.json"
    record = json.loads(path.read_text())
    spoken = record["videos"]["blackswan"]["expressions"]
    for exp_id, entry in spoken.items():
        entry["anno_id"] = [12 + int(exp_id)]
    write_json(path, record)
    check(open_dataset(root), truth)


def test_the_palette_form_has_its_annotators_too(made):
    root, truth = made
    texts = root.parent / "meta_expressions/valid/meta_expressions.json"
    texts.parent.mkdir(parents=True)
    (root / "meta_expressions.json").rename(texts)
    (root / "mask_dict.json").unlink()
    for video, masks in truth.items():
        write_palettes(root / "Annotations" / video, NAMES, masks)
    data = open_dataset(root)
    assert isinstance(data, RefYouTubeVOSDataset)
    check(data, truth)


@pytest.mark.parametrize(
    "change",
    [
        lambda spoken: spoken.pop("3"),
        lambda spoken: spoken["3"].update(obj_id="2"),
        lambda spoken: spoken["0"].pop("obj_id"),
        lambda spoken: [spoken[x].update(obj_id="1") for x in "4567"],
        lambda spoken: spoken.update(x=spoken.pop("0")),
    ],
)
def test_other_sets_in_this_form_have_no_annotators(made, change):
    root, _ = made
    path = root / "meta_expressions.json"
    record = json.loads(path.read_text())
    change(record["videos"]["dogs-jump"]["expressions"])
    write_json(path, record)
    assert not ConvertedRefDAVISDataset.found(root)
    data = open_dataset(root)
    assert type(data) is MevisDataset
    assert {sample.expression.group for sample in data.samples} == {""}


def test_a_set_without_masks_is_refused_by_name(made, tmp_path):
    root = Path(shutil.copytree(made[0], tmp_path / "copy"))
    (root / "mask_dict.json").unlink()
    with pytest.raises(DataError, match="got no mask_dict.json, expected the masks"):
        ConvertedRefDAVISDataset(root)
