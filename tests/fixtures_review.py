"""A finished annotation run over synthetic videos, made without a language model."""

from pathlib import Path

from reviosa.annotation.candidates import Candidate, write_candidates
from reviosa.annotation.clip_record import Clip, tracks_path, write_clips
from reviosa.annotation.tracks import ObjectTrack, Tracks, write_tracks
from reviosa.data import InterRVOSDataset
from reviosa.run_record import open_run

__all__ = ["REASON", "make_annotation"]

REASON = "it does not name the class 'ring'"
"""Why the last expression of each clip fails."""


def make_annotation(
    directory: Path, dataset: InterRVOSDataset, category: str = "thing", reason: str = REASON
) -> Path:
    """Write a run of kind "annotate": the data set's expressions as candidates.

    The last expression of each clip has failed the verification; the first two interactions of a
    clip are twins.

    Args:
        directory: of the run.
        dataset: what it is made of; its frames stay where they are.
        category: class of all objects.
        reason: why the last ones fail.
    """
    with open_run(directory, "annotate", {"model": "none"}, None, dataset.provenance):
        clips, found = [], []
        for video in dataset.videos:
            keys = sorted({i for e in video.expressions for i in e.actor_ids + e.target_ids})
            objects = {
                key: ObjectTrack(
                    category,
                    tuple(next(iter(rles), None) for rles in dataset.rles(video.video_id, [key])),
                )
                for key in keys
            }
            size = dataset.size(video.video_id)
            write_tracks(tracks_path(directory, video.video_id), Tracks(objects, size))
            clip = Clip(
                directory, video.video_id, video.video_id, 0, size,
                str(video.frame_paths[0].parent), tuple(p.name for p in video.frame_paths),
                dict.fromkeys(keys, category),
            )  # fmt: skip
            clips.append(clip)
            acting = [e.exp_id for e in video.expressions if e.is_interaction][:2]
            twins = dict(zip(acting, reversed(acting), strict=True)) if len(acting) == 2 else {}
            items = [
                Candidate(
                    e.exp_id, e.text, e.caption_type, e.actor_ids, e.target_ids, "phrases",
                    twins.get(e.exp_id),
                )
                for e in video.expressions
            ]  # fmt: skip
            found.append((clip, items, {items[-1].exp_id: [reason]}))
        write_clips(directory, clips)
        write_candidates(directory, found)
    return directory
