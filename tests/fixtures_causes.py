"""A made-up run of ablations over the made-up capture: one pair matters, all others do nothing."""

import json
from pathlib import Path

from probes.causal import (
    keep_ablations,
    layer_ablations,
    set_ablations,
    single_ablations,
    subset_ablations,
)
from probes.causal.effects import append_effects, plan_to_json
from reviosa.run_record import open_run
from tests.fixtures_capture import HEADS, KEPT, LAYERS, LOOKING

__all__ = ["COST", "MODEL", "WHOLE", "make_ablation", "name_model"]

WHOLE, COST = 0.8, 0.3
"""Score of every expression, and what it loses where the looking pair is silenced."""
MODEL = "planted-model"


def name_model(capture: Path, identity: str = MODEL) -> None:
    """Give a made-up capture the identity of its model."""
    path = capture / "run.json"
    header = json.loads(path.read_text())
    header["model"]["identity"] = identity
    path.write_text(json.dumps(header))


def make_ablation(directory: Path, dataset, kind: str = "mean", subsets: int = 0) -> Path:
    """Every pair, every layer, the kept pairs as a set with controls, and random subsets."""
    shape = (LAYERS, HEADS)
    pairs = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
    plan = [*single_ablations(pairs), *layer_ablations(shape)]
    plan += [*set_ablations(KEPT, shape, 3), *keep_ablations(KEPT, shape, 3)]
    plan += subset_ablations(shape, subsets) if subsets else []
    settings = {
        "kind": kind, "ablations": plan_to_json(plan), "samples": len(dataset.samples),
        "shape": list(shape),
        "chosen_by": {"strategy": "manual", "criterion": "mask_share", "data": dataset.identity},
    }  # fmt: skip
    change = COST if kind == "role-swap" else -COST
    scores = [WHOLE, *(WHOLE + change * bool(a.silenced(shape)[LOOKING]) for a in plan)]
    model = {"name": "planted", "identity": MODEL}
    data = {"path": str(dataset.root), "identity": dataset.identity}
    with open_run(directory, "ablate", settings, 0, data, model):
        for sample in dataset.samples:
            expression = sample.expression
            roles = ("actor", "target") if expression.is_interaction else ("actor",)
            append_effects(
                directory, expression.sample_id, expression.video_id, expression.is_interaction,
                dict.fromkeys(roles, scores),
            )  # fmt: skip
    return directory
