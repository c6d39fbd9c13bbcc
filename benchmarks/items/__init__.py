"""What single items cost: a frame, an expression, a step. ``docs/scaling.md`` multiplies them."""

from benchmarks.items.parts import measure

__all__ = ["measure"]
