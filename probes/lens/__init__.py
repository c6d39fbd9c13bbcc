"""The language model under TransformerLens' names, and when its answer is decided.

``bridge`` wraps a copy of the language model, ``readout`` holds the arithmetic of the logit lens
and of direct logit attribution, ``run`` measures a data set and ``results`` says what came of it.
"""

from probes.lens.bridge import Conversation, Lens, LensRun, conversations
from probes.lens.results import (
    Attribution,
    DepthPoint,
    LensResults,
    LensSeries,
    read_lines,
    summarise,
)
from probes.lens.run import measure

__all__ = [
    "Attribution",
    "Conversation",
    "DepthPoint",
    "Lens",
    "LensResults",
    "LensRun",
    "LensSeries",
    "conversations",
    "measure",
    "read_lines",
    "summarise",
]
