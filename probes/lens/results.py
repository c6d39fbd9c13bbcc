"""What a run of the lens says: curves over layers, where they settle, and who wrote the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes._json import plain
from probes.bootstrap import (
    ONE_VIDEO,
    Estimate,
    cluster_bootstrap_means,
    defined_mean,
    estimate_mean,
    estimate_means,
    interval,
)
from reviosa.errors import RunError
from reviosa.io import read_jsonl
from reviosa.run_record import read_run

__all__ = [
    "LINES_FILE",
    "SERIES",
    "Attribution",
    "DepthPoint",
    "LensResults",
    "LensSeries",
    "read_lines",
    "settled_depth",
    "summarise",
]

LINES_FILE = "lens.jsonl"
_ROUNDING = 1e-5
"""Scores are kept with seven digits."""

SERIES = ("actor", "target", "goes_on", "ends")
"""Before the actor's token; before the target's; and at the fork behind the actor's token, those
expressions whose answer goes on to a target, and those whose answer ends."""


@dataclass(frozen=True)
class DepthPoint:
    """How a token stands at one depth, mean over expressions."""

    depth: int
    """Layers that were run: 0 is the embedding."""
    probability: Estimate
    first: Estimate
    """Share of expressions in which it has the highest score."""
    rank: Estimate
    over_rival: Estimate
    """Its score less that of the best other token."""
    over_end: Estimate
    """Its log-odds against the token that ends the answer behind the actor."""


@dataclass(frozen=True)
class LensSeries:
    """One kind of place in the answers."""

    name: str
    points: tuple[DepthPoint, ...]
    settled: Estimate
    """Mean depth from which on the outcome stands: the role token is first, or at the fork the
    log-odds have the sign of what was answered. Expressions in which it does not stand at the end
    are left out, as is an answer that was put into form against the model's own scores."""


@dataclass(frozen=True)
class Attribution:
    """What each part writes into a difference of two scores, mean over expressions."""

    total: Estimate
    embedding: Estimate
    heads: tuple[tuple[Estimate, ...], ...]
    """[layer][head]"""
    mlps: tuple[Estimate, ...]
    """[layer]"""


@dataclass(frozen=True)
class LensResults:
    """All results of a run of :func:`probes.lens.measure`."""

    series: dict[str, LensSeries]
    """By the names of :data:`SERIES`."""
    parting: tuple[Estimate, ...]
    """At each depth, log-odds at the fork of answers that go on less those of answers that end."""
    told_apart: Estimate
    """Mean depth from which on an expression's log-odds at the fork lie on its own side of the
    midpoint between both groups' means. Unlike the sign, this does not take what the model says of
    any expression, as it does at the embedding, for a decision about this one."""
    attribution: dict[str, Attribution]
    """``actor`` and ``target``: role token against the best other token. ``goes_on`` and ``ends``:
    going on against ending. ``decision``: the former less the latter, which takes off what heads
    write there in any answer."""
    n: int
    n_videos: int
    n_put_into_form: int
    """Answers that named no role by themselves."""
    n_wrong: int
    """Answers that name a target where there is none, or none where there is one."""
    pattern_difference: float | None
    """Largest difference of the copy's attention at the role tokens from what a capture records."""
    logit_difference: float | None
    """Largest difference of the copy's scores after the answer from the model's own."""
    remainder: float | None
    """Largest part of a score difference that no part accounts for."""
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value; undefined numbers as null."""
        return plain(self)


def read_lines(directory: str | Path) -> list[dict[str, Any]]:
    """Lines of a run's ``lens.jsonl``, one an expression; what a line holds is in docs/runs.md."""
    return read_jsonl(Path(directory) / LINES_FILE)


def settled_depth(holds: NDArray[np.bool_]) -> NDArray[np.float64]:
    """First depth from which on something holds to the end; NaN where it does not hold at the end.

    Args:
        holds: [sample, depth].

    Returns:
        [sample]
    """
    # Counted from the end: how many in a row hold.
    run = np.logical_and.accumulate(holds[:, ::-1], axis=1).sum(axis=1)
    return np.where(run > 0, holds.shape[1] - run, np.nan).astype(np.float64)


def summarise(directory: str | Path, resamples: int = 2000, seed: int = 0) -> LensResults:
    """Means of a run of :func:`probes.lens.measure`, with intervals from a bootstrap over videos.

    Raises:
        RunError: no such run, or one of another kind.
    """
    header = read_run(directory)
    if header.get("kind") != "lens":
        raise RunError(
            f"{directory} is a run of kind {header.get('kind')!r}, expected a lens run; give a "
            "folder that reviosa lens wrote"
        )
    layers, heads = header["config"]["layers"], header["config"]["heads"]
    lines = read_lines(directory)
    rows = {name: _Rows.of(lines, name, layers, heads) for name in SERIES}
    parting = _contrast(
        rows["goes_on"].curves["over_end"], rows["ends"].curves["over_end"], rows, resamples, seed
    )
    attribution = {
        name: _attribution(estimate_means(mine.parts, mine.videos, resamples, seed), layers, heads)
        for name, mine in rows.items()
    }
    attribution["decision"] = _attribution(
        _contrast(rows["goes_on"].parts, rows["ends"].parts, rows, resamples, seed), layers, heads
    )
    every = [site for line in lines for site in line["sites"].values()]
    return LensResults(
        series={name: _series(mine, resamples, seed) for name, mine in rows.items()},
        parting=parting,
        told_apart=_told_apart(rows["goes_on"], rows["ends"], resamples, seed),
        attribution=attribution,
        n=len(lines),
        n_videos=len({line["video_id"] for line in lines}),
        n_put_into_form=sum(line["put_into_form"] for line in lines),
        n_wrong=sum(line["interaction"] != line["names_target"] for line in lines),
        pattern_difference=max((line["pattern_difference"] for line in lines), default=None),
        logit_difference=max((line["logit_difference"] for line in lines), default=None),
        remainder=max((abs(site["remainder"]) for site in every), default=None),
        resamples=resamples,
        seed=seed,
    )


@dataclass(frozen=True)
class _Rows:
    """The expressions of one series."""

    name: str
    videos: NDArray
    """[sample]"""
    curves: dict[str, NDArray[np.float64]]
    """[sample, depth] each."""
    parts: NDArray[np.float64]
    """total, embedding, heads, MLPs: [sample, part]."""

    @classmethod
    def of(cls, lines: Sequence[dict[str, Any]], name: str, layers: int, heads: int) -> "_Rows":
        at_fork = name in ("goes_on", "ends")
        site = "fork" if at_fork else name
        mine = [
            line
            for line in lines
            if site in line["sites"]
            and (not at_fork or line["names_target"] == (name == "goes_on"))
        ]
        found = [line["sites"][site] for line in mine]
        curves = {
            key: np.array([x[key] for x in found], dtype=np.float64).reshape(-1, layers + 1)
            for key in ("probability", "rank", "over_rival", "over_end")
        }
        parts = [
            [x["total"], x["embedding"], *(v for row in x["heads"] for v in row), *x["mlps"]]
            for x in found
        ]
        return cls(
            name,
            np.array([line["video_id"] for line in mine], dtype=str),
            curves,
            np.array(parts, dtype=np.float64).reshape(-1, 2 + layers * heads + layers),
        )

    def outcome(self) -> NDArray[np.bool_]:
        """Whether a depth says what was answered, [sample, depth]."""
        if self.name == "goes_on":
            return self.curves["over_end"] > 0
        return self.curves["over_end"] < 0 if self.name == "ends" else self.curves["rank"] == 1


def _series(rows: _Rows, resamples: int, seed: int) -> LensSeries:
    names = ("probability", "first", "rank", "over_rival", "over_end")
    values = {**rows.curves, "first": (rows.curves["rank"] == 1).astype(np.float64)}
    estimates = [estimate_means(values[name], rows.videos, resamples, seed) for name in names]
    points = tuple(
        DepthPoint(depth, *at_depth) for depth, at_depth in enumerate(zip(*estimates, strict=True))
    )
    settled = estimate_mean(settled_depth(rows.outcome()), rows.videos, resamples, seed)
    return LensSeries(rows.name, points, settled)


def _told_apart(one: _Rows, other: _Rows, resamples: int, seed: int) -> Estimate:
    """Depth from which on each expression of two groups is nearer to its own group's mean."""
    if not len(one.videos) or not len(other.videos):
        return Estimate(None, None, 0, 0, _one_group(one))
    high, low = one.curves["over_end"], other.curves["over_end"]
    middle = (high.mean(axis=0) + low.mean(axis=0)) / 2
    # At the embedding all are the same but for rounding: on neither side.
    sides = np.vstack([high - middle > _ROUNDING, middle - low > _ROUNDING])
    videos = np.concatenate([one.videos, other.videos])
    return estimate_mean(settled_depth(sides), videos, resamples, seed)


def _one_group(goes_on: _Rows) -> str:
    return "every answer names a target" if len(goes_on.videos) else "no answer names a target"


def _attribution(estimates: Sequence[Estimate], layers: int, heads: int) -> Attribution:
    """From estimates in the order of ``_Rows.parts``."""
    total, embedding, *rest = estimates
    return Attribution(
        total,
        embedding,
        tuple(tuple(rest[layer * heads : (layer + 1) * heads]) for layer in range(layers)),
        tuple(rest[layers * heads :]),
    )


def _contrast(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    rows: dict[str, _Rows],
    resamples: int,
    seed: int,
) -> tuple[Estimate, ...]:
    """Mean over the answers that go on less that over those that end, [sample, column] both.

    A draw of videos takes the expressions of both: a video has some of either kind.
    """
    if not len(one) or not len(other):
        nothing = Estimate(None, None, 0, 0, _one_group(rows["goes_on"]))
        return (nothing,) * one.shape[1]
    videos = np.concatenate([rows["goes_on"].videos, rows["ends"].videos])
    blank_one, blank_other = np.full_like(other, np.nan), np.full_like(one, np.nan)
    values = np.hstack([np.vstack([one, blank_one]), np.vstack([blank_other, other])])
    means = defined_mean(values, axis=0)
    draws = cluster_bootstrap_means(values, videos, resamples, seed)
    columns, n, n_videos = one.shape[1], len(values), len(np.unique(videos))
    estimates = []
    for column in range(columns):
        value = float(means[column] - means[columns + column])
        if n_videos < 2:
            estimates.append(Estimate(value, None, n, n_videos, ONE_VIDEO))
        else:
            ci = interval(draws[:, column] - draws[:, columns + column])
            estimates.append(Estimate(value, ci, n, n_videos))
    return tuple(estimates)
