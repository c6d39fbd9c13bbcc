"""Published weights in, ours out: names, shapes and tokens of every layout (REVIOSA.md 6)."""

from reviosa.conversion.inward import Conversion, Sam2Shape, convert
from reviosa.conversion.outward import Layout, export

__all__ = ["Conversion", "Layout", "Sam2Shape", "convert", "export"]
