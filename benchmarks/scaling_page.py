"""``docs/scaling.md``: what captures, trials and sweeps cost at the published sizes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.models import PRESETS
from benchmarks.scale import (
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
    feature_bytes,
    halving_cost,
    in_waves,
    step_time,
    stored_bytes,
    total,
    trial_bytes,
    trial_time,
    worthwhile_mib_s,
)
from reviosa import ReviosaConfig
from reviosa.io import write_text

__all__ = ["write_page"]

Record = Mapping[str, Any]

SHORTEST, LONGEST = 200, 500
"""Frames of a clip that the release's annotation pipeline lets through (REVIOSA.md 5)."""
GPUS = (1, 8, 64)
SELECTION_VIDEOS, QUICK_STEPS, SEARCHED = 100, PAPER_STEPS // 20, 100
SWEEPS: dict[str, int] = {"Table 3, 4 arms, one seed": 4, "Fig. 6c, 5 arms, 3 seeds": 15}

_HEAD = """# Scale

Made by `python -m benchmarks table` from `docs/benchmarks.json`; do not edit. What captures,
trials and sweeps take at the published sizes, on 1, 8 and 64 GPUs.

* **Measured**: the cost of single items: a frame encoded, an answer, an expression recorded, a
  frame tracked, a micro-batch, bytes of a store. Weights are random, of the published shapes,
  which speed does not depend on; videos are synthetic, of 854 x 480 pixels.
* **From the paper and its release**: 738 videos with 5,048 expressions for evaluation, 8,000
  with 122,188 for training; 17,604 of all 127,236 expressions have a target, and so many of each
  split are taken to; ten epochs of 8,000 videos, 32 a step, are 2,500 steps; four frames and
  five expressions a video, five frames shown when asked. How long the clips are is not
  published: the release's pipeline lets through 200 to 500 frames, so every figure stands for
  both ends.
* **Computed** from the two: all tables below the first, by `benchmarks/scale.py`.

No run of this size was made here.
"""
_FORMULAE = """## How it is worked out

* A **video** is its frames, read, squashed and encoded for SAM2 one by one; the frames shown,
  encoded by the vision tower and read by the language model once; its expressions, answered in
  batches of 16; every frame tracked for all objects side by side (one an expression, two where
  it has a target), masks packed.
* A **capture** adds to that, for each expression, the pass over blank frames and the recorded
  pass with its gradients, and for each role its criteria; and J and F of every mask. It is
  written in chunks of 32 expressions, and a video that lies in two of them is encoded and tracked
  twice.
* An **evaluation** adds the pass over the answers instead, and J and F.
* A **step** is 32 videos in micro-batches of two (forward and backward pass, LoRA of rank 128,
  gradient checkpointing, AML on four pairs), and one update. Parameters and optimiser are in
  fp32, the passes in bf16.
* A **trial** is its steps, an evaluation of 100 videos to select by, an evaluation of the whole
  evaluation split to report, and the start of three processes.
* A batch between two measured ones costs what lies on the line through them.
* One process holds one GPU, and what its processor does waits for the GPU and the other way
  round: GPU-hours are the hours that GPUs are held.
* A **sweep** runs in whole waves: 15 trials on 8 GPUs take two. A capture is cut by videos.
* **Halving** trains all to a quarter of the steps, half of them on to one half, half of those to
  the end; all that are left are scored on 100 videos each time.
"""


def write_page(results: Sequence[Record], path: Path) -> None:
    """Write ``docs/scaling.md`` from the records of ``docs/benchmarks.json``."""
    records = [r for r in results if r["part"] == "scaling" and r["layers"] is None]
    large = {r["shape"]: r for r in records if r["shape"] != "nano" and not r["errors"]}
    small = next((r for r in records if r["shape"] == "nano"), None)
    parts = [_HEAD]
    if large:
        parts += [_items(large), _FORMULAE, _captures(large), _sweeps(large), _storage(large)]
        parts += [_saturation(large), _settings(large)]
    else:
        parts.append("The published sizes have not been measured on a GPU yet.\n")
    sweeps = [r for r in results if r["part"] == "sweep"]
    if small is not None and sweeps:
        parts.append(_checked(small, sweeps))
    write_text(path, "\n".join(parts))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"


def _size(count: float) -> str:
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6)):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return f"{count / 1000:.3g} kB"


def _ends(split: Split, of: Callable[[Split], float], show: Callable[[float], str]) -> str:
    """A figure with the shortest clips and with the longest."""
    low, high = (show(of(replace(split, frames=n))) for n in (SHORTEST, LONGEST))
    return low if low == high else f"{low} to {high}"


def _items(records: Mapping[str, Record]) -> str:
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
        + _table(["", *(s.upper() for s in records)], rows)
    )


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


def _captures(records: Mapping[str, Record]) -> str:
    rows = []
    for shape, record in records.items():
        items: Items = record["items"]
        for name, split in (("evaluation", EVALUATION), ("training", TRAINING)):
            for kind, gradients in (("all criteria", True), ("without gradients", False)):

                def held(s: Split, i: Items = items, g: bool = gradients) -> float:
                    return total(capture_parts(i, s, g)).total

                def wall(gpus: int, held: Any = held) -> Callable[[Split], float]:
                    return lambda s: in_waves(s.videos, gpus, held(s) / s.videos).wall_s

                hours = [_ends(split, wall(gpus), _hours) for gpus in GPUS]
                rows.append([shape.upper(), name, kind, _ends(split, held, _hours), *hours])
    head = ["", "split", "", "GPU-hours", *(f"hours on {gpus}" for gpus in GPUS)]
    return "## Captures\n\nComputed.\n\n" + _table(head, rows)


def _plan(steps: int, frames: int) -> Plan:
    report = replace(EVALUATION, frames=frames)
    return Plan(steps, VIDEOS_A_STEP, report.of(SELECTION_VIDEOS), report)


def _range(cost: Callable[[int], float]) -> str:
    low, high = (_hours(cost(frames)) for frames in (SHORTEST, LONGEST))
    return low if low == high else f"{low} to {high}"


def _sweeps(records: Mapping[str, Record]) -> str:
    rows, trials = [], []
    for shape, record in records.items():
        items: Items = record["items"]
        for length, steps in (("paper", PAPER_STEPS), ("quick", QUICK_STEPS)):
            training = step_time(items, VIDEOS_A_STEP).total * steps

            def whole(frames: int, i: Items = items, n: int = steps) -> float:
                return trial_time(i, _plan(n, frames)).total

            def report(frames: int, i: Items = items) -> float:
                return evaluation_time(i, replace(EVALUATION, frames=frames)).total

            trials.append(
                [
                    shape.upper(),
                    length,
                    f"{steps:,}",
                    _hours(training),
                    _range(report),
                    _range(whole),
                ]
            )
            costs: dict[str, Callable[[int, int], Cost]] = {
                name: lambda f, g, n=count, whole=whole: in_waves(n, g, whole(f))
                for name, count in SWEEPS.items()
            }
            costs[f"a search of {SEARCHED} trials, halved twice"] = lambda f, g, i=items, n=steps: (
                halving_cost(i, _plan(n, f), SEARCHED, g)
            )
            for name, cost in costs.items():
                walls = [_range(lambda f, g=g, c=cost: c(f, g).wall_s) for g in GPUS]
                held = _range(lambda f, c=cost: c(f, 1).gpu_s)
                rows.append([shape.upper(), name, length, held, *walls])
    head = ["", "sweep", "trials", "GPU-hours", *(f"hours on {gpus}" for gpus in GPUS)]
    return (
        "## Trials and sweeps\n\nComputed. A trial on one GPU, in hours; the paper's own training "
        "took 12 hours on four RTX 3090 (1B) and 16 on four A6000 (4B):\n\n"
        + _table(["", "", "steps", "training", "report split scored", "trial"], trials)
        + "\n"
        + _table(head, rows)
    )


def _storage(records: Mapping[str, Record]) -> str:
    rows, trial_rows = [], []
    for shape, record in records.items():
        config = ReviosaConfig(**PRESETS[shape]())
        items: Items = record["items"]
        for name, split in (("evaluation", EVALUATION), ("training", TRAINING)):

            def kept(kind: str, s: Split, i: Items = items, c: Any = config) -> float:
                return stored_bytes(i, s, c.num_layers, c.num_heads, c.grid)[kind]

            kinds = stored_bytes(items, split, config.num_layers, config.num_heads, config.grid)
            cells = [_ends(split, lambda s, k=k, f=kept: f(k, s), _size) for k in kinds]
            rows.append([shape.upper(), name, *cells])
        encoders, trial = items["encoders"], trial_bytes(items)
        trial_rows.append(
            [shape.upper(), *(_size(value) for value in trial.values()),
             _size(encoders["tower_bytes"]), _size(encoders["sam_bytes"])]
        )  # fmt: skip
    kinds = ["scalars", "maps of four pairs", "maps of all pairs", "predictions"]
    return (
        "## Storage\n\nComputed from measured bytes a role. Scalars are all criteria of all heads "
        "and the table of samples, compressed; maps are fp16 and uncompressed; predictions are "
        "masks of all frames, and real masks pack less well than these synthetic ones.\n\n"
        + _table(["", "capture of the split", *kinds], rows)
        + "\nA trial keeps its model, and two checkpoints of what trains until it has ended. "
        "Features are what the frozen encoders make of one frame.\n\n"
        + _table(
            ["", "model", "two checkpoints", "feature of the tower", "feature of SAM2"], trial_rows
        )
    )


def _saturation(records: Mapping[str, Record]) -> str:
    rows, largest = [], []
    for shape, record in records.items():
        items: Items = record["items"]
        split = replace(EVALUATION, frames=LONGEST)
        parts = capture_parts(items, split)
        name, time = max(parts.items(), key=lambda part: part[1].total)
        share = 100 * time.total / total(parts).total
        largest.append(f"{shape.upper()}, {share:.0f} % into {name}")
        step, cached = (step_time(items, VIDEOS_A_STEP, c) for c in (False, True))
        for name, time in (
            ("a video of a capture", total(parts) * (1 / split.videos)),
            *((f"of that: {name}", time * (1 / split.videos)) for name, time in parts.items()),
            ("a video of an evaluation", evaluation_time(items, split) * (1 / split.videos)),
            ("a training step", step),
            ("a training step, features from disk", cached),
        ):
            rows.append(
                [shape.upper(), name, f"{time.device:.3g}", f"{time.host:.3g}",
                 f"{time.total / time.device:.2f}" if time.device else ""]
            )  # fmt: skip
    return (
        "## What saturates first\n\nComputed, with 500 frames a clip; seconds. Of a captured video go, "
        f"of the {'; of the '.join(largest)}.\n\n"
        + _table(["", "", "GPU", "processor and disk", "processes a GPU could serve"], rows)
    )


def _settings(records: Mapping[str, Record]) -> str:
    lines = [
        "One process a GPU and trial. Where the table above says that a GPU could serve two or "
        "more, start as many trials or shards of a capture on it as its memory holds: each brings "
        "a processor of its own.",
        *(_on_features(shape, record["items"]) for shape, record in records.items()),
        *(_on_gradients(shape, record["items"]) for shape, record in records.items()),
        *(_on_scoring(shape, record["items"]) for shape, record in records.items()),
        "GPUs beyond the number of trials stand idle: Table 3 is no faster on 8 than on 4.",
        "Keep the maps of the supervised pairs, the default; all maps of the evaluation split fit "
        "on a disk, all of the training split need one of their own.",
    ]
    return "## Which settings to use\n\n" + "".join(f"* {line}\n" for line in lines)


def _on_features(shape: str, items: Items) -> str:
    fresh, cached = (step_time(items, VIDEOS_A_STEP, c).total for c in (False, True))
    drawn = replace(TRAINING, videos=PAPER_STEPS * VIDEOS_A_STEP, frames=4, seen=4)
    disk, needed = items["start"]["disk_read_mib_s"], worthwhile_mib_s(items)
    scored = _ends(EVALUATION, lambda split: feature_bytes(items, split), _size)
    verdict = "faster" if disk > needed else "slower"
    return (
        f"{shape.upper()}: features of the frames that a training draws take up to "
        f"{_size(feature_bytes(items, drawn))}, those of the evaluation split {scored}: more than "
        f"the cache is meant to hold. From {needed:,.0f} MiB a second on, reading those of SAM2 is "
        f"faster than making them; this machine's disk gave {disk:,.0f}, {verdict}, and a step "
        f"would take {cached / fresh:.2f} times as long. Leave the cache for small models and few "
        "videos."
    )


def _on_scoring(shape: str, items: Items) -> str:
    whole = [trial_time(items, _plan(steps, LONGEST)) for steps in (PAPER_STEPS, QUICK_STEPS)]
    report = evaluation_time(items, replace(EVALUATION, frames=LONGEST))
    paper, quick = (100 * report.total / time.total for time in whole)
    return (
        f"{shape.upper()}: the whole evaluation split takes {paper:.0f} % of a trial of the "
        f"paper's length, {quick:.0f} % of a quick one: report on fewer videos until the last "
        "round."
    )


def _on_gradients(shape: str, items: Items) -> str:
    split = replace(EVALUATION, frames=LONGEST)
    full, plain = (total(capture_parts(items, split, g)).total for g in (True, False))
    return (
        f"{shape.upper()}: `reviosa capture --no-gradients` takes {plain / full:.2f} times as long "
        "as with them, and leaves out five criteria."
    )


def _checked(small: Record, sweeps: Sequence[Record]) -> str:
    rows = []
    for record in sweeps:
        setting = record["setting"]
        splits = [Split(**setting[k]) if setting[k] else None for k in ("selection", "report")]
        plan = Plan(setting["steps"], setting["videos"], *splits, setting["cached"])
        trial = trial_time(small["items"], plan).total
        cost = in_waves(setting["trials"], setting["workers"], trial)
        rows.append(
            [record["name"], f"{setting['trials']} on {setting['workers']} processors",
             "yes" if setting["cached"] else "no", f"{cost.wall_s:.0f}",
             f"{record['seconds']:.0f}", f"{record['seconds'] / cost.wall_s:.2f}"]
        )  # fmt: skip
    device = small["device"]
    return (
        "## Checked in small\n\nThe same sums for the nano model, from its own items "
        f"({device['name']}; torch {device['torch']}), against sweeps that were run.\n\n"
        + _table(["", "trials", "features from disk", "computed, s", "measured, s", "times"], rows)
    )
