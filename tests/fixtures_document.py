"""A small document with every block, and text that no writer may take for markup."""

import io

import matplotlib.figure
from PIL import Image

from reports.canvas import Figure, drawing, redrawable
from reports.document import (
    Bullets,
    Code,
    Document,
    Equation,
    Paragraph,
    Sample,
    Section,
    Subheading,
)
from reports.tables import Table

HOSTILE = (
    '#import "x": * $x^2$ *b* _i_ </script><img src=x onerror=alert(1)> \\input{x} \\end{document} '
    "100 % & ~ ^ {} @ref <label> `raw` //c"
)


def table(name="scores", rows=3, best=frozenset({(1, 2)})):
    return Table(
        ("run", "expression", "J&F", "interval"),
        tuple(
            (
                f"run {i}",
                HOSTILE if i == 0 else "short",
                f"{60 + i}.5",
                f"[{i}.1, \N{MINUS SIGN}9.2]",
            )
            for i in range(rows)
        ),
        f"Caption of {name}, n = 12 & more.",
        text_columns=2,
        name=name,
        title=f"Title of {name} #1",
        best=best,
    )


@redrawable
def two_panels() -> Figure:
    with drawing(2, 2.9) as (plot, panels):
        for axes in panels:
            axes.set_title("A title that is much longer than a column of a paper can be wide")
            axes.plot([0, 1], [0, 1])
            axes.set_xlabel("layer")
            axes.set_ylabel("share of attention")
    return Figure("two-panels", "Two panels", "What is drawn, n = 3.", "It rises", plot)


def one_size() -> Figure:
    """A figure that nobody can draw again."""
    plot = matplotlib.figure.Figure(figsize=(4, 2))
    plot.subplots().plot([0, 1])
    return Figure("one-size", "One size", "Drawn once.", "A line", plot)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (96, 24), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()


def document(rows=3) -> Document:
    return Document(
        "What the tokens look at: #1 $2$",
        "Run a_b & model nano",
        (Paragraph(f"Not complete: {HOSTILE}", "warning"), Paragraph("The summary.", "lead")),
        (
            Section(
                "scores",
                "Scores & more",
                (
                    Subheading("Protocols_1"),
                    table(rows=rows),
                    Bullets((HOSTILE, "[first] of a list")),
                    Equation(r"J = \frac{|A \cap B|}{|A \cup B|}", "J is the overlap."),
                ),
            ),
            Section(
                "figures", "Figures", (two_panels(), Paragraph("Small.", "caption"), one_size())
            ),
            Section(
                "samples",
                "Samples",
                (
                    Sample("actor", "J&F 91.2", HOSTILE, HOSTILE, "Frames.", "a strip", jpeg()),
                    Sample("target", "J&F 3.0", "the dog", "", "No data.", "none", None),
                ),
            ),
            Section("notes", "Notes", (Code("reviosa report runs/demo --check 'actor.jf>=70'"),)),
        ),
    )
