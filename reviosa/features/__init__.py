"""What the frozen image encoders make of a frame, computed once and kept on disk."""

from reviosa.features.frame import Frame, frames_of, require_size
from reviosa.features.frozen import FrameBatch, FrozenFeatures
from reviosa.features.store import DEFAULT_LIMIT, FeatureStore

__all__ = [
    "DEFAULT_LIMIT",
    "FeatureStore",
    "Frame",
    "FrameBatch",
    "FrozenFeatures",
    "frames_of",
    "require_size",
]
