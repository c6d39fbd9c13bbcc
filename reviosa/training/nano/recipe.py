"""Which stages the nano model goes through, for how long, and from what each starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reviosa.errors import CheckpointError, ConfigError
from reviosa.training.nano.stages import STAGES, run_stage

__all__ = ["Recipe", "StageConfig", "run_recipe"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageConfig(_Config):
    """One stage."""

    stage: str
    """Name in STAGES, which is also its folder."""
    steps: Annotated[int, Field(ge=1)]
    """Optimiser steps."""
    start_from: tuple[str, ...] = ()
    """Earlier stages whose weights it takes over, each those that it trained."""


class Recipe(_Config):
    """The stages in their order."""

    seed: Annotated[int, Field(ge=0)] = 0
    stages: Annotated[tuple[StageConfig, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        done: list[str] = []
        for stage in self.stages:
            if stage.stage not in STAGES:
                raise ValueError(f"no stage {stage.stage!r}; choose one of {', '.join(STAGES)}")
            missing = [name for name in stage.start_from if name not in done]
            if stage.stage in done:
                raise ValueError(f"{stage.stage} stands twice; its folder can hold one")
            if missing:
                raise ValueError(f"{stage.stage} starts from {missing[0]}, which is not before it")
            done.append(stage.stage)
        return self

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a recipe from YAML.

        Raises:
            ConfigError: the file is missing, no YAML, or no recipe.
        """
        try:
            return cls.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"{path}: cannot read the recipe: {reason}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "recipe"
            raise ConfigError(f"{path}: {where}: {first['msg']}; correct the file") from None


def run_recipe(
    recipe: Recipe, data: Path, out: Path, report: Callable[[str], None] = print
) -> Path:
    """Run the stages that are not done; one that was stopped goes on.

    Returns:
        the folder of the last stage, which is a checkpoint.

    Raises:
        ReviosaError: data or an earlier stage cannot be used.
    """
    for stage in recipe.stages:
        scores = out / stage.stage / "scores.json"
        if scores.is_file():
            steps = json.loads(scores.read_text(encoding="utf-8")).get("steps")
            if steps != stage.steps:
                raise CheckpointError(
                    f"{scores}: got a stage of {steps} steps, expected {stage.steps}; remove its "
                    "folder, and those of the stages after it, to train it anew"
                )
            report(f"{stage.stage}: done already")
            continue
        run_stage(
            stage.stage,
            data,
            out,
            stage.steps,
            seed=recipe.seed,
            start_from=tuple(out / name for name in stage.start_from),
            report=report,
        )
    return out / recipe.stages[-1].stage
