"""Tables of the page of scale: items, captures, trials and sweeps, storage."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.models import PRESETS
from benchmarks.scaling.form import between_ends, ends, hours, size, table
from benchmarks.scaling.sums import (
    EVALUATION,
    PAPER_STEPS,
    TRAINING,
    VIDEOS_A_STEP,
    Cost,
    Items,
    Plan,
    Split,
    capture_parts,
    evaluation_time,
    halving_cost,
    in_waves,
    step_time,
    stored_bytes,
    total,
    trial_bytes,
    trial_time,
)
from reviosa import ReviosaConfig

__all__ = [
    "QUICK_STEPS",
    "Record",
    "captures_table",
    "items_table",
    "scored_plan",
    "storage_tables",
    "sweeps_tables",
]

Record = Mapping[str, Any]

GPUS = (1, 8, 64)
SELECTION_VIDEOS, QUICK_STEPS, SEARCHED = 100, PAPER_STEPS // 20, 100
SWEEPS: dict[str, int] = {"Table 3, 4 arms, one seed": 4, "Fig. 6c, 5 arms, 3 seeds": 15}

_SHOWN: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("vision tower, one frame alone", "encoders", ("tower_s", "1")),
    ("vision tower, one frame of eight", "encoders", ("tower_s", "8")),
    ("SAM2's encoder, one frame alone", "encoders", ("sam_s", "1")),
    ("SAM2's encoder, one frame of eight", "encoders", ("sam_s", "8")),
    ("language model reads the five frames of a video", "answer", ("opening_s",)),
    ("one answer", "answer", ("answer_s", "1")),
    ("eight answers together", "answer", ("answer_s", "8")),
    ("one expression recorded, all heads of both roles", "recording", ("recorded_s",)),
    ("the same with gradients", "recording", ("gradients_s",)),
    ("the pass over blank frames", "recording", ("blank_s",)),
    ("one frame tracked, two objects", "tracking", ("track_s", "2")),
    ("one frame tracked, eight objects", "tracking", ("track_s", "8")),
    ("processor: criteria of one role", "criteria", ("criteria_gradients_s",)),
    ("processor: one frame read", "frames", ("jpeg_s",)),
    ("processor: one frame squashed for SAM2", "frames", ("squash_sam_s",)),
    ("processor: J of one frame", "scoring", ("j_s", "video")),
    ("processor: F of one frame", "scoring", ("f_s", "video")),
    ("training: one micro-batch of two videos", "training", ("micro_s",)),
    ("training: the same without AML", "training", ("micro_plain_s",)),
    ("training: its frozen encoders", "training", ("encoders_s",)),
    ("training: its data, on the processor", "training", ("data_s",)),
    ("training: one update", "training", ("optimizer_s",)),
    ("imports of a process", "start", ("import_s",)),
    ("checkpoint from disk to GPU", "start", ("load_s",)),
)


def items_table(records: Mapping[str, Record]) -> str:
    """What was measured, and on what."""
    device = next(iter(records.values()))["device"]
    rows = []
    for name, part, keys in _SHOWN:
        cells = []
        for record in records.values():
            value: Any = record["items"][part]
            for key in keys:
                value = value[key]
            cells.append(f"{1000 * value:.3g}")
        rows.append([name, *cells])
    memory = [f"{r['items']['training']['peak_mib'] / 1024:.1f}" for r in records.values()]
    rows.append(["peak memory of training, GiB", *memory])
    return (
        f"## Costs of single items\n\n{device['name']}, {next(iter(records.values()))['cores']} "
        f"processor cores; torch {device['torch']}, transformers {device['transformers']}. "
        "Measured, in milliseconds; all of them are in [benchmarks.md](benchmarks.md).\n\n"
        + table(["", *(s.upper() for s in records)], rows)
    )


def captures_table(records: Mapping[str, Record]) -> str:
    """Captures of both splits."""
    rows = []
    for shape, record in records.items():
        items: Items = record["items"]
        for name, split in (("evaluation", EVALUATION), ("training", TRAINING)):
            for kind, gradients in (("all criteria", True), ("without gradients", False)):

                def held(s: Split, i: Items = items, g: bool = gradients) -> float:
                    return total(capture_parts(i, s, g)).total

                def wall(gpus: int, held: Any = held) -> Callable[[Split], float]:
                    return lambda s: in_waves(s.videos, gpus, held(s) / s.videos).wall_s

                walls = [ends(split, wall(gpus), hours) for gpus in GPUS]
                rows.append([shape.upper(), name, kind, ends(split, held, hours), *walls])
    head = ["", "split", "", "GPU-hours", *(f"hours on {gpus}" for gpus in GPUS)]
    return "## Captures\n\nComputed.\n\n" + table(head, rows)


def sweeps_tables(records: Mapping[str, Record]) -> str:
    """A trial in its parts, and the three sweeps in whole waves."""
    rows, trials = [], []
    for shape, record in records.items():
        items: Items = record["items"]
        for length, steps in (("paper", PAPER_STEPS), ("quick", QUICK_STEPS)):
            training = step_time(items, VIDEOS_A_STEP).total * steps

            def whole(frames: int, i: Items = items, n: int = steps) -> float:
                return trial_time(i, scored_plan(n, frames)).total

            def report(frames: int, i: Items = items) -> float:
                return evaluation_time(i, replace(EVALUATION, frames=frames)).total

            trials.append(
                [
                    shape.upper(),
                    length,
                    f"{steps:,}",
                    hours(training),
                    between_ends(report),
                    between_ends(whole),
                ]
            )
            costs: dict[str, Callable[[int, int], Cost]] = {
                name: lambda f, g, n=count, whole=whole: in_waves(n, g, whole(f))
                for name, count in SWEEPS.items()
            }
            costs[f"a search of {SEARCHED} trials, halved twice"] = lambda f, g, i=items, n=steps: (
                halving_cost(i, scored_plan(n, f), SEARCHED, g)
            )
            for name, cost in costs.items():
                walls = [between_ends(lambda f, g=g, c=cost: c(f, g).wall_s) for g in GPUS]
                held = between_ends(lambda f, c=cost: c(f, 1).gpu_s)
                rows.append([shape.upper(), name, length, held, *walls])
    head = ["", "sweep", "trials", "GPU-hours", *(f"hours on {gpus}" for gpus in GPUS)]
    return (
        "## Trials and sweeps\n\nComputed. A trial on one GPU, in hours; the paper's own training "
        "took 12 hours on four RTX 3090 (1B) and 16 on four A6000 (4B):\n\n"
        + table(["", "", "steps", "training", "report split scored", "trial"], trials)
        + "\n"
        + table(head, rows)
    )


def storage_tables(records: Mapping[str, Record]) -> str:
    """What captures and trials keep, and features of frames."""
    rows, trial_rows = [], []
    for shape, record in records.items():
        config = ReviosaConfig(**PRESETS[shape]())
        items: Items = record["items"]
        for name, split in (("evaluation", EVALUATION), ("training", TRAINING)):

            def kept(kind: str, s: Split, i: Items = items, c: Any = config) -> float:
                return stored_bytes(i, s, c.num_layers, c.num_heads, c.grid)[kind]

            kinds = stored_bytes(items, split, config.num_layers, config.num_heads, config.grid)
            cells = [ends(split, lambda s, k=k, f=kept: f(k, s), size) for k in kinds]
            rows.append([shape.upper(), name, *cells])
        encoders, trial = items["encoders"], trial_bytes(items)
        trial_rows.append(
            [shape.upper(), *(size(value) for value in trial.values()),
             size(encoders["tower_bytes"]), size(encoders["sam_bytes"])]
        )  # fmt: skip
    kinds = ["scalars", "maps of four pairs", "maps of all pairs", "predictions"]
    return (
        "## Storage\n\nComputed from measured bytes a role. Scalars are all criteria of all heads "
        "and the table of samples, compressed; maps are fp16 and uncompressed; predictions are "
        "masks of all frames, and real masks pack less well than these synthetic ones.\n\n"
        + table(["", "capture of the split", *kinds], rows)
        + "\nA trial keeps its model, and two checkpoints of what trains until it has ended. "
        "Features are what the frozen encoders make of one frame.\n\n"
        + table(
            ["", "model", "two checkpoints", "feature of the tower", "feature of SAM2"], trial_rows
        )
    )


def scored_plan(steps: int, frames: int) -> Plan:
    """A trial of so many steps, scored to select and to report, of clips of so many frames."""
    report = replace(EVALUATION, frames=frames)
    return Plan(steps, VIDEOS_A_STEP, report.of(SELECTION_VIDEOS), report)
