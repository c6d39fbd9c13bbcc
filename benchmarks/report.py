"""The table of what was measured, with the bars of DESIGN.md beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reviosa.io import write_text

__all__ = ["write_table"]

Record = dict[str, Any]


def write_table(results: list[Record], path: Path) -> None:
    """Write ``docs/benchmarks.md``."""
    parts = [
        "# Benchmarks\n\nMade by `python -m benchmarks` from `docs/benchmarks.json`; do not edit. "
        "Alternatives of one block were run in turn in one process; times are medians, ratios are "
        "of medians. Memory is what came on top of the model: of the allocator on a GPU, of the "
        "process on a CPU. Random weights, except where the nano model is named.\n"
    ]
    for record in results:
        # Sweeps that were run are shown beside what was computed of them, in scaling.md.
        if record["part"] != "sweep":
            parts.append(_WRITERS[record["part"]](record))
    lacking = _not_measured(results)
    if lacking:
        parts.append("## Not measured\n\n" + "".join(f"* {line}\n" for line in lacking))
    write_text(path, "\n".join(parts))


def _not_measured(results: list[Record]) -> list[str]:
    """What the bars of DESIGN.md ask for and no record has, a line each."""
    have = {(r["part"], r["shape"], _on_gpu(r)) for r in results}
    lines = []
    for part, shapes in _WANTED.items():
        for shape in shapes:
            places = [
                place
                for place, on_gpu in (("on a CPU", False), ("on a GPU", True))
                if not (on_gpu and part in ("statistics", "dashboard", "scoring"))
                if (part, shape, on_gpu) not in have and (on_gpu or shape != "4b")
            ]
            if places:
                lines.append(f"{part}, {shape}: {' and '.join(places)}")
    return lines


def _on_gpu(record: Record) -> bool:
    # The name of a CPU says how many threads ran.
    return " threads of " not in record["device"]["name"]


def _title(record: Record, what: str) -> str:
    layers = "" if record["layers"] is None else f", {record['layers']} layers"
    device = record["device"]
    return (
        f"## {what}: {record['shape']}{layers}\n\n{device['name']}; torch {device['torch']}, "
        f"transformers {device['transformers']}.\n"
    )


def _costs(record: Record, base: str) -> str:
    rows = ["| | seconds | fastest to slowest | times | peak memory, MiB | times |"]
    rows.append("|---|---|---|---|---|---|")
    reference = record["costs"][base]
    for name, cost in record["costs"].items():
        low, high = cost["spread"]
        memory = cost["peak_mib"] / max(reference["peak_mib"], 1e-9)
        time = cost["seconds"] / reference["seconds"]
        rows.append(
            f"| {name} | {cost['seconds']:.3f} | {low:.3f} to {high:.3f} | {time:.3f} | "
            f"{cost['peak_mib']:.0f} | {memory:.2f} |"
        )
    return "\n".join(rows) + "\n"


def _role_rows(record: Record) -> str:
    return (
        _title(record, "Recording the role tokens' rows")
        + f"\nForward pass of the language model over {record['frames']} frames, five questions. "
        "Largest difference of a recorded weight from eager attention: "
        f"{record['difference']:.1e}. Bars: 1.05 times the time on a GPU (1.15 on a CPU), "
        "1.02 times the memory, 1e-5.\n\n" + _costs(record, "sdpa") + _with_weights(record)
    )


def _with_weights(record: Record) -> str:
    """The ratio that the bar for memory is about: of all that is in use, the model included."""
    weights = record["weights_mib"]
    plain, rows = (record["costs"][name]["peak_mib"] + weights for name in ("sdpa", "role rows"))
    return (
        f"\nWith the model's own {weights:.0f} MiB, recording takes {rows / plain:.3f} times the "
        "memory.\n"
    )


def _aml_step(record: Record) -> str:
    return (
        _title(record, "A training step with attention mask loss")
        + "\nLanguage model alone, LoRA of rank 128, gradient checkpointing, four pairs of one "
        "layer. Bars: 1.03 times a step without, 1.5 times faster than with eager attention.\n\n"
        + _costs(record, "no AML")
    )


def _inference(record: Record) -> str:
    one = record["costs"]["one expression"]["seconds"]
    return (
        _title(record, "Questions about one video")
        + f"\nA synthetic video of {record['frames']} frames, the trained nano model: "
        f"{record['frames'] / one:.1f} frames a second for both roles of one expression. "
        "Bar: ten expressions in less than three times the time of one.\n\n"
        + _costs(record, "one expression")
    )


def _memory(record: Record) -> str:
    peaks = record["peak_mib"]
    short, long = sorted(peaks, key=int)
    return (
        _title(record, "Length of a video")
        + f"\nPeak memory of a process that segments a video of 854 x 480 pixels: "
        f"{peaks[short]:.0f} MiB with {short} frames, {peaks[long]:.0f} MiB with {long}, "
        f"{peaks[long] / peaks[short]:.2f} times. Bar: 1.2.\n"
    )


def _statistics(record: Record) -> str:
    rows = "".join(
        f"| {name} | {seconds:.1f} | {record['peak_mib'][name]:.0f} |\n"
        for name, seconds in record["seconds"].items()
    )
    total = sum(record["seconds"].values())
    return (
        _title(record, "Statistics of a large capture")
        + f"\n5,000 interactions of 1,250 videos, 24 layers of 14 heads, from the store: "
        f"{record['criteria']} criteria of both roles ranked with 2,000 draws, and mask share "
        f"correlated with J&F. {total:.0f} s in all. Bars: 60 s for criteria and bootstrap, 4 GB.\n"
        "\n| | seconds | peak memory of the process so far, MiB |\n|---|---|---|\n" + rows
    )


def _dashboard(record: Record) -> str:
    rows = "".join(
        f"| {view['page']} | {view['view']} | {view['seconds']:.2f} | {view['processor_s']:.2f} | "
        f"{view['sent_mib']:.2f} | {view['shards']} |\n"
        for view in record["views"]
    )
    peaks = ", ".join(f"{page} {mib:,.0f}" for page, mib in record["peak_mib"].items())
    before = ", ".join(f"{s:.1f} s to {what}" for what, s in record["seconds"].items())
    return (
        _title(record, "The dashboard on a large capture")
        + f"\n{record['sample_roles']:,} samples and roles of {record['pairs']} pairs by "
        f"{record['criteria']} criteria, in {record['parts']} parts, made up; {before} (a capture "
        "leaves its analysis when it ends). Each page in a process of its own, through Streamlit's "
        "script runner: the whole script and packing what it sends. The first page starts from "
        "nothing; of clicks, the slowest of three. Another run of as much is opened once, and what "
        "is clicked then is of both. Bars: 3 s for a first page and for opening, 0.3 s for a "
        "click, 1.5 GB.\n\n| page | view | seconds | of a processor | "
        "MiB sent | shards of maps opened |\n|---|---|---|---|---|---|\n"
        + rows
        + f"\nPeak memory of the process, MiB: {peaks}.\n"
    )


def _opening(record: Record) -> str:
    rows = "".join(f"| {step} | {s:.3f} |\n" for step, s in record["seconds"].items())
    return (
        _title(record, "Opening a data set as large as InterRVOS-127K")
        + f"\n{record['videos']:,} videos, {record['expressions']:,} expressions and their masks, "
        f"made up; {record['files_mib']:,.0f} MiB of JSON, in the system's cache. Peak memory of "
        f"the process {record['peak_mib']:,.0f} MiB. Bars: seconds, and 2 GB.\n"
        "\n| step | seconds |\n|---|---|\n" + rows
    )


def _scaling(record: Record) -> str:
    rows = "".join(
        f"| {part} | {name} | {_cell(value)} |\n"
        for part, items in record["items"].items()
        for name, value in _flat(items)
    )
    failed = "".join(f"\n{part} was not measured: {e}\n" for part, e in record["errors"].items())
    return (
        _title(record, "Costs of single items")
        + f"\n{record['cores']} cores. Names that end in s are seconds. What follows from them is "
        "in [scaling.md](scaling.md).\n\n| part | item | |\n|---|---|---|\n" + rows + failed
    )


def _flat(items: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in items.items():
        inner = isinstance(value, dict)
        found += _flat(value, f"{before}{name} ") if inner else [(f"{before}{name}", value)]
    return found


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _sweep_cache(record: Record) -> str:
    if record["shape"] == "nano":
        return _nano_trial(record)
    sizes = ", ".join(f"{mib:.1f} MiB of the {n}" for n, mib in record["entry_mib"].items())
    same = "; ".join(f"{name}: {'yes' if yes else 'no'}" for name, yes in record["equal"].items())
    return (
        _title(record, "A training step with frozen features kept")
        + f"\nWhole step over {record['frames']} frames of 480p, five questions: LoRA of rank 128, "
        "gradient checkpointing, attention mask loss on four pairs, batch of one. Kept features "
        f"are read from files that the system holds in memory: {sizes} a frame. "
        f"Equal bits to computing frames one by one: {same}.\n\n"
        + _costs(record, "all computed")
        + f"\nWhat is done to these {record['frames']} frames, each by itself:\n\n"
        + _costs({"costs": record["parts"]}, "SAM2's encoder, one by one")
    )


def _nano_trial(record: Record) -> str:
    def trial(how: str) -> float:
        return sum(record["costs"][f"{what}, {how}"]["seconds"] for what in _TRIAL)

    computed, kept = trial("computed"), trial("kept")
    return (
        _title(record, "A trial of a sweep with frozen features kept")
        + "\nA fifth of a trial of the sweeps that ship: 20 steps with two looks at all heads, and "
        "32 videos predicted and scored; one process, started already. Together "
        f"{computed:.1f} s with features computed, {kept:.1f} s with them kept: "
        f"{3600 / computed / 5:.1f} and {3600 / kept / 5:.1f} whole trials an hour, "
        f"{computed / kept:.2f} times as many (bar 3). What trains cannot be kept: language model "
        "and mask decoder are most of a step, memory and mask decoder most of an evaluation, and "
        "this model's encoders are small beside them.\n\n" + _costs(record, "training, computed")
    )


def _scoring(record: Record) -> str:
    rows = ""
    for size, found in record["sizes"].items():
        seconds = found["seconds"]
        for name, spent in seconds.items():
            plain = seconds[f"plain, {name.split(', ')[1]}"]
            rows += f"| {size} | {name} | {1000 * spent:.3f} | {plain / spent:.1f} |\n"
    bulk = record["bulk"]
    equal = all(found["equal"] for found in record["sizes"].values())
    return (
        _title(record, "J and F")
        + "\nOne thread, two wavy blobs a frame; milliseconds of the processor for J and F; times "
        "as fast as davis2017-evaluation's method on masks of the same form (RLE is decoded by "
        "pycocotools first), which stands in plain code in `benchmarks/scoring.py`. "
        f"Equal bits: {'yes' if equal else 'no'}. Bar: 20 times, at both sizes.\n"
        "\n| size | way | ms a frame | times as fast |\n|---|---|---|---|\n"
        + rows
        + f"\n{bulk['expressions']:,} expressions of {bulk['frames']} frames at 480p "
        f"({bulk['roles']:,} roles), from an InterRVOS layout and predictions as RLE, by "
        f"{bulk['workers']} processes: {bulk['seconds']:.1f} s with their start, which for 5,048 "
        f"expressions is {bulk['of_all'] / 60:.1f} minutes. Bar: 10 minutes.\n"
    )


_TRIAL = ("training", "evaluating")


_WANTED = {
    "role-rows": ("nano", "1b", "4b"),
    "aml-step": ("1b", "4b"),
    "inference": ("nano",),
    "memory": ("nano",),
    "statistics": ("1b",),
    "dashboard": ("1b",),
    "sweep-cache": ("nano", "1b", "4b"),
    "scoring": ("masks",),
}
"""Shapes that each part is asked for; the 4B is for GPUs alone."""
_WRITERS: dict[str, Callable[[Record], str]] = {
    "role-rows": _role_rows,
    "aml-step": _aml_step,
    "inference": _inference,
    "memory": _memory,
    "statistics": _statistics,
    "scaling": _scaling,
    "dashboard": _dashboard,
    "sweep-cache": _sweep_cache,
    "opening": _opening,
    "scoring": _scoring,
}
