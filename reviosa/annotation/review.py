"""What a person decided about candidates, and which of them go into the data set.

Decisions lie in ``review.json`` of the run. Several readers may decide at once: each decision is
put into the file as it then is, under a lock of the folder, and the file is replaced as a whole.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from reviosa.data.prompts import question
from reviosa.data.records import CAPTION_TYPES
from reviosa.errors import DataError, RunError
from reviosa.io import write_json

__all__ = [
    "CONTENT",
    "REVIEW_FILE",
    "Choice",
    "Decision",
    "apply_review",
    "check_decision",
    "decide",
    "read_review",
    "review_path",
    "stale_decisions",
    "take_back",
]

SCHEMA: Final = 1
REVIEW_FILE: Final = "review.json"
CONTENT: Final = ("exp", "caption_type", "actor_ids", "target_ids")
"""What an edit gives anew."""

Choice = Literal["accept", "edit", "reject"]
# How many objects an expression of a kind names as its subject: at least, and at most.
_ACTORS: Final = {
    "single": (1, 1),
    "multi": (2, None),
    "bidirectional": (2, None),
    "unidirectional": (1, None),
}


@dataclass(frozen=True)
class Decision:
    """What a person decided about one candidate."""

    decision: Choice
    when: str
    """Date and time in UTC, ISO 8601."""
    content: dict[str, Any] | None = None
    """The fields of :data:`CONTENT` as they should be; of an edit alone."""

    @classmethod
    def now(cls, decision: Choice, content: Mapping[str, Any] | None = None) -> "Decision":
        """A decision of this moment."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(decision, when, None if content is None else {k: content[k] for k in CONTENT})

    def to_json(self) -> dict[str, Any]:
        """As ``review.json`` holds it."""
        return {"decision": self.decision, **(self.content or {}), "when": self.when}


def review_path(run: str | Path) -> Path:
    """The file of a run's decisions."""
    return Path(run) / REVIEW_FILE


def read_review(run: str | Path) -> dict[str, Decision]:
    """Decisions of a run by ``clip/exp_id``, in the order in which they were first made.

    Returns:
        nothing where nobody has decided yet.

    Raises:
        RunError: the file is damaged or of another schema.
    """
    path = review_path(run)
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: got an unreadable file ({error}), expected decisions as JSON; restore it, or "
            "remove it to decide anew"
        ) from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        got = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise RunError(
            f"{path}: got schema {got!r}, expected {SCHEMA}; open it with the version of the "
            "project that wrote it"
        )
    entries = record.get("decisions")
    if not isinstance(entries, dict):
        raise RunError(
            f'{path}: got no object "decisions", expected one; restore the file, or remove it to '
            "decide anew"
        )
    return {sample_id: _decision(path, sample_id, entry) for sample_id, entry in entries.items()}


def decide(
    run: str | Path, candidates: Mapping[str, Any], sample_id: str, decision: Decision
) -> None:
    """Write a decision; what others have decided meanwhile stays.

    Args:
        run: the run folder.
        candidates: what ``candidates.json`` holds.
        sample_id: ``clip/exp_id``.
        decision: in place of an earlier one, if there was any.

    Raises:
        DataError: as :func:`check_decision`; nothing is written then.
        RunError: the file of decisions is damaged.
    """
    check_decision(candidates, sample_id, decision)
    with _held(run):
        _write(run, {**read_review(run), sample_id: decision})


def take_back(run: str | Path, sample_id: str) -> None:
    """Forget a decision; without one nothing changes.

    Raises:
        RunError: the file of decisions is damaged.
    """
    with _held(run):
        decisions = read_review(run)
        if decisions.pop(sample_id, None) is not None:
            _write(run, decisions)


def check_decision(candidates: Mapping[str, Any], sample_id: str, decision: Decision) -> None:
    """Raise DataError where a decision would bring a broken expression into the set.

    An edited or accepted expression has words, and none of the tokens that only a template may
    write; a kind; as many subjects as its kind has; a target if it is an interaction, else none;
    and objects of its clip alone, none of which is both actor and target. There is a candidate of
    this name.
    """
    clip, entry = _candidate(candidates, sample_id)
    if decision.decision == "reject":
        return
    content = decision.content if decision.decision == "edit" else entry
    if content is None:
        raise DataError(
            f"{sample_id}: got an edit without content, expected {', '.join(CONTENT)}; give them"
        )
    if problem := _problem(content, clip["objects"]):
        hint = "" if decision.decision == "edit" else " (edit it, then it can go into the set)"
        raise DataError(f"{sample_id}: {problem}{hint}")


def apply_review(
    candidates: Mapping[str, Any], decisions: Mapping[str, Decision]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The expressions that go into the data set: clip -> expression id -> record.

    Those that passed the verification and were not rejected, and those that were accepted or
    edited, edits in their new form. A twin that does not go in is no twin any more. Decisions about
    candidates that are gone (:func:`stale_decisions`) change nothing.

    Args:
        candidates: what ``candidates.json`` holds; it is left as it is.
        decisions: of :func:`read_review`.

    Raises:
        DataError: a decision would bring in a broken expression.
    """
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for clip_id, clip in candidates["videos"].items():
        chosen = {}
        for exp_id, entry in clip["expressions"].items():
            decision = decisions.get(f"{clip_id}/{exp_id}")
            if decision is None:
                if entry["verdict"] == "pass":
                    chosen[exp_id] = dict(entry)
            elif decision.decision != "reject":
                check_decision(candidates, f"{clip_id}/{exp_id}", decision)
                chosen[exp_id] = {**entry, **(decision.content or {})}
        for entry in chosen.values():
            if entry.get("twin") not in chosen:
                entry["twin"] = None
        if chosen:
            kept[clip_id] = chosen
    return kept


def stale_decisions(
    candidates: Mapping[str, Any], decisions: Mapping[str, Decision]
) -> tuple[str, ...]:
    """Decisions about expressions that are no candidates any more."""
    known = {
        f"{clip_id}/{exp_id}"
        for clip_id, clip in candidates["videos"].items()
        for exp_id in clip["expressions"]
    }
    return tuple(sample_id for sample_id in decisions if sample_id not in known)


def _candidate(
    candidates: Mapping[str, Any], sample_id: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    clip_id, _, exp_id = sample_id.rpartition("/")
    clip = candidates["videos"].get(clip_id)
    entry = None if clip is None else clip["expressions"].get(exp_id)
    if clip is None or entry is None:
        raise DataError(
            f"{sample_id}: got a name that no candidate has, expected clip/expression; "
            "read the candidates again"
        )
    return clip, entry


def _problem(content: Mapping[str, Any], objects: Mapping[str, str]) -> str | None:
    """Why an expression cannot go into a data set; None where it can."""
    text, kind = content.get("exp"), content.get("caption_type")
    if not isinstance(text, str):
        return f'got {text!r} as expression, expected words in "exp"; fill it'
    try:
        question(text)
    except DataError as error:
        return str(error)
    if kind not in CAPTION_TYPES:
        return f"got the kind {kind!r}, expected one of {', '.join(CAPTION_TYPES)}; choose one"
    ids = {role: content.get(f"{role}_ids") for role in ("actor", "target")}
    for role, given in ids.items():
        if not isinstance(given, list) or not all(type(i) is int for i in given):
            return f"got the {role}s {given!r}, expected a list of object ids; write them so"
        unknown = [i for i in given if str(i) not in objects]
        if unknown:
            known = ", ".join(objects) or "none"
            return f"got the {role} {unknown[0]}, expected an object of the clip ({known})"
        if len(set(given)) < len(given):
            return f"got the {role}s {given}, expected each object once; take one out"
    actors, targets = ids["actor"] or [], ids["target"] or []
    least, most = _ACTORS[kind]
    if len(actors) < least or (most is not None and len(actors) > most):
        wanted = f"{least} or more" if most is None else f"exactly {least}"
        return f"got {len(actors)} actors, expected {wanted} for the kind {kind}; choose others"
    if kind == "unidirectional" and not targets:
        return "got an interaction without a target, expected at least one; choose it"
    if kind != "unidirectional" and targets:
        return (
            f"got a target for the kind {kind}, expected one for unidirectional alone; "
            "take it out or change the kind"
        )
    if both := set(actors) & set(targets):
        return f"got object {min(both)} as actor and as target, expected one role; choose"
    return None


def _decision(path: Path, sample_id: str, entry: Any) -> Decision:
    if not isinstance(entry, dict) or entry.get("decision") not in get_args(Choice):
        raise RunError(
            f"{path}: got {str(entry)[:80]!r} for {sample_id}, expected a decision (one of "
            f"{', '.join(get_args(Choice))}); repair it or take it out"
        )
    content = None
    if entry["decision"] == "edit":
        missing = [key for key in CONTENT if key not in entry]
        if missing:
            raise RunError(
                f"{path}: got no {missing[0]!r} in the edit of {sample_id}, expected "
                f"{', '.join(CONTENT)}; add it"
            )
        content = {key: entry[key] for key in CONTENT}
    return Decision(entry["decision"], str(entry.get("when") or ""), content)


def _write(run: str | Path, decisions: Mapping[str, Decision]) -> None:
    entries = {sample_id: decision.to_json() for sample_id, decision in decisions.items()}
    write_json(review_path(run), {"schema": SCHEMA, "decisions": entries})


@contextlib.contextmanager
def _held(run: str | Path) -> Iterator[None]:
    """One writer at a time. Of the folder itself: not the run's lock, which its command holds."""
    try:
        folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RunError(
            f"{run}: got no folder to write in ({error.strerror}), expected a run; check the path"
        ) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
