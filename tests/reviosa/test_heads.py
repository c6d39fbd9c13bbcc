import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviosa.errors import ConfigError
from reviosa.heads import PUBLISHED, HeadSelection

pairs = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=8, unique=True
)
text = st.none() | st.text(max_size=10)


@settings(deadline=None)
@given(pairs, text, text, text)
def test_json_round_trip(chosen, criterion, run, data):
    selection = HeadSelection(tuple(chosen), "top-pairs", criterion, run, data)
    assert HeadSelection.from_json(json.loads(json.dumps(selection.to_json()))) == selection


def test_file_round_trip(tmp_path):
    selection = HeadSelection(((2, 1), (2, 0)), "top-layer", "visual_mass", "runs/a", "abc")
    selection.save(tmp_path / "heads.json")
    assert HeadSelection.load(tmp_path / "heads.json") == selection
    assert json.loads((tmp_path / "heads.json").read_text())["schema"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["heads.json"]


def test_pairs_alone_are_enough(tmp_path):
    (tmp_path / "heads.json").write_text('{"pairs": [[3, 0], [1, 5]]}')
    selection = HeadSelection.load(tmp_path / "heads.json")
    assert selection.pairs == ((3, 0), (1, 5)) and selection.strategy == "manual"
    assert selection.layers == (1, 3)


def test_numpy_integers_become_plain_ones():
    selection = HeadSelection(tuple(map(tuple, np.array([[1, 2]]))))
    assert json.dumps(selection.to_json()["pairs"]) == "[[1, 2]]"


def test_published_pairs_are_those_of_the_release():
    assert PUBLISHED["1b"].pairs == ((22, 5), (22, 7), (22, 10), (22, 11))
    assert PUBLISHED["4b"].pairs == ((33, 13), (33, 12), (33, 14), (33, 6))
    PUBLISHED["1b"].validate(24, 14)
    PUBLISHED["4b"].validate(36, 16)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[[1, 2]]", "is a JSON object with the key pairs, got a list"),
        ("null", "got null"),
        ('{"pair": [[1, 2]]}', "unknown key 'pair'.*known are schema, pairs"),
        ("{}", "no key 'pairs'"),
        ('{"schema": 2, "pairs": [[1, 2]]}', "schema 2, expected 1"),
        ('{"pairs": []}', "holds no pair"),
        ('{"pairs": {"1": 2}}', "must be a list of .layer, head., got an object"),
        ('{"pairs": "12"}', "got text"),
        ('{"pairs": 3}', "got a number"),
        ('{"pairs": [[1, 2, 3]]}', "is not a pair"),
        ('{"pairs": [[1, 2.0]]}', "is not a pair"),
        ('{"pairs": ["12"]}', "is not a pair"),
        ('{"pairs": [[true, 2]]}', "is not a pair"),
        ('{"pairs": [[1, null]]}', "is not a pair"),
        ('{"pairs": [[-1, 2]]}', "is negative"),
        ('{"pairs": [[1, 2], [0, 0], [1, 2]]}', r"pair \[1, 2\] stands twice"),
        ('{"pairs": [[1, 2]], "run": 5}', "'run' in the head selection must be text, got a number"),
        ('{"pairs": [[1, 2]], "strategy": null}', "'strategy' .* must be text, got null"),
    ],
)
def test_a_bad_file_gets_one_line_that_names_it(tmp_path, content, message):
    path = tmp_path / "heads.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        HeadSelection.load(path)
    assert "heads.json" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_or_binary_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the heads file .*No such file"):
        HeadSelection.load(tmp_path / "none.json")
    (tmp_path / "heads.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not JSON"):
        HeadSelection.load(tmp_path / "heads.json")


def test_validate_names_what_does_not_exist():
    with pytest.raises(
        ConfigError, match=r"layer 99 does not exist: the model has 8 layers \(0..7\)"
    ):
        HeadSelection(((7, 0), (99, 0))).validate(8, 6)
    with pytest.raises(ConfigError, match=r"head 6 does not exist: the model has 6 heads \(0..5\)"):
        HeadSelection(((7, 6),)).validate(8, 6)
    selection = HeadSelection(((7, 5),))
    assert selection.validate(8, 6) is selection
