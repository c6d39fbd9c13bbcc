"""How the dashboard is started; its pages have tests of their own."""

import socket
import subprocess
import sys
import time

import pytest

from workbench.commands import show


@pytest.fixture
def started(monkeypatch):
    commands = []
    monkeypatch.setattr(show.subprocess, "call", lambda command: commands.append(command) or 0)
    return commands


def test_the_dashboard_serves_this_machine_alone(cli, tmp_path, started):
    assert cli("dashboard", tmp_path, "--port", 8777).code == 0
    (command,) = started
    assert command[command.index("run") + 1].endswith("streamlit_app.py")
    for name, value in (
        ("--server.address", "127.0.0.1"),
        ("--server.port", "8777"),
        ("--browser.gatherUsageStats", "false"),
    ):
        assert command[command.index(name) + 1] == value
    assert command[-2:] == ["--", str(tmp_path)]


def test_a_dashboard_that_fails_hands_its_code_on(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(show.subprocess, "call", lambda command: 1)
    assert cli("dashboard", tmp_path).code == 1


def test_ctrl_c_is_the_way_to_close_it(cli, tmp_path, monkeypatch):
    def interrupted(command):
        raise KeyboardInterrupt

    monkeypatch.setattr(show.subprocess, "call", interrupted)
    assert cli("dashboard", tmp_path).code == 0


def test_the_server_ends_with_its_command(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def answers() -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", port)) == 0

    command = [sys.executable, "-m", "workbench.cli", "dashboard", str(tmp_path)]
    process = subprocess.Popen([*command, "--port", str(port)])
    until = time.monotonic() + 60
    try:
        while not answers():
            assert process.poll() is None and time.monotonic() < until, "the server did not start"
            time.sleep(0.1)
    finally:
        process.terminate()
    assert process.wait(30) == 143  # 128 and SIGTERM
    while answers():
        assert time.monotonic() < until, "the server goes on without its command"
        time.sleep(0.1)
