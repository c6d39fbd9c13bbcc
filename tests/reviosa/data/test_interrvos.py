"""The reader of the InterRVOS layout: what it reads and what it refuses."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reviosa.data import CAPTION_TYPES, ROLES, InterRVOSDataset
from reviosa.data.rle import encode
from reviosa.errors import DataError

HEIGHT, WIDTH = 6, 8


def square(top: int, left: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + 2, left : left + 2] = True
    return mask


def content() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two videos; object 10 is absent from frame 1."""
    roles = {
        "obj_id": {"subject": [0], "object": [1]},
        "anno_id": {"subject": [10], "object": [11]},
    }
    nobody = {
        "obj_id": {"subject": [0], "object": None},
        "anno_id": {"subject": [10], "object": None},
    }
    expressions = {
        "0": {"exp": "a push", "caption_type": "unidirectional", "obj_id": [0], "anno_id": [10],
              "subject/object": roles},
        "1": {"exp": "both", "caption_type": "multi", "obj_id": [0, 1], "anno_id": [10, 11]},
        "2": {"exp": "no type", "obj_id": [1], "anno_id": [11]},
        "3": {"exp": "nobody else", "caption_type": "single", "anno_id": [10],
              "subject/object": nobody},
    }  # fmt: skip
    meta = {
        "videos": {
            "first": {"vid_id": 0, "frames": ["00000", "00005"], "expressions": expressions},
            "second": {
                "vid_id": 1,
                "frames": ["00000"],
                "expressions": {"0": {"exp": "alone", "caption_type": "single", "anno_id": [12]}},
            },
        }
    }
    masks = {
        "10": [encode(square(0, 0)), None],
        "11": [encode(square(1, 1)), encode(square(3, 4))],
        "12": [encode(square(2, 2))],
    }
    return meta, masks


Change = Callable[[dict[str, Any], dict[str, Any]], None]


def write(root: Path, change: Change | None = None, prefix: str = "") -> Path:
    meta, masks = content()
    for video_id, video in meta["videos"].items():
        folder = root / "JPEGImages" / video_id
        folder.mkdir(parents=True)
        for name in video["frames"]:
            Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.jpg")
    if change is not None:
        change(meta, masks)
    (root / f"{prefix}meta_expressions.json").write_text(json.dumps(meta))
    (root / f"{prefix}mask_dict.json").write_text(json.dumps(masks))
    return root


def test_reads_everything_in_file_order(tmp_path: Path) -> None:
    data = InterRVOSDataset(write(tmp_path))
    assert ROLES == ("actor", "target")
    assert [video.video_id for video in data.videos] == ["first", "second"]
    assert data.videos[0].frame_names == ("00000", "00005")
    assert [s.expression.sample_id for s in data.samples] == [
        "first/0", "first/1", "first/2", "first/3", "second/0"
    ]  # fmt: skip
    types = [s.expression.caption_type for s in data.samples]
    assert types == ["unidirectional", "multi", "single", "single", "single"]
    assert set(types) <= set(CAPTION_TYPES)
    assert [s.expression.actor_ids for s in data.samples] == [(10,), (10, 11), (11,), (10,), (12,)]
    assert [s.expression.target_ids for s in data.samples] == [(11,), (), (), (), ()]
    assert [s.expression.sample_id for s in data.interactions] == ["first/0"]
    assert data.videos[0].read_frames().shape == (2, HEIGHT, WIDTH, 3)
    assert data.world is None


def test_masks_unite_annotations_and_null_is_empty(tmp_path: Path) -> None:
    data = InterRVOSDataset(write(tmp_path))
    push, both = data.samples[0], data.samples[1]
    assert np.array_equal(push.masks(0), [square(0, 0), np.zeros((HEIGHT, WIDTH), bool)])
    assert np.array_equal(push.masks(1), [square(1, 1), square(3, 4)])
    assert np.array_equal(push.masks(1, [1]), [square(3, 4)])
    # Squares of 2 x 2 at (0, 0) and (1, 1) share one pixel: 4 + 4 - 1 = 7.
    assert both.masks(0)[0].sum() == 7
    assert both.masks(1).shape == (2, HEIGHT, WIDTH) and not both.masks(1).any()
    with pytest.raises(ValueError, match="role is 0"):
        push.masks(2)


def test_target_of_no_interaction_is_ignored(tmp_path: Path) -> None:
    # Released files list all participants of a bidirectional sentence; there is no target.
    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        meta["videos"]["first"]["expressions"]["0"]["caption_type"] = "bidirectional"

    sample = InterRVOSDataset(write(tmp_path, change)).samples[0]
    assert sample.expression.target_ids == ()
    assert not sample.masks(1).any()


def test_limit_and_other_file_names(tmp_path: Path) -> None:
    root = write(tmp_path, prefix="new_")
    assert [video.video_id for video in InterRVOSDataset(root, limit=1).videos] == ["first"]
    with pytest.raises(DataError, match="got limit 0"):
        InterRVOSDataset(root, limit=0)


def test_identity_follows_the_bytes(tmp_path: Path) -> None:
    root = write(tmp_path)
    meta, masks = root / "meta_expressions.json", root / "mask_dict.json"
    expected = hashlib.sha256(meta.read_bytes() + masks.read_bytes()).hexdigest()[:16]
    assert InterRVOSDataset(root).identity == expected
    meta.write_bytes(meta.read_bytes() + b"\n")
    assert InterRVOSDataset(root).identity != expected


def test_require_targets(tmp_path: Path) -> None:
    InterRVOSDataset(write(tmp_path / "with")).require_targets()

    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        del meta["videos"]["first"]["expressions"]["0"]

    data = InterRVOSDataset(write(tmp_path / "without", change))
    with pytest.raises(DataError, match="got 4 expressions of which none is an interaction"):
        data.require_targets()


def expression(number: str, **values: Any) -> Change:
    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        meta["videos"]["first"]["expressions"][number].update(values)

    return change


def masks_of(number: str, value: Any) -> Change:
    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        masks[number] = value

    return change


def without(*keys: str) -> Change:
    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        place: Any = meta
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


SMALL = encode(np.zeros((3, 3), bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (expression("1", exp=""), r"first/1: got the expression ''"),
        (expression("1", exp="  "), r"first/1: got the expression '  '"),
        (expression("1", exp=None), r"first/1: got the expression None"),
        (expression("1", caption_type="duet"), r"first/1: got caption_type 'duet'"),
        (expression("1", anno_id=[]), r"first/1: got no annotation id"),
        (without("videos", "first", "expressions", "1", "anno_id"), r"first/1: got no annotation"),
        (expression("1", anno_id=["x"]), r"first/1: got the annotation ids \['x'\]"),
        (expression("1", anno_id=[10, 99]), r"first/1, annotation 99: got no masks"),
        (expression("0", **{"subject/object": None}), r"first/0: got an interaction without a"),
        (masks_of("11", [None]), r"annotation 11: got a mask list of length 1, expected 2"),
        (masks_of("11", {"0": None}), r"first/0, annotation 11: got a mask list of length dict"),
        (masks_of("12", [SMALL]), r"second/0, annotation 12, frame 0: got an RLE of 3x3 .* 6x8"),
        (masks_of("12", ["1"]), r"second/0, annotation 12, frame 0: got the mask record"),
        (without("videos"), r'meta_expressions\.json: got no "videos"'),
        (without("videos", "first", "frames"), r'first: got a record without "frames"'),
        (without("videos", "first", "expressions"), r'first: got a record without "frames" or'),
    ],
)  # fmt: skip
def test_bad_content_is_named_in_one_line(tmp_path: Path, change: Change, message: str) -> None:
    root = write(tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        InterRVOSDataset(root)
    assert "\n" not in str(caught.value)


def test_damaged_mask_is_named_when_read(tmp_path: Path) -> None:
    broken = {"size": [HEIGHT, WIDTH], "counts": "5"}
    data = InterRVOSDataset(write(tmp_path, masks_of("12", [broken])))
    with pytest.raises(DataError, match="second, annotation 12, frame 0: got an RLE whose runs"):
        data.samples[-1].masks(0)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got no folder there"):
        InterRVOSDataset(tmp_path / "nowhere")


def test_missing_json(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither meta_expressions.json nor new_meta"):
        InterRVOSDataset(tmp_path)
    (write(tmp_path) / "mask_dict.json").unlink()
    with pytest.raises(DataError, match="neither mask_dict.json"):
        InterRVOSDataset(tmp_path)


@pytest.mark.parametrize("text", ['{"videos": ', "", "[1]"])
def test_broken_json(tmp_path: Path, text: str) -> None:
    root = write(tmp_path)
    (root / "meta_expressions.json").write_text(text)
    with pytest.raises(DataError, match="meta_expressions.json: got"):
        InterRVOSDataset(root)


def test_missing_frame_and_video_folder(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "JPEGImages" / "first" / "00005.jpg").unlink()
    with pytest.raises(DataError, match=r"first: got no file for 1 of 2 frames \(first: 00005\)"):
        InterRVOSDataset(root)
    (root / "JPEGImages" / "first" / "00000.jpg").unlink()
    (root / "JPEGImages" / "first").rmdir()
    with pytest.raises(DataError, match="first: got no folder"):
        InterRVOSDataset(root)


def test_unreadable_first_frame(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "JPEGImages" / "second" / "00000.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"00000\.jpg: got an unreadable frame"):
        InterRVOSDataset(root)


def test_a_later_frame_that_is_damaged_or_of_another_size_is_found_before_a_run(
    tmp_path: Path,
) -> None:
    root = write(tmp_path)
    InterRVOSDataset(root).check_frames()
    last = InterRVOSDataset(root).videos[0].frame_paths[-1]
    whole = last.read_bytes()
    Image.new("RGB", (5, 3)).save(last)
    with pytest.raises(DataError, match=r"got a frame of 5x3 pixels, expected .* replace it"):
        InterRVOSDataset(root).check_frames()
    last.write_bytes(b"no image")
    with pytest.raises(DataError, match="got an unreadable frame"):
        InterRVOSDataset(root).check_frames()
    last.write_bytes(whole)
    InterRVOSDataset(root).check_frames()


@pytest.mark.parametrize("ids", [[10.5], [True], [float("inf")], {"0": 10}])
def test_annotation_ids_are_integers(tmp_path: Path, ids: object) -> None:
    def change(meta: dict[str, Any], masks: dict[str, Any]) -> None:
        meta["videos"]["first"]["expressions"]["0"]["anno_id"] = ids

    with pytest.raises(DataError, match="got the annotation ids .*, expected a list of integers"):
        InterRVOSDataset(write(tmp_path, change))
