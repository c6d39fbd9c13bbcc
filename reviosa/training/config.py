"""What a training run is told: every knob, checked before anything heavy is loaded."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["LOSS_PRESETS", "LoraSettings", "LossConfig", "TrainConfig"]

# A path arrives as text from a file, while every other value must have its type already:
# strictness is what keeps `learning_rate: true` from becoming 1.0.
_Path = Annotated[Path, Field(strict=False)]
_Weight = Annotated[float, Field(ge=0)]

LOSS_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "text": 1.0,
        "bce": 1.0,
        "dice": 1.0,
        "aml": 1.0,
        "aml_reduction": "sum",
        "aml_order": "expression",
        "mask_points": None,
        "target_normaliser": "targets",
        "truth": "area",
    },
    "release": {
        "text": 1.0,
        "bce": 2.0,
        "dice": 0.5,
        "aml": 1.0,
        "aml_reduction": "mean",
        "aml_order": "release",
        "mask_points": 12544,
        "target_normaliser": "expressions",
        "truth": "nearest",
    },
}
"""Losses by name. The paper gives the weights of text and AML, sums AML over roles and pairs
(equations 6 to 8), and adds cross entropy and Dice without weights (equation 7). The release is
what its code does, quirks included (REVIOSA.md 1.8, 7.1, 7.6)."""


class _Config(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class LossConfig(_Config):
    """Weights of the loss terms: a preset, and what is to differ from it."""

    preset: Literal["paper", "release"] = "paper"
    """Where the values that are not given come from."""
    text: _Weight
    """Weight of the language model's cross entropy."""
    bce: _Weight
    """Weight of the masks' binary cross entropy."""
    dice: _Weight
    """Weight of the masks' Dice loss."""
    aml: _Weight
    """Weight of attention mask loss; without ``heads`` there is nothing to weigh."""
    aml_reduction: Literal["sum", "mean"]
    """Over roles and layer-head pairs."""
    aml_order: Literal["expression", "release"]
    """``release`` pairs attention with the wrong masks, as the released code does."""
    mask_points: Annotated[int, Field(ge=1)] | None
    """Compare masks at so many points, most of them uncertain; at every pixel when none."""
    target_normaliser: Literal["targets", "expressions"]
    """Divide the target's mask losses by the number of targets, or of all expressions. The release
    does the latter, and adds constants for the absent ones, which are left out here."""
    truth: Literal["area", "nearest"]
    """How true masks are brought to the size of predicted masks and of patches."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # An unknown preset is left for the field itself to refuse, with its own message.
        preset = str(values.get("preset", "paper"))
        return {**LOSS_PRESETS.get(preset, LOSS_PRESETS["paper"]), **values}


class LoraSettings(_Config):
    """Adapters inside the language model; the defaults are the release's."""

    rank: Annotated[int, Field(ge=1)] = 128
    alpha: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05


class TrainConfig(_Config):
    """A training run, complete: with the code and the data it determines the weights."""

    model: str
    """``nano`` (the shipped model), ``nano-random`` (its shapes, random weights) or the folder of
    a checkpoint."""
    data: _Path
    """Data set in any layout that can be read, or a YAML file that mixes some."""
    out: _Path
    """Run directory; must be new or empty unless the run is resumed."""
    heads: _Path | None = None
    """Heads file with the layer-head pairs that attention mask loss supervises; none, no AML."""
    roles: Literal["both", "actor"] = "both"
    """``actor``: one token for every expression, the baseline of the paper's Table 3."""
    common_role_token: bool = False
    """Start both role tokens from one common row, so that a comparison of one token with two does
    not begin with what the checkpoint has learned of their difference."""
    data_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the data set's videos to train on. They depend on nothing but their ids, and a
    smaller share lies within a larger one."""
    attention_data: _Path | None = None
    """Data set on whose first videos role attention is recorded while training; none, no record."""
    attention_steps: Annotated[int, Field(ge=1)] = 20
    """Optimiser steps between two such records."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Fixes initial weights, sampling and dropout."""
    steps: Annotated[int, Field(ge=1)] = 1000
    """Optimiser steps."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Videos in one forward pass."""
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    """Forward passes in one optimiser step."""
    learning_rate: Annotated[float, Field(gt=0)] = 4e-5
    """Highest rate, reached after the warm-up; falls to zero by a cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """AdamW's decoupled decay."""
    decay_all: bool = False
    """Decay every parameter, as the release does; else biases and norms are left out."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps in which the rate rises linearly from zero."""
    num_frames: Annotated[int, Field(ge=1)] = 4
    """Frames drawn from a video for one sample."""
    expressions_per_video: Annotated[int, Field(ge=1)] = 5
    """Expressions drawn from a video for one sample."""
    conversations: Literal["plain", "release"] = "plain"
    """``plain``: frames spread over the video, one wording, expressions in any order. ``release``:
    its draws of frames and expressions, its sixteen questions with a postfix, its five answers
    (REVIOSA.md 1.4, 2.5). The trained model is then asked as the one or the other does: on frames
    spread over the video, or on its first five in the release's words."""
    loss: LossConfig = Field(default_factory=lambda: LossConfig.model_validate({}))
    lora: LoraSettings | None = None
    """Adapters in the language model; none, the whole language model trains."""
    save_steps: Annotated[int, Field(ge=1)] = 200
    """Optimiser steps between checkpoints."""
    log_steps: Annotated[int, Field(ge=1)] = 10
    """Optimiser steps between lines of the log."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the forward pass; parameters and optimiser stay in fp32."""
    sharding: Literal["none", "fsdp"] = "none"
    """What the processes that torchrun starts hold: ``none``, all of the model each (DDP), or
    ``fsdp``, a share of its weights, gradients and optimiser state."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: slower, less memory."""

    @model_validator(mode="after")
    def _watches_whole_weights(self) -> "TrainConfig":
        if self.sharding == "fsdp" and self.attention_data is not None:
            raise ValueError(
                "attention_data needs the whole model in one process, which sharding: fsdp cuts "
                "into shares; leave one of the two out"
            )
        return self
