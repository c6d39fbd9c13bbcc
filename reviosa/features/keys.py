"""What decides the bits of an encoder's output, beside the frame and the settings of the model."""

import hashlib
import importlib.metadata
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from PIL import features as pillow
from torch import Tensor, nn

__all__ = ["machine_facts", "numeric_facts", "weights_digest"]

_PACKAGES = ("torch", "transformers", "sam2", "pillow", "numpy")

_known: WeakKeyDictionary[nn.Module, tuple[list[Tensor], int, str]] = WeakKeyDictionary()
"""Digest of each module that was asked for, with the tensors and their versions by then."""


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over all parameters and buffers; computed anew only after one of them changed."""
    if module in _known:
        tensors, versions, digest = _known[module]
        if versions == _versions(tensors):
            return digest
    state = module.state_dict(keep_vars=True)
    # sha256 lets go of the interpreter lock: as many tensors at a time as there are processors.
    with ThreadPoolExecutor() as threads:
        parts = list(threads.map(_tensor_digest, state.values()))
    digest = hashlib.sha256()
    for name, part in zip(state, parts, strict=True):
        digest.update(name.encode() + part)
    tensors = list(state.values())
    _known[module] = tensors, _versions(tensors), digest.hexdigest()
    return digest.hexdigest()


def _versions(tensors: list[Tensor]) -> int:
    # torch counts the changes in place; what replaces the data counts as another address.
    # Tensors of inference mode are not counted: only what is loaded outside of it can change.
    return hash(tuple((x.data_ptr(), 0 if x.is_inference() else x._version) for x in tensors))


def _tensor_digest(tensor: Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {list(values.shape)}".encode())
    digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def numeric_facts(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """How numbers are computed just now; cheap, because it may change within a process."""
    kind = device.type
    facts: dict[str, Any] = {
        "device": kind,
        "dtype": dtype,
        "autocast": torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    backends: Any = torch.backends
    if kind == "cuda":
        cudnn, cuda = backends.cudnn, backends.cuda
        facts["fp32"] = (cuda.matmul.fp32_precision, cudnn.conv.fp32_precision)
        facts["cudnn"] = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic)
        facts["attention"] = (
            cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.math_sdp_enabled(),
            cuda.cudnn_sdp_enabled(),
        )  # fmt: skip
    else:
        facts["fp32"] = (backends.mkldnn.matmul.fp32_precision, backends.mkldnn.conv.fp32_precision)
        facts["threads"] = torch.get_num_threads()
    return facts


@cache
def machine_facts(device: torch.device) -> dict[str, Any]:
    """Which processor computes, and the packages that prepare frames and encode them."""
    facts: dict[str, Any] = {name: importlib.metadata.version(name) for name in _PACKAGES}
    facts["jpeg"] = pillow.version("jpg")
    # The build too: the version in a package's records may lack its CUDA.
    facts["torch"] = torch.__version__
    if device.type == "cuda":
        facts["processor"] = torch.cuda.get_device_name(device)
        facts["cudnn"] = torch.backends.cudnn.version()
    else:
        facts["processor"] = [_processor(), torch.backends.cpu.get_cpu_capability()]
    return facts


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
