"""What the page of reviews shows, fetched: candidates, decisions, frames with masks drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from reports.overlay import compose_frame, resize_frame, resize_mask
from reviosa.annotation.assemble import set_path, write_set
from reviosa.annotation.candidates import candidates_path, read_candidates
from reviosa.annotation.clip_record import Clip, clips_path, read_clips, tracks_path
from reviosa.annotation.marks import PALETTE, Mark, draw_marks
from reviosa.annotation.review import Decision, read_review, review_path
from reviosa.errors import DataError, RunError
from reviosa.process import locked_directory
from workbench.pages._data import files_mark
from workbench.pages._frames import BIG, SMALL
from workbench.pages._paths import below

__all__ = [
    "UNDECIDED", "Expression", "Seen", "candidates_mark", "candidates_of", "decisions_of",
    "expression_of", "going_in", "objects_of", "pictures_of", "rewrite_set", "seen_of",
    "strip_of", "table_of",
]  # fmt: skip

UNDECIDED: Final = "undecided"
MARKED_OPACITY: Final = 0.35
"""Of the colours of objects by number."""


@dataclass(frozen=True)
class Expression:
    """One candidate as it stands now: as the stages made it, or as a person changed it."""

    sample_id: str
    """``clip/exp_id``"""
    clip_id: str
    text: str
    caption_type: str
    actor_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    twin: str | None
    """``clip/exp_id``"""
    verdict: str
    reasons: tuple[str, ...]
    stage: str
    made: str
    """Its words as the stages made them."""
    state: str
    """What was decided, or :data:`UNDECIDED`."""


def candidates_mark(directory: Path) -> tuple:
    """Changes when the candidates or the list of clips are written."""
    return files_mark([candidates_path(directory), clips_path(directory)])


@st.cache_resource(max_entries=2, show_spinner="Reading the candidates")
def candidates_of(directory: Path, mark: tuple) -> dict[str, Any]:
    """What ``candidates.json`` holds, every record of it checked.

    Raises:
        RunError: it is missing or damaged.
    """
    record = read_candidates(directory)
    try:
        for clip_id, clip in record["videos"].items():
            clip["frames"], clip["objects"].items()
            for exp_id, entry in clip["expressions"].items():
                _expression(f"{clip_id}/{exp_id}", clip_id, entry, None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{candidates_path(directory)}: got a damaged record ({error!r}), expected clips with "
            "frames, objects and expressions; let reviosa annotate write it again"
        ) from None
    return record


def decisions_of(directory: Path) -> dict[str, Decision]:
    """What was decided so far.

    Raises:
        RunError: the file is damaged.
    """
    return _decisions(directory, files_mark([review_path(directory)]))


@st.cache_resource(max_entries=4, show_spinner=False)
def _decisions(directory: Path, mark: tuple) -> dict[str, Decision]:
    return read_review(directory)


def table_of(directory: Path, mark: tuple, decisions: Mapping[str, Decision]) -> pd.DataFrame:
    """A row a candidate, in the order of the file, with what was decided in ``state``."""
    table = _table(directory, mark).copy()
    table["state"] = [
        decisions[name].decision if name in decisions else UNDECIDED for name in table["sample"]
    ]
    return table


@st.cache_resource(max_entries=2, show_spinner=False)
def _table(directory: Path, mark: tuple) -> pd.DataFrame:
    rows = [
        (
            f"{clip_id}/{exp_id}", clip_id, entry["exp"], entry["caption_type"], entry["verdict"],
            "; ".join(entry["reasons"]),
        )
        for clip_id, clip in candidates_of(directory, mark)["videos"].items()
        for exp_id, entry in clip["expressions"].items()
    ]  # fmt: skip
    columns = ["sample", "clip", "expression", "caption_type", "verdict", "reasons"]
    return pd.DataFrame(rows, columns=columns)


def going_in(table: pd.DataFrame) -> int:
    """How many of the candidates would go into the set now."""
    chosen = table.state.isin(("accept", "edit"))
    return int((chosen | ((table.verdict == "pass") & (table.state == UNDECIDED))).sum())


def expression_of(
    candidates: Mapping[str, Any], decisions: Mapping[str, Decision], sample_id: str
) -> Expression | None:
    """One candidate; None where there is none of that name."""
    clip_id, _, exp_id = sample_id.rpartition("/")
    clip = candidates["videos"].get(clip_id)
    entry = None if clip is None else clip["expressions"].get(exp_id)
    return (
        None if entry is None else _expression(sample_id, clip_id, entry, decisions.get(sample_id))
    )


def _expression(
    sample_id: str, clip_id: str, entry: Mapping[str, Any], decision: Decision | None
) -> Expression:
    now = {**entry, **((decision.content if decision else None) or {})}
    twin = entry.get("twin")
    return Expression(
        sample_id=sample_id,
        clip_id=clip_id,
        text=str(now["exp"]),
        caption_type=str(now["caption_type"]),
        actor_ids=tuple(int(i) for i in now["actor_ids"]),
        target_ids=tuple(int(i) for i in now["target_ids"]),
        twin=None if twin is None else f"{clip_id}/{twin}",
        verdict=str(entry["verdict"]),
        reasons=tuple(str(reason) for reason in entry["reasons"]),
        stage=str(entry.get("stage", "")),
        made=str(entry["exp"]),
        state=UNDECIDED if decision is None else decision.decision,
    )


def objects_of(candidates: Mapping[str, Any], clip_id: str) -> dict[int, str]:
    """Objects of a clip: id -> class."""
    return {int(key): str(name) for key, name in candidates["videos"][clip_id]["objects"].items()}


@dataclass(frozen=True)
class Seen:
    """Where the objects of an expression are seen."""

    frames: int
    """Of the clip."""
    first: int
    """The frame with most of its roles, and of those the one with most pixels of them."""


@st.cache_data(max_entries=256, show_spinner=False)
def seen_of(
    directory: Path, mark: tuple, clip_id: str, roles: tuple[tuple[int, ...], ...]
) -> Seen | str:
    """Which frame to show first, or why none can be shown.

    Args:
        directory: of the run.
        mark: of its candidates.
        clip_id: the clip.
        roles: object ids of actor and target.
    """
    try:
        clip = _clip(directory, mark, clip_id)
        tracks = clip.tracks()
        areas = np.zeros((2, clip.video.num_frames))
        for role, ids in enumerate(roles):
            for key in ids:
                if key in tracks.objects:
                    areas[role] += tracks.areas(key)
    except (RunError, DataError) as error:
        return str(error)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        return _damaged(directory, clip_id, error)
    best = max(range(areas.shape[1]), key=lambda i: ((areas[:, i] > 0).sum(), areas[:, i].sum()))
    return Seen(areas.shape[1], best)


@st.cache_data(max_entries=64, show_spinner="Reading the frame")
def pictures_of(
    directory: Path, mark: tuple, clip_id: str, roles: tuple[tuple[int, ...], ...], frame: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | str:
    """A frame with actor and target, and with all objects of the clip by number; or why not.

    uint8 [height, width, 3] each.
    """
    try:
        clip = _clip(directory, mark, clip_id)
        tracks = clip.tracks()
        shown = resize_frame(_frame(clip, frame), BIG)
        size = shown.shape[:2]
        marks = [
            Mark(
                resize_mask(tracks.mask(key, frame), size), PALETTE[place % len(PALETTE)], 2,
                MARKED_OPACITY, f"[{key}]",
            )
            for place, key in enumerate(sorted(tracks.objects))
        ]  # fmt: skip
        return _with_roles(clip, frame, roles, BIG), draw_marks(shown, marks)
    except (RunError, DataError) as error:
        return str(error)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        return _damaged(directory, clip_id, error)


@st.cache_data(max_entries=64, show_spinner="Reading the frames")
def strip_of(
    directory: Path,
    mark: tuple,
    clip_id: str,
    roles: tuple[tuple[int, ...], ...],
    frames: tuple[int, ...],
) -> list[NDArray[np.uint8]]:
    """Small frames with actor and target; none where they cannot be read."""
    try:
        clip = _clip(directory, mark, clip_id)
        return [_with_roles(clip, frame, roles, SMALL) for frame in frames]
    except (RunError, DataError, KeyError, ValueError, TypeError, IndexError):
        return []


def rewrite_set(directory: Path) -> dict[str, int]:
    """Write the data set of a run anew, with what was decided; see :func:`write_set`.

    Raises:
        RunError: a process works on the run.
        DataError: a decision, a frame or a mask is not as it should be.
    """
    with locked_directory(directory):
        return write_set(directory)


def _with_roles(
    clip: Clip, frame: int, roles: Sequence[Sequence[int]], height: int
) -> NDArray[np.uint8]:
    tracks, pixels = clip.tracks(), _frame(clip, frame)
    masks = {}
    for role, ids in zip(("actor", "target"), roles, strict=True):
        known = [tracks.mask(key, frame) for key in ids if key in tracks.objects]
        masks |= {role: np.any(known, axis=0)} if known else {}
    return compose_frame(pixels, predicted=masks, height=height)


def _frame(clip: Clip, frame: int) -> NDArray[np.uint8]:
    pixels = clip.video.read_frames([frame])[0]
    if pixels.shape[:2] != clip.size:
        raise DataError(
            f"{clip.video.frame_paths[frame]}: got a frame of {pixels.shape[0]}x{pixels.shape[1]} "
            f"pixels, expected {clip.size[0]}x{clip.size[1]} like its masks; replace it"
        )
    return pixels


def _clip(directory: Path, mark: tuple, clip_id: str) -> Clip:
    clips = _clips(directory, mark)
    if clip_id not in clips:
        raise DataError(
            f"{clips_path(directory)}: got no clip {clip_id}, expected all clips of the "
            "candidates; go on with the run (--resume) to have it written"
        )
    return _placed(directory, clips[clip_id])


@st.cache_resource(max_entries=2, show_spinner=False)
def _clips(directory: Path, mark: tuple) -> dict[str, Clip]:
    return read_clips(directory)


def _placed(directory: Path, clip: Clip) -> Clip:
    """The clip; where its frames have gone, with those of the set."""
    # A list that a stranger wrote must not name files outside of the run, but for one folder.
    below(tracks_path(directory, "x").parent, f"{clip.clip_id}.json")
    folder = set_path(directory) / "JPEGImages" / clip.clip_id
    for name in clip.files:
        below(folder, name)
        if "/" in name:
            raise RunError(
                f"{clips_path(directory)}: got the frame {name!r}, expected the name of a file; "
                "let reviosa annotate write it again"
            )
    gone = clip.files and not (clip.run / clip.folder / clip.files[0]).is_file()
    if gone and (folder / clip.files[0]).is_file():
        return Clip.from_json(
            clip.run, clip.clip_id, {**clip.to_json(), "folder": str(folder.resolve())}
        )
    return clip


def _damaged(directory: Path, clip_id: str, error: Exception) -> str:
    path = tracks_path(directory, clip_id)
    return f"{path}: got damaged masks ({error!r}), expected one or null a frame; write it again"
