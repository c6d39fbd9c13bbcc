"""Documents: analysis results in; figures, tables, CSV files and documents out.

This package draws and formats. Every number was computed in :mod:`probes`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.csv_files import write_csv
    from reports.gallery import build_gallery, sample_strip
    from reports.html import write_html
    from reports.latex import write_latex
    from reports.markdown import write_markdown
    from reports.pdf import write_pdf

__all__ = [
    "build_gallery", "sample_strip", "write_csv", "write_html", "write_latex", "write_markdown",
    "write_pdf",
]  # fmt: skip

_HOMES = {
    "build_gallery": "gallery",
    "sample_strip": "gallery",
    "write_csv": "csv_files",
    "write_html": "html",
    "write_latex": "latex",
    "write_markdown": "markdown",
    "write_pdf": "pdf",
}


def __getattr__(name: str) -> Any:
    # On demand: matplotlib and seaborn take a second to import, and colours do not need them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
