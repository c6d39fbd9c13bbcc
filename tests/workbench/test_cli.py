"""Exit codes, the one line of an error, and what must not be loaded for --help."""

import signal
import subprocess
import sys
import time

import pytest

from reviosa.errors import DataError
from workbench.cli import app

COMMANDS = (
    "demo", "doctor", "synth", "annotate", "stats", "train", "segment", "evaluate", "score",
    "capture", "rank", "select", "correlate", "ablate", "lens", "probe", "sweep", "report",
    "dashboard", "convert",
)  # fmt: skip


def test_the_fixed_commands_are_there_and_no_other(cli):
    assert tuple(command.name for command in app.registered_commands) == COMMANDS
    shown = cli("--help")
    assert shown.code == 0
    assert all(f"  {name} " in shown.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(cli, name):
    shown = cli(name, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: reviosa {name}")


def test_no_arguments_is_a_question_for_help(cli):
    assert cli() == cli("--help")


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from workbench.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'pandas', 'matplotlib', 'streamlit', 'pydantic'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rank", "/nowhere"], "no such folder"),
        (["rank"], "Missing argument"),
        (["rank", "x", "--fancy"], "No such option: --fancy"),
        (["paint"], "No such command 'paint'"),
        (["synth", "out", "--videos", "many", "--seed", "1"], "--videos"),
        (["synth", "out", "--videos", "0", "--seed", "1"], "0 videos"),
        (["segment", "/nowhere", "a dog", "--out", "out"], "no folder"),
        (["score", "/nowhere.json", "--data", "."], "no readable file"),
        (["evaluate", "--data", "/nowhere", "--out", "out"], "no folder"),
        (["capture", "--data", "/nowhere", "--out", "out"], "no folder"),
        (["capture", "--data", "/nowhere", "--out", "out", "--heads", "/nowhere.json"], "heads"),
        (["train"], "--config and --preset"),
        (["train", "--preset", "huge"], "no train preset is called 'huge'"),
        (["train", "--config", "/nowhere.yaml"], "cannot read"),
        (["dashboard", "/nowhere"], "no folder"),
        (["report", "/nowhere", "-o", "out.html"], "got nothing there"),
        (["report", ".", "-o", "out.doc"], "expected one of .html, .md"),
        (["report", "/nowhere.json", "-o", "out.md"], "cannot read"),
        (["demo", "--model", "/nowhere", "--out", "out"], "no such folder"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(cli, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = cli(*arguments)
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ") and words in line
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_system_names_the_file(cli, tmp_path):
    (tmp_path / "file").write_text("x")
    result = cli("synth", tmp_path / "file" / "set", "--videos", 1, "--seed", 1)
    assert result.code == 2
    assert str(tmp_path / "file") in result.err.splitlines()[-1]


def test_debug_shows_the_traceback(cli, monkeypatch):
    monkeypatch.setenv("REVIOSA_DEBUG", "1")
    result = cli("rank", "/nowhere")
    assert result.code == 2
    assert "Traceback" in result.err


def test_a_message_of_several_lines_becomes_one(cli, monkeypatch):
    def fail(*arguments, **options):
        raise DataError("got this,\n  expected that")

    monkeypatch.setattr("reviosa.data.synthetic.write_synthetic", fail)
    result = cli("synth", "out", "--videos", 1, "--seed", 1)
    assert result.err.splitlines()[-1] == "error: got this, expected that"


def test_a_defect_keeps_its_traceback(monkeypatch):
    from workbench.cli import main

    def fail(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr("reviosa.data.synthetic.write_synthetic", fail)
    with pytest.raises(ZeroDivisionError):
        main(["synth", "out", "--videos", "1", "--seed", "1"])


def test_the_environment_is_offline_unless_told(cli, monkeypatch):
    import os

    monkeypatch.setenv("WANDB_MODE", "online")
    cli("--help")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["WANDB_MODE"] == "online"


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path):
    # Rendering 5000 videos takes minutes; the interrupt comes in its middle.
    command = [sys.executable, "-m", "workbench.cli", "synth", "out", "--videos", "5000"]
    process = subprocess.Popen(
        [*command, "--seed", "1"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that was started in the background inherits an ignored SIGINT; a terminal never.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "synthetic videos ...\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("stopped; ")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_error(capture_run):
    command = [sys.executable, "-m", "workbench.cli", "rank", str(capture_run), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err and "Exception" not in err
