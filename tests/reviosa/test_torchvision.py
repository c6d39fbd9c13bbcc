"""The guard in front of torchvision, each case in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

# A wheel built for another torch: it asks for its operator while it is imported, and lacks it.
MISMATCHED = """
import torch
from . import extension
for name in ("nms", "qnms"):
    torch.library.register_fake(f"torchvision::{name}", lambda dets, scores, iou_threshold: dets)
__version__ = "0.0.1+cu999"
"""
HEALTHY = """
from . import extension
__version__ = "0.0.1"
"""
BROKEN = "raise OSError('libcudart.so.99: cannot open shared object file')"


def run(program: str, path: Path | None = None) -> str:
    lines = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines + program],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def wheel(folder: Path, text: str, has_ops: bool = False) -> Path:
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(text)
    (package / "extension.py").write_text(f"def _has_ops():\n    return {has_ops}\n")
    return folder


HEALTH = (
    "from reviosa._torchvision import torchvision_health as h; r = h();"
    "print(r.status, r.version, r.detail)"
)


def test_a_mismatched_wheel_is_made_to_import(tmp_path):
    path = wheel(tmp_path, MISMATCHED)
    with pytest.raises(AssertionError, match="nms"):
        run("import torchvision", path)  # what happens without the guard
    assert run("import reviosa, torchvision; print(torchvision.__version__)", path) == "0.0.1+cu999"
    assert run(HEALTH, path) == (
        "shimmed 0.0.1+cu999 shimmed: wheel does not match this torch; "
        "operators nms missing, harmless here"
    )


def test_a_healthy_wheel_is_left_alone(tmp_path):
    path = wheel(tmp_path, HEALTHY, has_ops=True)
    assert run(HEALTH, path) == "healthy 0.0.1 healthy"
    # No operator was declared: torch does not know one of that name.
    program = (
        "import reviosa, torch, torchvision, reviosa._torchvision as guard;"
        "print(guard._library, hasattr(torch.ops.torchvision, 'qnms'))"
    )
    assert run(program, path) == "None False"


def test_any_other_failure_is_not_hidden(tmp_path):
    path = wheel(tmp_path, BROKEN)
    program = "import reviosa\ntry: import torchvision\nexcept OSError as e: print(e)"
    assert run(program, path) == "libcudart.so.99: cannot open shared object file"
    assert run(HEALTH, path).startswith("broken None cannot be imported: OSError: libcudart")


def test_it_is_placed_once_and_loads_nothing():
    program = (
        "import sys; from reviosa._torchvision import guard_torchvision as g; g(); g();"
        "found = sum('Torchvision' in type(f).__name__ for f in sys.meta_path);"
        "print(found, 'torch' in sys.modules)"
    )
    assert run(program) == "1 False"


@pytest.mark.parametrize(
    "statement",
    [
        "from transformers import InternVLForConditionalGeneration, Qwen2ForCausalLM, Trainer",
        "from transformers import AutoImageProcessor, AutoProcessor, Sam2VideoModel",
        "from peft import LoraConfig, get_peft_model",
        "from sam2.build_sam import build_sam2_video_predictor",
        "from transformer_lens.model_bridge import TransformerBridge",
    ],
)
def test_the_installed_stack_imports(statement):
    # Each of these fails on a CPU torch beside a CUDA torchvision if the guard is not there.
    subprocess.run([sys.executable, "-c", f"import reviosa; {statement}"], check=True, cwd=ROOT)
