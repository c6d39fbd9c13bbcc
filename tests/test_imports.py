"""Imports go one way, every module can be imported, and heavy ones wait until they are needed."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("reviosa", "probes", "reports", "workbench", "streamlit_app")
"""Each may import itself and those before it."""


def modules(room: str) -> list[Path]:
    if room == "streamlit_app":
        return [ROOT / "streamlit_app.py"]
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of all imports in a file, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            names |= {arg.value.split(".")[0] for arg in node.args if isinstance(arg, ast.Constant)}
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room):
    above = set(ROOMS[ROOMS.index(room) + 1 :]) | {"tests"}
    files = modules(room)
    assert files
    wrong = {str(path.relative_to(ROOT)): sorted(imported(path) & above) for path in files}
    assert {path: names for path, names in wrong.items() if names} == {}


def names_of(room: str) -> list[str]:
    if room == "streamlit_app":
        return []  # runs the app when imported
    paths = (path.relative_to(ROOT).with_suffix("") for path in modules(room))
    return [".".join(p.parts[:-1] if p.name == "__init__" else p.parts) for p in paths]


@pytest.mark.parametrize("name", [name for room in ROOMS for name in names_of(room)])
def test_every_module_imports(name):
    # A page runs when it is imported; the dashboard's own tests do that.
    if name.startswith("workbench.pages.") and not name.rsplit(".", 1)[1].startswith("_"):
        compile((ROOT / (name.replace(".", "/") + ".py")).read_text(encoding="utf-8"), name, "exec")
        return
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ names {public}, which it does not have"


# A sweep's answer is made beside its trials, which want the memory.
@pytest.mark.parametrize(
    "package", ["reviosa", "probes", "reports", "workbench", "workbench.sweeps.answer"]
)
def test_a_package_costs_nothing_until_it_is_used(package):
    program = (
        f"import sys, {package}\n"
        "heavy = sorted({'torch', 'transformers', 'streamlit'} & set(sys.modules))\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, f"import {package} loads {result.stderr}"


def test_every_package_says_what_it_is():
    for room in ROOMS[:-1]:
        for path in modules(room):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"


def test_pages_that_only_read_open_without_torch():
    """Loading it takes seconds, before anything is shown."""
    names = [
        f"workbench.pages.{path.stem}"
        for path in sorted((ROOT / "workbench" / "pages").glob("_*.py"))
        if "try" not in path.stem and "trial" not in path.stem and path.stem != "__init__"
    ]
    code = "import sys\n" + "".join(
        f"import {name}\nassert 'torch' not in sys.modules, '{name} loads torch'\n"
        for name in names
    )
    assert len(names) > 5
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
