"""Numbers of objects are read as they are, whatever their colours."""

import numpy as np
import pytest
from PIL import Image

from reviosa.data.palette import IndexMaps, read_index_map
from reviosa.errors import DataError

MAP = np.arange(24, dtype=np.uint8).reshape(4, 6) % 5


def test_palette_grey_and_black_and_white(tmp_path):
    palette = Image.fromarray(MAP, mode="P")
    palette.putpalette([9, 9, 9] * 5)
    palette.save(tmp_path / "p.png")
    Image.fromarray(MAP).save(tmp_path / "l.png")
    Image.fromarray((MAP > 2).astype(np.uint8) * 255).convert("1").save(tmp_path / "1.png")
    assert np.array_equal(read_index_map(tmp_path / "p.png"), MAP)
    assert np.array_equal(read_index_map(tmp_path / "l.png"), MAP)
    assert np.array_equal(read_index_map(tmp_path / "1.png"), MAP > 2)
    assert read_index_map(tmp_path / "1.png").dtype == np.uint8


def test_colours_damage_and_absence_are_refused_in_one_line(tmp_path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(DataError, match="rgb.png: got a picture in the mode RGB, expected numbers"):
        read_index_map(tmp_path / "rgb.png")
    with pytest.raises(DataError, match="no.png: got no file, expected the masks of a frame"):
        read_index_map(tmp_path / "no.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cut.png: got an unreadable picture"):
        read_index_map(tmp_path / "cut.png")


def test_the_objects_of_a_frame_are_read_once(tmp_path):
    Image.fromarray(MAP).save(tmp_path / "a.png")
    maps = IndexMaps()
    first = maps.read(tmp_path / "a.png")
    assert maps.read(tmp_path / "a.png") is first
    Image.fromarray(MAP + 1).save(tmp_path / "b.png")
    assert np.array_equal(maps.read(tmp_path / "b.png"), MAP + 1)
