"""From costs of single items to those of captures, trials and sweeps: sums and products alone.

Every duration is in seconds, every size in bytes. ``Items`` is what ``python -m benchmarks
scaling`` measured on one device; nothing here measures or reads anything.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "EVALUATION",
    "PAPER_STEPS",
    "TRAINING",
    "VIDEOS_A_STEP",
    "Cost",
    "Items",
    "Plan",
    "Split",
    "Time",
    "capture_parts",
    "evaluation_time",
    "feature_bytes",
    "halving_cost",
    "in_waves",
    "step_time",
    "stored_bytes",
    "total",
    "trial_bytes",
    "trial_time",
    "worthwhile_mib_s",
]

Items = dict[str, dict[str, Any]]

VIDEOS_A_STEP, PAPER_STEPS = 32, 2500
"""Of the release: 8,000 videos, ten epochs, 32 videos a step (REVIOSA.md 3)."""
_CONVERSATIONS, _OBJECTS, _CHUNK = 16, 16, 32
"""How many the segmenter takes at once (reviosa/inference/segmenter.py), and a capture writes."""


@dataclass(frozen=True)
class Split:
    """Counts of a data set."""

    videos: float
    expressions: int
    interactions: float
    """Share of the expressions that have a target."""
    frames: int
    """Of a video."""
    seen: int = 5
    """Frames of them that the language model sees."""

    @property
    def roles(self) -> float:
        """Roles with a truth, of all expressions together."""
        return self.expressions * (1 + self.interactions)

    def of(self, videos: int) -> "Split":
        """So many of its videos, with as many expressions each."""
        return replace(
            self, videos=videos, expressions=round(self.expressions * videos / self.videos)
        )


EVALUATION = Split(738, 5048, 17604 / 127236, 500)
TRAINING = Split(8000, 122188, 17604 / 127236, 500)
"""InterRVOS-127K (paper, Table 1 and section 3). How many interactions each split has is not
published, nor how long its clips are: the share is that of the whole set, and 200 to 500 frames are
what the release's annotation pipeline lets through (REVIOSA.md 5)."""


@dataclass(frozen=True)
class Time:
    """Seconds of the device and of the processor; one process runs them one after the other."""

    device: float
    host: float

    @property
    def total(self) -> float:
        """Of one process."""
        return self.device + self.host

    def __add__(self, other: "Time") -> "Time":
        return Time(self.device + other.device, self.host + other.host)

    def __mul__(self, times: float) -> "Time":
        return Time(self.device * times, self.host * times)


def _between(costs: dict[str, float], count: float) -> float:
    """Seconds of a batch of ``count``: straight through the least and the largest measured one."""
    low, high = sorted(costs, key=int)[:: len(costs) - 1]
    slope = (costs[high] - costs[low]) / (int(high) - int(low))
    return max(costs[low] + slope * (count - int(low)), 0.0)


def _batches(costs: dict[str, float], count: float, most: int) -> float:
    """Seconds of ``count`` items in batches of ``most``; the last one is smaller."""
    whole, rest = divmod(count, most)
    return whole * _between(costs, most) + (_between(costs, rest) if rest else 0.0)


def _frames(items: Items, frames: float, seen: float, cached: bool) -> Time:
    """Features of frames for SAM2, and of those seen for the vision tower.

    Frames are encoded one by one, so that their features do not depend on their company.
    """
    encoders, costs = items["encoders"], items["frames"]
    if cached:
        size = frames * encoders["sam_bytes"] + seen * encoders["tower_bytes"]
        return Time(0.0, size / (items["start"]["disk_read_mib_s"] * 2**20))
    device = encoders["tower_s"]["1"] * seen + encoders["sam_s"]["1"] * frames
    host = frames * (costs["jpeg_s"] + costs["squash_sam_s"])
    return Time(device, host + seen * costs["squash_vision_s"])


def _segmented(items: Items, split: Split, cached: bool = False) -> dict[str, Time]:
    """Of one video: frames encoded and read, questions answered, all roles tracked and scored."""
    expressions, objects = split.expressions / split.videos, split.roles / split.videos
    answers, scoring = items["answer"], items["scoring"]
    asked = answers["opening_s"] + _batches(answers["answer_s"], expressions, _CONVERSATIONS)
    tracked = split.frames * _batches(items["tracking"]["track_s"], objects, _OBJECTS)
    mask = (
        scoring["pack_s"] + scoring["truth_s"] + scoring["j_s"]["video"] + scoring["f_s"]["video"]
    )
    return {
        "frames encoded": _frames(items, split.frames, split.seen, cached),
        "questions answered": Time(asked, 0.0),
        "masks tracked": Time(tracked, 0.0),
        "masks packed and scored": Time(0.0, split.frames * objects * mask),
    }


def evaluation_time(items: Items, split: Split, cached: bool = False) -> Time:
    """Predictions and J&F of a split; with ``cached``, features of all its frames are on disk."""
    read = _batches(items["answer"]["read_s"], split.expressions / split.videos, _CONVERSATIONS)
    one = total(_segmented(items, split, cached)) + Time(read, 0.0)
    return one * split.videos


def capture_parts(items: Items, split: Split, gradients: bool = True) -> dict[str, Time]:
    """A capture of a split by what the time goes into, with or without gradients.

    Captures are cut into chunks of 32 expressions, and a video that lies in two of them is encoded
    and tracked twice.
    """
    recording, criteria = items["recording"], items["criteria"]
    cuts = max(math.ceil(split.expressions / _CHUNK) - 1, 0)
    within = 1 - split.videos / split.expressions  # of neighbours that are of one video
    passes = split.videos + cuts * within
    parts = _segmented(items, replace(split, videos=passes))
    parts = {name: time * passes for name, time in parts.items()}
    if gradients:
        each, scores = recording["gradients_s"] + recording["blank_s"], "criteria_gradients_s"
    else:
        each, scores = recording["recorded_s"], "criteria_s"
    parts["heads recorded"] = Time(split.expressions * each, 0.0)
    parts["criteria"] = Time(0.0, split.roles * criteria[scores])
    return parts


def total(parts: Mapping[str, Time]) -> Time:
    """All parts together."""
    return sum(parts.values(), Time(0.0, 0.0))


def stored_bytes(
    items: Items, split: Split, layers: int, heads: int, grid: int
) -> dict[str, float]:
    """What a capture of a split keeps: scalars, maps of four pairs and of all, predictions."""
    whole = items["whole"]
    kept = whole["stored_bytes_gradients"]
    scalars = (kept["heads"] + kept["samples"]) * whole["expressions"] / whole["rows"]
    # fp16 weights and one fp32 scale a pair (probes/writer.py).
    pair = 2 * split.seen * grid**2 + 4
    return {
        "scalars": split.roles * scalars,
        "maps of four pairs": split.roles * 4 * pair,
        "maps of all pairs": split.roles * layers * heads * pair,
        "predictions": split.roles * split.frames * items["scoring"]["mask_bytes"],
    }


def step_time(items: Items, videos: int, cached: bool = False) -> Time:
    """One optimiser step over so many videos on one device, in micro-batches.

    Args:
        items: of the device.
        videos: of the step.
        cached: features of the frozen encoders come from the disk, so frames are not read.
    """
    training = items["training"]
    images = training["batch_size"] * training["frames"]
    # What was measured held the encoders and the reading; both are counted anew.
    rest = Time(
        max(training["micro_s"] - training["encoders_s"], 0.0),
        max(training["data_s"] - _frames(items, images, images, False).host, 0.0),
    )
    micro = rest + _frames(items, images, images, cached)
    return micro * (videos / training["batch_size"]) + Time(training["optimizer_s"], 0.0)


@dataclass(frozen=True)
class Plan:
    """A trial: how long it trains, and on what it is scored."""

    steps: int
    """Optimiser steps."""
    videos: int
    """Of each step."""
    selection: Split | None
    report: Split | None
    cached: bool = False
    """Whether features of all frames are on disk."""

    @property
    def scored(self) -> tuple[Split, ...]:
        """Splits on which each trial is scored."""
        return tuple(split for split in (self.selection, self.report) if split is not None)


def trial_time(items: Items, plan: Plan) -> Time:
    """One trial: training and an evaluation of each split, in one process that loads for each."""
    start = items["start"]
    loads = start["load_s"] * (1 + len(plan.scored))
    time = step_time(items, plan.videos, plan.cached) * plan.steps
    time += Time(0.0, start["import_s"] + loads)
    for split in plan.scored:
        time += evaluation_time(items, split, plan.cached)
    return time


def trial_bytes(items: Items) -> dict[str, float]:
    """What a trial writes: its model in fp32, and two checkpoints of what trains while it runs."""
    training = items["training"]
    # Weights and AdamW's two moments, all fp32; the Trainer keeps two (save_total_limit).
    return {
        "model": 4 * training["parameters"],
        "checkpoints": 2 * 12 * training["trained_parameters"],
    }


def feature_bytes(items: Items, split: Split) -> float:
    """Features of all frames of a split for SAM2, and of those seen for the vision tower."""
    encoders = items["encoders"]
    return split.videos * (
        split.frames * encoders["sam_bytes"] + split.seen * encoders["tower_bytes"]
    )


def worthwhile_mib_s(items: Items) -> float:
    """MiB a second from which reading SAM2's features of a frame is faster than making them."""
    encoders, frames = items["encoders"], items["frames"]
    made = encoders["sam_s"]["1"] + frames["jpeg_s"] + frames["squash_sam_s"]
    return encoders["sam_bytes"] / made / 2**20


@dataclass(frozen=True)
class Cost:
    """Of a sweep or a sharded capture."""

    gpu_s: float
    """Seconds that GPUs are held, all together."""
    wall_s: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.gpu_s + other.gpu_s, self.wall_s + other.wall_s)


def in_waves(jobs: int, gpus: int, job_s: float) -> Cost:
    """``jobs`` equal jobs, one on each GPU at a time: the last wave may leave GPUs idle."""
    return Cost(jobs * job_s, math.ceil(jobs / gpus) * job_s)


def halving_cost(
    items: Items,
    plan: Plan,
    trials: int,
    gpus: int,
    shares: tuple[float, ...] = (0.25, 0.5, 1.0),
    keep: float = 0.5,
) -> Cost:
    """Successive halving: all train to the first share of the steps, then ``keep`` of them go on.

    At each share all that are left are scored on the selection split; what is left at the end is
    scored on the report split.
    """
    if plan.selection is None:
        raise ValueError("halving decides on the selection split; give the plan one")
    cost, before = Cost(0.0, 0.0), 0.0
    for share in shares:
        part = replace(
            plan,
            steps=round(plan.steps * share) - round(plan.steps * before),
            report=plan.report if share == shares[-1] else None,
        )
        cost += in_waves(trials, gpus, trial_time(items, part).total)
        trials, before = math.ceil(trials * keep), share
    return cost
