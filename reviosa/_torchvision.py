"""Keep a torchvision wheel that does not match torch from breaking transformers, peft and sam2.

Where torch is a CPU build, pip may still choose a CUDA build of torchvision. Its compiled library
then cannot be loaded, its operators are never registered, and ``import torchvision`` stops with
``operator torchvision::nms does not exist`` although only pure Python parts of it are needed here.

:func:`guard_torchvision` places a finder in front of the import system. It costs nothing until
somebody imports torchvision; then, only if the import fails for that one reason, it declares the
two missing operators (names and signatures, no code) and runs the import once more. Resizing and
normalising work after that; calling ``torchvision.ops.nms`` still raises torchvision's own message.
"""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Literal

__all__ = ["TorchvisionHealth", "guard_torchvision", "torchvision_health"]

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")

# torch drops a library's operators when its Library object is collected.
_library: Any = None


@dataclass(frozen=True)
class TorchvisionHealth:
    """What was found of torchvision."""

    status: Literal["healthy", "shimmed", "missing", "broken"]
    """``shimmed``: imports, but its compiled operators are absent (harmless here)."""
    version: str | None
    detail: str
    """One line for a person."""


class _GuardedLoader(Loader):
    """Runs torchvision's own loader, a second time with declared operators if it must."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        try:
            self._loader.exec_module(module)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            _declare_operators()
            self._loader.exec_module(module)


class _TorchvisionFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _GuardedLoader(spec.loader)
        return spec


def _declare_operators() -> None:
    global _library
    import torch

    if _library is None:
        _library = torch.library.Library("torchvision", "FRAGMENT")
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            _library.define(name + _SCHEMA)


def guard_torchvision() -> None:
    """Make the next ``import torchvision`` survive a wheel that does not match torch.

    Imports nothing itself and may be called any number of times. Without effect where torchvision
    is healthy, absent or already imported.
    """
    if not any(isinstance(finder, _TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TorchvisionFinder())


def torchvision_health() -> TorchvisionHealth:
    """Import torchvision behind the guard and say what it is worth. Never raises."""
    guard_torchvision()
    if importlib.util.find_spec("torchvision") is None:
        return TorchvisionHealth("missing", None, "missing")
    try:
        import torchvision
        from torchvision.extension import _has_ops
    except Exception as error:  # A broken wheel can fail in any way; the caller wants to hear it.
        first_line = (str(error).splitlines() or [""])[0]
        detail = f"cannot be imported: {type(error).__name__}: {first_line}"
        return TorchvisionHealth("broken", None, detail)
    if _has_ops():
        return TorchvisionHealth("healthy", torchvision.__version__, "healthy")
    missing = "wheel does not match this torch; operators nms missing, harmless here"
    return TorchvisionHealth("shimmed", torchvision.__version__, f"shimmed: {missing}")
