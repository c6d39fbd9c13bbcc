"""The language model under TransformerLens' names, and when its answer is decided.

``bridge`` wraps a copy of the language model, ``readout`` holds the arithmetic of the logit lens
and of direct logit attribution, ``run`` measures a data set and ``results`` says what came of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from probes.lens.results import (
    Attribution,
    DepthPoint,
    LensResults,
    LensSeries,
    read_lines,
    summarise,
)

if TYPE_CHECKING:
    from probes.lens.bridge import Conversation, Lens, LensRun, conversations
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

_WITH_MODEL = {
    "Conversation": "bridge",
    "Lens": "bridge",
    "LensRun": "bridge",
    "conversations": "bridge",
    "measure": "run",
}


def __getattr__(name: str) -> Any:
    # Whoever only reads results, as pages do, must not wait for torch and transformers.
    if name in _WITH_MODEL:
        return getattr(import_module(f"probes.lens.{_WITH_MODEL[name]}"), name)
    raise AttributeError(f"module 'probes.lens' has no attribute {name!r}")
