r"""What is written for LaTeX. Where pdflatex is installed it sets a document, too.

A small reader of its own checks that braces and environments are closed, that no special sign of
plain text is left as it was, that each row has the table's number of cells, and that all that is
taken in is there.
"""

import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from matplotlib.text import Text
from pypdf import PdfReader

from reports.document import Document, Section
from reports.latex import VENUES, table_tex, write_latex
from reports.latex_text import breakable, tex
from reports.tables import Table
from tests.fixtures_document import document, table, two_panels

NAMES = r"\\(input|includegraphics|label|begin|end|usepackage|definecolor|textcolor)"


def check(source):
    """Fail where the source is no LaTeX that pdflatex would read to its end."""
    lines = [line for line in source.splitlines() if not line.startswith("%")]
    text = "\n".join(lines)
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    text = re.sub(r"\\begin\{equation\*\}.*?\\end\{equation\*\}", "", text, flags=re.DOTALL)
    # Names of files, labels and columns are no text.
    text = re.sub(r"\\begin\{(tabular|longtable)\}.*", "", text)
    text = re.sub(NAMES + r"(\[[^\]]*\])?(\{[^{}]*\})+", "", text)
    text = re.sub(r"\\\\", " ", text)
    text = re.sub(r"\\[&%$#_{}]", "", text)
    depth = 0
    for sign in text:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert text.count("$") % 2 == 0
    outside = re.sub(r"\$[^$]*\$", "", text)
    for sign in '#%~^_<>|"`':
        assert sign not in outside.replace("#1", ""), f"{sign} in {outside}"
    assert outside.isascii() or all(0xC0 <= ord(s) < 0x180 for s in outside if not s.isascii())


def cells(source):
    """The number of cells of each row between the rules."""
    rows = [line for line in source.splitlines() if line.endswith(r" \\")]
    return [len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_latex(document(), tmp_path_factory.mktemp("latex") / "new")


def test_every_file_is_well_formed(folder):
    files = sorted(folder.rglob("*.tex"))
    assert {str(file.relative_to(folder)) for file in files} == {
        "report.tex", "tables.tex", "figures.tex", "tables/scores.tex", "figures/two-panels.tex",
        "figures/one-size.tex",
    }  # fmt: skip
    for file in files:
        check(file.read_text())


@pytest.mark.parametrize(
    "broken",
    [
        r"\begin{table}",
        r"\begin{a}\end{b}",
        "a_b",
        "50 % of",
        "{",
        "}",
        "x # y",
        "$x",
        "a < b",
        "a^b",
    ],
)
def test_the_check_finds_faults(broken):
    with pytest.raises((AssertionError, IndexError)):
        check(broken)


def test_all_that_is_taken_in_is_there(folder):
    for file in folder.rglob("*.tex"):
        for name in re.findall(r"\\input\{\\reviosadir/([^}]+)\}", file.read_text()):
            assert (folder / f"{name}.tex").is_file()
        for name in re.findall(r"\\includegraphics.*?\{\\reviosadir/([^}]+)\}", file.read_text()):
            for venue in VENUES:
                assert (folder / name.replace(r"\reviosavenue", venue)).is_file()
    assert (folder / "samples" / "sample-00.jpg").is_file()


def test_a_table_has_rules_alignment_best_and_label():
    source = table_tex(table(), "scores")
    check(source)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert source.count(rule) == 1
    assert r"\label{tab:scores}" in source
    assert r"\caption{Title of scores \#1. Caption of scores, n = 12 \& more.}" in source
    assert r"run 1 & short & \textbf{61.5} & [1.1, $-$9.2] \\" in source
    assert cells(source) == [4, 4, 4, 4]
    # The expression is far too long for a line: it is wrapped. Numbers stand right.
    assert re.search(r"l>\{\\raggedright\\arraybackslash\}p\{0\.\d\d\\linewidth\}rr@", source)


def test_no_markup_of_the_text_is_left(folder):
    source = (folder / "report.tex").read_text()
    assert source.count(r"\end{document}") == 1 and source.rstrip().endswith(r"\end{document}")
    assert r"\input{x}" not in source and "onerror=alert(1)" in source.replace(r"\allowbreak{}", "")


def test_a_row_that_begins_with_a_bracket_is_no_argument_of_the_last():
    source = table_tex(replace(table(), rows=(("[0.1]", "a", "1", "2"),), best=frozenset()), "x")
    assert "\n{}[0.1] & a" in source


def test_a_long_table_goes_over_pages_with_its_head():
    source = table_tex(table(rows=60), "long")
    check(source)
    assert r"\endhead" in source and source.count(r"\textbf{expression}") == 2
    assert cells(source) == [4] * 62


def test_few_rows_of_many_lines_go_over_pages_too():
    # A cell of 4,500 letters takes at least 49 lines of 92 letters; 45 are the most on one page.
    tall = Table(("what", "value"), (("a", "word " * 900), ("b", "c")), "", 2, "tall")
    source = table_tex(tall, "tall")
    check(source)
    assert r"\begin{longtable}" in source and r"\small" in source
    assert r"\begin{table}" in table_tex(replace(tall, rows=tall.rows[1:]), "short")


def test_a_long_table_that_is_too_wide_has_smaller_text():
    # 12 columns of 9 letters with 2 between them are 132 letters; 92 / 132 is 0.70, and the next
    # smaller size has 0.55.
    wide = Table(("123456789",) * 12, (("123456789",) * 12,) * 90, "", 0, "wide")
    source = table_tex(wide, "wide")
    check(source)
    assert r"\begin{longtable}" in source and r"{\tiny" in source


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_pdflatex_sets_the_document(tmp_path):
    tall = Table(("what", "value"), (("a", "word " * 900), ("b", "c")), "", 2, "tall")
    parts = document()
    more = Section("more", "More", (tall, table("long", rows=60)))
    write_latex(replace(parts, sections=(*parts.sections, more)), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "report.log").read_text(errors="replace")
    assert "Overfull" not in log and "Too large" not in log and "too large" not in log
    assert len(PdfReader(tmp_path / "report.pdf").pages) > 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of a_b & c", r"50 \% of a\_b \& c"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("--check '' ,,", r"-{}-check '{}' ,{},"),
        ("\N{MINUS SIGN}0.5 ≥ α", r"$-$0.5 $\geq$ $\alpha$"),
        ("é 日\n\tx\x07", "é [U+65E5] x "),
        ("n/a", "n/a"),
    ],
)
def test_text_is_escaped(text, expected):
    assert tex(text) == expected


def test_long_words_may_be_broken():
    assert breakable("see data/frames/video_01/0.jpg") == (
        r"see data/\allowbreak{}frames/\allowbreak{}video\_\allowbreak{}01/\allowbreak{}0."
        r"\allowbreak{}jpg"
    )
    assert breakable("f" * 30).count("f") == 30


def test_names_are_unique_and_safe(tmp_path):
    blocks = (table("a b/../c"), table("a b/../c"), table(""))
    write_latex(Document("T", "", (), (Section("s", "S", blocks),)), tmp_path)
    assert sorted(file.name for file in (tmp_path / "tables").iterdir()) == [
        "a-b-c-02.tex", "a-b-c.tex", "table-03.tex",
    ]  # fmt: skip


def test_figures_have_the_widths_of_the_venues_and_embedded_fonts(folder):
    for venue, inches in VENUES.items():
        data = (folder / "figures" / venue / "two-panels.pdf").read_bytes()
        (page,) = PdfReader(io.BytesIO(data)).pages
        assert float(page.mediabox.width) == pytest.approx(72 * inches, abs=0.1)
        fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
        assert fonts
        for font in fonts:
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            assert "/FontFile2" in inner["/FontDescriptor"], "TrueType, as venues ask for"
        svg = (folder / "figures" / venue / "two-panels.svg").read_text()
        assert f'width="{72 * inches:g}pt"' in svg and "<text" not in svg


@pytest.mark.parametrize("inches", VENUES.values())
def test_a_figure_is_drawn_for_its_width_and_not_made_smaller(inches):
    plot = two_panels().at_width(inches).plot
    for text in plot.findobj(lambda item: isinstance(item, Text) and bool(item.get_text().strip())):
        assert 6.5 <= text.get_fontsize() <= 8
        if re.fullmatch(r"[\N{MINUS SIGN}\d.]+", text.get_text()):
            continue  # of ticks, some lie outside of the view and are not shown
        box = text.get_window_extent()
        assert box.x0 > -1 and box.x1 < plot.bbox.width + 1, text.get_text()
    # One below the other in a column, side by side on a page.
    left, right = (axes.get_position() for axes in plot.axes)
    assert (left.x0 == pytest.approx(right.x0)) == (inches < 4)


def test_a_page_figure_is_as_before_when_another_width_was_drawn():
    figure = two_panels()
    before = figure.svg()
    figure.at_width(3.25)
    assert figure.svg() == before == two_panels().svg()


def test_the_same_document_gives_the_same_bytes(folder, tmp_path):
    write_latex(document(), tmp_path)
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*.*"))]
    assert files == [file.relative_to(tmp_path) for file in sorted(tmp_path.rglob("*.*"))]
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / file).read_bytes(), file
