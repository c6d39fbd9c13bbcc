"""The app served on a free port, and Chromium to look at it with."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.analysis import analyse
from probes.store import CaptureStore
from tests.fixtures_capture import make_capture, make_dataset

ROOT = Path(__file__).resolve().parents[2]
NEEDED = "REVIOSA_NEED_BROWSER"
"""Set by CI: a browser that is missing is then an error."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve(runs: Path, log: Path, port: int) -> subprocess.Popen:
    """Start the app on a folder of runs; returns when it answers."""
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app.py"),
        "--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true",
        "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false", "--", str(runs),
    ]  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return process
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError(f"the app did not answer:\n{log.read_text()}")


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A browser; the same for all tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed: make .venv/.installed-dev")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        _missing("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def _missing(why: str) -> None:
    if os.environ.get(NEEDED):
        pytest.fail(f"{why} ({NEEDED} is set)")
    pytest.skip(why)


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A small finished run with its analysis and its data set, as a command leaves them."""
    folder = tmp_path_factory.mktemp("browser")
    run = make_capture(folder / "runs" / "planted", make_dataset(folder / "data", videos=2))
    analyse(CaptureStore(run), resamples=50).save(run / "analysis.json")
    return folder / "runs"


@pytest.fixture(scope="session")
def app(runs, chromium, tmp_path_factory) -> Iterator[str]:
    """Address of the app on these runs. After the browser, so that without one nothing starts."""
    port = free_port()
    process = serve(runs, tmp_path_factory.mktemp("log") / "server.log", port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture
def page(chromium) -> Iterator:
    """A fresh window of 1280 pixels; errors of scripts and dialogs in it fail the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(30_000)
    opened, wrong = context.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    opened.on(
        "dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss())
    )
    yield opened
    context.close()
    assert not wrong
