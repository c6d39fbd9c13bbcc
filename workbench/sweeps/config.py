"""What a sweep file holds, checked before anything runs."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from probes.comparison import SCORES
from workbench.sources import KeyedError
from workbench.sweeps.axes import Axes
from workbench.sweeps.rules import Config, FilePath, HeadsRule, OneOf

__all__ = ["CHOICES", "Arm", "Halving", "HeadsRule", "Limits", "StatedClaim", "SweepConfig"]

_Seed = Annotated[int, Field(ge=0)]
_NAME = r"^[a-z0-9][a-z0-9+_.-]*$"
CHOICES: Final = tuple(name for name in SCORES if name != "target_by_prompt")
"""Scores of the selection split, on which choices are made."""
_Score = Annotated[str, OneOf(SCORES)]
_Choice = Annotated[str, OneOf(CHOICES)]


class Arm(Config):
    """One way to train, run with every seed."""

    title: str
    """What figures and tables call it."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the training configuration that differ from the base."""
    heads: HeadsRule | None = None
    """None: no attention mask loss."""
    target_by_prompt: bool = False
    """Also ask for each target in words, as the paper's Table 4 asks models with one token."""


class Halving(Config):
    """Successive halving: arms that are behind at a rung are trained no further."""

    rungs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, strict=False)]
    """Optimiser steps at which arms are compared, rising, before the last step of every arm."""
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the arms that goes on at each rung."""
    metric: _Choice = "rvos"
    """Score that they are compared by, J&F on the selection split, mean over seeds."""

    @model_validator(mode="after")
    def _check(self) -> "Halving":
        for place, (before, rung) in enumerate(zip(self.rungs, self.rungs[1:], strict=False), 1):
            if rung <= before:
                raise KeyedError(("rungs", place), f"got {rung} after {before}; rungs must rise")
        return self


class Limits(Config):
    """What one trial may take; nothing of it decides a result."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock time of its process; one that runs longer is ended and counts as failed."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """Main memory; a trial that holds more is ended and counts as failed."""
    cpus: Annotated[int, Field(ge=1)] | None = None
    """Threads; where not given, all here are shared out among the trials, on a cluster one."""
    gpus: Annotated[float, Field(ge=0, le=1)] | None = None
    """One GPU, or a share of one on Ray; one where this machine has any, where not given."""


class StatedClaim(Config):
    """What the sweep is to show, written down before it is run."""

    says: str
    source: str
    """Where it is stated, such as "Table 3"."""
    better: str
    """``arm/score``, the score one of actor, target, rvos and target_by_prompt."""
    than: str
    paper: float | None = None
    """Difference that the source reports, in points; half of it is the least that counts."""
    least: Annotated[float, Field(ge=0)] | None = None
    """Smallest difference that counts, in points, where the source gives no number."""

    @model_validator(mode="after")
    def _check(self) -> "StatedClaim":
        if (self.paper is None) == (self.least is None):
            raise ValueError("a claim has either paper, whose half counts, or least; give one")
        return self


class SweepConfig(Config):
    """A sweep: arms x seeds from one base. The arms are listed, or made of a grid, or both.

    Read a file with :func:`workbench.sweeps.load.load_sweep`, which makes arms of the grid.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    """Its results lie in RUNS/sweeps/NAME."""
    train: FilePath
    """Base training configuration, YAML."""
    data: FilePath
    """Data set to train on."""
    selection: FilePath
    """Data set on which pairs are chosen and attention is watched; never reported on."""
    selection_videos: Annotated[int, Field(ge=1)] | None = None
    """Only so many videos of it."""
    report: FilePath
    """Data set on which J&F is reported."""
    report_videos: Annotated[int, Field(ge=1)] | None = None
    """Only so many videos of it."""
    seeds: Annotated[tuple[_Seed, ...], Field(min_length=1, strict=False)]
    """Every arm is trained once with each."""
    axes: Axes | None = None
    """A grid: each combination of values is an arm."""
    exclude: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Points to leave out of the grid, ``axis: value`` or ``axis: [value, ...]``; all must fit."""
    arms: dict[str, Arm] = Field(default_factory=dict)
    """Arms by name, beside those of the grid."""
    baseline: str
    """The arm that the others are compared with."""
    metrics: Annotated[tuple[_Score, ...], Field(min_length=1, strict=False)] = CHOICES
    """Scores to report."""
    choose: _Choice = "rvos"
    """Score by which the best arm is chosen, on the selection split."""
    halving: Halving | None = None
    """Stop training what is behind; none, every arm is trained to its end."""
    limits: Limits = Field(default_factory=Limits)
    """What one trial may take."""
    claims: Annotated[tuple[StatedClaim, ...], Field(strict=False)] = ()
    """What the sweep is to show, written down before it is run."""
    note: str = ""
    """What a reader of the results has to know, in a sentence or two."""

    @model_validator(mode="after")
    def _check(self) -> "SweepConfig":
        for place, seed in enumerate(self.seeds):
            if seed in self.seeds[:place]:
                raise KeyedError(("seeds", place), f"a seed stands twice in seeds: {seed}")
        if self.axes is None:
            if self.exclude:
                raise KeyedError(("exclude",), "there is no grid to exclude from; add axes")
            self.check_names()
        return self

    def check_names(self) -> None:
        """Check whatever names an arm, once all arms are known.

        Raises:
            KeyedError: there is no arm, or a name or score that fits none.
        """
        if not self.arms:
            raise KeyedError(("arms",), "got no arm, expected at least one; add arms or axes")
        if self.baseline not in self.arms:
            raise KeyedError(
                ("baseline",),
                f"baseline is {self.baseline!r}; choose one of {_shortened(self.arms)}",
            )
        for name, arm in self.arms.items():
            like = arm.heads.like if arm.heads else None
            rule = self.arms[like].heads if like in self.arms else None
            if like is not None and (rule is None or rule.like is not None):
                raise KeyedError(
                    ("arms", name, "heads", "like"),
                    f"like is {like!r}, expected an arm whose pairs are ranked",
                )
        self._check_scores()
        for place, claim in enumerate(self.claims):
            for key in ("better", "than"):
                self._check_side(getattr(claim, key), ("claims", place, key))
            kinds = {side.rpartition("/")[2].removesuffix("_by_prompt")
                     for side in (claim.better, claim.than)}  # fmt: skip
            if len(kinds) > 1:
                raise KeyedError(
                    ("claims", place),
                    f"a claim compares {claim.better} with {claim.than}, expected scores of the "
                    "same masks",
                )

    def _check_scores(self) -> None:
        prompted = any(arm.target_by_prompt for arm in self.arms.values())
        if "target_by_prompt" in self.metrics and not prompted:
            raise KeyedError(
                ("metrics",),
                "no arm is scored by target_by_prompt; give one target_by_prompt: true",
            )
        alone = [name for name, arm in self.arms.items() if arm.set.get("roles") == "actor"]
        chosen: dict[tuple[str, ...], str] = {("choose",): self.choose}
        if self.halving is not None:
            chosen["halving", "metric"] = self.halving.metric
        for loc, score in chosen.items():
            if score == "target" and alone:
                raise KeyedError(loc, f"got 'target', but arm {alone[0]} names no targets")

    def _check_side(self, side: str, loc: tuple[str | int, ...]) -> None:
        name, _, score = side.partition("/")
        if name not in self.arms or score not in SCORES:
            raise KeyedError(
                loc,
                f"a claim is about {side!r}, expected ARM/SCORE with one of "
                f"{_shortened(self.arms)} and one of {', '.join(SCORES)}",
            )
        arm = self.arms[name]
        if score == "target_by_prompt" and not arm.target_by_prompt:
            raise KeyedError(
                loc, f"a claim is about {side!r}; give that arm target_by_prompt: true"
            )
        if score == "target" and arm.set.get("roles") == "actor":
            raise KeyedError(loc, f"a claim is about {side!r}, but that arm names no targets")


def _shortened(names: Iterable[str], most: int = 12) -> str:
    names = list(names)
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
