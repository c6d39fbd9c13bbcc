"""Run one stage of the nano recipe: optimise, report, save, resume."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.errors import CheckpointError
from reviosa.io import atomic_path, write_json
from reviosa.model import ReviosaConfig, ReviosaModel, ReviosaProcessor, model_identity
from reviosa.model.nano_tokenizer import nano_tokenizer
from reviosa.training.nano.bind import BindStage
from reviosa.training.nano.clips import load_clips
from reviosa.training.nano.optimizer import (
    bf16_is_fast,
    build_optimizers,
    restore,
    set_rate,
    state_of,
)
from reviosa.training.nano.read import ReadStage
from reviosa.training.nano.see import SeeStage
from reviosa.training.nano.segment import SegmentStage
from reviosa.training.nano.watch import WatchStage

__all__ = ["STAGES", "run_stage"]

STAGES = {
    "see": SeeStage,
    "segment": SegmentStage,
    "watch": WatchStage,
    "read": ReadStage,
    "bind": BindStage,
}


def run_stage(
    name: str,
    data: Path,
    out: Path,
    steps: int,
    seed: int = 0,
    start_from: tuple[Path, ...] = (),
    report_every: int = 50,
    save_every: int = 250,
    report: Callable[[str], None] = print,
) -> Path:
    """Train one stage and write its model and scores to ``out/<name>``; go on where it stopped.

    Args:
        name: one of :data:`STAGES`.
        data: synthetic data set to learn from.
        out: folder of the whole recipe.
        steps: optimiser steps of this stage.
        seed: fixes weights and draws.
        start_from: folders of stages whose weights this one starts from.
        report_every: steps between two lines of scores.
        save_every: steps between two saves; a stopped stage goes on from the last one.
        report: where the lines go.

    Raises:
        CheckpointError: the folder of an earlier stage is missing, or the one of this stage was
            begun with other data, steps, seed, rate or starting weights.
        DataError: ``data`` is no synthetic set.
    """
    torch.manual_seed(seed)
    config = ReviosaConfig.preset("nano")
    processor = ReviosaProcessor.for_config(config, nano_tokenizer())
    model = ReviosaModel(config)
    stage = STAGES[name](model, processor)
    for folder in start_from:
        _load(stage, model, folder)
    dataset = InterRVOSDataset(data)
    bank = load_clips(dataset, out / "clips")

    trained = [p for p in stage.parameters() if p.requires_grad]
    optimizers = build_optimizers(stage, stage.learning_rate)
    warmup = min(200, steps // 10 + 1)
    cast = torch.autocast("cpu", torch.bfloat16, enabled=stage.autocast and bf16_is_fast())

    folder = out / name
    state_path = folder / "state.pt"
    begun, history, spent = 0, [], 0.0
    what = {
        "stage": name,
        "steps": steps,
        "seed": seed,
        "data": dataset.identity,
        "learning_rate": stage.learning_rate,
        "batch_size": stage.batch_size,
        "start_from": [model_identity(x) for x in start_from],
    }
    if state_path.is_file():
        state = torch.load(state_path, weights_only=True)
        _require_same(state_path, state.get("what", {}), what)
        begun, history, spent = state["step"], state["history"], state["seconds"]
        stage.load_state_dict(state["stage"])
        restore(optimizers, state["optimizers"])
    if isinstance(stage, ReadStage):
        stage.open(dataset, bank)
    model.train()
    sums: dict[str, list[float]] = {}
    clock = time.monotonic() - spent
    for step in range(begun, steps):
        # Warm up, stay, and fall to nothing over the second half.
        share = min(1.0, (step + 1) / warmup, 2 * (steps - step) / steps)
        set_rate(optimizers, share * stage.learning_rate)
        with cast:
            loss, scores = stage.loss(bank, np.random.default_rng([seed, step]))
        stage.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        for key, value in {"loss": loss.detach(), **scores}.items():
            # A batch may hold nothing that a score speaks of, such as a target.
            if not math.isnan(number := float(value)):
                sums.setdefault(key, []).append(number)
        last = step + 1 == steps
        if (step + 1) % report_every == 0 or last:
            means = {k: round(sum(v) / len(v), 4) for k, v in sums.items()}
            history.append({"step": step + 1, "seconds": round(time.monotonic() - clock), **means})
            report(f"{name} {json.dumps(history[-1])}")
            sums.clear()
        if (step + 1) % save_every == 0 or last:
            with atomic_path(state_path) as temporary:
                torch.save(
                    {
                        "what": what,
                        "step": step + 1,
                        "seconds": time.monotonic() - clock,
                        "history": history,
                        "stage": stage.state_dict(),
                        "optimizers": state_of(optimizers),
                    },
                    temporary,
                )
    _save(stage, model, processor, folder)
    write_json(folder / "scores.json", {**what, "history": history})
    return folder


def _require_same(path: Path, got: dict[str, Any], expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if got.get(key) != value:
            raise CheckpointError(
                f"{path}: got a stage of {key} {got.get(key)!r}, expected {value!r}; remove its "
                "folder to train it anew, or go on with what it was begun with"
            )


def _save(stage: torch.nn.Module, model: ReviosaModel, processor: object, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, temporary)
    heads = ("names.", "cells.", "point.", "watch.")
    for file, prefix in (("concepts", "encoder."), ("heads", heads)):
        extra = {k: v for k, v in stage.state_dict().items() if k.startswith(prefix)}
        if extra:
            with atomic_path(folder / f"{file}.safetensors") as temporary:
                save_file(extra, temporary)
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)


def _load(stage: torch.nn.Module, model: ReviosaModel, folder: Path) -> None:
    """Take over the parts that an earlier stage trained."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; run stage {folder.name!r} first")
    tensors = load_file(path)
    if folder.name == "segment":
        tensors = {k: v for k, v in tensors.items() if k.startswith("sam2.")}
    else:
        tensors = {k: v for k, v in tensors.items() if not k.startswith("sam2.")}
    model.load_state_dict(tensors, strict=False)
    heads = folder / "heads.safetensors"
    if heads.is_file() and isinstance(stage, ReadStage):
        stage.load_state_dict(load_file(heads), strict=False)
    concepts = folder / "concepts.safetensors"
    if concepts.is_file() and isinstance(stage, ReadStage):
        found = load_file(concepts)
        stage.concepts.load_state_dict({k.removeprefix("encoder."): v for k, v in found.items()})
