"""What follows from costs of single items at the published sizes: ``docs/scaling.md``."""

from benchmarks.scaling.page import write_page

__all__ = ["write_page"]
