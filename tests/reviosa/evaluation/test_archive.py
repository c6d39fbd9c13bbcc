"""Archives for the servers: whole and the same bytes each time, or not at all."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from reviosa.data.opening import open_dataset
from reviosa.data.rle import encode
from reviosa.errors import ConfigError
from reviosa.evaluation.archive import write_archive
from reviosa.evaluation.readers import open_predictions
from tests.fixtures_capture import make_dataset

SIZE = (6, 8)
VIDEOS = {"cat": ("00000", "00005"), "ant": ("00000", "00005", "00010")}
EXPRESSIONS = {"cat": ("0", "1"), "ant": ("0",)}


def split(root, layout):
    """A split whose truth the server keeps, as it is published: frames and expressions alone."""
    folder = root / "valid"
    videos = {
        video: {
            "frames": list(names),
            "expressions": {exp: {"exp": "an animal"} for exp in EXPRESSIONS[video]},
        }
        for video, names in VIDEOS.items()
    }
    for video, names in VIDEOS.items():
        (folder / "JPEGImages" / video).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (SIZE[1], SIZE[0])).save(folder / "JPEGImages" / video / f"{name}.jpg")
    place = {"mevis": folder, "ref-youtube-vos": root / "meta_expressions" / "valid"}[layout]
    place.mkdir(parents=True, exist_ok=True)
    (place / "meta_expressions.json").write_text(json.dumps({"videos": videos}))
    dataset = open_dataset(folder)
    assert (dataset.layout, dataset.has_truth) == (layout, False)
    return dataset


def masks(video, exp):
    seed = sum(map(ord, video + exp))
    return np.random.default_rng(seed).random((len(VIDEOS[video]), *SIZE)) < 0.5


def predictions():
    return {
        video: {
            exp: {"prediction_masks": [encode(mask) for mask in masks(video, exp)]}
            for exp in EXPRESSIONS[video]
        }
        for video in VIDEOS
    }


def write(path, value):
    path.write_text(json.dumps(value))
    return open_predictions(path)


@pytest.mark.parametrize(("layout", "root"), [("mevis", ""), ("ref-youtube-vos", "Annotations/")])
def test_the_archive_holds_every_mask(tmp_path, layout, root):
    dataset = split(tmp_path / "set", layout)
    source = write(tmp_path / "p.json", predictions())
    seen = []
    path = tmp_path / "out" / "submission.zip"
    assert write_archive(path, dataset, source, lambda *done: seen.append(done)) == ()
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            f"{root}{video}/{exp}/{name}.png"
            for video in ("ant", "cat") for exp in EXPRESSIONS[video] for name in VIDEOS[video]
        ]  # fmt: skip
        for video, names in VIDEOS.items():
            for exp in EXPRESSIONS[video]:
                for index, name in enumerate(names):
                    picture = Image.open(
                        io.BytesIO(archive.read(f"{root}{video}/{exp}/{name}.png"))
                    )
                    assert picture.mode == "L"
                    np.testing.assert_array_equal(np.array(picture), 255 * masks(video, exp)[index])
        archive.extractall(tmp_path / "back")
    again = open_predictions(tmp_path / "back")
    assert (again.form, sorted(again.ids())) == ("png", sorted(source.ids()))
    other = tmp_path / "other.zip"
    assert write_archive(other, dataset, again) == ()
    assert other.read_bytes() == path.read_bytes()


def shorten(value):
    value["cat"]["1"]["prediction_masks"].pop()


def empty(value):
    value["cat"]["1"]["prediction_masks"][0] = None


def enlarge(value):
    value["cat"]["1"]["prediction_masks"][1] = encode(np.ones((3, 3), bool))


def damage(value):
    value["cat"]["1"]["prediction_masks"][1]["counts"] += "0"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda value: value["cat"].pop("1"), "cat/1: got no prediction"),
        (shorten, "cat/1: got 1 masks in prediction_masks, expected 2"),
        (damage, "cat/1: frame 1: got an RLE whose runs do not fill 6x8 pixels"),
        (empty, "cat/1: got null for 1 of 2 masks"),
        (enlarge, "cat/1: prediction_masks, frame 1: got a mask of 3x3 pixels, expected 6x8"),
    ],
)
def test_an_incomplete_archive_is_not_written(tmp_path, spoil, told):
    value = predictions()
    spoil(value)
    path = tmp_path / "submission.zip"
    path.write_bytes(b"an earlier one")
    source = write(tmp_path / "p.json", value)
    (fault,) = write_archive(path, split(tmp_path / "set", "mevis"), source)
    assert str(fault).startswith(told)
    assert path.read_bytes() == b"an earlier one"
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix == ".zip"] == [path.name]


def test_every_fault_is_told(tmp_path):
    source = write(tmp_path / "p.json", {"dog": {"0": predictions()["ant"]["0"]}})
    found = write_archive(tmp_path / "a.zip", split(tmp_path / "set", "mevis"), source)
    assert [fault.where for fault in found] == ["ant/0", "cat/0", "cat/1"]


def test_other_benchmarks_have_no_archive(tmp_path):
    dataset = make_dataset(tmp_path / "set", videos=1)
    with pytest.raises(ConfigError, match="got the layout interrvos, expected one whose server"):
        write_archive(tmp_path / "a.zip", dataset, write(tmp_path / "p.json", predictions()))
    assert not (tmp_path / "a.zip").exists()
