"""Run the benchmarks and write ``docs/benchmarks.json`` and the pages made from it.

``python -m benchmarks role-rows --shape 1b --layers 4`` measures one part; every part that was ever
measured stays in the file, by device and shape, until it is measured again.
"""

import argparse
import importlib
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.report import write_table
from benchmarks.scaling import write_page
from reviosa.io import write_json

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "benchmarks.json"
_MODULES = {
    "role-rows": "role_rows",
    "aml-step": "aml_step",
    "inference": "inference",
    "memory": "inference",
    "statistics": "statistics",
    "scaling": "items",
    "sweep-cache": "sweep_cache",
    "dashboard": "dashboard",
    "opening": "opening",
    "scoring": "scoring",
}
"""Where each part is measured."""


def main() -> None:
    """Measure what the command line names and write the table anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = [
        "role-rows",
        "aml-step",
        "inference",
        "memory",
        "statistics",
        "scaling",
        "sweep-cache",
        "dashboard",
        "opening",
        "scoring",
        "table",
    ]
    parser.add_argument("part", choices=parts)
    parser.add_argument("--shape", choices=["nano", "1b", "4b"], help="1b if not given")
    parser.add_argument("--layers", type=int, help="layers of the language model; all if not given")
    parser.add_argument("--frames", type=int, default=4, help="frames the language model sees")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    if asked.part in ("inference", "memory") and (asked.shape or asked.layers):
        parser.error(f"{asked.part} is measured on the trained nano model; leave out the shape")
    asked.shape = asked.shape or "1b"
    results: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    if asked.part != "table":
        record = {"device": _device(), "part": asked.part, **_measure(asked)}
        key = ("device", "part", "shape", "layers")
        same = [r for r in results if all(r.get(k) == record.get(k) for k in key)]
        results = [r for r in results if r not in same] + [record]
        write_json(RESULTS, results)
    write_table(results, DOCS / "benchmarks.md")
    write_page(results, DOCS / "scaling.md")


def _measure(asked: argparse.Namespace) -> dict[str, Any]:
    # Here, so that a part needs its own packages alone: on a borrowed GPU not all are there.
    part = importlib.import_module(f"benchmarks.{_MODULES[asked.part]}")
    if asked.part in ("statistics", "dashboard"):
        return {"shape": "1b", "layers": None, **part.measure()}
    if asked.part == "opening":
        return {"shape": "data", "layers": None, **part.measure()}
    if asked.part == "scoring":
        return {"shape": "masks", "layers": None, **part.measure(asked.rounds)}
    if asked.part == "memory":
        return {"shape": "nano", "layers": None, "peak_mib": part.memory()}
    if asked.part == "scaling":
        found = part.measure(asked.shape, asked.layers)
        return {"shape": asked.shape, "layers": asked.layers, **found}
    if asked.part == "inference":
        found = {"shape": "nano", "layers": None, **part.measure(asked.rounds)}
    else:
        found = part.measure(asked.shape, asked.layers, asked.frames, asked.rounds)
        found |= {"shape": asked.shape, "layers": asked.layers, "frames": asked.frames}
    found["costs"] = {name: asdict(cost) for name, cost in found["costs"].items()}
    return {**found, "rounds": asked.rounds}


def _device() -> dict[str, str]:
    name = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{_processor()}, {torch.get_num_threads()} threads of {os.cpu_count()} cores"
    )
    return {"name": name, "torch": torch.__version__, "transformers": transformers.__version__}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
