"""What a stage asks: one task is one request, told apart by all that decides it."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from reviosa.annotation.llm import Request

__all__ = ["Task"]

Check = Callable[[Any], str | None]
"""A sentence on what is wrong with a well-formed answer, None where nothing is."""


@dataclass(frozen=True)
class Task:
    """One question to a model, whose pictures are drawn when it is sent and not before."""

    item: str
    """Its name, unique in the run: ``stage/clip/...``."""
    stage: str
    """Name of the stage whose model is asked."""
    system: str
    text: str
    """The user's words; pictures follow."""
    answer: type[BaseModel]
    check: Check
    shown: Any = None
    """What decides the pictures, as JSON can hold it."""
    names: tuple[str, ...] = ()
    """Words before each picture."""
    draw: Callable[[], Iterable[bytes]] | None = None
    """Gives the pictures, JPEG."""
    size: tuple[int, int] | None = None
    """Height and width of the pictures' frames, for an estimate."""

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with anything the answer may depend on."""
        schema = self.answer.model_json_schema()
        facts = [self.system, self.text, schema, self.shown, list(self.names)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def request(self, draw: Callable[[], Iterable[bytes]] | None = None) -> Request:
        """What is sent; its pictures are drawn now, by ``draw`` if it is given."""
        draw = draw or self.draw
        parts: list[str | bytes] = [self.text]
        if draw is not None:
            for name, picture in zip(self.names, draw(), strict=True):
                parts += [name, picture]
        return Request(
            item=self.item,
            stage=self.stage,
            system=self.system,
            parts=tuple(parts),
            answer=self.answer,
            check=self.check,
        )
