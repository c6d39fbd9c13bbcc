"""``docs/scaling.md``: what captures, trials and sweeps cost at the published sizes."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.scaling.tables import (
    Record,
    captures_table,
    items_table,
    storage_tables,
    sweeps_tables,
)
from benchmarks.scaling.verdicts import saturation, settings, sweeps_checked, whole_checked
from reviosa.io import write_text

__all__ = ["write_page"]

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
* **Computed** from the two: all tables below the first, by `benchmarks/scaling/sums.py`.

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
  evaluation split to report, and the start of a process that loads a model three times.
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
        parts += [
            items_table(large),
            _FORMULAE,
            captures_table(large),
            sweeps_tables(large),
            storage_tables(large),
        ]
        parts += [saturation(large), settings(large)]
    else:
        parts.append("The published sizes have not been measured on a GPU yet.\n")
    checked = [*large.values(), *([] if small is None else [small])]
    if checked:
        parts.append("## Checked in small\n\n" + whole_checked(checked))
    sweeps = [r for r in results if r["part"] == "sweep"]
    if small is not None and sweeps:
        parts.append(sweeps_checked(small, sweeps))
    write_text(path, "\n".join(parts))
