"""Every fault of a data set in one pass, however many there are."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reviosa.data import InterRVOSDataset, open_dataset
from reviosa.data.rle import encode
from reviosa.errors import DataError
from tests.fixtures_expressions import SIZE, track, write_set

_SMALL = {"size": [3, 3], "counts": "9"}
_DAMAGED = {"size": list(SIZE), "counts": "5"}


def entry(text: Any, ids: Any, kind: str = "single", targets: Any = None) -> dict[str, Any]:
    block = {"subject": ids, "object": targets}
    return {
        "exp": text, "caption_type": kind, "obj_id": [0], "anno_id": ids,
        "subject/object": {"obj_id": block, "anno_id": block},
    }  # fmt: skip


def make(root: Path) -> None:
    """A set with one fault of each kind, and sound things between them."""
    expressions = {
        "good": entry("a push", [0], "unidirectional", [1]),
        "null target": entry("a pull", [0], "unidirectional", None),
        "empty target": entry("a kick", [0], "unidirectional", []),
        "no words": entry(" . ", [0]),
        "no type": entry("a dance", [0], "duet"),
        "unknown id": entry("a ghost", [0, 99]),
        "no id": entry("nobody", []),
        "odd id": entry("odd", ["x"]),
        "no object": "a text",
        "short": entry("short", [2]),
        "small": entry("small", [3]),
        "no record": entry("no record", [4]),
        "no list": entry("no list", [5]),
        "damaged": entry("damaged", [6]),
        "small again": entry("small again", [3]),
        "two faults": entry("", [0], "trio"),
    }
    videos: dict[str, Any] = {
        "full": {"frames": ["00000", "00001"], "expressions": expressions},
        "gap": {"frames": ["00000", "00001"], "expressions": {"0": entry("one", [7])}},
        "gone": {"frames": ["00000"], "expressions": {"0": entry("two", [8])}},
        "sizes": {"frames": ["00000", "00001"], "expressions": {"0": entry("three", [9])}},
        "broken": {"frames": ["00000", "00001"], "expressions": {"0": entry("four", [10])}},
    }
    write_set(root, videos, {i: track(i, 2) for i in (0, 1, 7, 9, 10)} | {8: track(8, 1)})
    masks = json.loads((root / "mask_dict.json").read_text())
    good = encode(track(2, 1)[0])
    masks |= {
        "2": [good], "3": [good, _SMALL], "4": [good, {"size": [3, 3]}], "5": {"0": good},
        "6": [good, _DAMAGED],
    }  # fmt: skip
    (root / "mask_dict.json").write_text(json.dumps(masks))
    videos["no frames"] = {"expressions": {}}
    (root / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    (root / "JPEGImages" / "gap" / "00001.jpg").unlink()
    (root / "JPEGImages" / "gone" / "00000.jpg").unlink()
    (root / "JPEGImages" / "gone").rmdir()
    Image.new("RGB", (5, 4)).save(root / "JPEGImages" / "sizes" / "00001.jpg")
    (root / "JPEGImages" / "broken" / "00000.jpg").write_bytes(b"no picture")


EXPECTED = [
    ("full/null target", "got an interaction without a target"),
    ("full/empty target", "got an interaction without a target"),
    ("full/no words", "got the expression ' . '"),
    ("full/no type", "got caption_type 'duet'"),
    ("full/unknown id, annotation 99", "got no masks of that annotation"),
    ("full/no id", "got no annotation id"),
    ("full/odd id", "got the annotation ids ['x']"),
    ("full/no object", "got str as expression"),
    ("full/short, annotation 2", "got a mask list of length 1, expected 2"),
    ("full/small, annotation 3, frame 1", "got an RLE of 3x3 pixels, expected 24x32"),
    ("full/no record, annotation 4, frame 1", "got the mask record"),
    ("full/no list, annotation 5", "got a mask list of length dict, expected 2"),
    ("full/two faults", "got the expression ''"),
    ("full/two faults", "got caption_type 'trio'"),
    ("gap", "got no file for 1 of 2 frames (first: 00001)"),
    ("gone", "got no folder"),
    ("broken/00000.jpg", "got an unreadable frame"),
    ("no frames", 'got a record without "frames" or "expressions"'),
    ("full, annotation 6, frame 1", "got an RLE whose runs do not fill 24x32"),
    ("sizes/00001.jpg", "got a frame of 5x4 pixels, expected 32x24"),
]


def test_all_are_named_each_once(tmp_path: Path) -> None:
    make(tmp_path)
    data = open_dataset(tmp_path, strict=False)
    found = list(data.faults())
    for fault, (where, what) in zip(found, EXPECTED, strict=True):
        assert fault.where.endswith(where) and fault.what.startswith(what), fault
        assert "\n" not in str(fault)


def test_what_is_sound_is_kept_and_can_be_read(tmp_path: Path) -> None:
    make(tmp_path)
    data = InterRVOSDataset(tmp_path, strict=False)
    assert [s.expression.sample_id for s in data.samples] == [
        "full/good", "full/damaged", "gap/0", "gone/0", "sizes/0", "broken/0",
    ]  # fmt: skip
    assert data.samples[0].masks(0).any() and data.samples[0].masks(1).any()
    assert data.size("broken") == SIZE, "by the first frame that can be read"
    with pytest.raises(DataError, match="full, annotation 6, frame 1: got an RLE whose runs"):
        data.samples[1].masks(0)
    with pytest.raises(DataError, match="got no file, expected a frame"):
        data.samples[2].video.read_frames()


def test_strictly_the_first_fault_is_raised(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match="full/null target: got an interaction without a target"):
        open_dataset(tmp_path)


def test_a_sound_set_has_none(tmp_path: Path) -> None:
    videos = {"v": {"frames": ["0"], "expressions": {"0": entry("a dog", [0])}}}
    write_set(tmp_path, videos, {0: track(0, 1)})
    assert list(open_dataset(tmp_path).faults()) == []
    assert list(open_dataset(tmp_path, strict=False).faults()) == []


def test_a_whole_file_that_cannot_be_read_is_raised_in_any_case(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "mask_dict.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="got broken JSON"):
        open_dataset(tmp_path, strict=False)
