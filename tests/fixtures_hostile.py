"""A folder of runs in which every name and text is one that a careless page would run or format."""

import json
import shutil
from pathlib import Path

from reviosa.data import InterRVOSDataset
from reviosa.heads import HeadSelection
from tests.fixtures_capture import make_capture, make_dataset
from tests.fixtures_review import make_annotation
from tests.fixtures_sweep_runs import write_run, write_status, write_sweep, write_trial

__all__ = ["EVIL", "EVIL_NAME", "make_hostile", "unescaped"]

EVIL_NAME = "<img src=x onerror=alert(1)> **b** [l](k) $x^2$ :red[r] `c`"
"""For files and folders, in which no slash can be."""
EVIL = f"</script>{EVIL_NAME} <b>bold</b>"
"""For expressions, answers, models and errors."""

_SIGNS = ("<img", "</script", "<b>", "**b", "[l](k", "$x^", ":red[", "`c")
"""Beginnings that only show as they are with a backslash in front."""


def unescaped(markdown: str) -> list[str]:
    """What of the hostile text stands in ``markdown`` so that it would not show as it is."""
    bare = markdown
    for sign in "\\`*_{}[]()<>#+-.!|$:~&^=":
        bare = bare.replace(f"\\{sign}", "\0")
    return [sign for sign in _SIGNS if sign in bare]


def make_hostile(folder: Path) -> Path:
    """Write ``folder/runs``: capture, its data, a failed run, annotation, sweep, heads file."""
    plain = make_dataset(folder / "data", videos=2)
    old = plain.videos[0].video_id
    root = folder / "data"
    meta = json.loads((root / "meta_expressions.json").read_text())
    meta["videos"][EVIL_NAME] = meta["videos"].pop(old)
    for video in meta["videos"].values():
        for expression in video["expressions"].values():
            expression["exp"] = EVIL
    (root / "meta_expressions.json").write_text(json.dumps(meta))
    (root / "JPEGImages" / old).rename(root / "JPEGImages" / EVIL_NAME)
    (root / "world.json").unlink()
    runs = folder / "runs"
    run = make_capture(runs / EVIL_NAME, InterRVOSDataset(root))
    _change(run, model={"name": EVIL, "identity": EVIL, "supervised_pairs": [[2, 1]]})
    failed = shutil.copytree(run, runs / f"failed {EVIL_NAME}")
    _change(failed, status="failed", error=f"RuntimeError: {EVIL}", created="2020-01-01")
    write_run(runs / f"train {EVIL_NAME}", "train", "failed", error=EVIL, model={"name": EVIL})
    make_annotation(runs / f"annotate {EVIL_NAME}", InterRVOSDataset(root), EVIL, EVIL)
    for seed in (0, 1):
        write_trial(runs, f"a{seed}", noise=seed)
        write_trial(runs, f"b{seed}", 0.1, ((2, 1),), noise=seed)
    write_sweep(runs, EVIL_NAME, {"a": EVIL, "b": f"second {EVIL}"})
    write_status(runs, EVIL_NAME, dict.fromkeys(("a0", "b0", "a1", "b1"), {}), seconds_left=None)
    (runs / "selections").mkdir()
    HeadSelection(((2, 1),), "manual", EVIL, EVIL, EVIL).save(
        runs / "selections" / f"{EVIL_NAME}.json"
    )
    return runs


def _change(run: Path, **fields) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
