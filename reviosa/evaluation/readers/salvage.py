"""The complete records of a prediction file, also where the file is damaged or ends too early.

``{video id: {expression id: record}}`` is walked by hand down to the records, each of which the
standard JSON reader then takes whole. A record without its closing brace is never taken, so what is
read of a cut file is exactly what the whole file holds there.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Damage", "Record", "walk_records"]

_BLANK: Final = " \t\n\r"
_MARK: Final = b"\xef\xbb\xbf"
# What may be left of true, false, null or a number such as -1.5e-3.
_HALF: Final = re.compile(r"|t(ru?)?|f(a(ls?)?)?|n(ul?)?|-|\.|[eE][+-]?|\.\d+[eE][+-]?")


@dataclass(frozen=True)
class Record:
    """One record and where it stands."""

    video_id: str
    exp_id: str | None
    """None where a video holds something else than expressions."""
    value: Any
    """What was read. Text in it is not decoded; read the span again for it."""
    start: int
    """First byte of the value."""
    end: int
    """Byte after its last one."""


class Damage(ValueError):
    """The file cannot be read further."""

    def __init__(self, byte: int, cut: bool, where: str) -> None:
        super().__init__(byte, cut, where)
        self.byte = byte
        """Where reading stopped."""
        self.cut = cut
        """Whether the file simply ends there."""
        self.where = where
        """The video, or video and expression, that was being read; empty before the first."""


def walk_records(content: bytes) -> Iterator[Record]:
    """Give the records of a prediction file in its order.

    Raises:
        Damage: after all records before it, where the file ends too early or is no JSON.
    """
    # Latin-1 makes each byte one character, so that places are places in the file. All that JSON
    # is built of is ASCII, and no byte of a longer UTF-8 character is.
    walk = _Walk(content.decode("latin-1"))
    walk.at = len(_MARK) if content.startswith(_MARK) else 0
    for video_id in walk.keys(""):
        if walk.peek() != "{":
            start = walk.at
            value = walk.value(video_id)
            yield Record(video_id, None, value, start, walk.at)
            continue
        for exp_id in walk.keys(video_id):
            start = walk.at
            value = walk.value(f"{video_id}/{exp_id}")
            yield Record(video_id, exp_id, value, start, walk.at)
    walk.peek()
    if walk.at < len(walk.text):
        raise Damage(walk.at, False, "")


class _Walk:
    """A place in the text and the steps from there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._read = json.JSONDecoder().raw_decode

    def peek(self) -> str:
        """The next character that is not blank, not taken; empty at the end."""
        while self.at < len(self.text) and self.text[self.at] in _BLANK:
            self.at += 1
        return self.text[self.at : self.at + 1]

    def keys(self, where: str) -> Iterator[str]:
        """Keys of the object that begins here; whoever takes one reads its value."""
        self._take("{", where)
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            if self.peek() not in ('"', ""):
                raise Damage(self.at, False, where)
            start = self.at
            self.value(where)
            try:
                key = json.loads(self.text[start : self.at].encode("latin-1"))
            except UnicodeDecodeError:
                raise Damage(start, False, where) from None
            inner = f"{where}/{key}" if where else key
            self._take(":", inner)
            self.peek()
            yield key
            if self.peek() == "}":
                self.at += 1
                return
            self._take(",", inner)

    def value(self, where: str) -> Any:
        """Read one value whole."""
        try:
            value, self.at = self._read(self.text, self.at)
        except json.JSONDecodeError as error:
            raise self._damage(error, where) from None
        except (ValueError, RecursionError):
            # A number of thousands of digits, or thousands of brackets.
            raise Damage(self.at, False, where) from None
        return value

    def _take(self, sign: str, where: str) -> None:
        found = self.peek()
        if found != sign:
            raise Damage(self.at, not found, where)
        self.at += 1

    def _damage(self, error: json.JSONDecodeError, where: str) -> Damage:
        # An open string is blamed on its first character, half a word or number on its own.
        rest = self.text[error.pos :].rstrip(_BLANK)
        cut = (
            error.msg.startswith("Unterminated string")
            or ("escape" in error.msg and len(rest) < 6)
            or _HALF.fullmatch(rest) is not None
        )
        return Damage(len(self.text) if cut else error.pos, cut, where)
