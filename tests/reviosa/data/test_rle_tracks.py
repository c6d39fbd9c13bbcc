"""The index of a file of masks: it says what json.loads says, a value at a time."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviosa.data import rle_tracks
from reviosa.data.rle_tracks import RleTracks
from reviosa.errors import DataError

_COUNTS = st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=20)
_SIZES = st.sampled_from([[4, 5], [48, 64]])
_MASKS = st.none() | st.builds(
    lambda size, counts: {"size": size, "counts": counts}, _SIZES, _COUNTS
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_OBJECTS = st.dictionaries(
    st.integers(0, 99).map(str) | st.text(max_size=4), st.lists(_MASKS, max_size=6) | _ANY
)
_FORMS: list[dict[str, Any]] = [
    {}, {"separators": (",", ":")}, {"indent": 4}, {"ensure_ascii": False},
]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tracks") / "mask_dict.json"


@settings(deadline=None)
@given(value=_OBJECTS, form=st.sampled_from(_FORMS), piece=st.integers(1, 200))
def test_every_value_is_what_json_reads(path: Path, value: dict, form: dict, piece: int) -> None:
    path.write_text(json.dumps(value, **form), encoding="utf-8")
    digest = hashlib.sha256()
    with patch.object(rle_tracks, "_PIECE", piece):
        tracks = RleTracks(path, digest)
    assert dict(tracks) == value and list(tracks) == list(value)
    assert digest.digest() == hashlib.sha256(path.read_bytes()).digest()


@settings(deadline=None)
@given(track=st.lists(_MASKS, max_size=6), length=st.integers(0, 6), size=_SIZES)
def test_faults_seen_without_reading_are_those_that_reading_sees(
    path: Path, track: list, length: int, size: list
) -> None:
    path.write_text(json.dumps({"7": track}))
    quick = list(RleTracks(path).shape_faults("7", length, tuple(size)))
    path.write_text(json.dumps({"7": track}, indent=1))
    slow = list(RleTracks(path).shape_faults("7", length, tuple(size)))
    wrong = [rle for rle in track if rle is not None and rle["size"] != size]
    assert quick == slow
    assert len(quick) == (1 if len(track) != length else len(wrong))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with b'', expected a JSON object"),
        ("[1]", r"begins with b'\[1\]', expected"),
        ('{"1": [null, null]', "got broken JSON"),
        ('{"1": [null, {"size": [2, 2], "cou', "got broken JSON"),
        ('{"1": [null,]}', "got broken JSON"),
        ('{"1": []} {}', "got broken JSON"),
        ('{"1": [],}', "got broken JSON"),
        ('{"1" []}', "got broken JSON"),
        ("{1: []}", "got broken JSON"),
    ],
)
def test_a_file_that_is_no_whole_object_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        RleTracks(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_changed_since_is_not_read_at_the_old_places(path: Path) -> None:
    path.write_text('{"1": [null], "2": [null]}')
    tracks = RleTracks(path)
    assert tracks["1"] == [None]
    path.write_text('{"1": [null, null], "2": [null]}')
    with pytest.raises(DataError, match="got another file than was opened"):
        tracks["2"]
    path.unlink()
    with pytest.raises(DataError, match="got another file than was opened"):
        tracks["2"]


def test_it_goes_to_another_process_and_to_threads(path: Path) -> None:
    path.write_text(json.dumps({str(i): [None] * i for i in range(100)}))
    tracks = pickle.loads(pickle.dumps(RleTracks(path)))
    with ThreadPoolExecutor(4) as pool:
        lengths = pool.map(lambda i: len(tracks[str(i % 100)]), range(2000))
        assert list(lengths) == [i % 100 for i in range(2000)]


def test_only_a_few_values_are_kept(path: Path) -> None:
    path.write_text(json.dumps({str(i): [None] * i for i in range(100)}))
    tracks = RleTracks(path)
    assert [len(tracks[str(i)]) for i in range(100)] == list(range(100))
    assert len(tracks._kept) == rle_tracks._KEPT
    assert tracks["0"] == [] and "100" not in tracks
