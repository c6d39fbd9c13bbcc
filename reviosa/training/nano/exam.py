"""What a nano model is asked after training: does it look, know directions, follow objects?

Each question is a plain number over a synthetic data set; nothing here trains or draws.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reviosa.data.interrvos import InterRVOSDataset
from reviosa.data.records import VideoSample
from reviosa.data.synthetic.lexicon import names_a_look
from reviosa.evaluation import boundary_f, jaccard
from reviosa.inference import SegmentationResult, Segmenter
from reviosa.io import write_json

__all__ = ["BARS", "Bar", "ExamRow", "examine", "judge", "run_exam", "summarise"]


@dataclass(frozen=True)
class ExamRow:
    """One expression's result."""

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

    @property
    def passive(self) -> bool:
        """Whether it is an interaction told from the side of what is acted on."""
        return self.directed is not None and " being " in self.text


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
        features = segmenter.encode(shown)
        texts = [expression.text for expression in video.expressions]
        results = segmenter.segment_encoded(features, texts)
        for expression, result in zip(video.expressions, results, strict=True):
            rows.append(_row(VideoSample(video, expression, dataset), result))
        if progress is not None:
            progress(index + 1, len(videos))
    return rows


def _row(sample: VideoSample, result: SegmentationResult) -> ExamRow:
    expression = sample.expression
    truth = [sample.masks(role) for role in ((0, 1) if expression.is_interaction else (0,))]
    masks = [
        np.zeros_like(true) if found is None else found
        for true, found in zip(truth, result.masks, strict=False)
    ]
    scores = [
        (jaccard(mask, true) + boundary_f(mask, true)) / 2
        for mask, true in zip(masks, truth, strict=True)
    ]
    directed = None
    if expression.is_interaction:
        overlap = [[int((mask & true).sum()) for true in truth] for mask in masks]
        directed = (overlap[0][0] > overlap[0][1], overlap[1][1] > overlap[1][0])
    seen = np.zeros(len(truth[0]), bool)
    seen[list(result.frame_indices)] = True
    named = (result.target is not None) == expression.is_interaction
    return ExamRow(
        expression.text,
        expression.caption_type,
        named and result.babble is None,
        (scores[0], scores[1] if len(scores) > 1 else None),
        seen,
        directed,
    )


def summarise(rows: Sequence[ExamRow]) -> dict[str, Any]:
    """Means over expressions in per cent, each with its number.

    ``by_look`` and ``by_role_or_motion`` are means over the roles of the expressions that say, or
    do not say, what any object looks like.
    """
    acting = [row for row in rows if row.directed is not None]
    passive = [row for row in acting if row.passive]
    kinds = sorted({row.caption_type for row in rows})
    return {
        "actor": _mean([row.jf[0].mean() for row in acting]),
        "target": _mean([row.jf[1].mean() for row in acting if row.jf[1] is not None]),
        "rvos": _mean([row.jf[0].mean() for row in rows]),
        "kind_right": _mean([row.kind_right for row in rows]),
        "by_type": {
            kind: _mean([row.jf[0].mean() for row in rows if row.caption_type == kind])
            for kind in kinds
        },
        "by_look": _mean(_role_scores(rows, True)),
        "by_role_or_motion": _mean(_role_scores(rows, False)),
        "directed": _mean(_directed(acting)),
        "directed_passive": _mean(_directed(passive)),
        "seen_frames": _mean([row.jf[0][row.seen].mean() for row in rows]),
        "unseen_frames": _mean([row.jf[0][~row.seen].mean() for row in rows if not row.seen.all()]),
    }


def _role_scores(rows: Sequence[ExamRow], looked: bool) -> list[float]:
    return [
        float(scores.mean())
        for row in rows
        if names_a_look(row.text) == looked
        for scores in row.jf
        if scores is not None
    ]


def _directed(rows: Sequence[ExamRow]) -> list[bool]:
    """Whether each role's mask is on the right object, of both roles of each row."""
    return [right for row in rows for right in row.directed or ()]


def _mean(values: Sequence[Any]) -> dict[str, Any]:
    if not values:
        return {"mean": None, "n": 0}
    return {"mean": round(100 * float(np.mean(values)), 2), "n": len(values)}


class Bar(NamedTuple):
    """What a value must reach."""

    name: str
    least: float
    value: Callable[[dict[str, Any]], float]
    """Of the summaries of all parts."""


BARS = (
    Bar("Actor J&F", 70, lambda x: x["test"]["actor"]["mean"]),
    Bar("Target J&F", 65, lambda x: x["test"]["target"]["mean"]),
    Bar("RVOS J&F", 65, lambda x: x["test"]["rvos"]["mean"]),
    Bar("kind of answer right", 97, lambda x: x["test"]["kind_right"]["mean"]),
    Bar(
        "fall of RVOS J&F with the frames of another video",
        40,
        lambda x: x["test"]["rvos"]["mean"] - x["strange"]["rvos"]["mean"],
    ),
    Bar(
        "J&F by role or motion alone, less that by look",
        -10,
        lambda x: x["test"]["by_role_or_motion"]["mean"] - x["test"]["by_look"]["mean"],
    ),
    Bar(
        "masks on the right object, mirrored events",
        90,
        lambda x: x["mirrored"]["directed"]["mean"],
    ),
    Bar(
        "masks on the right object, passive sentences",
        90,
        lambda x: x["test"]["directed_passive"]["mean"],
    ),
    Bar(
        "J&F on unseen frames of long clips, less that on seen ones",
        -10,
        lambda x: x["long"]["unseen_frames"]["mean"] - x["long"]["seen_frames"]["mean"],
    ),
)
"""What a nano model must reach to be shipped, in per cent or points."""


def judge(parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare the summaries of all parts with :data:`BARS`."""
    return [_verdict(bar, parts) for bar in BARS]


def _verdict(bar: Bar, parts: dict[str, Any]) -> dict[str, Any]:
    """A bar's value, None where the data hold nothing to judge it by, and whether it is reached."""
    try:
        value = round(bar.value(parts), 2)
    except TypeError:  # a mean of nothing is None
        value = None
    reached = value is not None and value >= bar.least
    return {"name": bar.name, "value": value, "least": bar.least, "reached": reached}


def run_exam(
    segmenter: Segmenter,
    benchmark: Path,
    out: Path,
    identity: str,
    limit: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Examine a model on a benchmark; parts that ``out`` holds for this model are not redone.

    Args:
        segmenter: the model.
        benchmark: folder of a benchmark with the splits test, mirrored and long.
        out: JSON file with the summaries, what they are of, and the verdicts.
        identity: of the model.
        limit: only so many videos of each split.
        progress: called with (part, videos done, videos).
    """
    head = {"model": identity, "limit": limit}
    result: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    if {key: result.get(key) for key in head} != head:
        result = {**head, "data": {}, "parts": {}}
    for part, split in (
        ("test", "test"), ("strange", "test"), ("mirrored", "mirrored"), ("long", "long")
    ):  # fmt: skip
        dataset = InterRVOSDataset(benchmark / split, limit)
        if part in result["parts"] and result["data"].get(part) == dataset.identity:
            continue
        tell = None if progress is None else partial(progress, part)
        rows = examine(segmenter, dataset, part == "strange", tell)
        result["data"][part] = dataset.identity
        result["parts"][part] = summarise(rows)
        write_json(out, result)
    result["verdicts"] = judge(result["parts"])
    write_json(out, result)
    return result
