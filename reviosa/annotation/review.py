"""A person's decisions about candidates."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["apply_review", "read_review"]


def read_review(run: Path) -> dict[str, Any]:
    """Decisions of a run by ``clip/exp_id``; none where nobody has decided yet."""
    path = Path(run) / "review.json"
    return json.loads(path.read_bytes())["decisions"] if path.is_file() else {}


def apply_review(
    candidates: Mapping[str, Any], decisions: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Expressions that go into the set: clip -> expression id -> its content."""
    fields = ("exp", "caption_type", "actor_ids", "target_ids")
    chosen: dict[str, dict[str, dict[str, Any]]] = {}
    for clip_id, video in candidates["videos"].items():
        for exp_id, item in video["expressions"].items():
            decision = decisions.get(f"{clip_id}/{exp_id}", {})
            word = decision.get("decision", "accept" if item["verdict"] == "pass" else "reject")
            if word != "reject":
                source = decision if word == "edit" else item
                chosen.setdefault(clip_id, {})[exp_id] = {name: source[name] for name in fields}
    return chosen
