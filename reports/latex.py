r"""Tables and figures for a paper: LaTeX with booktabs, figures at the widths of usual venues.

What stands in the folder: ``tables/NAME.tex`` and ``figures/NAME.tex`` (one float each, to be
taken with ``\input``), ``figures/VENUE/NAME.pdf`` and ``.svg``, ``tables.tex`` and ``figures.tex``
(all of them), and ``report.tex``, which sets the whole document by itself.
"""

import itertools
import re
from pathlib import Path

from reports.canvas import Figure
from reports.column_widths import GAP, column_letters, head_lines, table_lines
from reports.document import (
    Block,
    Bullets,
    Code,
    Document,
    Equation,
    Paragraph,
    Sample,
    Subheading,
)
from reports.latex_text import breakable, tex
from reports.style import ROLE_COLORS, ROLE_TITLES
from reports.tables import Table
from reviosa.io import atomic_path, write_text

__all__ = ["VENUES", "write_latex"]

VENUES = {"cvpr-column": 3.25, "cvpr-page": 6.875, "neurips": 5.5, "eccv": 4.8}
"""Inches: a column and the page of CVPR and ICCV, the text of NeurIPS, the text of ECCV (LNCS)."""
STANDARD = "neurips"
LONG = 45
"""A table of more lines goes on over pages; ``longtable`` needs a document of one column."""
LINE = 92
"""Letters in a line of small text 5.5 inches wide."""
_SIZES = {"small": 1.0, "footnotesize": 0.88, "scriptsize": 0.77, "tiny": 0.55}
"""Sizes of text, as parts of the first."""

_PACKAGES = "booktabs, longtable, array, adjustbox, graphicx, caption, xcolor, amsmath"
_PATHS = rf"""% Where this folder lies, and whose widths the figures have ({", ".join(VENUES)}).
\providecommand{{\reviosadir}}{{.}}
\providecommand{{\reviosavenue}}{{{STANDARD}}}
"""


def write_latex(document: Document, directory: str | Path) -> Path:
    """Write the document's tables and figures; each file whole or not at all.

    The same document gives the same bytes. Every figure is drawn anew for every venue.

    Args:
        document: what to write.
        directory: folder to write to; it is made where it is missing.

    Returns:
        The folder.
    """
    directory = Path(directory)
    names = [table.name for table in document.tables()]
    tables = dict(zip(_unique(names, "table"), document.tables(), strict=True))
    figures = dict(
        zip(
            _unique([f.name for f in document.figures()], "figure"), document.figures(), strict=True
        )
    )
    for name, table in tables.items():
        write_text(directory / "tables" / f"{name}.tex", table_tex(table, name))
    for name, figure in figures.items():
        write_text(directory / "figures" / f"{name}.tex", _figure_tex(figure, name))
        for venue, width in VENUES.items():
            drawn = figure.at_width(width)
            _write(directory / "figures" / venue / f"{name}.pdf", drawn.pdf())
            write_text(directory / "figures" / venue / f"{name}.svg", drawn.svg_file())
    for kind, found in (("tables", tables), ("figures", figures)):
        inputs = "".join(f"\\input{{\\reviosadir/{kind}/{name}}}\n" for name in found)
        write_text(directory / f"{kind}.tex", f"% Needs: {_PACKAGES}.\n{_PATHS}{inputs}")
    samples = [block for block in document.blocks() if isinstance(block, Sample)]
    for index, sample in enumerate(samples):
        if sample.image is not None:
            _write(directory / "samples" / f"sample-{index:02d}.jpg", sample.image)
    write_text(directory / "report.tex", _report(document, list(tables), list(figures)))
    return directory


def table_tex(table: Table, name: str) -> str:
    """One table as a float: rules of booktabs, best cells in bold, words left, numbers right."""
    rows = [
        [
            rf"\textbf{{{tex(cell)}}}" if (i, j) in table.best else breakable(cell)
            for j, cell in enumerate(row)
        ]
        for i, row in enumerate(table.rows)
    ]
    letters = column_letters(table, LINE)
    if _width(letters) > LINE:
        # It is made smaller anyway: then words get room as well.
        letters = column_letters(table, int(1.4 * LINE))
    head = _row(
        [
            _head(name, None if letters is None else letters[j], j >= table.text_columns)
            for j, name in enumerate(table.columns)
        ]
    )
    body = "\n".join(map(_row, rows))
    words = " ".join(part for part in (_sentence(table.title), table.caption) if part)
    caption = f"\\caption{{{tex(words)}}}\n" if words else ""
    label = f"\\label{{tab:{name}}}"
    width = max(_width(letters), LINE)
    smaller = LINE / width
    if table_lines(table, letters) * smaller > LONG:
        above = f"{caption}{label}\\\\\n" if words else ""
        # What adjustbox does to a float, by the size of the text.
        size = next((name for name, part in _SIZES.items() if part <= smaller), "tiny")
        columns = _columns(table, letters, width)
        return (
            f"{{\\{size}\n\\setlength{{\\tabcolsep}}{{4pt}}\n"
            f"\\begin{{longtable}}{{{columns}}}\n{above}\\toprule\n{head}\n\\midrule\n"
            f"\\endfirsthead\n\\toprule\n{head}\n\\midrule\n\\endhead\n\\bottomrule\n\\endfoot\n"
            f"{body}\n\\end{{longtable}}}}\n"
        )
    # Many columns take the page's width where a page has two columns.
    columns = _columns(table, letters, LINE)
    float_ = "table*" if len(table.columns) > 5 else "table"
    return (
        f"\\begin{{{float_}}}[tb]\n\\centering\\small\n{caption}{label}\n"
        f"\\begin{{adjustbox}}{{max width=\\linewidth}}\n\\begin{{tabular}}{{{columns}}}\n"
        f"\\toprule\n{head}\n\\midrule\n{body}\n\\bottomrule\n"
        f"\\end{{tabular}}\n\\end{{adjustbox}}\n\\end{{{float_}}}\n"
    )


def _width(letters: list[int] | None) -> int:
    """Of all columns, in letters; 0 for a table that fits in a line."""
    return 0 if letters is None else sum(letters) + GAP * len(letters)


def _columns(table: Table, letters: list[int] | None, line: int) -> str:
    """Alignment of each column; words that do not fit in a line of ``line`` letters are wrapped."""
    kinds = ["l" if j < table.text_columns else "r" for j in range(len(table.columns))]
    if letters is not None:
        for j in range(table.text_columns):
            if any(len(row[j]) > letters[j] for row in table.rows):
                share = letters[j] / line
                kinds[j] = rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
    return f"@{{}}{''.join(kinds)}@{{}}"


def _head(name: str, letters: int | None, right: bool) -> str:
    """The name of a column, over several lines where it is wider than its cells."""
    lines = [name] if letters is None else head_lines(name, letters)
    bold = [rf"\textbf{{{tex(line)}}}" for line in lines]
    if len(bold) == 1:
        return bold[0]
    side = "r" if right else "l"
    return rf"\shortstack[{side}]{{" + r"\\".join(bold) + "}"


def _row(cells: list[str]) -> str:
    # Behind the end of a row a bracket or a star would be an argument of it.
    first = f"{{}}{cells[0]}" if cells and cells[0][:1] in ("[", "*") else cells[0] if cells else ""
    return " & ".join([first, *cells[1:]]) + r" \\"


def _figure_tex(figure: Figure, name: str) -> str:
    # Not scaled: it was drawn for the width that it is shown at.
    return (
        f"\\begin{{figure}}[tb]\n\\centering\n"
        f"\\includegraphics{{\\reviosadir/figures/\\reviosavenue/{name}.pdf}}\n"
        f"\\caption{{\\textbf{{{tex(_sentence(figure.title))}}} {tex(figure.caption)}}}\n"
        f"\\label{{fig:{name}}}\n\\end{{figure}}\n"
    )


def _report(document: Document, tables: list[str], figures: list[str]) -> str:
    """The whole document; tables and figures stand where they are read."""
    names = {"tables": iter(tables), "figures": iter(figures)}
    pictures = itertools.count()

    def body(blocks: tuple[Block, ...]) -> str:
        return "\n".join(part for block in blocks if (part := one(block)))

    def one(block: Block) -> str:
        match block:
            case Table():
                return f"\\input{{\\reviosadir/tables/{next(names['tables'])}}}\n"
            case Figure():
                return f"\\input{{\\reviosadir/figures/{next(names['figures'])}}}\n"
            case Sample():
                return _sample(block, next(pictures))
            case _:
                return _words(block)

    colors = "".join(
        f"\\definecolor{{{role}}}{{HTML}}{{{color.removeprefix('#')}}}\n"
        for role, color in ROLE_COLORS.items()
    )
    sections = "\n".join(
        f"\\section{{{tex(section.title)}}}\n{body(section.blocks)}\n\\FloatBarrier\n"
        for section in document.sections
    )
    return rf"""\documentclass[10pt]{{article}}
\usepackage[T1]{{fontenc}}
\usepackage[utf8]{{inputenc}}
\usepackage[textwidth=5.5in, textheight=9in]{{geometry}}
\usepackage{{{_PACKAGES}}}
\usepackage{{placeins}}
{_PATHS}{colors}\sloppy
\setlength{{\emergencystretch}}{{3em}}
\title{{{tex(document.title)}}}
\author{{\parbox{{0.9\linewidth}}{{\centering {tex(document.byline)}}}}}
\date{{}}
\begin{{document}}
\maketitle
{body(document.head)}
\tableofcontents
{sections}
\end{{document}}
"""


def _words(block: Block) -> str:
    match block:
        case Paragraph(kind="warning"):
            return f"\\noindent\\textbf{{Mind:}} {breakable(block.text)}\n"
        case Paragraph(kind="caption"):
            return f"{{\\small {breakable(block.text)}\\par}}\n"
        case Paragraph():
            return f"{breakable(block.text)}\n"
        case Subheading():
            return f"\\subsection*{{{tex(block.text)}}}\n"
        case Bullets():
            items = "\n".join(f"\\item {{}}{breakable(item)}" for item in block.items)
            return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}\n" if block.items else ""
        case Equation():
            return (
                f"\\begin{{equation*}}\n{block.tex}\n\\end{{equation*}}\n{breakable(block.words)}\n"
            )
        case Code():
            lines = "\\\\\n".join(breakable(line) for line in block.text.splitlines())
            return f"{{\\noindent\\ttfamily\\small\\raggedright {lines}\\par}}\n"
    raise TypeError(f"{type(block).__name__} is no block of words")


def _sample(sample: Sample, index: int) -> str:
    role = sample.role if sample.role in ROLE_COLORS else "both"
    title = tex(ROLE_TITLES.get(sample.role, sample.role))
    lines = [
        f"\\textcolor{{{role}}}{{\\rule{{\\linewidth}}{{1.5pt}}}}",
        f"\\textcolor{{{role}}}{{\\textbf{{{title}}}}}: {breakable(sample.facts)}",
        f"\\textbf{{{breakable(sample.expression)}}}",
    ]
    if sample.answer:
        lines.append(f"Answer: {{\\ttfamily\\small {breakable(sample.answer)}}}")
    if sample.image is not None:
        lines.append(
            f"\\includegraphics[width=\\linewidth]{{\\reviosadir/samples/sample-{index:02d}.jpg}}"
        )
    if sample.caption:
        lines.append(f"{{\\small {breakable(sample.caption)}\\par}}")
    inner = "\n\n".join(lines)
    return f"\\noindent\\begin{{minipage}}{{\\linewidth}}\n{inner}\n\\end{{minipage}}\n\\bigskip\n"


def _sentence(title: str) -> str:
    return title if not title or title[-1] in ".?!" else f"{title}."


def _unique(names: list[str], kind: str) -> list[str]:
    """Names as file names and labels; what has none, or one that was used, gets a number."""
    found: list[str] = []
    for index, name in enumerate(names, 1):
        safe = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or f"{kind}-{index:02d}"
        found.append(f"{safe}-{index:02d}" if safe in found else safe)
    return found


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
