"""Shapes as signed distances: negative inside, in units of the object's radius."""

from collections.abc import Callable

import numpy as np

__all__ = ["distance", "reach"]


def distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance of points to the edge of ``shape``, same shape as ``x``.

    ``x`` goes right and ``y`` down; the shape has radius about 1 around the origin. Near the edge
    the values are true distances, which is what the smooth edges of the drawing need.
    """
    return _DISTANCES[shape](x, y)


def reach(shape: str, angle: float) -> float:
    """How far from the centre another object stops in a direction (radians), in radii.

    That is the edge, but at least 0.55: in the mouth of the moon the horns are met first.
    """
    steps = np.linspace(0, 1.3, 53)
    inside = distance(shape, steps * np.cos(angle), steps * np.sin(angle)) <= 0
    return float(steps[inside].max(initial=0.55))


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.97


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.76) - 0.24


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.85


def _diamond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # A tall rhombus, so that no rotation makes it a square.
    wide, tall = 0.66, 1.12
    return (np.abs(x) * tall + np.abs(y) * wide - wide * tall) / np.hypot(wide, tall)


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    y = y - 0.12  # the box around the triangle is centred, not its centre of mass
    slanted = np.abs(x) * np.sqrt(0.75) - y * 0.5
    return np.maximum(slanted, y) - 0.58


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # Fold the plane into one tenth of the star: from a tip (angle 0) to the notch (pi / 5).
    outer, inner, step = 1.14, 0.5, np.pi / 5
    angle = np.arctan2(x, -y)
    angle = np.abs((angle + step) % (2 * step) - step)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    edge_x, edge_y = inner * np.cos(step) - outer, inner * np.sin(step)
    # Distance to the line from the tip to the notch.
    return ((along - outer) * edge_y - across * edge_x) / np.hypot(edge_x, edge_y)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 1.0, y - 0.33), np.maximum(x - 0.33, y - 1.0))


def _moon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x = x - 0.2  # centres the crescent's box
    return np.maximum(np.hypot(x, y) - 1.02, 0.86 - np.hypot(x - 0.56, y))


_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "moon": _moon,
}
