"""Settings of the annotation pipeline; the defaults are those of InterRVOS-127K (REVIOSA.md 5)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reviosa.annotation.llm import StageSettings

__all__ = [
    "AnnotationConfig",
    "ClipSettings",
    "MarkSettings",
    "ObjectSettings",
    "Stages",
    "TrackingSettings",
    "VerificationSettings",
]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClipSettings(_Settings):
    """Which parts of a video are annotated."""

    bin_frames: Count = 1000
    """A video is cut into bins of this many frames."""
    least_frames: Count = 200
    """Shorter bins are dropped; of the others the first and the last are used."""
    most_frames: Count = 500
    """A clip is the first so many frames of its bin."""


class ObjectSettings(_Settings):
    """Which objects of a clip are spoken of."""

    longest_glimpse: Annotated[int, Field(ge=0)] = 10
    """An object goes if its last visible frame comes at most this many after its first."""
    crowd: Annotated[int, Field(ge=0)] = 3
    """The two rules below hold in clips of more objects than this."""
    small_area: Share = 0.01
    """An object goes if it never covers more of the picture than this."""
    rare_frames: Annotated[int, Field(ge=0)] = 2
    """An object goes if it is visible in at most this many of the sampled frames."""


class MarkSettings(_Settings):
    """The pictures that a vision model is shown."""

    frames: Count = 16
    """Sampled frames: the middles of so many equal parts of what is visible."""
    overlay: Share = 0.3
    """Opacity of the colour over an object."""
    label_area: Share = 0.005
    """Of a single object, the first frame in which it covers more than this bears the overlay."""
    halve_portrait_from: Count = 1000
    """Frames that are higher than wide, and at least so high, are halved."""
    quality: Annotated[int, Field(ge=1, le=95)] = 85
    """Of the JPEG files."""


class TrackingSettings(_Settings):
    """SAM2 mask tracks from boxes, for videos that come without masks."""

    model: str = "nano"
    """``nano``, the folder of a checkpoint of this project, or a ``.pt`` file of SAM2's own."""
    sam2_base: str = "sam2/sam2_hiera_l"
    """Architecture of a ``.pt`` file: a yaml of the sam2 package."""
    every: Count = 4
    """SAM2 is prompted on every so many frames on which the object has a box, and on the first;
    between them its memory speaks."""
    memory: Count = 4
    """Prompted frames that it remembers, the last ones."""
    grow: Annotated[float, Field(ge=0)] = 0.05
    """Masks are cut to the frame's box, grown to each side by this share of its own size."""
    fit_frames: Count = 8
    """A checkpoint of this project is prompted by a language vector that is fitted to the boxes of
    so many frames."""
    fit_steps: Count = 60
    """Steps of that fit."""
    fit_rate: Annotated[float, Field(gt=0)] = 0.15
    """Its learning rate at the first step; it falls to 0 at the last."""


class VerificationSettings(_Settings):
    """What an expression must be like to pass without a person's word."""

    least_words: Count = 2
    most_words: Count = 40


class Stages(_Settings):
    """The model behind each stage: an OpenAI-compatible endpoint and its sampling settings."""

    appearance: StageSettings
    """1: sees one marked object, tells its appearance and motion."""
    referring: StageSettings
    """2: writes referring phrases, and decides which objects to speak of together."""
    interactions: StageSettings
    """3: sees all marked objects, tells who does what to whom."""
    phrases: StageSettings
    """4: writes interaction phrases by class and by appearance."""

    def by_name(self) -> dict[str, StageSettings]:
        """Name of the stage -> its settings."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class AnnotationConfig(_Settings):
    """Everything a run of the pipeline depends on, but the videos."""

    stages: Stages
    clips: ClipSettings = ClipSettings()
    objects: ObjectSettings = ObjectSettings()
    marks: MarkSettings = MarkSettings()
    tracking: TrackingSettings = TrackingSettings()
    verification: VerificationSettings = VerificationSettings()
