"""What is installed, what is broken, and what to do about it."""

import dataclasses
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Check", "Examination", "examine"]

_GIB = 2**30
_LEAST_DISK = 2 * _GIB
_LEAST_MEMORY = 3 * _GIB
_NANO = Path(__file__).resolve().parent.parent / "reviosa" / "assets" / "nano"

# Distribution, and the import the workbench lives by. Each runs in a process of its own, because a
# broken wheel may end the process it is imported into.
_IMPORTS = {
    "transformers": "from transformers import InternVLForConditionalGeneration, Trainer",
    "peft": "from peft import LoraConfig, inject_adapter_in_model",
    "sam2": "from sam2.build_sam import build_sam2_video_predictor",
    "transformer-lens": "from transformer_lens.model_bridge import TransformerBridge",
    "streamlit": "import streamlit",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    """What to do; empty where nothing is wrong."""


@dataclass(frozen=True)
class Examination:
    """All checks of one look."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """``{"ok", "checks": [{"name", "ok", "found", "advice"}]}``."""
        return {"ok": self.ok, "checks": [dataclasses.asdict(check) for check in self.checks]}


def examine(folder: str | Path = ".") -> Examination:
    """Look at the installation, the machine and ``folder``, where runs would be written."""
    folder = Path(folder)
    with ThreadPoolExecutor(max_workers=2) as pool:
        imports = pool.map(_check_import, _IMPORTS.items())
        local: Sequence[Callable[[], Check]] = (
            _check_python,
            _check_torch,
            _check_devices,
            _check_copies,
            _check_torchvision,
        )
        checks = [_guarded(check) for check in local]
        checks += list(imports)
    checks += [
        _check_nano(),
        _check_writing(folder),
        _check_disk(folder),
        _check_machine(),
    ]
    return Examination(tuple(checks))


def _guarded(check: Callable[[], Check]) -> Check:
    """A check that breaks is a check that failed."""
    try:
        return check()
    except Exception as error:
        name = check.__name__.removeprefix("_check_")
        advice = "install again: make setup, or pip install -c constraints.txt -e ."
        return Check(name, False, f"{type(error).__name__}: {_first_line(str(error))}", advice)


def _check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, f"{version} ({sys.executable})", "" if ok else "use Python >= 3.11")


def _check_torch() -> Check:
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return Check("torch", True, f"{torch.__version__} ({build})")


def _check_devices() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("Apple MPS")
    return Check("devices", True, ", ".join([*names, "CPU"]))


def _check_copies() -> Check:
    copies = sorted(
        str(Path(str(distribution.locate_file(""))).resolve())
        for distribution in importlib.metadata.distributions(name="torch")
    )
    advice = "keep one: pip uninstall -y torch until none is left, then install again"
    # One folder may stand on the path twice; two records in one folder are two copies.
    folders = set(copies)
    records = sum(len(list(Path(path).glob("torch-*.dist-info"))) for path in folders)
    found = f"{records} in {', '.join(sorted(folders))}" if records != 1 else "1"
    return Check("copies of torch", records == 1, found, "" if records == 1 else advice)


def _check_torchvision() -> Check:
    from reviosa._torchvision import torchvision_health

    health = torchvision_health()
    found = f"{health.version}, {health.detail}" if health.version else health.detail
    ok = health.status in ("healthy", "shimmed")
    advice = "" if ok else "pip install -c constraints.txt torchvision"
    return Check("torchvision", ok, found, advice)


def _check_import(item: tuple[str, str]) -> Check:
    name, statement = item
    advice = f"pip install -c constraints.txt {name}"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "missing", advice)
    program = f"from reviosa._torchvision import guard_torchvision as g; g(); {statement}"
    try:
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            timeout=240,
        )
    except subprocess.TimeoutExpired:
        return Check(name, False, f"{version}, its import does not end", advice)
    if result.returncode == 0:
        return Check(name, True, version)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    reason = lines[-1] if lines else f"its import ended with code {result.returncode}"
    return Check(name, False, f"{version}, {reason}", advice)


def _check_nano() -> Check:
    weights = _NANO / "model.safetensors"
    advice = "restore it: git checkout -- reviosa/assets"
    if not weights.is_file():
        return Check("nano weights", False, f"missing: {weights}", advice)
    try:
        from safetensors import safe_open

        with safe_open(weights, framework="numpy") as file:
            count = len(list(file.keys()))
    except Exception as error:  # safetensors has an exception type of its own for a cut file
        return Check("nano weights", False, f"{weights}: {_first_line(str(error))}", advice)
    size = weights.stat().st_size / 2**20
    return Check("nano weights", True, f"{count} tensors, {size:.1f} MiB")


def _check_writing(folder: Path) -> Check:
    place = folder.resolve()
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        advice = "change to a folder you may write to, or give --out"
        return Check("writing", False, f"{place}: {error.strerror}", advice)
    return Check("writing", True, str(place))


def _check_disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    ok = free >= _LEAST_DISK
    advice = "" if ok else f"free some: at least {_LEAST_DISK // _GIB} GiB are needed"
    return Check("free disk", ok, f"{free / _GIB:.1f} GiB", advice)


def _check_machine() -> Check:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ok = memory >= _LEAST_MEMORY
    advice = "" if ok else f"the demo needs about {_LEAST_MEMORY // _GIB} GiB of memory"
    return Check("machine", ok, f"{cores} cores, {memory / _GIB:.1f} GiB memory", advice)


def _first_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip().split("\n")[0]) or "no message"
