"""What the page of scale concludes: what saturates first, what to set, how far the sums hold."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.scaling.form import LONGEST, ends, size, table
from benchmarks.scaling.sums import (
    EVALUATION,
    PAPER_STEPS,
    TRAINING,
    VIDEOS_A_STEP,
    Items,
    Plan,
    Split,
    capture_parts,
    evaluation_time,
    feature_bytes,
    in_waves,
    step_time,
    total,
    trial_time,
    worthwhile_mib_s,
)
from benchmarks.scaling.tables import QUICK_STEPS, Record, scored_plan

__all__ = ["saturation", "settings", "sweeps_checked", "whole_checked"]


def saturation(records: Mapping[str, Record]) -> str:
    """Where the time goes, on the device and beside it."""
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
        "## What saturates first\n\nComputed, with 500 frames a clip; seconds. Of a captured "
        f"video's time go: {'; '.join(largest)}.\n\n"
        + table(["", "", "GPU", "processor and disk", "processes a GPU could serve"], rows)
    )


def settings(records: Mapping[str, Record]) -> str:
    """What to set, and the figures that say so."""
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
    scored = ends(EVALUATION, lambda split: feature_bytes(items, split), size)
    verdict = "faster" if disk > needed else "slower"
    return (
        f"{shape.upper()}: features of the frames that a training draws take up to "
        f"{size(feature_bytes(items, drawn))}, those of the evaluation split {scored}: more than "
        f"the cache is meant to hold. From {needed:,.0f} MiB a second on, reading those of SAM2 is "
        f"faster than making them; this machine's disk gave {disk:,.0f}, {verdict}, and a step "
        f"would take {cached / fresh:.2f} times as long. Leave the cache for small models and few "
        "videos."
    )


def _on_scoring(shape: str, items: Items) -> str:
    whole = [trial_time(items, scored_plan(steps, LONGEST)) for steps in (PAPER_STEPS, QUICK_STEPS)]
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


def whole_checked(records: Sequence[Record]) -> str:
    """Captures of one video, run whole, against the sums."""
    rows = []
    for record in records:
        items: Items = record["items"]
        shape = record["shape"] if record["shape"] == "nano" else record["shape"].upper()
        whole = items["whole"]
        targets = whole["rows"] / whole["expressions"] - 1
        split = Split(1, whole["expressions"], targets, whole["frames"], whole["seen"])
        for kind, gradients in (("gradients", True), ("plain", False)):
            computed = total(capture_parts(items, split, gradients)).total
            measured = whole["capture_s"][kind]
            rows.append(
                [shape, "with gradients" if gradients else "without",
                 f"{computed:.3g}", f"{measured:.3g}", f"{measured / computed:.2f}"]
            )  # fmt: skip
    return (
        "A capture of one short video, whole, against the sum of its items; seconds. Random "
        "weights draw noise, which packs slowly, and each of their answers has to be put into "
        "form, which reads it twice; the trained nano model does neither.\n\n"
        + table(["", "", "computed", "measured", "times"], rows)
    )


def sweeps_checked(small: Record, sweeps: Sequence[Record]) -> str:
    """Sweeps of the nano model that were run, against the sums."""
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
        f"Sweeps of the nano model, from its own items ({device['name']}; torch "
        f"{device['torch']}), against the same sweeps run.\n\n"
        + table(["", "trials", "features from disk", "computed, s", "measured, s", "times"], rows)
    )
