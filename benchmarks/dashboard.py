"""The dashboard on a large capture: how long its pages take, and what they need in memory.

Each page runs in a process of its own, through Streamlit's script runner, as its server runs it.
Server time of a view is that of the whole script and of packing its messages for the browser.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.big_run import BIG, write_big_run
from benchmarks.memory import peak_mib

__all__ = ["measure"]

_ROOT = Path(__file__).parent.parent
_APP = _ROOT / "streamlit_app.py"
OPENED = "another run beside it"


def measure(rounds: int = 3) -> dict[str, Any]:
    """Write a large capture, analyse it, and open every page on it.

    Returns:
        ``seconds`` of writing and analysing; ``views``: one record a page and click, with its
        slowest seconds, the MiB sent to the browser and the shards of maps that were opened;
        ``peak_mib`` of each process.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = write_big_run(Path(folder))
        seconds = {"write the capture": time.perf_counter() - start}
        found = _child("analyse", run)
        seconds |= found["seconds"]
        # The same numbers, but for the pages a run that they know nothing of.
        shutil.copytree(run, run.with_name("other"), copy_function=os.link)
        views, peak = [], {"analyse": found["peak_mib"]}
        for page in _CLICKS:
            found = _child(page, run, rounds)
            views += found["views"]
            peak[page] = found["peak_mib"]
    return {
        "sample_roles": 2 * BIG.expressions, "pairs": BIG.layers * BIG.heads,
        "criteria": found["criteria"], "parts": BIG.chunks, "seconds": seconds, "views": views,
        "peak_mib": peak,
    }  # fmt: skip


def _child(what: str, run: Path, rounds: int = 1) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.dashboard", what, str(run), str(rounds)]
    return json.loads(subprocess.check_output(command, cwd=_ROOT, text=True).splitlines()[-1])


def _analyse(run: Path) -> dict[str, Any]:
    from probes.analysis import analyse
    from probes.results import AnalysisResults
    from probes.store import CaptureStore

    seconds = {}
    start = time.perf_counter()
    results = analyse(CaptureStore(run))
    seconds["analyse it"] = time.perf_counter() - start
    results.save(run / "analysis.json")
    start = time.perf_counter()
    AnalysisResults.load(run / "analysis.json")
    seconds["read the analysis"] = time.perf_counter() - start
    return {"seconds": seconds}


def _page(page: str, run: Path, rounds: int) -> dict[str, Any]:
    session = _Session(run.parent, page)
    views = [{"page": page, "view": "first page", **session.run()}]
    views += [_clicked(session, page, *named, rounds) for named in _CLICKS[page].items()]
    if page in _BESIDE:
        open_other, clicks = _BESIDE[page]
        views.append(_clicked(session, page, OPENED, open_other, 1))
        views += [_clicked(session, page, *named, rounds) for named in clicks.items()]
    criteria = len(session.results().rankings)
    return {"views": views, "criteria": criteria}


def _clicked(
    session: "_Session", page: str, name: str, click: "Click", rounds: int
) -> dict[str, Any]:
    """The slowest counts: what was shown before is kept by the server, and a role comes back."""
    runs = []
    for turn in range(rounds):
        click(session.app, turn)
        runs.append(session.run())
    return {"page": page, "view": name, **max(runs, key=lambda found: found["seconds"])}


class _Session:
    """A browser's session with the server, without the browser."""

    def __init__(self, runs: Path, page: str) -> None:
        from streamlit.testing.v1 import AppTest
        from streamlit.testing.v1.local_script_runner import LocalScriptRunner

        import probes.store

        sys.argv = [str(_APP), str(runs)]
        self.runs, self.spent, self.messages = runs, 0.0, []
        self.opened: set[str] = set()
        session = self

        class Runner(LocalScriptRunner):
            def _run_script(self, rerun_data: Any) -> None:
                start = time.perf_counter()
                super()._run_script(rerun_data)
                session.spent += time.perf_counter() - start
                session.messages = self.forward_msgs()

        import streamlit.testing.v1.app_test as app_test

        app_test.LocalScriptRunner = Runner  # pyright: ignore[reportPrivateImportUsage]
        open_file = probes.store.safe_open

        def counted(path: Any, **options: Any) -> Any:
            self.opened.add(str(path))
            return open_file(path, **options)

        probes.store.safe_open = counted  # pyright: ignore[reportPrivateImportUsage]
        self.app = AppTest.from_file(str(_APP), default_timeout=600)
        self.app.switch_page(f"workbench/pages/{page}.py")

    def run(self) -> dict[str, Any]:
        """Run the script once: seconds, those of processors, MiB sent, shards opened."""
        self.spent, before, worked = 0.0, len(self.opened), time.process_time()
        self.app.run()
        if self.app.exception:
            raise RuntimeError(self.app.exception[0].message)
        start = time.perf_counter()
        sent = sum(len(message.SerializeToString()) for message in self.messages)
        self.spent += time.perf_counter() - start
        return {
            "seconds": self.spent, "processor_s": time.process_time() - worked,
            "sent_mib": sent / 2**20, "shards": len(self.opened) - before,
        }  # fmt: skip

    def results(self) -> Any:
        from workbench.pages._data import fingerprint, results_of

        return results_of(self.runs / "big", fingerprint(self.runs / "big"))


Click = Callable[[Any, int], None]


def _state(key: str, *values: Any) -> Click:
    def click(app: Any, turn: int) -> None:
        app.session_state[key] = values[turn % len(values)]

    return click


def _pair(app: Any, turn: int) -> None:
    app.session_state["layer"], app.session_state["head"] = 3 + turn, 2 + turn


def _sample(app: Any, turn: int, first: int = 117) -> None:
    # Of several videos; of the third maps were kept, so that what is clicked next draws them.
    app.session_state["sample"] = f"video{first + turn:04d}/{turn}"


def _sample_beside(app: Any, turn: int) -> None:
    app.session_state["beside"] = "run"
    _sample(app, turn, 197)


_CLICKS: dict[str, dict[str, Click]] = {
    "runs": {"order": _state("run_order", "name", "rvos", "seconds")},
    "layers": {
        "role": _state("layers_role", "actor", "target", "both"),
        "layer": _state("at_layer", 3, 12, 20),
        "criterion": _state("by_layer", "auroc", "lift", "soft_iou"),
    },
    "heads": {
        "criterion": _state("criterion", "mask_share", "auroc", "lift", "soft_iou", "pointing"),
        "role": _state("heads_role", "actor", "target", "both"),
        "pair": _pair,
        "outlined pairs": _state("overlay", ["published 1B"], [], ["published 1B"]),
        "gathered pairs": _state("gathered", ["L03H02"], ["L03H02", "L12H01"], []),
    },
    "accuracy": {
        "role": _state("accuracy_role", "target", "actor", "target"),
        "criterion": _state("measure", "auroc", "lift", "soft_iou"),
        "all heads, a layer, a pair": _state("of", "layer", "pair", "all"),
        "pair": _pair,
    },
    "samples": {
        "next sample": _sample,
        "order": _state("order", "best", "share", "video"),
        "filter": _state("words", "dog", "red", "ball"),
        "role": _state("role", "target", "actor", "target"),
        "size of the object": _state("area", (0, 20), (5, 30), (10, 90)),
        "frame": _state("frame", "0", "8", "4"),
        "opacity": _state("opacity", 0.5, 0.25, 1.0),
        "side by side": _state("beside", "pair", "role", "pair"),
    },
    "causes": {},
}
"""What is clicked on each page, by name."""

_BESIDE: dict[str, tuple[Click, dict[str, Click]]] = {
    "layers": (
        _state("against", "other"),
        {
            "criterion, of both runs": _state("by_layer", "pointing", "role_contrast", "auroc"),
            "role, of both runs": _state("layers_role", "actor", "target", "both"),
        },
    ),
    "samples": (
        _state("second", "other"),
        {
            "next sample, of both runs": _sample_beside,
            "order, of both runs": _state("order", "runs", "best", "roles"),
        },
    ),
}
"""What opens another run of the same size beside the first, and what is clicked then."""


if __name__ == "__main__":
    what, folder, count = sys.argv[1:]
    answer = _analyse(Path(folder)) if what == "analyse" else _page(what, Path(folder), int(count))
    answer["peak_mib"] = peak_mib()
    print(json.dumps(answer))
