"""Files and folders are whole or absent, and nothing is left behind."""

import json
import os
import stat

import pytest

from reviosa.io import (
    append_jsonl,
    atomic_directory,
    atomic_path,
    read_jsonl,
    write_json,
    write_text,
)


class Interrupted(BaseException):
    """Like KeyboardInterrupt: no Exception."""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_file_appears_at_the_end(tmp_path):
    goal = tmp_path / "deep" / "folder" / "file.json"
    with atomic_path(goal) as temporary:
        assert temporary.parent == goal.parent
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert not goal.exists()
    assert goal.read_text() == "new"
    assert names(goal.parent) == ["file.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
def test_file_keeps_its_old_content_on_an_exception(tmp_path, error):
    goal = tmp_path / "file.txt"
    goal.write_text("old")
    with pytest.raises(error), atomic_path(goal) as temporary:
        temporary.write_text("half")
        raise error
    assert goal.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_no_file_on_an_exception(tmp_path):
    with pytest.raises(ValueError), atomic_path(tmp_path / "file.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert names(tmp_path) == []


def test_failing_rename_leaves_nothing(tmp_path):
    goal = tmp_path / "folder"
    goal.mkdir()
    with pytest.raises(IsADirectoryError):
        write_text(goal, "text")
    assert names(tmp_path) == ["folder"]
    assert names(goal) == []


def test_file_has_the_ordinary_mode(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "atomic", "")
    assert os.stat(tmp_path / "atomic").st_mode == os.stat(tmp_path / "plain").st_mode


def test_json_round_trip(tmp_path):
    value = {"text": "café", "list": [1, 2.5, None], "nested": {"yes": True}}
    write_json(tmp_path / "value.json", value)
    content = (tmp_path / "value.json").read_bytes()
    assert json.loads(content) == value
    assert content.endswith(b"}\n")
    assert "café".encode() in content


def test_what_is_no_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "value.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "value.json", {"bad": object()})
    assert json.loads((tmp_path / "value.json").read_text()) == 1
    assert names(tmp_path) == ["value.json"]


def test_directory_appears_at_the_end(tmp_path):
    goal = tmp_path / "deep" / "data"
    with atomic_directory(goal) as temporary:
        assert temporary.parent == goal.parent
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text("text")
        assert not goal.exists()
    assert (goal / "inner" / "file").read_text() == "text"
    assert names(goal.parent) == ["data"]
    assert stat.S_IMODE(os.stat(goal).st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
def test_no_directory_on_an_exception(tmp_path, error):
    with pytest.raises(error), atomic_directory(tmp_path / "data") as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "file").write_text("text")
        raise error
    assert names(tmp_path) == []


def test_directory_that_exists_is_refused_untouched(tmp_path):
    (tmp_path / "data").mkdir()
    with (
        pytest.raises(FileExistsError, match="exists already"),
        atomic_directory(tmp_path / "data"),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["data"]


def test_directory_made_by_another_meanwhile_is_kept(tmp_path):
    goal = tmp_path / "data"
    with pytest.raises(OSError), atomic_directory(goal) as temporary:
        (temporary / "file").write_text("ours")
        goal.mkdir()
        (goal / "file").write_text("theirs")
    assert (goal / "file").read_text() == "theirs"
    assert names(tmp_path) == ["data"]


def test_a_torn_line_is_ended_and_left_out(tmp_path):
    path = tmp_path / "lines.jsonl"
    assert read_jsonl(path) == []
    append_jsonl(path, {"name": "é"})
    append_jsonl(path, 2)
    assert path.read_text(encoding="utf-8") == '{"name": "é"}\n2\n'
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"na')  # the process died here
    assert read_jsonl(path) == [{"name": "é"}, 2]
    append_jsonl(path, 3)
    assert read_jsonl(path) == [{"name": "é"}, 2, 3]


def test_a_line_may_be_torn_within_a_character_and_hold_any_separator(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes('{"name": "é'.encode()[:-1])
    text = "a\u2028b\u0085c\x0b\x1cd"  # all of them end a line for str.splitlines()
    append_jsonl(path, text)
    assert read_jsonl(path) == [text]
