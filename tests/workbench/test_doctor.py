"""What the doctor says of broken things; a healthy machine is the other tests."""

import json
from collections import namedtuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from workbench import doctor
from workbench.doctor import Check, Examination, examine


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """All that is slow or belongs to this machine replaced by what a good one gives."""
    monkeypatch.setattr(doctor, "_IMPORTS", {"numpy": "import numpy"})
    nano = tmp_path / "nano"
    nano.mkdir()
    monkeypatch.setattr(doctor, "_NANO", nano)
    save_file({"a": np.zeros(3)}, nano / "model.safetensors")
    return nano


def by_name(examination: Examination) -> dict[str, Check]:
    return {check.name: check for check in examination.checks}


def test_a_good_machine_passes(healthy, tmp_path):
    found = by_name(examine(tmp_path))
    assert {name for name, check in found.items() if not check.ok} == set()
    assert found["copies of torch"].found == "1"
    assert found["nano weights"].found.startswith("1 tensors")
    assert all(check.advice == "" for check in found.values())


def test_a_package_that_breaks_at_import_is_found(healthy, monkeypatch):
    broken = {
        "numpy": "raise RuntimeError('operator x does not exist')",
        "pandas": "import os; os.abort()",
        "no-such-package": "import no_such_package",
    }
    monkeypatch.setattr(doctor, "_IMPORTS", broken)
    found = by_name(examine())
    assert "RuntimeError: operator x does not exist" in found["numpy"].found
    assert "code -6" in found["pandas"].found  # SIGABRT
    assert found["no-such-package"].found == "missing"
    for name in broken:
        assert not found[name].ok
        assert found[name].advice == f"pip install -c constraints.txt {name}"


def test_missing_and_cut_weights_are_found(healthy):
    weights = healthy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    check = by_name(examine())["nano weights"]
    assert not check.ok and "git checkout" in check.advice
    weights.unlink()
    assert "missing" in by_name(examine())["nano weights"].found


def test_a_folder_that_cannot_be_written_is_found(healthy, monkeypatch, tmp_path):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    # Not by mode bits: a superuser may write anywhere.
    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    check = by_name(examine(tmp_path))["writing"]
    assert (check.ok, check.found) == (False, f"{tmp_path}: Permission denied")


def test_a_full_disk_is_found(healthy, monkeypatch):
    usage = namedtuple("usage", "total used free")(100, 99, 2**30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    check = by_name(examine())["free disk"]
    assert (check.ok, check.found) == (False, "1.0 GiB")


def test_a_second_torch_is_found(healthy, monkeypatch, tmp_path):
    for version in ("2.13.0", "2.15.0"):
        folder = tmp_path / f"torch-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    check = by_name(examine())["copies of torch"]
    assert not check.ok
    assert check.found.startswith("3 in ")
    assert "pip uninstall" in check.advice


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_is_the_verdict(cli, monkeypatch, ok, code):
    checks = (Check("python", True, "3.11"), Check("torch", ok, "2.13", "" if ok else "mend it"))
    monkeypatch.setattr(doctor, "examine", lambda: Examination(checks))
    result = cli("doctor", "--json")
    assert result.code == code
    assert json.loads(result.out) == {
        "ok": ok,
        "checks": [
            {"name": "python", "ok": True, "found": "3.11", "advice": ""},
            {"name": "torch", "ok": ok, "found": "2.13", "advice": "" if ok else "mend it"},
        ],
    }
    shown = cli("doctor")
    assert shown.code == code
    assert ("torch: mend it" in shown.out) is not ok
