"""What a nano model is asked after training: does it look, know directions, follow objects?

Each question is a plain number over a synthetic data set; nothing here trains or draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import VideoSample
from reviosa.data.synthetic.lexicon import COLORS, PLURALS, SHAPES, SIZES, TEXTURES
from reviosa.evaluation import boundary_f, jaccard
from reviosa.inference import SegmentationResult, Segmenter

__all__ = ["ExamRow", "examine", "names_a_look", "summarise"]

_LOOKS = {*SHAPES, *COLORS, *TEXTURES, *SIZES, *PLURALS.values()} - {"objects"}


def names_a_look(text: str) -> bool:
    """Whether any word of an expression says what an object looks like."""
    return not _LOOKS.isdisjoint(text.split())


@dataclass(frozen=True)
class ExamRow:
    """One expression's result."""

    video_id: str
    text: str
    caption_type: str
    kind_right: bool
    """One or two roles named as is true, by the model itself."""
    jf: tuple[np.ndarray, np.ndarray | None]
    """(J + F) / 2 of actor and target, float64 [frame]; None where there is no target."""
    seen: np.ndarray
    """Frames that the language model saw, bool [frame]."""
    directed: tuple[bool, bool] | None
    """Of an interaction: whether each mask overlaps its own object more than the other's."""


def examine(
    segmenter: Segmenter,
    dataset: InterRVOSDataset,
    strange_frames: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[ExamRow]:
    """Segment every expression of a data set and compare with the truth.

    Args:
        segmenter: the model.
        dataset: a synthetic set.
        strange_frames: show each expression the frames of the next video in place of its own.
        progress: called with (videos done, videos).
    """
    rows: list[ExamRow] = []
    videos = dataset.videos
    for index, video in enumerate(videos):
        shown = videos[(index + 1) % len(videos)] if strange_frames else video
        features = segmenter.encode(shown.read_frames())
        texts = [expression.text for expression in video.expressions]
        for expression, result in zip(
            video.expressions, segmenter.segment_encoded(features, texts), strict=True
        ):
            rows.append(_row(VideoSample(video, expression, dataset), result))
        if progress is not None:
            progress(index + 1, len(videos))
    return rows


def _row(sample: VideoSample, result: SegmentationResult) -> ExamRow:
    expression = sample.expression
    roles = (0, 1) if expression.is_interaction else (0,)
    truth = [sample.masks(role) for role in roles]
    masks = [
        np.zeros_like(truth[0]) if result.masks[role] is None else result.masks[role]
        for role in roles
    ]
    scores = [
        (jaccard(mask, true) + boundary_f(mask, true)) / 2
        for mask, true in zip(masks, truth, strict=True)
    ]
    directed = None
    if expression.is_interaction:
        own = [_overlap(masks[role], truth[role]) for role in roles]
        other = [_overlap(masks[role], truth[1 - role]) for role in roles]
        directed = (own[0] > other[0], own[1] > other[1])
    seen = np.zeros(len(truth[0]), bool)
    seen[list(result.frame_indices)] = True
    named = (result.target is not None) == expression.is_interaction
    return ExamRow(
        sample.video.video_id,
        expression.text,
        expression.caption_type,
        named and result.babble is None,
        (scores[0], scores[1] if len(scores) > 1 else None),
        seen,
        directed,
    )


def _overlap(mask: np.ndarray, truth: np.ndarray) -> int:
    return int((mask & truth).sum())


def summarise(rows: Sequence[ExamRow]) -> dict[str, Any]:
    """Means over expressions in per cent, with the number of each."""
    acting = [row for row in rows if row.directed is not None]
    by_look = [names_a_look(row.text) for row in rows]
    return {
        "actor": _mean([row.jf[0].mean() for row in acting]),
        "target": _mean([row.jf[1].mean() for row in acting if row.jf[1] is not None]),
        "rvos": _mean([row.jf[0].mean() for row in rows]),
        "kind_right": _mean([row.kind_right for row in rows]),
        "by_type": {
            kind: _mean([row.jf[0].mean() for row in rows if row.caption_type == kind])
            for kind in sorted({row.caption_type for row in rows})
        },
        "names_a_look": _mean(_roles(rows, by_look, True)),
        "role_or_motion_only": _mean(_roles(rows, by_look, False)),
        "actor_on_its_object": _mean([row.directed[0] for row in acting if row.directed]),
        "target_on_its_object": _mean([row.directed[1] for row in acting if row.directed]),
        "seen_frames": _mean([row.jf[0][row.seen].mean() for row in rows]),
        "unseen_frames": _mean([row.jf[0][~row.seen].mean() for row in rows if not row.seen.all()]),
    }


def _roles(rows: Sequence[ExamRow], by_look: Sequence[bool], wanted: bool) -> list[float]:
    return [
        float(scores.mean())
        for row, looked in zip(rows, by_look, strict=True)
        if looked == wanted
        for scores in row.jf
        if scores is not None
    ]


def _mean(values: Sequence[Any]) -> dict[str, Any]:
    if not values:
        return {"mean": None, "n": 0}
    return {"mean": round(100 * float(np.mean(values)), 2), "n": len(values)}
