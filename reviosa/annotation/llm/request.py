"""What is asked, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

__all__ = ["Outcome", "Request"]


@dataclass(frozen=True)
class Request:
    """One question to the model of a stage."""

    item: str
    """What it is about, unique among the questions of a run: "appearance/<clip>/<object>"."""
    stage: str
    """Name of the stage whose settings it is asked with."""
    system: str
    """The system message."""
    parts: tuple[str | bytes, ...]
    """The user message: texts and JPEG pictures in their order."""
    answer: type[BaseModel]
    """The model that the answer must fit; its JSON schema is sent along."""
    check: Callable[[Any], str | None] | None = field(default=None, compare=False)
    """Given a well-formed answer, a sentence on what is wrong with it, or None."""


@dataclass(frozen=True)
class Outcome:
    """What came of a set of requests."""

    answers: dict[str, BaseModel]
    """By item, each of the type that its request names."""
    dropped: dict[str, str]
    """By item, why there is no answer."""
