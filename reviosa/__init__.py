"""ReVIOSa: segment the actor and the target of a referring expression through a video.

The model, its data, its losses and its trainer. This package knows nothing of the instruments
(``probes``), the documents (``reports``) or the commands (``workbench``) built on it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reviosa._torchvision import guard_torchvision
from reviosa.data.records import ROLES

# transformers, peft and sam2 import torchvision, and a torchvision wheel that was linked against
# another torch breaks all three; the guard must therefore stand before any of them.
guard_torchvision()

if TYPE_CHECKING:
    from reviosa.model import ReviosaConfig, ReviosaModel, ReviosaProcessor

__all__ = ["ROLES", "ReviosaConfig", "ReviosaModel", "ReviosaProcessor"]


def __getattr__(name: str) -> Any:
    # The model classes take seconds to import; reading a data set or a run does not need them.
    if name in ("ReviosaConfig", "ReviosaModel", "ReviosaProcessor"):
        return getattr(import_module("reviosa.model"), name)
    raise AttributeError(f"module 'reviosa' has no attribute {name!r}")
