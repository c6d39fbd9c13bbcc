"""Predictions in ReVIOSa's JSON form: one file, or a folder with the parts of several processes.

A file is walked once for where its records stand; each is read again when it is asked for, so that
a file of gigabytes takes little memory.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from reviosa.data.records import ROLES
from reviosa.data.rle import rle_size
from reviosa.errors import DataError
from reviosa.evaluation.predictions import MASK_KEYS
from reviosa.evaluation.readers.salvage import Damage, Record, walk_records
from reviosa.evaluation.source import Found

__all__ = ["JsonPredictions", "is_named", "json_files"]

OLDER_KEY: Final = "prediction_masks"
"""Where systems with a single token, and the first files of ReVIOSa, keep the actor's masks."""

_NAMED: Final = ("predictions.json", "results_pid_*.json")
_START_BYTES: Final = 4096


class _Place(NamedTuple):
    file: int
    start: int
    end: int


class JsonPredictions:
    """Predictions of one or more JSON files; a later file's record replaces an earlier one's.

    Args:
        files: the files, at least one.

    Raises:
        DataError: a file cannot be read, or none of them holds a prediction.
    """

    form: str = "json"

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._places: dict[tuple[str, str], _Place] = {}
        self._last: tuple[tuple[str, str], Any] | None = None
        self._faults: list[str] = []
        self._keys: set[str] = set()
        cut = [self._index(number) for number in range(len(self._files))]
        if not self._keys and not any(cut):
            names = ", ".join(str(path) for path in self._files[:3])
            told = f" ({self._faults[0]})" if self._faults else ""
            if self._places or self._faults:
                raise DataError(
                    f"{names}: got no prediction with a list of masks{told}, expected {{video id: "
                    "{expression id: prediction}}; convert the file to ReVIOSa's form"
                )

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the files themselves."""
        return tuple(self._faults)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that the files speak of: without a target in any record, only the actor.

        Files without any record leave both open, and both are missing.
        """
        return ROLES if MASK_KEYS["target"] in self._keys or not self._keys else ROLES[:1]

    def ids(self) -> Iterator[tuple[str, str]]:
        """Video and expression of every record."""
        yield from self._places

    def find(
        self,
        video_id: str,
        exp_id: str,
        role: str,
        frames: Sequence[str],
        size: tuple[int, int],
        indices: Sequence[int],
    ) -> Found:
        """Masks of a role; see :class:`~reviosa.evaluation.source.PredictionSource`."""
        key = (video_id, exp_id)
        if key not in self._places:
            return Found(None)
        last = self._last
        if last is None or last[0] != key:
            # The other role of the expression comes next.
            last = self._last = (key, self._read(self._places[key]))
        record = last[1]
        if isinstance(record, str):
            return Found(None, (record,))
        return _role_masks(record, role, len(frames), size, indices)

    def _index(self, number: int) -> bool:
        """Note the records of a file; whether the file ends too early."""
        path = self._files[number]
        try:
            with open(path, "rb") as file:
                start = file.read(_START_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n")
                if not start.startswith(b"{"):
                    got = "no JSON object" if start else "an empty file"
                    raise DataError(
                        f"{path}: got {got}, expected predictions as {{video id: {{expression id: "
                        "prediction}}; convert the file to ReVIOSa's form"
                    )
                file.seek(0)
                for record in walk_records(file):
                    self._note(number, record)
        except OSError as error:
            raise DataError(
                f"{path}: got no readable file ({error.strerror}), expected predictions as JSON; "
                "check the path"
            ) from None
        except Damage as damage:
            inside = f", in {damage.where}" if damage.where else ""
            what = "ends too early" if damage.cut else "is no JSON"
            part = f"{path.name} " if len(self._files) > 1 else ""
            self._faults.append(
                f"{part}{what} at byte {damage.byte:,}{inside}; the complete records before it are "
                "scored"
            )
            return damage.cut
        return False

    def _note(self, number: int, record: Record) -> None:
        name = self._files[number].name
        if record.exp_id is None:
            part = f" in {name}" if len(self._files) > 1 else ""
            self._faults.append(
                f"{record.video_id}{part}: got a {_kind(record.value)}, expected "
                "{expression id: prediction}"
            )
            return
        key = (record.video_id, record.exp_id)
        if key in self._places:
            before = self._files[self._places[key].file].name
            where = "twice" if before == name else f"in {before} and {name}"
            self._faults.append(f"{'/'.join(key)} stands {where}; the last one is scored")
        self._places[key] = _Place(number, record.start, record.end)
        if isinstance(record.value, dict):
            self._keys.update(
                name
                for name in (*MASK_KEYS.values(), OLDER_KEY)
                if isinstance(record.value.get(name), list)
            )

    def _read(self, place: _Place) -> Any:
        """A record, or a sentence on why it cannot be read."""
        with open(self._files[place.file], "rb") as file:
            file.seek(place.start)
            content = file.read(place.end - place.start)
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            return "got text that is not UTF-8, expected a prediction; write it again"
        if not isinstance(record, dict):
            return f"got a {_kind(record)}, expected a prediction with a list of masks"
        return record


def json_files(folder: Path) -> tuple[Path, ...]:
    """The files of a folder to read together, sorted; none where it holds no JSON.

    ``predictions.json`` of a run alone, else the parts ``results_pid_*.json``, else all.
    """
    for pattern in (*_NAMED, "*.json"):
        found = [path for path in folder.glob(pattern) if not path.name.startswith(".")]
        if found:
            return tuple(sorted(found))
    return ()


def is_named(path: Path) -> bool:
    """Whether a file has one of the names under which predictions are written."""
    return any(path.match(pattern) for pattern in _NAMED)


def _role_masks(
    record: Mapping[str, Any],
    role: str,
    num_frames: int,
    size: tuple[int, int],
    indices: Sequence[int],
) -> Found:
    key = MASK_KEYS[role]
    if role == "actor" and key not in record and OLDER_KEY in record:
        key = OLDER_KEY
    rles = record.get(key)
    if not isinstance(rles, list):
        got = f"a {_kind(rles)} in {key}" if key in record else f"no {key}"
        return Found(None, (f"got {got}, expected a list of masks",))
    if not rles:
        return Found([[] for _ in indices])
    if len(rles) != num_frames:
        told = f"got {len(rles)} masks in {key}, expected {num_frames}, one for each frame"
        return Found(None, (told,))
    for frame in indices:
        fault = None if rles[frame] is None else _rle_fault(rles[frame], size)
        if fault:
            return Found(None, (f"{key}, frame {frame}: {fault}",))
    nulls = [frame for frame in indices if rles[frame] is None]
    faults = ()
    if nulls:
        faults = (
            f"got null for {len(nulls)} of {len(indices)} masks in {key} (first: frame "
            f"{nulls[0]}), expected masks; null counts as empty",
        )
    return Found([[] if rles[index] is None else [rles[index]] for index in indices], faults)


def _rle_fault(rle: Any, size: tuple[int, int]) -> str | None:
    """What is wrong with a mask before it is decoded; the string itself is checked by scoring."""
    try:
        found = rle_size(rle)
    except DataError as error:
        return str(error).rpartition("; ")[0]
    if found == tuple(size):
        return None
    return f"got a mask of {found[0]}x{found[1]} pixels, expected {size[0]}x{size[1]}"


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
