"""The synthetic world: textured moving scenes in which objects act on one another."""

from reviosa.data.synthetic.benchmark import Benchmark, write_benchmark
from reviosa.data.synthetic.config import WorldConfig
from reviosa.data.synthetic.expressions import SyntheticExpression
from reviosa.data.synthetic.lexicon import (
    COLORS,
    MOTIONS,
    MUTUAL_VERBS,
    SHAPES,
    SIZES,
    TEXTURES,
    VERBS,
    vocabulary,
)
from reviosa.data.synthetic.scene import Event, SceneObject
from reviosa.data.synthetic.world import SyntheticVideo, generate_video
from reviosa.data.synthetic.writer import write_synthetic

__all__ = [
    "COLORS",
    "MOTIONS",
    "MUTUAL_VERBS",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "VERBS",
    "Benchmark",
    "Event",
    "SceneObject",
    "SyntheticExpression",
    "SyntheticVideo",
    "WorldConfig",
    "generate_video",
    "vocabulary",
    "write_benchmark",
    "write_synthetic",
]
