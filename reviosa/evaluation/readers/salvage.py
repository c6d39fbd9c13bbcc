"""The complete records of a prediction file, also where the file is damaged or ends too early.

``{video id: {expression id: record}}`` is walked by hand down to the records, each of which the
standard JSON reader then takes whole. A record without its closing brace is never taken, so what is
read of a cut file is exactly what the whole file holds there. Only a window of the file is held, as
files of gigabytes are usual.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

__all__ = ["Damage", "Record", "walk_records"]

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_MARK: Final = "\xef\xbb\xbf"
_WINDOW_BYTES: Final = 8 << 20
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


def walk_records(file: BinaryIO, window: int = _WINDOW_BYTES) -> Iterator[Record]:
    """Give the records of a prediction file in its order.

    Args:
        file: the file at its start.
        window: bytes that are read at once.

    Raises:
        Damage: after all records before it, where the file ends too early or is no JSON.
    """
    walk = _Walk(file, window)
    for video_id in walk.keys(""):
        if walk.peek() != "{":
            start = walk.byte
            value, _ = walk.value(video_id)
            yield Record(video_id, None, value, start, walk.byte)
            continue
        for exp_id in walk.keys(video_id):
            start = walk.byte
            value, _ = walk.value(f"{video_id}/{exp_id}")
            yield Record(video_id, exp_id, value, start, walk.byte)
    if walk.peek():
        raise Damage(walk.byte, False, "")


class _Walk:
    """A place in the file and the steps from there."""

    def __init__(self, file: BinaryIO, window: int) -> None:
        self._file, self._window = file, window
        # Latin-1 makes each byte one character, so that places are places in the file. All that
        # JSON is built of is ASCII, and no byte of a longer UTF-8 character is.
        self._text, self._at, self._before = "", 0, 0
        self._decode = json.JSONDecoder().raw_decode
        self._more()
        if self._text.startswith(_MARK):
            self._at = len(_MARK)

    @property
    def byte(self) -> int:
        """The place in the file."""
        return self._before + self._at

    def peek(self) -> str:
        """The next character that is not blank, not taken; empty at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def keys(self, where: str) -> Iterator[str]:
        """Keys of the object that begins here; whoever takes one reads its value."""
        self._take("{", where)
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() not in ('"', ""):
                raise Damage(self.byte, False, where)
            start = self.byte
            _, text = self.value(where)
            try:
                key = json.loads(text.encode("latin-1"))
            except UnicodeDecodeError:
                raise Damage(start, False, where) from None
            inner = f"{where}/{key}" if where else key
            self._take(":", inner)
            self.peek()
            yield key
            if self.peek() == "}":
                self._at += 1
                return
            self._take(",", inner)

    def value(self, where: str) -> tuple[Any, str]:
        """Read one value whole: what it is, and its text."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._is_cut(error):
                    raise Damage(self._before + error.pos, False, where) from None
                if not self._more():
                    raise Damage(self._before + len(self._text), True, where) from None
            except (ValueError, RecursionError):
                # A number of thousands of digits, or thousands of brackets.
                raise Damage(self.byte, False, where) from None
            else:
                # The rest of a number may lie beyond the window.
                if end < len(self._text) or not self._more():
                    text, self._at = self._text[self._at : end], end
                    return value, text

    def _take(self, sign: str, where: str) -> None:
        found = self.peek()
        if found != sign:
            raise Damage(self.byte, not found, where)
        self._at += 1

    def _more(self) -> bool:
        """Move the window here and read on; each time as much again, for values larger than it."""
        rest = self._text[self._at :]
        content = self._file.read(max(self._window, len(rest)))
        if not content:
            return False
        self._before += self._at
        self._text, self._at = rest + content.decode("latin-1"), 0
        return True

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether what was read is right so far, and only ends too early."""
        # An open string is blamed on its first character, half a word or number on its own.
        rest = self._text[error.pos : error.pos + 100].rstrip(" \t\n\r")
        at_end = error.pos + 100 >= len(self._text)
        return (
            error.msg.startswith("Unterminated string")
            or ("escape" in error.msg and len(rest) < 6 and at_end)
            or (at_end and _HALF.fullmatch(rest) is not None)
        )
