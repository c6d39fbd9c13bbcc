"""Expressions before they go into a data set, and the file that holds them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reviosa.annotation.clip_record import Clip
from reviosa.errors import RunError
from reviosa.io import write_json

__all__ = ["Candidate", "candidate_id", "candidates_path", "read_candidates", "write_candidates"]

SCHEMA: Final = 1


@dataclass(frozen=True)
class Candidate:
    """One expression as the stages made it."""

    exp_id: str
    """Unique in its clip; says the stage, and changes with the text."""
    text: str
    caption_type: str
    """One of :data:`reviosa.data.records.CAPTION_TYPES`."""
    actor_ids: tuple[int, ...]
    """Object ids of the clip."""
    target_ids: tuple[int, ...]
    stage: str
    """``referring``, ``merging`` or ``phrases``."""
    twin: str | None = None
    """The expression that tells the same from the other side."""


def candidate_id(place: str, text: str) -> str:
    """An id such as ``referring-2-motion-1f0a9c``.

    A person's decision is about certain words: with other words the id is another.
    """
    return f"{place}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def candidates_path(run: Path) -> Path:
    """The file of a run's candidates."""
    return Path(run) / "candidates.json"


def write_candidates(
    run: Path,
    found: Sequence[tuple[Clip, Sequence[Candidate], Mapping[str, Sequence[str]]]],
) -> None:
    """Write ``candidates.json``.

    Args:
        run: the run folder.
        found: clips, their candidates, and what is wrong with each (expression id -> reasons).
    """
    videos = {
        clip.clip_id: {
            "frames": list(clip.video.frame_names),
            "objects": {str(key): category for key, category in clip.objects.items()},
            "expressions": {
                item.exp_id: {
                    "exp": item.text,
                    "caption_type": item.caption_type,
                    "actor_ids": list(item.actor_ids),
                    "target_ids": list(item.target_ids),
                    "stage": item.stage,
                    "twin": item.twin,
                    "verdict": "fail" if reasons.get(item.exp_id) else "pass",
                    "reasons": list(reasons.get(item.exp_id, ())),
                }
                for item in items
            },
        }
        for clip, items, reasons in found
    }
    write_json(candidates_path(run), {"schema": SCHEMA, "videos": videos})


def read_candidates(run: Path) -> dict[str, Any]:
    """What ``candidates.json`` holds.

    Raises:
        RunError: the run has none yet, or it is broken or of another schema.
    """
    path = candidates_path(run)
    try:
        record = json.loads(path.read_bytes())
        found = record["schema"], record["videos"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: got no candidates ({error}), expected those of a finished run; "
            "let reviosa annotate finish first (--resume)"
        ) from None
    if found[0] != SCHEMA:
        raise RunError(
            f"{path}: got schema {found[0]!r}, expected {SCHEMA}; "
            "open it with the version of the project that wrote it"
        )
    return record
