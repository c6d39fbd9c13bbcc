"""What a reader does: look at the heads, open one's sample, gather a selection, send the link."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from reviosa.heads import HeadSelection

pytestmark = pytest.mark.browser

expect.set_options(timeout=30_000)  # of a busy machine
PAIR = re.compile(r"^L\d\dH\d\d$")


def settled(page: Page) -> None:
    """Wait until the server has drawn the page to its end."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def open_heads(page: Page, app: str, query: str = "") -> None:
    page.goto(f"{app}/heads{query}")
    expect(page.get_by_role("heading", name="Heads", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").first.locator("svg")).to_be_visible()
    settled(page)


def shown_pair(page: Page):
    return page.get_by_role("heading", name=PAIR).first


def click_cell(page: Page, layer: int, head: int) -> None:
    """Click a cell of the map, where its number stands."""
    page.locator(f'path[aria-label^="layer: {layer}; head: {head};"]').first.click(force=True)


def test_a_cell_opens_its_head_and_the_link_opens_the_same(page, app):
    open_heads(page, app)
    expect(shown_pair(page)).to_have_text("L01H00")  # planted: most visual attention
    click_cell(page, 2, 1)
    expect(shown_pair(page)).to_have_text("L02H01")
    expect(page).to_have_url(re.compile(r"[?&]layer=2(&|$)"))
    settled(page)
    address = page.url
    other = page.context.new_page()
    open_heads(other, address.split("/heads")[0], "?" + address.split("?")[1])
    expect(shown_pair(other)).to_have_text("L02H01")


def test_a_head_leads_to_its_sample(page, app):
    open_heads(page, app, "?layer=2&head=1")
    link = page.get_by_test_id("stMain").locator('a[href*="sample="]').first
    sample = re.search(r"sample=([^&]+)", link.get_attribute("href"))[1].replace("%2F", "/")
    link.click()
    expect(page.get_by_role("heading", name="Samples", exact=True)).to_be_visible()
    expect(page.get_by_label("Sample", exact=True)).to_have_value(sample)
    expect(page.get_by_test_id("stImage").first).to_be_visible()


def test_a_selection_is_gathered_saved_and_linked(page, app, runs):
    open_heads(page, app, "?layer=2&head=1")
    page.get_by_role("button", name="Add to the selection").click()
    expect(page).to_have_url(re.compile(r"pairs=2\.1"))
    settled(page)
    page.get_by_text("Gather by click").click()
    expect(page).to_have_url(re.compile("gather=true"))
    settled(page)
    click_cell(page, 3, 3)
    expect(page).to_have_url(re.compile(r"pairs=2\.1(,|%2C)3\.3"))
    settled(page)
    page.get_by_role("textbox", name="Name of the heads file").fill("from-the-map")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved 2 pairs")).to_be_visible()
    saved = runs / "selections" / "from-the-map.json"
    assert HeadSelection.load(saved).pairs == ((2, 1), (3, 3))
    page.reload()
    chips = page.get_by_test_id("stMultiSelect").filter(has_text="Gathered pairs")
    for pair in ("L02H01", "L03H03"):
        expect(chips.get_by_text(pair)).to_be_visible()


def test_a_report_is_built_and_downloaded(page, app, runs):
    page.goto(f"{app}/reports")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()
    settled(page)
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("from-the-page")
    name.press("Enter")
    settled(page)
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.get_by_text("The report is made")).to_be_visible(timeout=90_000)
    settled(page)
    row = page.get_by_test_id("stDownloadButton")
    for title, start in (("HTML", b"<!doctype html>"), ("PDF", b"%PDF-")):
        with page.expect_download() as got:
            row.get_by_role("button", name=re.compile(title)).first.click()
        assert got.value.path().read_bytes().lower().startswith(start.lower())
    made = runs / "exports" / "from-the-page" / "results.json"
    assert json.loads(made.read_text())["schema"]


def test_a_chart_gives_its_data_and_its_picture(page, app):
    open_heads(page, app)
    page.get_by_test_id("stPopover").first.get_by_role("button").click()
    body = page.get_by_test_id("stPopoverBody")
    for name, start in (("CSV", b"pair,layer,head"), ("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as got:
            body.get_by_role("button", name=re.compile(rf"Download .*\({name}\)")).click()
        assert got.value.path().read_bytes().startswith(start)


def test_nothing_is_asked_of_another_machine(page, app):
    """The app works where there is no network, and tells nobody what is looked at."""
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    open_heads(page, app)
    assert {host for host in hosts if host} == {"127.0.0.1"}, json.dumps(sorted(hosts))
