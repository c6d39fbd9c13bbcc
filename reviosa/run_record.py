"""The header of a run directory: what ran, with which code, data and settings, and how it ended.

``run.json`` can be read without the run's parts and moves with the folder. One process at a time
writes to a run: it holds an flock on ``.lock``, which the kernel drops when the process ends,
however it ends. A header that says "running" while nobody holds the lock is of a killed run.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reviosa.errors import ReviosaError, RunError
from reviosa.io import write_json
from reviosa.process import LOCK_NAME, Terminated, locked_directory, sigterm_raises
from reviosa.provenance import git_state, versions

__all__ = ["KINDS", "SCHEMA", "RunRecord", "is_done", "open_run", "read_run"]

SCHEMA: Final = 1
KINDS: Final = ("capture", "train", "evaluate", "ablate", "lens", "probe", "annotate")

_HEADER: Final = "run.json"
_REQUIRED: Final = ("schema", "kind", "status", "created", "config", "seed")
# What only the record itself may write.
_OWN: Final = ("schema", "kind", "status", "created", "finished", "resumed", "error", "cost")


@dataclass(eq=False)
class RunRecord:
    """The open run directory of this process; see :func:`open_run`."""

    directory: Path
    _header: dict[str, Any] = field(repr=False)

    @property
    def header(self) -> dict[str, Any]:
        """A copy of what ``run.json`` holds."""
        return json.loads(json.dumps(self._header))

    def update(self, **fields: Any) -> None:
        """Set fields of the header, for example ``model`` or a summary, and write it.

        Raises:
            ValueError: a field is the record's own, such as ``status``.
        """
        own = sorted(set(fields) & set(_OWN))
        if own:
            raise ValueError(f"{own[0]} is written by the run record itself; choose another name")
        self._write(**fields)

    def _write(self, **fields: Any) -> None:
        header = {**self._header, **_plain(fields)}
        write_json(self.directory / _HEADER, header)
        self._header = header


@contextlib.contextmanager
def open_run(
    directory: str | Path,
    kind: str,
    config: Mapping[str, Any],
    seed: int | None,
    data: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    resume: bool = False,
) -> Iterator[RunRecord]:
    """Open a run directory for writing and keep its header true until the block ends.

    The status is "running" inside the block; after it "done", "stopped" (interrupted, or SIGTERM
    in the main thread, which becomes a SystemExit with code 143) or "failed". A new run that fails
    on bad input before it wrote any file is removed again. When the block ends, ``cost`` says what
    it took, summed over resumptions: ``wall_s``, ``cpu_s`` of this process and those it waited for,
    and ``gpu_s``, the wall time where this process held a GPU. What a killed process took is lost.

    Args:
        directory: where to write; made if absent.
        kind: one of :data:`KINDS`.
        config: the resolved settings, as JSON can hold them (paths become strings).
        seed: of all random numbers of the run.
        data: ``{"path", "identity"}`` of the data set.
        model: what the run used, with an ``identity`` if it has one.
        resume: continue the run in ``directory``; an absent or empty directory starts a new one.

    Raises:
        RunError: another process holds the run; the directory is not empty and ``resume`` is
            False; or the run to resume is of another kind, config, seed, data or model.
        ValueError: the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
    directory = Path(directory)
    wanted = _plain({"kind": kind, "seed": seed, "config": config, "data": data, "model": model})
    if not (directory / LOCK_NAME).exists():
        # Looked at before the lock as well, so as not to leave one in a folder that is no run.
        _require_usable(directory, resume)
    with locked_directory(directory) as made:
        _require_usable(directory, resume)
        now, code = _now(), {"git": git_state(), "versions": versions()}
        if (directory / _HEADER).exists():
            header = read_run(directory)
            _require_same(directory, header, wanted)
            resumed = [*header.get("resumed", []), {"at": now, **code}]
            fields = {"resumed": resumed, "status": "running", "finished": None, "error": None}
        else:
            header = {"schema": SCHEMA, "kind": kind, "status": "running", "created": now}
            fields = {"finished": None, **wanted, **code, "error": None}
        fresh = "resumed" not in fields
        record = RunRecord(directory, header)
        cost = _Cost(header.get("cost"))
        with sigterm_raises() as closing:
            try:
                record._write(**fields)
                yield record
            except BaseException as error:
                closing()
                if fresh and isinstance(error, ReviosaError) and not _entries(directory):
                    _remove(directory, made)
                elif directory.is_dir():
                    # The disk may be the very thing that failed; the first error is the one to see.
                    with contextlib.suppress(OSError):
                        record._write(**_ending(error), cost=cost.spent())
                raise
            closing()
            record._write(status="done", finished=_now(), cost=cost.spent())


def read_run(directory: str | Path) -> dict[str, Any]:
    """Read the header of a run, whether it is finished or not.

    Raises:
        RunError: the directory or its header is missing, or the header is damaged or of another
            schema.
    """
    directory = Path(directory)
    path = directory / _HEADER
    if not path.is_file():
        got = "no run.json in it" if directory.is_dir() else "no such folder"
        raise RunError(f"{directory}: got {got}, expected a run directory; check the path")
    try:
        header = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: got an unreadable header ({error}), expected JSON; "
            "restore the file or run again into a new directory"
        ) from None
    missing = [key for key in _REQUIRED if key not in header] if isinstance(header, dict) else None
    if missing is None or missing:
        got = f"no {missing[0]!r}" if missing else f"a JSON {type(header).__name__}"
        raise RunError(
            f"{path}: got {got}, expected a run header with {', '.join(_REQUIRED)}; "
            "restore the file or run again into a new directory"
        )
    if header["schema"] != SCHEMA:
        raise RunError(
            f"{path}: got schema {header['schema']!r}, expected {SCHEMA}; "
            "open it with the version of the project that wrote it"
        )
    return header


class _Cost:
    """What a block takes, added to what earlier sessions of the run took."""

    def __init__(self, before: Mapping[str, float] | None) -> None:
        self._before = dict(before or {})
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()

    def spent(self) -> dict[str, float]:
        """Seconds of wall clock, processors and GPU up to now."""
        wall = time.monotonic() - self._wall
        # Whoever uses a GPU has loaded torch; nobody else shall for the sake of this.
        torch = sys.modules.get("torch")
        gpu = wall if torch is not None and torch.cuda.is_initialized() else 0.0
        # Of several processes that torchrun started, each holds a GPU and this one keeps the run.
        gpu *= int(os.environ.get("WORLD_SIZE", "1"))
        now = {"wall_s": wall, "cpu_s": _cpu_seconds() - self._cpu, "gpu_s": gpu}
        return {name: round(self._before.get(name, 0.0) + s, 3) for name, s in now.items()}


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def is_done(directory: str | Path) -> bool:
    """Whether there is a run in the directory that was finished."""
    try:
        return read_run(directory)["status"] == "done"
    except RunError:
        return False


def _require_usable(directory: Path, resume: bool) -> None:
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory}: got a file, expected a directory; choose another path")
    header = (directory / _HEADER).exists()
    if resume and _entries(directory) and not header:
        raise RunError(
            f"{directory}: got a folder without run.json, expected a run to resume; "
            "check the path or choose a new directory"
        )
    if not resume and (header or _entries(directory)):
        raise RunError(
            f"{directory}: got a directory that is not empty, expected a new one; "
            "choose another or resume the run"
        )


def _entries(directory: Path) -> set[str]:
    """Names of what lies in the directory, without the record's own two files."""
    if not directory.is_dir():
        return set()
    return {entry.name for entry in directory.iterdir()} - {_HEADER, LOCK_NAME}


def _require_same(directory: Path, header: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to mix the parts of two different runs."""
    for key in ("kind", "seed", "config", "data", "model"):
        old, new = header.get(key), wanted[key]
        if key in ("data", "model"):
            # A copied folder lies elsewhere and is still the same data.
            old, new = ((value or {}).get("identity") for value in (old, new))
            if key == "model" and None in (old, new):
                continue
            key = f"{key}.identity"
        difference = _first_difference(key, old, new)
        if difference:
            name, before, now = difference
            raise RunError(
                f"{directory}: got {name} = {_short(now)}, expected {_short(before)} as in the run "
                "to resume; use the same or choose a new directory"
            )


def _first_difference(name: str, old: Any, new: Any) -> tuple[str, str, str] | None:
    """Dotted name of the first value that differs, and both values as JSON."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            if key not in old or key not in new:
                before, now = (_shown(side, key) for side in (old, new))
                return f"{name}.{key}", before, now
            if difference := _first_difference(f"{name}.{key}", old[key], new[key]):
                return difference
        return None
    # As text, because NaN is not equal to itself.
    before, now = json.dumps(old), json.dumps(new)
    return None if before == now else (name, before, now)


def _short(text: str, most: int = 120) -> str:
    """A plan of hundreds of ablations is no line of text."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def _shown(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "absent"


def _remove(directory: Path, made: list[Path]) -> None:
    """Remove the record's files, and the folders made for it as far as they are empty."""
    for name in (_HEADER, LOCK_NAME):
        (directory / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in made:
            folder.rmdir()


def _ending(error: BaseException) -> dict[str, Any]:
    stopped = isinstance(error, KeyboardInterrupt | SystemExit)
    name = "SIGTERM" if isinstance(error, Terminated) else type(error).__name__
    text = " ".join(str(error).split()) if not isinstance(error, Terminated) else ""
    return {
        "status": "stopped" if stopped else "failed",
        "finished": _now(),
        "error": f"{name}: {text}" if text else name,
    }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as it will be read back from JSON: tuples are lists, paths are strings."""

    def other(item: Any) -> str:
        if isinstance(item, Path):
            return str(item)
        raise TypeError(f"{type(item).__name__} cannot be kept in run.json: {item!r}")

    return json.loads(json.dumps(dict(value), default=other))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
