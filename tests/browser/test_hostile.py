"""Names and texts that a careless page would run: nothing runs, and they are read as they are."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, free_port, serve
from tests.fixtures_hostile import EVIL, EVIL_NAME, make_hostile

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)
PAGES = re.findall(r"workbench/pages/(\w+)\.py", (ROOT / "streamlit_app.py").read_text())


@pytest.fixture(scope="module")
def hostile(chromium, tmp_path_factory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("hostile"), free_port()
    process = serve(make_hostile(folder), folder / "server.log", port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


def visit(page: Page, address: str) -> None:
    page.goto(address)
    app = page.get_by_test_id("stApp")
    expect(page.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    # An alert would have failed the page; an element made from the text would stand in it.
    assert page.locator('img[src="x"], [onerror], a[href="k"]').count() == 0


def test_no_page_runs_what_it_was_given(page, hostile):
    for name in PAGES:
        address = "" if name == PAGES[0] else name
        visit(page, f"{hostile}/{address}?run={quote(EVIL_NAME)}")


def test_the_text_is_read_as_it_is(page, hostile):
    visit(page, f"{hostile}/samples?run={quote(EVIL_NAME)}")
    expect(page.get_by_text(EVIL, exact=True).first).to_be_visible()
    visit(page, f"{hostile}/sweeps")
    expect(page.get_by_text(EVIL_NAME).first).to_be_visible()


def test_tooltips_show_the_text(page, hostile):
    visit(page, f"{hostile}/heads?run={quote(EVIL_NAME)}&layer=2&head=1")
    dot = page.locator('[aria-label*="sample_id"], [aria-label*="expression"]').first
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_contain_text("<img src=x onerror=alert(1)>")
    assert tooltip.locator("img").count() == 0
