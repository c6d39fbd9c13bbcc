"""What a synthetic world looks like, in one record."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from reviosa.errors import ConfigError

__all__ = ["BACKGROUNDS", "WorldConfig"]

BACKGROUNDS = ("none", "planks", "tiles", "checks", "stones")
"""Patterns over the background's noise. Append, never reorder."""


@dataclass(frozen=True)
class WorldConfig:
    """Settings of the synthetic world; lengths are fractions of the frame's shorter side."""

    height: int = 128
    """Frame height in pixels."""
    width: int = 128
    """Frame width in pixels."""
    frames: int = 16
    """Frames a video; motions take the whole video, so more frames are slower motions."""
    min_objects: int = 3
    max_objects: int = 6
    small_diameter: tuple[float, float] = (0.15, 0.19)
    """Range of the diameter of a "small" object."""
    large_diameter: tuple[float, float] = (0.24, 0.31)
    """Range of the diameter of a "large" object; must not touch the small range."""
    large_share: float = 0.5
    """Probability that an object is large."""
    second_event: float = 0.85
    """Probability of a second pair of acting objects where there are at least four objects."""
    mutual_share: float = 0.7
    """Probability that the second event is mutual ("moving together")."""
    shared_attribute: float = 0.65
    """Probability that a bystander borrows colour or shape of the actor or target."""
    twin: float = 0.12
    """Probability that a bystander looks exactly like the actor or target."""
    crossing: float = 0.4
    """Probability that a bystander passes in front of or behind another object, room given."""
    camera_pan: float = 0.08
    """Longest way of the camera over the whole video."""
    max_expressions: int = 8
    """Most expressions a video; interactions get more sentences with every further eight."""
    combinations: Literal["any", "seen", "unseen"] = "any"
    """Which triples of an actor's colour, shape and verb there are: all, the seven eighths of them
    meant for training, or only the others (see :func:`is_held_out`)."""
    backgrounds: tuple[str, ...] = ("none", "planks", "tiles")
    """Background patterns, of :data:`BACKGROUNDS`; the first is as frequent as all others."""
    mirrored: bool = False
    """Every odd video repeats the one before it with the looks of actor and target exchanged."""
    jpeg_quality: int = 93

    # A benchmark's file that misspells a setting must not be taken for the default world.
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Check the fields against each other.

        Raises:
            ConfigError: a value is out of range or two contradict each other.
        """
        self._require(min(self.height, self.width) >= 48, "frames of at least 48x48 pixels", "size")
        self._require(self.frames >= 4, "at least 4 frames, or motion cannot be told", "frames")
        self._require(
            3 <= self.min_objects <= self.max_objects <= 8,
            "3 <= min_objects <= max_objects <= 8",
            "min_objects, max_objects",
        )
        small, large = self.small_diameter, self.large_diameter
        self._require(
            0 < small[0] <= small[1] < large[0] <= large[1] <= 0.5,
            "two ranges in order within 0 to 0.5 that do not touch",
            "small_diameter, large_diameter",
        )
        for name in (
            "large_share", "second_event", "mutual_share", "shared_attribute", "twin", "crossing"
        ):  # fmt: skip
            self._require(0 <= getattr(self, name) <= 1, "a probability from 0 to 1", name)
        self._require(0 <= self.camera_pan <= 0.3, "a pan from 0 to 0.3", "camera_pan")
        self._require(self.max_expressions >= 4, "at least 4 expressions", "max_expressions")
        self._require(
            self.combinations in ("any", "seen", "unseen"), "any, seen or unseen", "combinations"
        )
        self._require(
            not self.mirrored or self.combinations == "any",
            "any: a verb that the one may do may be held out for the other",
            "combinations of a mirrored world",
        )
        self._require(
            bool(self.backgrounds) and set(self.backgrounds) <= set(BACKGROUNDS),
            f"one or more of {', '.join(BACKGROUNDS)}",
            "backgrounds",
        )
        self._require(1 <= self.jpeg_quality <= 100, "a quality from 1 to 100", "jpeg_quality")

    @property
    def side(self) -> int:
        """The frame's shorter side in pixels, the unit of all lengths."""
        return min(self.height, self.width)

    @staticmethod
    def _require(condition: bool, expected: str, name: str) -> None:
        if not condition:
            raise ConfigError(
                f"synthetic world: got a bad value for {name}, expected {expected}; change it"
            )
