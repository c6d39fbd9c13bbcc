"""What a sweep file holds, checked before anything runs."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.comparison import SCORES

__all__ = ["Arm", "HeadsRule", "StatedClaim", "SweepConfig"]

_Path = Annotated[Path, Field(strict=False)]
_Seed = Annotated[int, Field(ge=0)]
_NAME = r"^[a-z0-9][a-z0-9+_.-]*$"


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HeadsRule(_Config):
    """How the pairs of an arm are chosen, on the selection split alone."""

    strategy: Literal[
        "top-layer", "top-layers", "bottom-layers", "top-pairs", "bottom-pairs", "random",
        "matched-random",
    ]  # fmt: skip
    """Of :func:`probes.selection.select`; random ones are drawn anew with every seed."""
    criterion: Literal["visual_mass", "text_mass", "mask_share", "lift"] = "visual_mass"
    role: Literal["act", "tar", "both"] = "both"
    k: Annotated[int, Field(ge=1)] = 4
    """Pairs, of each layer where there are several."""
    layers: Annotated[int, Field(ge=1)] = 3
    """For top-layers and bottom-layers."""
    like: str | None = None
    """The arm that matched-random is a control of."""

    @model_validator(mode="after")
    def _check(self) -> "HeadsRule":
        if (self.like is not None) != (self.strategy == "matched-random"):
            raise ValueError("like names the arm that matched-random is a control of, and no other")
        return self


class Arm(_Config):
    """One way to train, run with every seed."""

    title: str
    """What figures and tables call it."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the training configuration that differ from the base."""
    heads: HeadsRule | None = None
    """None: no attention mask loss."""
    target_by_prompt: bool = False
    """Also ask for each target in words, as the paper's Table 4 asks models with one token."""


class StatedClaim(_Config):
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


class SweepConfig(_Config):
    """A sweep: arms x seeds from one base."""

    name: Annotated[str, Field(pattern=_NAME)]
    train: _Path
    """Base training configuration, YAML."""
    data: _Path
    """Data set to train on."""
    selection: _Path
    """Data set on which pairs are chosen and attention is watched; never reported on."""
    selection_videos: Annotated[int, Field(ge=1)] | None = None
    """Only so many videos of it."""
    report: _Path
    """Data set on which J&F is reported."""
    report_videos: Annotated[int, Field(ge=1)] | None = None
    """Only so many videos of it."""
    seeds: Annotated[tuple[_Seed, ...], Field(min_length=1, strict=False)]
    arms: Annotated[dict[str, Arm], Field(min_length=1)]
    baseline: str
    """The arm that the others are compared with."""
    claims: Annotated[tuple[StatedClaim, ...], Field(strict=False)] = ()
    note: str = ""
    """What a reader of the results has to know, in a sentence or two."""

    @model_validator(mode="after")
    def _check(self) -> "SweepConfig":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed stands twice in seeds")
        if self.baseline not in self.arms:
            raise ValueError(f"baseline is {self.baseline!r}; choose one of {', '.join(self.arms)}")
        for claim in self.claims:
            for side in (claim.better, claim.than):
                self._check_side(side)
            kinds = {side.rpartition("/")[2].removesuffix("_by_prompt")
                     for side in (claim.better, claim.than)}  # fmt: skip
            if len(kinds) > 1:
                raise ValueError(
                    f"a claim compares {claim.better} with {claim.than}, expected scores of the "
                    "same masks"
                )
        for name, arm in self.arms.items():
            like = arm.heads.like if arm.heads else None
            rule = self.arms[like].heads if like in self.arms else None
            if like is not None and (rule is None or rule.like is not None):
                raise ValueError(
                    f"{name}: like is {like!r}, expected an arm whose pairs are ranked"
                )
        return self

    def _check_side(self, side: str) -> None:
        name, _, score = side.partition("/")
        if name not in self.arms or score not in SCORES:
            raise ValueError(
                f"a claim is about {side!r}, expected ARM/SCORE with one of "
                f"{', '.join(self.arms)} and one of {', '.join(SCORES)}"
            )
        arm = self.arms[name]
        if score == "target_by_prompt" and not arm.target_by_prompt:
            raise ValueError(f"a claim is about {side!r}; give that arm target_by_prompt: true")
        if score == "target" and arm.set.get("roles") == "actor":
            raise ValueError(f"a claim is about {side!r}, but that arm names no targets")
