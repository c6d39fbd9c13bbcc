"""Model text, file names and expressions are shown as text, on every page."""

import re
import sys
from pathlib import Path

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from tests.fixtures_hostile import EVIL, EVIL_NAME, make_hostile, unescaped

APP = Path(__file__).resolve().parents[2] / "streamlit_app.py"
PAGES = re.findall(r"workbench/pages/(\w+)\.py", APP.read_text())
MARKDOWN = {"body", "label", "help", "caption", "content", "tooltip"}
"""Fields of Streamlit's messages that browsers draw as Markdown."""
AS_TEXT = {"text", "code", "arrow_data_frame", "vega_lite_chart", "text_area"}
"""Elements that draw what they hold as it is."""

SHOWING = ("runs", "heads", "samples", "sweeps", "review")
"""Pages that show such text as Markdown; on others it stands in tables and charts."""

pytestmark = pytest.mark.usefixtures("fresh_caches")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    return make_hostile(tmp_path_factory.mktemp("hostile"))


def markdown_of(message: Message, name: str = "") -> list[tuple[str, str]]:
    """Field and text of everything below a message that is Markdown."""
    found = []
    for field, value in message.ListFields():
        if field.name in AS_TEXT:
            continue
        for item in value if field.is_repeated else [value]:
            if isinstance(item, Message):
                found += markdown_of(item, field.name)
            elif isinstance(item, str) and field.name in MARKDOWN:
                found.append((f"{name}.{field.name}", item))
    return found


def everything(app: AppTest) -> list[Message]:
    protos = [getattr(node, "proto", None) for node in app._tree]
    kinds = [getattr(node, "type", "") for node in app._tree]
    return [
        proto
        for proto, kind in zip(protos, kinds, strict=True)
        if isinstance(proto, Message) and kind not in AS_TEXT
    ]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_formats_what_it_was_given(monkeypatch, hostile, page):
    monkeypatch.setattr(sys, "argv", [str(APP), str(hostile)])
    seen = 0
    for name in (EVIL_NAME, f"failed {EVIL_NAME}"):
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.switch_page(f"workbench/pages/{page}.py")
        app.query_params["run"] = name
        app.run()
        assert not app.exception, [item.message for item in app.exception]
        shown = [pair for proto in everything(app) for pair in markdown_of(proto)]
        assert len(shown) > 5
        wrong = [(field, text[:200]) for field, text in shown if unescaped(text)]
        assert not wrong
        assert not any(item.allow_html for item in app.markdown)
        seen += sum("img src" in text for _, text in shown)
    assert seen or page not in SHOWING, "what is not shown is not tested"


def test_the_test_would_see_it():
    """Each hostile text is found where it stands bare."""
    assert unescaped(EVIL) and unescaped(f"J\\&F of {EVIL_NAME}")
    from workbench.pages._shell import literal

    assert not unescaped(literal(EVIL))
    assert unescaped(literal(EVIL).replace("\\<", "<", 1))
