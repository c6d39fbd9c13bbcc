"""The finished data set: candidates and a person's decisions in the InterRVOS layout."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reviosa.annotation.candidates import read_candidates
from reviosa.annotation.clip_record import Clip, read_clips
from reviosa.annotation.review import apply_review, read_review
from reviosa.errors import DataError
from reviosa.io import atomic_directory, write_json

__all__ = ["set_path", "write_set"]


def set_path(run: Path) -> Path:
    """The folder of a run's data set."""
    return Path(run) / "set"


def write_set(run: str | Path) -> dict[str, int]:
    """Write ``set/`` of a run folder anew, whole or not at all.

    Expressions that passed and were not rejected, and those a person accepted or edited, go in.
    Clips of which none is left are left out. Frames are linked where the file system allows it,
    else copied.

    Returns:
        how many ``videos``, ``objects``, ``expressions`` and ``interactions`` it holds.

    Raises:
        RunError: the run has no candidates yet.
        DataError: no expression is left, or masks or frames are missing.
    """
    run = Path(run)
    clips = read_clips(run)
    chosen = apply_review(read_candidates(run), read_review(run))
    chosen = {clip_id: items for clip_id, items in chosen.items() if items}
    if not chosen:
        raise DataError(
            f"{run}: got no expression that passed or was accepted, expected at least one; see "
            "the reasons in candidates.json and dropped.json"
        )
    counts = {"videos": len(chosen), "objects": 0, "expressions": 0, "interactions": 0}
    goal = set_path(run)
    temporary = goal.with_name(".set-new")
    # What a killed process left: the folder itself, or the one it was being written in.
    for stale in (temporary, *run.glob(f".{temporary.name}-*")):
        shutil.rmtree(stale, ignore_errors=True)
    with atomic_directory(temporary) as folder:
        meta: dict[str, Any] = {}
        with open(folder / "mask_dict.json", "w", encoding="utf-8") as masks:
            masks.write("{")
            for number, (clip_id, items) in enumerate(sorted(chosen.items())):
                clip = clips[clip_id]
                _place_frames(clip, folder / "JPEGImages" / clip_id)
                annos = _write_masks(masks, clip, counts["objects"])
                counts["objects"] += len(annos)
                meta[clip_id] = _video(number, clip, items, annos)
                counts["expressions"] += len(items)
                counts["interactions"] += sum(
                    x["caption_type"] == "unidirectional" for x in items.values()
                )
            masks.write("}\n")
        write_json(folder / "meta_expressions.json", {"videos": meta}, indent=None)
    _replace(temporary, goal)
    return counts


def _write_masks(file: Any, clip: Clip, first: int) -> dict[int, int]:
    """Add the masks of a clip's objects, annotation ids from ``first``: object -> annotation id.

    Written clip by clip: the masks of a large set do not fit into memory.
    """
    annos = {key: first + place for place, key in enumerate(sorted(clip.objects))}
    tracks = clip.tracks()
    for key, anno in annos.items():
        file.write(("\n" if anno == 0 else ",\n") + f'"{anno}": ')
        json.dump(list(tracks.objects[key].masks), file)
    return annos


def _video(
    number: int, clip: Clip, items: Mapping[str, Mapping[str, Any]], annos: Mapping[int, int]
) -> dict[str, Any]:
    expressions = {}
    for place, (exp_id, item) in enumerate(items.items()):
        actors, targets = list(item["actor_ids"]), list(item["target_ids"])
        _require_known(clip, exp_id, (*actors, *targets))
        subject, object_ = ([annos[key] for key in keys] for keys in (actors, targets))
        expressions[str(place)] = {
            "exp": item["exp"],
            "caption_type": item["caption_type"],
            "obj_id": actors,
            "anno_id": subject,
            "subject/object": {
                "obj_id": {"subject": actors, "object": targets},
                "anno_id": {"subject": subject, "object": object_},
            },
            "candidate": exp_id,
        }
    return {
        "vid_id": number,
        "frames": list(clip.video.frame_names),
        "expressions": expressions,
    }


def _require_known(clip: Clip, exp_id: str, keys: Sequence[int]) -> None:
    unknown = sorted(set(keys) - set(clip.objects))
    if unknown:
        raise DataError(
            f"{clip.clip_id}/{exp_id}: got object {unknown[0]}, expected some of "
            f"{sorted(clip.objects)}; mend the decision in review.json"
        )


def _place_frames(clip: Clip, folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in clip.video.frame_paths:
        try:
            os.link(path, folder / path.name, follow_symlinks=True)
        except FileNotFoundError:
            raise DataError(f"{path}: got no file, expected a frame; restore it") from None
        except OSError:
            # Another file system, or one without links.
            shutil.copyfile(path, folder / path.name)


def _replace(new: Path, goal: Path) -> None:
    """Put a folder in the place of another; after a crash in between it is written again."""
    old = goal.with_name(".set-old")
    shutil.rmtree(old, ignore_errors=True)
    if goal.exists():
        os.rename(goal, old)
    os.rename(new, goal)
    shutil.rmtree(old, ignore_errors=True)
