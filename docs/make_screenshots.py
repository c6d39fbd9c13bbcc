"""Pictures of every page of the dashboard and of the report: ``docs/screenshots/*.png``.

    make demo && make screenshots

The pages are those of ``streamlit_app.py``, so a new one is taken without a change here. They are
opened in Debian's Chromium, 1280 pixels wide, on a copy of the demo's runs beside the kept sweeps
and trainings of ``docs/results/runs`` and an annotation of the demo's own expressions; all of them
in light colours, some in dark ones too.
"""

import argparse
import contextlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reviosa.data import open_dataset  # noqa: E402
from tests.fixtures_review import make_annotation  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
KEPT = ROOT / "docs" / "results" / "runs"
WIDTH, HEIGHT, TALLEST = 1280, 800, 2600
"""Pixels. A page that is longer than the tallest picture is cut there."""
DARK = ("heads", "samples")
"""Pages that are also taken in dark colours."""
SENTENCE = "the red object {} the large purple plain triangle"
"""About a video of the demo."""
ADDRESS = {
    "heads": {"criterion": "Mask share"},
    "review": {"expression": "synth_7_00000/1"},
    "sweeps": {"sweep": "table-3"},
    "try_it": {
        "model": "nano",
        "video": "synth_7_00002",
        "expression": SENTENCE.format("being approached by"),
        "swapped": SENTENCE.format("approaching"),
    },
}
"""What is asked of a page where its first view is not the one to show."""
WAIT_MS = 120_000


def main() -> None:
    """Serve the runs, open each page and keep its picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=ROOT / "runs" / "demo", help="of make demo")
    parser.add_argument("--only", nargs="*", help="names of pages, or report")
    asked = parser.parse_args()
    if not (asked.demo / "capture" / "run.json").is_file():
        parser.error(
            f"{asked.demo}: got no demo there, expected one; run make demo, or give --demo"
        )
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        runs = Path(folder) / "runs"
        shutil.copytree(asked.demo, runs / "demo")
        for name in ("sweeps", "trials"):
            shutil.copytree(KEPT / name, runs / name)
        make_annotation(runs / "annotation", open_dataset(runs / "demo" / "data", 3))
        wanted = [name for name in (*_pages(), "report") if not asked.only or name in asked.only]
        with _served(runs) as address:
            for name in wanted:
                if name != "report":
                    _take_page(browser, address, name)
        if "report" in wanted:
            _take_report(browser, runs, Path(folder) / "report.html")


def _pages() -> dict[str, str]:
    """Name of each page's file -> its address."""
    source = (ROOT / "streamlit_app.py").read_text(encoding="utf-8")
    found = {}
    for block in re.findall(r"st\.Page\((.*?)\n        \)", source, re.DOTALL):
        name = re.search(r"pages/(\w+)\.py", block)
        own = re.search(r'url_path="(\w+)"', block)
        if name:
            found[name[1]] = "" if "default=True" in block else (own or name)[1]
    return found


@contextlib.contextmanager
def _browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("Chromium is missing; install it: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def _served(runs: Path) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "workbench.cli", "dashboard", str(runs), "--port", str(port)]
    # In a group of its own: the command starts the server, which is to end with it.
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
                break
            if process.poll() is not None:
                raise SystemExit("the dashboard did not start")
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _take_page(browser: Browser, address: str, name: str) -> None:
    query = urlencode({"run": "demo/capture", **ADDRESS.get(name, {})})
    for scheme in ("light", "dark") if name in DARK else ("light",):
        context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{address}/{_pages()[name]}?{query}")
        _settle(page)
        # The page scrolls inside the window: a window as high as the page shows all of it.
        needed = page.get_by_test_id("stMain").evaluate("element => element.scrollHeight")
        page.set_viewport_size({"width": WIDTH, "height": min(int(needed), TALLEST)})
        _settle(page)
        _keep(page.screenshot(), f"{name}-dark" if scheme == "dark" else name)
        context.close()


def _settle(page: Page) -> None:
    """Wait until the script has ended, nothing is stale and pictures and charts are drawn."""
    page.get_by_test_id("stMain").get_by_role("heading").first.wait_for()
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid="stApp"]');
            const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
            return app.dataset.testScriptState === "notRunning"
                && charts.every(chart => chart.querySelector("svg, canvas"))
                && [...document.images].every(image => image.complete);
        }"""
    )
    page.evaluate("() => document.fonts.ready")
    page.wait_for_timeout(1500)  # charts and tables are drawn once more at their last size


def _take_report(browser: Browser, runs: Path, path: Path) -> None:
    command = [
        sys.executable, "-m", "workbench.cli", "report", str(runs / "demo" / "capture"), "-o",
        str(path),
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    height = min(int(page.evaluate("document.documentElement.scrollHeight")), TALLEST)
    page.set_viewport_size({"width": WIDTH, "height": height})
    _keep(page.screenshot(), "report")


def _keep(png: bytes, name: str) -> None:
    """256 colours are enough for pages, and take a third of the bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    path = OUT / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(
        f"{path.relative_to(ROOT)}: {image.width} x {image.height}, {path.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()
