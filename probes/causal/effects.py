"""What an ablation run keeps: its plan in the header, and a line an expression."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.causal.plan import Ablation, Pair
from reviosa.io import append_jsonl, read_jsonl
from reviosa.run_record import read_run

__all__ = [
    "EFFECTS_FILE",
    "append_effects",
    "lost_effects",
    "plan_from_json",
    "plan_to_json",
    "read_effects",
]

EFFECTS_FILE = "effects.jsonl"
_KEYS = {"sample_id", "video_id", "interaction", "scores"}


def plan_to_json(ablations: Sequence[Ablation]) -> list[list[str]]:
    """``[name, group, pairs]`` of each; pairs as one text, ``"22.5 22.7"``.

    Hundreds of subsets of hundreds of heads would fill megabytes as lists of numbers.
    """
    return [
        [a.name, a.group, " ".join(f"{layer}.{head}" for layer, head in a.pairs)] for a in ablations
    ]


def plan_from_json(value: Sequence[Sequence[Any]]) -> tuple[Ablation, ...]:
    """Read what :func:`plan_to_json` wrote, or the lists of numbers of earlier runs."""
    return tuple(Ablation(name, group, _pairs(pairs)) for name, group, pairs in value)


def _pairs(value: Any) -> tuple[Pair, ...]:
    words = [word.split(".") for word in value.split()] if isinstance(value, str) else value
    return tuple((int(layer), int(head)) for layer, head in words)


def append_effects(
    directory: Path, sample_id: str, video_id: str, interaction: bool, scores: Mapping[str, Any]
) -> None:
    """Write a line; see :func:`read_effects`."""
    line = {
        "sample_id": sample_id,
        "video_id": video_id,
        "interaction": interaction,
        "scores": scores,
    }
    append_jsonl(directory / EFFECTS_FILE, line)


def read_effects(directory: str | Path) -> list[dict[str, Any]]:
    """Lines of ``effects.jsonl``, one an expression.

    ``{"sample_id", "video_id", "interaction", "scores": {role: [whole, ablation...]}}``; a role
    that was not named is absent, a torn line is left out, and without the file there is none.
    """
    lines = read_jsonl(Path(directory) / EFFECTS_FILE)
    return [
        line
        for line in lines
        if isinstance(line, dict) and line.keys() >= _KEYS and isinstance(line["scores"], dict)
    ]


def lost_effects(directory: str | Path) -> str | None:
    """One line where an ablation that ended well has fewer expressions now than it had then."""
    header = read_run(directory)
    if header["kind"] != "ablate":
        return None
    there, wanted = len(read_effects(directory)), header["config"].get("samples")
    if header["status"] != "done" or not isinstance(wanted, int) or there >= wanted:
        return None
    return (
        f"{Path(directory) / EFFECTS_FILE}: got {there} of {wanted} expressions of a finished run, "
        "the others are missing or damaged; run reviosa ablate again with --resume"
    )
