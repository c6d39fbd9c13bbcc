"""The PDF holds the document's words and numbers as text, and nothing in it is run."""

import io
import re
import sys

import pytest
from pypdf import PdfReader

from reports.document import Document, Section
from reports.pdf import write_pdf
from reviosa.errors import ReviosaError
from tests.fixtures_document import HOSTILE, document, table


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_pdf(document(rows=120), tmp_path_factory.mktemp("pdf") / "new" / "report.pdf")


@pytest.fixture(scope="module")
def words(path):
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path).pages).split())


def squeezed(text):
    """Without spaces and the signs at which a line may be broken."""
    return re.sub(r"[\s\u200b]", "", text)


def test_title_sections_and_numbers_stand_in_the_text(path, words):
    assert PdfReader(path).metadata.title == "What the tokens look at: #1 $2$"
    assert "Run a_b & model nano" in words
    for said in ("Scores & more", "Protocols_1", "Title of scores #1", "The summary."):
        assert said in words
    # The last row, as written.
    assert "run 119 short 179.5 [119.1, \N{MINUS SIGN}9.2]" in words
    assert "Caption of scores, n = 12 & more." in words
    assert "J is the overlap." in words and "What is drawn, n = 3." in words


def test_markup_in_text_shows_as_text(words):
    # In a warning, a table, a list, an expression and an answer.
    assert squeezed(words).count(squeezed(HOSTILE)) == 5


def test_a_long_table_goes_on_under_the_same_head(path):
    pages = [page.extract_text() for page in PdfReader(path).pages]
    with_rows = [text for text in pages if re.search(r"run \d+ short", text)]
    assert len(with_rows) >= 2
    assert all("run expression J&F interval" in " ".join(text.split()) for text in with_rows)


def test_pages_are_numbered_and_sections_can_be_jumped_to(path):
    reader = PdfReader(path)
    total = len(reader.pages)
    for number, page in enumerate(reader.pages, 1):
        assert f"{number} / {total}" in page.extract_text()
    titles = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert titles[-4:] == ["Scores & more", "Figures", "Samples", "Notes"]


def test_the_same_document_gives_the_same_bytes(tmp_path, path):
    data = path.read_bytes()
    assert write_pdf(document(rows=120), tmp_path / "other name.pdf").read_bytes() == data
    assert b"CreationDate" not in data and b"/tmp" not in data
    reader = PdfReader(io.BytesIO(data))
    assert "/CreationDate" not in reader.metadata and "/ModDate" not in reader.metadata


def test_every_font_is_embedded(path):
    for page in PdfReader(path).pages:
        for font in page["/Resources"].get("/Font", {}).values():
            (inner,) = font.get_object()["/DescendantFonts"]
            descriptor = inner.get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile2", "/FontFile3"} & set(descriptor)


def test_figures_are_drawings_and_strips_are_pictures(path):
    pages = PdfReader(path).pages
    assert sum(len(page.images) for page in pages) == 1, "the JPEG strip alone is made of pixels"
    # Axis labels are text inside of the drawing.
    assert sum(page.extract_text().count("share of attention") for page in pages) == 2


def test_a_table_without_rows_and_a_document_without_sections(tmp_path):
    bare = Document("Nothing", "no run", (), ())
    (page,) = PdfReader(write_pdf(bare, tmp_path / "bare.pdf")).pages
    assert "Nothing" in page.extract_text()
    empty = Document("Empty", "", (), (Section("one", "One", (table(rows=0, best=frozenset()),)),))
    (page,) = PdfReader(write_pdf(empty, tmp_path / "empty.pdf")).pages
    assert "expression" in page.extract_text()


def test_without_typst_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ReviosaError, match=r"pip install 'reviosa-workbench\[pdf\]'"):
        write_pdf(document(), tmp_path / "x.pdf")
    assert list(tmp_path.iterdir()) == []
