"""A prediction file that was cut anywhere gives its complete records and nothing else."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviosa.data.rle import decode, encode
from reviosa.errors import DataError
from reviosa.evaluation.readers.json_file import JsonPredictions
from reviosa.evaluation.readers.salvage import Damage, walk_records

SIZE = (4, 5)
NAMES = ["00000", "00001"]


def mask(seed):
    return np.random.default_rng(seed).random(SIZE) < 0.5


def record(seed):
    return {
        "exp": 'the café "dog" \\ {[',
        "prediction_masks_act": [encode(mask(seed)), encode(mask(seed + 1))],
        "prediction_masks_tar": [],
        "more": [True, False, None, -1.5e3, {"a": {}}],
    }


WHOLE = {"vidéo": {"0": record(0), "1": record(2)}, "empty": {}, "w": {"7": record(4)}}
ENDS = (("vidéo", "0"), ("vidéo", "1"), ("w", "7"))


def walk(content, window=64):
    """Records of a file that is read in small steps."""
    return walk_records(io.BytesIO(content), window)


def walked(content) -> tuple[list[tuple[str, str | None]], Damage]:
    """Ids that were read, and the damage; at -1 where there is none."""
    found = []
    try:
        for entry in walk(content):
            found.append((entry.video_id, entry.exp_id))
    except Damage as damage:
        return found, damage
    return found, Damage(-1, False, "none")


@pytest.mark.parametrize("ascii", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_every_cut_gives_the_complete_records(ascii, indent):
    content = json.dumps(WHOLE, ensure_ascii=ascii, indent=indent).encode()
    spans = {(e.video_id, e.exp_id): (e.start, e.end) for e in walk(content)}
    assert tuple(spans) == ENDS
    for key, (start, end) in spans.items():
        assert json.loads(content[start:end]) == WHOLE[key[0]][key[1]]
    for length in range(1, len(content)):
        found, damage = walked(content[:length])
        assert found == [key for key in ENDS if spans[key][1] <= length]
        assert damage.cut, f"cut at {length}: {content[:length][-30:]!r}"
        assert damage.byte == length


@pytest.mark.parametrize("window", [1, 7, 1 << 20])
def test_the_window_changes_nothing(window):
    content = json.dumps(WHOLE | {"x": 12345, "y": {"0": -1.5e3}}, indent=1).encode()
    found = list(walk(content, window))
    assert [(e.video_id, e.exp_id) for e in found] == [*ENDS, ("x", None), ("y", "0")]
    for entry in found:
        assert json.loads(content[entry.start : entry.end]) == entry.value
    assert [entry.value for entry in found[-2:]] == [12345, -1500]


def test_where_it_ends_is_said():
    content = json.dumps(WHOLE).encode()
    assert walked(content[: content.index(b'"more"')])[1].where == "vidéo/0"
    assert walked(content[: content.index(b'"7"')])[1].where == "w"
    assert walked(b"{")[1].where == ""


@pytest.mark.parametrize(
    ("content", "found", "byte"),
    [
        (b'{"v": {"0": {}, "1": {"a": nope}}}', [("v", "0")], 27),
        (b'{"v": {"0": {}} "w": {}}', [("v", "0")], 16),
        (b'{"v": {"0": {}}} more', [("v", "0")], 17),
        (b'{"v": {"0": {}, 1: {}}}', [("v", "0")], 16),
        (b'{"v": {"0": {}, "\xff": {}}}', [("v", "0")], 16),
        (b'{"v": {"0": ' + b"[" * 100_000, [], 12),
        (b'{"v": {"0": ' + b"9" * 5_000 + b"}}", [], 12),
    ],
)
def test_damage_inside_keeps_what_stands_before(content, found, byte):
    read, damage = walked(content)
    assert read == found
    assert not damage.cut
    assert damage.byte == byte


def test_a_mark_of_byte_order_is_no_damage():
    found, damage = walked(b'\xef\xbb\xbf {"v": {"0": {}}}\n')
    assert (found, damage.byte) == ([("v", "0")], -1)


CONTENT = json.dumps(WHOLE, ensure_ascii=False).encode()
ENDS_AT = {(e.video_id, str(e.exp_id)): e.end for e in walk(CONTENT)}
SEEDS = {"0": 0, "1": 2, "7": 4}


def opened(folder, content):
    """The predictions in a file; None where it is no prediction file, told in one line."""
    path = folder / "predictions.json"
    path.write_bytes(content)
    try:
        return JsonPredictions([path])
    except DataError as error:
        assert "\n" not in str(error)
        return None


def assert_true(found, exp_id):
    for index, (rle,) in enumerate(found.masks):
        np.testing.assert_array_equal(decode(rle), mask(SEEDS[exp_id] + index))


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(CONTENT) - 1))
def test_a_cut_costs_the_records_behind_it_alone(tmp_path_factory, length):
    source = opened(tmp_path_factory.mktemp("cut"), CONTENT[:length])
    if source is None:
        assert length == 0
        return
    assert "ends too early" in source.faults[0]
    for (video, exp), end in ENDS_AT.items():
        found = source.find(video, exp, "actor", NAMES, SIZE, [0, 1])
        if end <= length:
            assert_true(found, exp)
        else:
            assert found.masks is None


@settings(max_examples=60, deadline=None)
@given(flips=st.dictionaries(st.integers(0, len(CONTENT) - 1), st.integers(0, 255), min_size=1))
def test_other_bytes_are_no_crash_and_leave_what_stands_before_them(tmp_path_factory, flips):
    content = bytearray(CONTENT)
    for place, value in flips.items():
        content[place] = value
    source = opened(tmp_path_factory.mktemp("flip"), bytes(content))
    if source is None:
        return
    for (video, exp), end in ENDS_AT.items():
        found = source.find(video, exp, "actor", NAMES, SIZE, [0, 1])
        if end <= min(flips):
            assert_true(found, exp)
