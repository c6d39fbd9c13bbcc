"""Sweeps as they lie on disk, made up: no model is trained."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from reviosa.evaluation import RoleScore, write_scores
from reviosa.heads import HeadSelection
from reviosa.io import write_json, write_text

__all__ = [
    "write_run", "write_scored", "write_status", "write_sweep", "write_training", "write_trial",
]  # fmt: skip

CREATED = "2026-01-01T00:00:00+00:00"


def write_run(folder: Path, kind: str, status: str = "done", **fields) -> Path:
    """A run's header."""
    header = {"schema": 1, "kind": kind, "status": status, "created": CREATED, "seed": 0,
              "config": {}, "model": {"name": "nano"}, "error": None}  # fmt: skip
    write_json(folder / "run.json", header | fields)
    return folder


def write_scored(folder: Path, gain: float, status: str = "done", videos: int = 6) -> None:
    """An evaluation of two expressions a video, with a fixed draw plus ``gain``."""
    rng = np.random.default_rng(7)
    write_run(folder, "evaluate", status)
    scores = [
        RoleScore(f"v{video}", str(exp), role, "unidirectional", jf, jf, False)
        for video in range(videos)
        for exp in range(2)
        for role in ("actor", "target")
        for jf in (float(rng.uniform(0.3, 0.6)) + gain,)
    ]
    write_scores(folder / "scores.parquet", scores)


def write_training(
    folder: Path, pairs=(), steps=40, done=40, status="done", attention=True, error=None, noise=0
) -> Path:
    """A training of a model of 3 layers and 2 heads, logged every ten steps."""
    config = {"roles": "both", "steps": steps, "heads": [list(p) for p in pairs], "log_steps": 10,
              "batch_size": 4, "gradient_accumulation": 1}  # fmt: skip
    write_run(folder, "train", status, config=config, error=error)
    log = [
        {"step": step, "loss": 3.0 - step / 50 + noise / 20, "loss_text": 0.3, "loss_aml": 1.5,
         "learning_rate": 1e-4}
        for step in range(10, done + 1, 10)
    ]  # fmt: skip
    write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log))
    if attention:
        looks = []
        for step in range(0, done + 1, 20):
            for role in ("actor", "target"):
                # 0.1 layer + 0.01 head, and supervised pairs rise by step / 200.
                share = [[0.1 * i + 0.01 * j + step / 200 * ((i, j) in pairs) for j in (0, 1)]
                         for i in range(3)]  # fmt: skip
                looks.append({"step": step, "role": role, "mask_share": share})
        text = "".join(json.dumps(line) + "\n" for line in looks)
        write_text(folder / "attention.jsonl", text)
    return folder


def write_trial(runs: Path, name: str, gain=0.0, pairs=(), selection=True, noise=0) -> None:
    """A trial that is whole."""
    folder = runs / "trials" / name
    write_training(folder / "train", pairs, noise=noise)
    write_scored(folder / "evaluate", gain)
    if selection:
        write_scored(folder / "selection", gain, videos=5)
    if pairs:
        HeadSelection(pairs, "top-pairs", "lift", "capture-x").save(folder / "heads.json")


def write_sweep(runs: Path, name: str, arms: dict[str, str], seeds=(0, 1), **fields) -> Path:
    """The file of a sweep over trials named by arm and seed, the first arm its baseline."""
    trials = [{"id": f"{arm}{seed}", "arm": arm, "seed": seed} for seed in seeds for arm in arms]
    rules = fields.pop("rules", {})
    config = {"arms": {arm: {"set": {}, "heads": rules.get(arm)} for arm in arms}}
    value = {"schema": 1, "name": name, "baseline": next(iter(arms)), "arms": arms,
             "config": config, "trials": trials, "metrics": ["actor", "target", "rvos"],
             "choose": "rvos"}  # fmt: skip
    folder = runs / "sweeps" / name
    write_json(folder / "sweep.json", value | fields)
    return folder


def write_status(runs: Path, name: str, trials: dict[str, dict], pid=None, **fields) -> None:
    """The status file of a sweep; ``trials`` maps an id such as ``a0`` to what differs."""
    entries = [
        {"id": key, "arm": key[:-1], "seed": int(key[-1]), "status": "done", "steps": 40,
         "reason": "", "part": "", "step": None, "loss": None, "seconds": 0.0, "attempts": 1} | own
        for key, own in trials.items()
    ]  # fmt: skip
    value = {
        "schema": 1, "name": name, "began": CREATED,
        "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        "process": {"host": socket.gethostname(), "pid": os.getpid() if pid is None else pid},
        "doing": "", "counts": {}, "seconds_left": 90, "trials": entries,
    }  # fmt: skip
    write_json(runs / "sweeps" / name / "status.json", value | fields)
