"""Predictions as pictures: folders of masks, and palettes, as benchmarks lay them out."""

import numpy as np
import pytest
from PIL import Image

from reviosa.data.rle import decode
from reviosa.errors import ConfigError, DataError
from reviosa.evaluation.readers import open_predictions

SIZE = (6, 9)
NAMES = ["00000", "00001", "00002"]


def random_mask(seed):
    return np.random.default_rng(seed).random(SIZE) < 0.5


def save(path, values, mode="L"):
    """Write values 0 to 255 as a PNG; in mode P they are indices of a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if mode == "P":
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    elif mode != "L":
        image = image.convert(mode)
    image.save(path)


def united(found):
    return np.stack(
        [np.any([decode(rle) for rle in rles] or [np.zeros(SIZE, bool)], 0) for rles in found.masks]
    )


def ask(source, video="v", exp="0", role="actor", indices=(0, 1, 2)):
    return source.find(video, exp, role, NAMES, SIZE, indices)


@pytest.fixture
def folders(tmp_path):
    for exp in ("0", "1"):
        for index, name in enumerate(NAMES):
            save(tmp_path / "Annotations" / "v" / exp / f"{name}.png", 255 * random_mask(index))
    return tmp_path


@pytest.mark.parametrize("below", [".", "Annotations"])
def test_a_folder_of_masks_each_expression(folders, below):
    (folders / "Annotations" / "v" / "0" / "._00000.png").write_bytes(b"of a copying tool")
    source = open_predictions(folders / below)
    assert (source.form, source.roles, source.faults) == ("png", ("actor",), ())
    assert list(source.ids()) == [("v", "0"), ("v", "1")]
    np.testing.assert_array_equal(united(ask(source)), [random_mask(i) for i in range(3)])
    np.testing.assert_array_equal(united(ask(source, indices=(2,))), [random_mask(2)])
    assert ask(source, role="target").masks is None
    assert ask(source, exp="2").masks is None and ask(source, exp="2").faults == ()


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_sa_v_objects_in_every_mode(tmp_path, mode):
    for index, name in enumerate(NAMES):
        values = random_mask(index) * (255 if mode == "1" else 1)
        save(tmp_path / "v" / "003" / f"{name}.png", values, mode)
    source = open_predictions(tmp_path)
    assert list(source.ids()) == [("v", "003")]
    np.testing.assert_array_equal(
        united(ask(source, exp="003")), [random_mask(i) for i in range(3)]
    )


def damage(path):
    path.write_bytes(path.read_bytes()[:-35])


PICTURE_FAULTS = {
    "no frame": (lambda path: path.unlink(), "got no mask for 1 of 3 frames (first: 00001)"),
    "wrong size": (
        lambda path: save(path, np.zeros((4, 9))),
        "00001.png: got a mask of 4x9 pixels, expected 6x9",
    ),
    "colours": (
        lambda path: save(path, np.zeros(SIZE), "RGB"),
        "00001.png: got a picture in mode RGB",
    ),
    "grey levels": (
        lambda path: save(path, np.arange(54).reshape(SIZE)),
        "00001.png: got several values besides 0",
    ),
    "cut": (damage, "00001.png: got an unreadable picture"),
    "text": (lambda path: path.write_text("no"), "00001.png: got an unreadable picture"),
}


@pytest.mark.parametrize(("spoil", "told"), PICTURE_FAULTS.values(), ids=PICTURE_FAULTS)
def test_a_fault_stays_with_its_expression(folders, spoil, told):
    spoil(folders / "Annotations" / "v" / "0" / "00001.png")
    source = open_predictions(folders)
    found = ask(source)
    assert found.masks is None
    (fault,) = found.faults
    assert told in fault
    assert ask(source, exp="1").faults == ()
    # A frame without truth is not asked for, and may be missing or damaged.
    assert ask(source, indices=(0, 2)).faults == ()


def test_palettes_by_object(tmp_path):
    values = np.random.default_rng(1).integers(0, 3, (3, *SIZE))
    for frame, name in zip(values, NAMES, strict=True):
        save(tmp_path / "v" / f"{name}.png", frame, "P")
    source = open_predictions(tmp_path)
    assert (source.form, source.roles, source.faults) == ("davis", ("actor",), ())
    assert list(source.ids()) == [("v", "1"), ("v", "2")]
    for value in (1, 2):
        np.testing.assert_array_equal(united(ask(source, exp=str(value))), values == value)
    assert not united(ask(source, exp="3")).any()  # read whole, and never seen
    for nothing in ("0", "x"):
        assert ask(source, exp=nothing).masks is None
    assert ask(source, video="w", exp="1").masks is None


def test_palettes_of_four_annotators(tmp_path):
    values = np.random.default_rng(2).integers(0, 3, (4, 3, *SIZE))
    for annotator in range(4):
        for frame, name in zip(values[annotator], NAMES, strict=True):
            save(tmp_path / f"anno_{annotator}" / "v" / f"{name}.png", frame, "P")
    source = open_predictions(tmp_path)
    assert (source.form, source.faults) == ("ref-davis", ())
    # Two objects of four annotators: expressions 0 to 3 are of the first, 4 to 7 of the second.
    assert sorted(source.ids()) == [("v", str(index)) for index in range(8)]
    for number in range(8):
        expected = values[number % 4] == number // 4 + 1
        np.testing.assert_array_equal(united(ask(source, exp=str(number))), expected)


def test_an_annotator_without_a_folder_is_told(tmp_path):
    save(tmp_path / "anno_1" / "v" / "00000.png", np.zeros(SIZE), "P")
    source = open_predictions(tmp_path)
    assert [fault.split(",")[0] for fault in source.faults] == [
        f"got no folder anno_{index}" for index in (0, 2, 3)
    ]
    assert ask(source, exp="0").masks is None
    assert ask(source, exp="1").faults == ("got no mask for 2 of 3 frames (first: 00001)",)


def test_a_damaged_palette_costs_the_video(tmp_path):
    for name in NAMES:
        save(tmp_path / "v" / f"{name}.png", np.ones(SIZE), "P")
        save(tmp_path / "w" / f"{name}.png", np.ones(SIZE), "P")
    damage(tmp_path / "v" / "00002.png")
    source = open_predictions(tmp_path)
    assert sorted(source.ids()) == [("v", "1"), ("w", "1")]
    assert "00002.png: got an unreadable picture" in ask(source, exp="1").faults[0]
    assert ask(source, video="w", exp="1").faults == ()


def test_json_beside_pictures(tmp_path):
    save(tmp_path / "v" / "1" / "00000.png", np.zeros(SIZE))
    (tmp_path / "settings.json").write_text("{}")
    assert open_predictions(tmp_path).form == "png"
    (tmp_path / "results_pid_0.json").write_text("{}")
    assert open_predictions(tmp_path).form == "json"


def test_the_form_can_be_said(tmp_path, folders):
    assert open_predictions(folders, "png").form == "png"
    for form in ("json", "ref-davis"):
        with pytest.raises(DataError, match="got a folder without predictions"):
            open_predictions(folders, form)
    with pytest.raises(ConfigError, match="got the form 'gif'"):
        open_predictions(folders, "gif")
