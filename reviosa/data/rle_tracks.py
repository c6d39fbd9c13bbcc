"""``mask_dict.json``: the masks of each annotation, found by an index and read one at a time.

The file of a large set holds millions of masks and has a gigabyte or more. It is gone through once
by pieces; of each annotation its place, length and size are kept, which takes a few megabytes.
"""

import contextlib
import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from reviosa.data.rle import rle_size
from reviosa.errors import DataError

__all__ = ["RleTracks"]

_PIECE = 1 << 22  # bytes read at once
_NONE = object()
_KEPT = 16  # parsed annotations kept: more than the objects of most videos

# A list of masks of one size as json.dump writes it. COCO's strings are of the characters "0" to
# "o", so a quotation mark ends one, and "u" stands in none: only once in "counts", and in "null".
_COUNTS = rb', ?"counts": ?"[^"]*+"\}'
_NULLS = rb"(?:null(?:, ?(?=[{n])|(?=\])))*+"
_FIRST = rb'\{"size": ?(\[\d+, ?\d+\])' + _COUNTS
_OTHER = rb'(?:null|\{"size": ?\3' + _COUNTS + rb")"
_TRACK = rb"(\[" + _NULLS + rb"(?:" + _FIRST + rb"(?:, ?" + _OTHER + rb")*+)?+\])"
_PLAIN = re.compile(rb'\s*"([^"\\]*)"\s*:\s*' + _TRACK + rb"\s*([,}])")
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\s*(\}|(?=\S))")
_BLANKS = b"\xef\xbb\xbf \t\r\n"
_KEY = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_NEXT = re.compile(r"\s*([,}])")
_DECODER = json.JSONDecoder()


class Digest(Protocol):
    """What is told of every byte that is read."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...


class _Place(NamedTuple):
    """Where the value of a key lies, and what could be seen of it without reading it."""

    start: int
    stop: int
    length: int | None
    """Number of frames, where it is a plain list of masks of one size."""
    size: tuple[int, int] | None
    """Height and width of the masks; None where all are null."""


class RleTracks(Mapping[str, Any]):
    """The values of a JSON object by key, each read when asked for.

    Args:
        path: the file, ``{annotation id: [RLE or null per frame]}``.
        digest: is told all bytes, so that they need not be read twice.

    Raises:
        DataError: the file is no whole JSON object.
    """

    def __init__(self, path: Path, digest: Digest | None = None) -> None:
        self.path = path
        with path.open("rb") as file:
            self._mark = _mark(file)
            self._places = dict(_index(path, file, digest))
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: str) -> Any:
        """The value of a key, as it stands in the file.

        Raises:
            KeyError: there is none.
            DataError: the file was changed since it was opened.
        """
        # Threads may share a data set: another may have taken the value out in between.
        value = self._kept.get(key, _NONE)
        if value is _NONE:
            value = self._kept[key] = self._read(self._places[key])
            while len(self._kept) > _KEPT:
                with contextlib.suppress(KeyError):
                    self._kept.popitem(last=False)
        return value

    def _read(self, place: _Place) -> Any:
        try:
            # Opened each time: a descriptor would not survive the way to another process.
            with self.path.open("rb") as file:
                if _mark(file) == self._mark:
                    file.seek(place.start)
                    return json.loads(file.read(place.stop - place.start))
        except FileNotFoundError:
            pass
        raise DataError(
            f"{self.path}: got another file than was opened, expected it unchanged; open the data "
            "set again"
        )

    def shape_faults(
        self, key: str, length: int, size: tuple[int, int] | None
    ) -> Iterator[tuple[str, str]]:
        """What is wrong with an annotation but for the runs of its masks: where in it, and what.

        Quick where nothing is: then the annotation is not read.

        Args:
            key: the annotation.
            length: frames of its video.
            size: height and width of its video in pixels; None if they are not known.
        """
        place = self._places[key]
        if place.length == length and (None in (size, place.size) or place.size == size):
            return
        track = self[key]
        if not isinstance(track, list) or len(track) != length:
            got = len(track) if isinstance(track, list) else type(track).__name__
            yield (
                "",
                f"got a mask list of length {got}, expected {length}, one a frame; "
                f"repair {self.path.name}",
            )
            return
        for index, rle in enumerate(track):
            if rle is None:
                continue
            try:
                found = rle_size(rle)
            except DataError as error:
                yield f", frame {index}", str(error)
                continue
            if size is not None and found != size:
                yield (
                    f", frame {index}",
                    f"got an RLE of {found[0]}x{found[1]} pixels, expected {size[0]}x{size[1]} "
                    "like the frames; write the masks at the frames' size",
                )


def _mark(file: BinaryIO) -> tuple[int, int]:
    """What changes when a file is written again."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _index(path: Path, file: BinaryIO, digest: Digest | None) -> Iterator[tuple[str, _Place]]:
    """Each key of the object in a file with the place of its value; see :class:`RleTracks`."""
    window = _Window(file, digest)
    begin = None
    while begin is None and window.data.strip(_BLANKS)[:1] in (b"", b"{") and window.fill():
        begin = _BEGIN.match(window.data)
    if begin is None:
        raise DataError(
            f"{path}: got a file that begins with {window.data[:12]!r}, expected a JSON object; "
            "fetch the file again"
        )
    window.at, more = begin.end(), begin[1] != b"}"
    while more:
        found = _plain(window) or _parsed(window)
        if found is not None:
            key, place, window.at, more = found
            yield key, place
        elif not window.fill():
            break
    # What follows is read to its end in any case, for the digest.
    rest = bool(window.data[window.at :].strip())
    while window.fill():
        rest = rest or bool(window.data.strip())
        window.at = len(window.data)
    if more or rest:
        raise DataError(
            f"{path}: got broken JSON (after byte {window.base + window.at}), expected a JSON "
            "object; fetch the file again"
        )


class _Window:
    """The part of a file that is being looked at; ``at`` is how far it has been understood."""

    def __init__(self, file: BinaryIO, digest: Digest | None) -> None:
        self._file, self._digest = file, digest
        self.data, self.at, self.base = b"", 0, 0

    def fill(self) -> bool:
        """Take more of the file in, and let go of what was understood; False at its end."""
        # A record longer than the window doubles it, so that it is not begun anew too often.
        piece = self._file.read(max(_PIECE, len(self.data) - self.at))
        if self._digest is not None:
            self._digest.update(piece)
        self.data = self.data[self.at :] + piece
        self.base, self.at = self.base + self.at, 0
        return bool(piece)


_Record = tuple[str, _Place, int, bool]
"""Key, place of the value, where the next record begins, and whether there is one."""


def _plain(window: _Window) -> _Record | None:
    """The next record, if it is whole and a plain list of masks of one size."""
    found = _PLAIN.match(window.data, window.at)
    if found is None:
        return None
    key, track, size, mark = found.groups()
    sides = None
    if size is not None:
        height, width = size[1:-1].split(b",")
        sides = int(height), int(width)
    length = track.count(b"u")
    place = _Place(window.base + found.start(2), window.base + found.end(2), length, sides)
    return key.decode(), place, found.end(), mark == b","


def _parsed(window: _Window) -> _Record | None:
    """The next record, whatever JSON its value is; None if it is not whole."""
    reach = 1 << 16
    while True:
        # One character a byte, so that places in the text are places in the file.
        text = window.data[window.at : window.at + reach].decode("latin-1")
        key = _KEY.match(text)
        if key is not None:
            try:
                _, stop = _DECODER.raw_decode(text, key.end())
            except (ValueError, RecursionError):
                stop = len(text)
            mark = _NEXT.match(text, stop)
            if mark is not None:
                start = window.base + window.at
                place = _Place(start + key.end(), start + stop, None, None)
                name = json.loads(key[1].encode("latin-1"))
                return name, place, window.at + mark.end(), mark[1] == ","
        if window.at + reach >= len(window.data):
            return None
        reach *= 4
