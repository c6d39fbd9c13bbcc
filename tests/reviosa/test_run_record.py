"""The header of a run: its states, its lock, what may be resumed, and where the code came from."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime
from pathlib import Path

import numpy
import pytest

import reviosa
from reviosa.errors import DataError, RunError
from reviosa.process import locked_directory
from reviosa.run_record import open_run, read_run

ROOT = Path(reviosa.__file__).parents[1]
CONFIG = {"learning_rate": 1e-4, "aml": {"pairs": ((1, 2), (1, 3)), "weight": 0.5}}
DATA = {"path": "/data/world", "identity": "0123456789abcdef"}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "runs" / "one"


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def make_run(directory, **changes):
    """A finished run with one part."""
    arguments = {"kind": "train", "config": CONFIG, "seed": 7, "data": DATA, **changes}
    with open_run(directory, **arguments) as run:
        (run.directory / "part").write_text("text")


def start(code):
    """Another process that runs the code and prints when it is ready."""
    head = "import os, sys, time, signal\nfrom reviosa.run_record import open_run\n"
    process = subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def test_header_of_a_run_that_succeeds(directory):
    with open_run(directory, "train", CONFIG, 7, data=DATA, model={"name": "nano"}) as run:
        assert run.directory == directory
        inside = read_run(directory)
        run.update(summary={"steps": 3}, model={"name": "nano", "identity": "ab"})
    header = read_run(directory)

    assert inside["status"] == "running"
    assert inside["finished"] is None
    assert header["status"] == "done"
    assert header["schema"] == 1
    assert header["kind"] == "train"
    assert header["config"] == {
        "learning_rate": 1e-4,
        "aml": {"pairs": [[1, 2], [1, 3]], "weight": 0.5},
    }
    assert header["seed"] == 7
    assert header["data"] == DATA
    assert header["model"] == {"name": "nano", "identity": "ab"}
    assert header["summary"] == {"steps": 3}
    assert header["error"] is None
    created, finished = (datetime.fromisoformat(header[key]) for key in ("created", "finished"))
    assert created.tzinfo is not None
    assert created <= finished
    assert set(header["git"]) == {"commit", "dirty"}
    assert set(header["versions"]) == {"python", "torch", "transformers", "peft", "sam2", "numpy"}
    assert header["versions"]["numpy"] == numpy.__version__
    assert header["versions"]["python"] == sys.version.split()[0]
    assert names(directory) == [".lock", "run.json"]


def test_what_a_run_took_is_summed_over_its_sessions(directory):
    def work():
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass

    with pytest.raises(KeyboardInterrupt), open_run(directory, "train", CONFIG, 7) as run:
        (run.directory / "part").write_text("text")
        work()
        raise KeyboardInterrupt
    first = read_run(directory)["cost"]
    assert first["cpu_s"] >= 0.2 and first["wall_s"] >= 0.2 and first["gpu_s"] == 0
    with open_run(directory, "train", CONFIG, 7, resume=True):
        work()
    both = read_run(directory)["cost"]
    assert both["cpu_s"] >= first["cpu_s"] + 0.2 and both["wall_s"] >= first["wall_s"] + 0.2


def test_header_is_readable_alone(directory, tmp_path):
    make_run(directory)
    (tmp_path / "copy").mkdir()
    shutil.copy(directory / "run.json", tmp_path / "copy")
    assert read_run(tmp_path / "copy") == read_run(directory)


def test_record_does_not_import_the_heavy_packages(directory):
    process = start(f"""
        with open_run({str(directory)!r}, "train", {{}}, 0):
            heavy = {{"torch", "transformers", "peft", "sam2"}} & set(sys.modules)
            print("ready" if not heavy else heavy, flush=True)
    """)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (RuntimeError("out of\nmemory"), "failed", "RuntimeError: out of memory"),
        (DataError("broken frame"), "failed", "DataError: broken frame"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
    ],
)
def test_run_that_ends_early(directory, error, status, text):
    with (
        pytest.raises(type(error)) as caught,
        open_run(directory, "capture", CONFIG, 7) as run,
    ):
        (run.directory / "part").write_text("text")
        raise error
    assert caught.value is error
    header = read_run(directory)
    assert header["status"] == status
    assert header["error"] == text
    assert header["finished"] is not None


def test_bad_input_before_the_first_part_leaves_nothing(tmp_path):
    with pytest.raises(DataError), open_run(tmp_path / "runs" / "one", "capture", CONFIG, 7):
        raise DataError("broken frame")
    assert names(tmp_path) == []


def test_bad_input_keeps_what_was_there_before(tmp_path):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    with pytest.raises(DataError), open_run(tmp_path / "runs" / "one", "capture", CONFIG, 7):
        raise DataError("broken frame")
    assert names(tmp_path / "runs" / "one") == []


def test_bad_input_keeps_the_run_that_was_resumed(directory):
    with open_run(directory, "capture", CONFIG, 7):
        pass
    with pytest.raises(DataError), open_run(directory, "capture", CONFIG, 7, resume=True):
        raise DataError("broken frame")
    assert read_run(directory)["status"] == "failed"


def test_a_failure_of_the_program_is_kept(directory):
    with pytest.raises(RuntimeError), open_run(directory, "capture", CONFIG, 7):
        raise RuntimeError("a fault of ours")
    assert read_run(directory)["status"] == "failed"


def test_sigterm_stops_in_order(directory):
    process = start(f"""
        try:
            with open_run({str(directory)!r}, "train", {{}}, 0) as run:
                (run.directory / "part").write_text("text")
                print("ready", flush=True)
                time.sleep(60)
        finally:
            print("closed", flush=True)
    """)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "closed\n", "")
    header = read_run(directory)
    assert header["status"] == "stopped"
    assert header["error"] == "SIGTERM"


def test_signal_handlers_are_put_back(directory):
    before = signal.getsignal(signal.SIGTERM)
    with open_run(directory, "train", {}, 0):
        pass
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_handler_of_the_program_is_left_alone(directory):
    def mine(number, frame):
        pytest.fail("not called")

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with open_run(directory, "train", {}, 0):
            assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_killed_run_can_be_resumed(directory):
    process = start(f"""
        with open_run({str(directory)!r}, "train", {{"a": 1}}, 0) as run:
            (run.directory / "part").write_text("text")
            if os.fork() == 0:  # a data loader's worker, which outlives its parent
                sys.stdout.close(), os.close(1), os.close(2)
                time.sleep(5)
                os._exit(0)
            print("ready", flush=True)
            time.sleep(60)
    """)
    process.kill()
    process.communicate(timeout=60)
    assert read_run(directory)["status"] == "running"
    created = read_run(directory)["created"]
    with open_run(directory, "train", {"a": 1}, 0, resume=True):
        header = read_run(directory)
        assert header["status"] == "running"
    header = read_run(directory)
    assert header["status"] == "done"
    assert header["created"] == created
    assert len(header["resumed"]) == 1
    assert set(header["resumed"][0]) == {"at", "git", "versions"}
    assert (directory / "part").read_text() == "text"


@pytest.mark.parametrize("resume", [False, True])
def test_two_processes_never_share_a_run(directory, resume):
    process = start(f"""
        with open_run({str(directory)!r}, "train", {{}}, 0) as run:
            print("ready", flush=True)
            time.sleep(60)
    """)
    try:
        before = (directory / "run.json").read_bytes()
        with (
            pytest.raises(RunError, match="in use by another process"),
            open_run(directory, "train", {}, 0, resume=resume),
        ):
            pytest.fail("the block must not run")
        assert (directory / "run.json").read_bytes() == before
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_lock_of_a_removed_directory_does_not_count(tmp_path):
    # Whoever holds the lock of a file that is gone would share the run with the next process.
    with locked_directory(tmp_path / "run"):
        shutil.rmtree(tmp_path / "run")
        with locked_directory(tmp_path / "run"):
            assert (tmp_path / "run" / ".lock").exists()


def test_existing_run_is_refused_untouched(directory):
    make_run(directory)
    before = (directory / "run.json").read_bytes()
    with (
        pytest.raises(RunError, match="not empty"),
        open_run(directory, "train", CONFIG, 7, data=DATA),
    ):
        pytest.fail("the block must not run")
    assert (directory / "run.json").read_bytes() == before


@pytest.mark.parametrize(("resume", "message"), [(False, "not empty"), (True, "without run.json")])
def test_foreign_folder_is_refused_untouched(tmp_path, resume, message):
    (tmp_path / "letter.txt").write_text("dear")
    with (
        pytest.raises(RunError, match=message),
        open_run(tmp_path, "train", CONFIG, 7, resume=resume),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["letter.txt"]


def test_path_that_cannot_be_a_directory(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with (
            pytest.raises(RunError, match="expected a directory") as caught,
            open_run(path, "train", CONFIG, 7),
        ):
            pytest.fail("the block must not run")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("exists", [False, True])
def test_resume_of_nothing_starts_a_new_run(directory, exists):
    if exists:
        directory.mkdir(parents=True)
    with open_run(directory, "train", CONFIG, 7, resume=True):
        assert "resumed" not in read_run(directory)
    assert read_run(directory)["status"] == "done"


def test_resume_of_the_same(directory):
    make_run(directory)
    # The data may lie elsewhere: its identity decides. Tuples and lists are the same in JSON.
    moved = {**DATA, "path": "/elsewhere"}
    config = json.loads(json.dumps(CONFIG))
    for count in (1, 2):
        with open_run(directory, "train", config, 7, data=moved, resume=True) as run:
            assert run.header["status"] == "running"
            assert len(run.header["resumed"]) == count
    assert read_run(directory)["data"] == DATA


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "capture"}, 'kind = "capture", expected "train"'),
        ({"seed": 8}, "seed = 8, expected 7"),
        (
            {"config": {**CONFIG, "learning_rate": 1.0}},
            "config.learning_rate = 1.0, expected 0.0001",
        ),
        (
            {"config": {**CONFIG, "aml": {"pairs": [[1, 2]], "weight": 0.5}}},
            "config.aml.pairs = [[1, 2]], expected [[1, 2], [1, 3]]",
        ),
        ({"config": {**CONFIG, "extra": 1}}, "config.extra = 1, expected absent"),
        ({"config": {"aml": CONFIG["aml"]}}, "config.learning_rate = absent, expected 0.0001"),
        (
            {"data": {**DATA, "identity": "fedc"}},
            'data.identity = "fedc", expected "0123456789abcdef"',
        ),
        ({"data": None}, 'data.identity = null, expected "0123456789abcdef"'),
        ({"model": {"identity": "b"}}, 'model.identity = "b", expected "a"'),
    ],
)
def test_resume_of_another_names_the_difference(directory, changes, message):
    make_run(directory, model={"identity": "a"})
    before = (directory / "run.json").read_bytes()
    arguments = {"kind": "train", "config": CONFIG, "seed": 7, "data": DATA, **changes}
    with pytest.raises(RunError) as caught, open_run(directory, **arguments, resume=True):
        pytest.fail("the block must not run")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (directory / "run.json").read_bytes() == before


def test_unknown_kind_and_own_fields_are_refused(directory):
    with pytest.raises(ValueError, match="kind 'dance'"), open_run(directory, "dance", {}, 0):
        pytest.fail("the block must not run")
    with open_run(directory, "train", {}, 0) as run:
        for field in ("status", "schema", "error"):
            with pytest.raises(ValueError, match=field):
                run.update(**{field: "done"})
        assert read_run(directory)["status"] == "running"


def test_header_copy_and_paths_in_the_config(directory):
    with open_run(directory, "train", {"out": Path("a/b"), "list": [1]}, None) as run:
        run.header["config"]["list"].append(2)
        run.update(note="x")
        assert read_run(directory)["config"] == {"out": "a/b", "list": [1]}
    with (
        pytest.raises(TypeError, match="cannot be kept in run.json"),
        open_run(directory.parent / "two", "train", {"bad": object()}, None),
    ):
        pytest.fail("the block must not run")
    assert names(directory.parent) == ["one"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "unreadable header"),
        ("[1]", "got a JSON list"),
        ("{}", "got no 'schema'"),
        (
            '{"schema": 2, "kind": "train", "status": "done", "created": "",'
            ' "config": {}, "seed": 0}',
            "got schema 2, expected 1",
        ),
    ],
)
def test_broken_header(directory, content, message):
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(content)
    with pytest.raises(RunError, match=message) as caught:
        read_run(directory)
    assert "\n" not in str(caught.value)
    with (
        pytest.raises(RunError, match=message),
        open_run(directory, "train", {}, 0, resume=True),
    ):
        pytest.fail("the block must not run")
    assert (directory / "run.json").read_text() == content


def test_no_run(tmp_path):
    with pytest.raises(RunError, match="no run.json"):
        read_run(tmp_path)
    with pytest.raises(RunError, match="no such folder"):
        read_run(tmp_path / "absent")


@pytest.fixture
def checkout(tmp_path):
    """A git checkout that holds a copy of the file which asks for its own commit."""

    def git(*arguments):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        result = subprocess.run(
            ["git", "-C", str(tmp_path), *settings, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout.strip()

    (tmp_path / "package").mkdir()
    shutil.copy(ROOT / "reviosa" / "provenance.py", tmp_path / "package" / "provenance.py")
    git("init", "--quiet")
    return tmp_path, git


def state(root, **environment):
    """What the copy says of itself."""
    code = "import json, provenance; print(json.dumps(provenance.git_state()))"
    result = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=root / "package",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_git_state(checkout, tmp_path_factory):
    root, git = checkout
    nothing = {"commit": None, "dirty": None}
    assert state(root) == nothing  # no commit, and the code is not tracked
    (root / "notes.txt").write_text("")
    git("add", "notes.txt")
    git("commit", "--quiet", "-m", "notes")
    assert state(root) == nothing  # installed inside somebody else's checkout

    git("add", "package")
    git("commit", "--quiet", "-m", "code")
    clean = {"commit": git("rev-parse", "HEAD"), "dirty": False}
    assert state(root) == clean
    (root / "result.json").write_text("{}")  # what runs write is no change of the code
    assert state(root) == clean
    assert state(root, GIT_DIR=str(tmp_path_factory.mktemp("other"))) == clean
    (root / "package" / "new.py").write_text("")
    assert state(root) == {**clean, "dirty": True}
    (root / "package" / "new.py").unlink()
    with open(root / "package" / "provenance.py", "a") as file:
        file.write("\n")
    assert state(root) == {**clean, "dirty": True}
    assert state(root, PATH="/nowhere") == nothing
