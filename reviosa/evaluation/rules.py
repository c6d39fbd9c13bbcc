"""How the benchmarks average J and F: one rule each, by name.

A rule takes scores of frames and gives ``{setting: {name: per cent, "n": number averaged}}``. With
n = 0 there is nothing to average, and the means are None. J&F is the mean of mean J and mean F. A
prediction that is missing counts 0, whatever the benchmark's own scripts do with it.

All rules but InterRVOS's look at actors alone: elsewhere an expression has no other role.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reviosa.evaluation.protocols import protocol_means, role_score
from reviosa.evaluation.scoring import ObjectScores, RoleFrames

__all__ = [
    "RULES",
    "Means",
    "ObjectRule",
    "Rule",
    "a2d",
    "davis_semi_supervised",
    "davis_unsupervised",
    "interrvos",
    "mevis",
    "ref_davis",
    "ref_youtube_vos",
    "revos",
    "sa_v",
]

Row = dict[str, float | int | None]
"""Name -> mean in per cent; ``n`` says of how many."""
Means = dict[str, Row]
"""Setting -> its means."""

_PRECISIONS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Rule:
    """A rule that averages what :func:`~reviosa.evaluation.scoring.score_expressions` gives."""

    says: str
    """What is averaged over what, in a line."""
    means: Callable[[Sequence[RoleFrames]], Means]


@dataclass(frozen=True)
class ObjectRule:
    """A rule that averages what :func:`~reviosa.evaluation.scoring.score_objects` gives."""

    says: str
    """What is averaged over what, in a line."""
    means: Callable[[Sequence[ObjectScores]], Means]


def interrvos(roles: Sequence[RoleFrames]) -> Means:
    """Actor, Target and RVOS: frames, then expressions.

    See :mod:`reviosa.evaluation.protocols`.
    """
    return protocol_means([role_score(one) for one in roles])


def mevis(roles: Sequence[RoleFrames]) -> Means:
    """All frames, then expressions (MeViS, ``tools/eval_mevis.py``)."""
    return {"all": _means([(one.j, one.f) for one in _actors(roles)])}


def ref_youtube_vos(roles: Sequence[RoleFrames]) -> Means:
    """All frames that have truth, then expressions (Seo et al., ECCV 2020; the server does so)."""
    return mevis(roles)


def revos(roles: Sequence[RoleFrames]) -> Means:
    """Referring and reasoning expressions apart (VISA, ``tools/eval_revos.py``).

    J and F of an expression are rounded to 0.01 per cent before they are averaged, and "overall" is
    the plain mean of the two settings, however many expressions each has. An expression of neither
    group (``type_id`` 2) does not count.
    """
    found: Means = {}
    for group in ("referring", "reasoning"):
        chosen = [one for one in _actors(roles) if one.expression.group == group]
        pairs = [(np.round(100 * one.j, 2), np.round(100 * one.f, 2)) for one in chosen]
        found[group] = _means(pairs, 1)
    one, two = found.values()
    overall: Row = {name: _middle(one[name], two[name]) for name in ("J", "F", "J&F")}
    return {**found, "overall": {**overall, "n": (one["n"] or 0) + (two["n"] or 0)}}


def davis_semi_supervised(roles: Sequence[RoleFrames]) -> Means:
    """The first and the last frame are skipped; frames, then all objects (davis2017-evaluation).

    J and F come with recall, the share of frames above 0.5, and decay, the mean over the first
    quarter of the frames less that over the last. Every actor is an object; one with no more than
    two frames does not count.
    """
    tracks = [(one.frames.j[1:-1], one.frames.f[1:-1]) for one in _actors(roles)]
    return {"all": _davis([track for track in tracks if len(track[0])])}


def davis_unsupervised(videos: Sequence[ObjectScores]) -> Means:
    """All frames; predicted objects are matched to true ones (davis2017-evaluation).

    In each video the matching with the greatest sum of J&F is taken, so that it does not matter
    which prediction is called by which name. Then frames, then all objects, as
    :func:`davis_semi_supervised`. Predicted objects may overlap here, which they cannot in the
    palette pictures that the benchmark is handed.
    """
    from scipy.optimize import linear_sum_assignment

    tracks: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for video in videos:
        merit = (video.j.mean(axis=2) + video.f.mean(axis=2)) / 2
        matched = zip(*linear_sum_assignment(merit, maximize=True), strict=True)
        tracks += [(video.j[pair], video.f[pair]) for pair in matched]
    return {"all": _davis(tracks)}


def ref_davis(videos: Sequence[ObjectScores]) -> Means:
    """:func:`davis_unsupervised` once for each annotator, then the mean of these.

    So do ReferFormer and what follows it (Khoreva et al., ACCV 2018, gave the texts). The group of
    an expression is its annotator.
    """
    groups = sorted({video.group for video in videos})
    found: Means = {
        group: davis_unsupervised([video for video in videos if video.group == group])["all"]
        for group in groups
    }
    names = ("J", "F", "J&F")
    overall: Row = {
        name: float(np.mean([means[name] or 0 for means in found.values()])) if found else None
        for name in names
    }
    return {**found, "all": {**overall, "n": sum(means["n"] or 0 for means in found.values())}}


def sa_v(roles: Sequence[RoleFrames]) -> Means:
    """The first and the last frame are skipped; averaging starts where the object is first seen.

    Seen in the truth or in the prediction, among the frames that are left; frames, then objects. An
    object that the truth does not show in these does not count. (SA-V's ``sav_evaluator.py`` and
    vos-benchmark; of the frames, those that are annotated.)
    """
    pairs = []
    for one in _actors(roles):
        frames = one.frames
        true, predicted = frames.true[1:-1], frames.predicted[1:-1]
        if true.any():
            start = int(np.flatnonzero(true + predicted)[0])
            pairs.append(
                (float(frames.j[1:-1][start:].mean()), float(frames.f[1:-1][start:].mean()))
            )
    return {"all": _means(pairs)}


def a2d(roles: Sequence[RoleFrames]) -> Means:
    """A2D- and J-HMDB-Sentences: IoU of all frames of all expressions, each as one instance.

    "overall IoU" is the sum of all intersections over the sum of all unions (Gavrilyuk et al., CVPR
    2018), "mean IoU" the mean of the frames, "P@0.5" the share of frames above 0.5. A frame that
    does not show the instance does not count: the published lists have none for it. MTTR and
    ReferFormer add 1e-6 to intersection and union of a frame, in single precision; here IoU is
    exact.
    """
    shown = [(one.frames, one.frames.true > 0) for one in _actors(roles)]
    iou = np.concatenate([frames.j[chosen] for frames, chosen in shown] or [np.zeros(0)])
    if not len(iou):
        names = ("overall IoU", "mean IoU", *(f"P@{level}" for level in _PRECISIONS))
        return {"all": {**dict.fromkeys(names), "n": 0}}
    common = sum(int(frames.common[chosen].sum()) for frames, chosen in shown)
    areas = sum(int((frames.predicted + frames.true)[chosen].sum()) for frames, chosen in shown)
    return {
        "all": {
            "overall IoU": 100 * common / (areas - common),
            "mean IoU": 100 * float(iou.mean()),
            **{f"P@{level}": 100 * float((iou > level).mean()) for level in _PRECISIONS},
            "n": len(iou),
        }
    }


RULES: Final[dict[str, Rule | ObjectRule]] = {
    "interrvos": Rule("frames, then expressions: Actor, Target, RVOS", interrvos),
    "mevis": Rule("frames, then expressions", mevis),
    "ref-youtube-vos": Rule("annotated frames, then expressions", ref_youtube_vos),
    "revos": Rule("referring and reasoning apart, then their plain mean", revos),
    "davis-semi-supervised": Rule("frames but first and last, then objects", davis_semi_supervised),
    "davis-unsupervised": ObjectRule("objects matched; frames, then objects", davis_unsupervised),
    "ref-davis": ObjectRule("davis-unsupervised for each annotator, then their mean", ref_davis),
    "ref-davis-expressions": Rule("frames, then expressions of all annotators", mevis),
    "sa-v": Rule("frames but first and last, from where it is first seen; then objects", sa_v),
    "a2d": Rule("IoU of frames that show it: overall, mean, precision", a2d),
}
"""The rules by name. Ref-DAVIS is averaged in two ways in print: as DAVIS does, and by expression
as MeViS does (so do VISA's and InterRVOS's scripts)."""


def _actors(roles: Sequence[RoleFrames]) -> list[RoleFrames]:
    return [one for one in roles if one.role == "actor"]


def _means(pairs: Sequence[tuple[float, float]], unit: float = 100) -> Row:
    """Mean J and F of (J, F) pairs, times the unit."""
    if not pairs:
        return {"J": None, "F": None, "J&F": None, "n": 0}
    j, f = (unit * float(np.mean(values)) for values in zip(*pairs, strict=True))
    return {"J": j, "F": f, "J&F": (j + f) / 2, "n": len(pairs)}


def _middle(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else (one + two) / 2


def _davis(
    tracks: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> Row:
    """Means over objects of mean, recall and decay of J and F, each float64 [frame]."""
    means = _means([(float(j.mean()), float(f.mean())) for j, f in tracks])
    for place, name in enumerate(("J", "F")):
        for what, of in (("recall", _recall), ("decay", _decay)):
            values = [of(track[place]) for track in tracks]
            means[f"{name} {what}"] = 100 * float(np.mean(values)) if values else None
    return means


def _recall(values: NDArray[np.float64]) -> float:
    return float((values > 0.5).mean())


def _decay(values: NDArray[np.float64]) -> float:
    """Mean of the first quarter less that of the last; neighbouring quarters share a frame.

    As ``db_statistics`` of davis2017-evaluation; that counts frames in 8 bits, this in full.
    """
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return float(first.mean() - last.mean())
