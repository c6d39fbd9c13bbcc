"""A folder of tensors that stays below a size: the least recently used ones go first.

One safetensors file an entry, ``FOLDER/ab/<name>.safetensors``. Any number of processes may read
and write at once:

* a file appears by a rename, so it is whole, and it stays readable for whoever has opened it;
* each carries a sum of its own words, so one that a crash or a disk has garbled is thrown away;
* who adds a file holds an flock on ``FOLDER/account``, which says how many bytes there are, and
  removes the oldest files where they would be too many.

A cache must not stop a run: whatever goes wrong in writing is told once, and the run goes on
without storing.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

__all__ = ["DEFAULT_LIMIT", "FeatureStore"]

DEFAULT_LIMIT: Final = 20 * 10**9
"""Bytes that a store may hold where nothing else is said."""

_SUFFIX: Final = ".safetensors"
_KEPT_SHARE: Final = 0.9
"""Of the limit; what is left when files have been removed, so that not every write removes some."""
_FREE_SHARE: Final = 0.05
_FREE_BYTES: Final = 10 * 10**9
"""What is left free of a disk: a share of it, but never more than so many bytes."""
_PATIENCE_S: Final = 2.0
"""How long to wait for the account; whoever holds it may have been stopped."""
_STALE_S: Final = 3600.0
"""After this a file that was never renamed is of a process that died."""


class FeatureStore:
    """See the module. Hits and misses are counted on the way.

    Args:
        folder: made when the first entry is written.
        limit: bytes that all entries together may take.
        tell: called with a line, once, when entries cannot be stored.
    """

    def __init__(
        self,
        folder: str | Path,
        limit: int = DEFAULT_LIMIT,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.folder, self.limit, self._tell = Path(folder), limit, tell
        self.hits, self.misses, self.written_bytes, self.removed = 0, 0, 0, 0
        self._stores = True

    def get(self, name: str, device: str = "cpu") -> dict[str, Tensor] | None:
        """The tensors kept under ``name``, or None; a hit makes them the most recently used.

        On the CPU they are views of the file: copy what is to be kept or changed.
        """
        path = self._path(name)
        found = self._read(path, name, device)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        # By the file system's clock, which ticks every few milliseconds: hits within one tick
        # count as equally recent.
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def put(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors under ``name``, unless the disk does not let us."""
        if not self._stores:
            return
        try:
            self._write(self._path(name), name, tensors)
        except _CannotStore as error:
            self._stop(str(error))
        except OSError as error:
            self._stop(error.strerror or type(error).__name__)

    def _stop(self, reason: str) -> None:
        self._stores = False
        self._tell(
            f"{self.folder}: features of frames cannot be stored ({reason}); the run goes on, but "
            "it encodes every frame that is not there yet"
        )

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}{_SUFFIX}"

    def _read(self, path: Path, name: str, device: str) -> dict[str, Tensor] | None:
        try:
            with safe_open(path, framework="pt", device=device) as file:
                said = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except OSError:  # none is there, most often
            return None
        except SafetensorError:
            said, tensors = {}, {}
        if said == _metadata(name, tensors):
            return tensors
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _write(self, path: Path, name: str, tensors: Mapping[str, Tensor]) -> None:
        if path.exists():
            return
        data = save(dict(tensors), metadata=_metadata(name, tensors))
        if len(data) > self.limit * _KEPT_SHARE:
            raise _CannotStore(
                f"one frame's take {len(data):,} bytes, the limit is {self.limit:,}; raise it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_room(path.parent, len(data))
        temporary = path.parent / f".{secrets.token_hex(8)}{_SUFFIX}"
        try:
            # Not flushed to disk: what a crash leaves of it would not match its sum.
            temporary.write_bytes(data)
            with _opened(self.folder / "account") as account:
                if account is None or path.exists():
                    return
                total = self._total(account)
                if total is None or total + len(data) > self.limit:
                    total = self._make_room(len(data))
                _write_total(account, total + len(data))
                os.replace(temporary, path)
            self.written_bytes += len(data)
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def _total(account: int) -> int | None:
        """Bytes of all entries; None where nobody has counted, or a crash tore the number."""
        said = os.pread(account, 64, 0)
        return int(said) if len(said) == _DIGITS and said.isdigit() else None

    def _make_room(self, wanted: int) -> int:
        """Count the entries anew and remove the oldest ones; return the bytes that are left.

        The account may say too much, where entries were thrown away or a user removed some.
        """
        entries = sorted(self._entries())
        total = sum(entry.size for entry in entries)
        if total + wanted <= self.limit:
            return total
        for entry in entries:
            if total + wanted <= self.limit * _KEPT_SHARE:
                break
            with contextlib.suppress(FileNotFoundError):
                entry.path.unlink()
            total -= entry.size
            self.removed += 1
        return total

    def _entries(self) -> Iterator["_Entry"]:
        for folder in self.folder.iterdir():
            if not folder.is_dir():
                continue
            for path in folder.glob(f"*{_SUFFIX}"):
                with contextlib.suppress(FileNotFoundError):
                    state = path.stat()
                    if not path.name.startswith("."):
                        yield _Entry(state.st_mtime_ns, state.st_size, path)
                    elif time.time() - state.st_mtime > _STALE_S:
                        path.unlink()


class _Entry(NamedTuple):
    """One file, in the order of use."""

    used_ns: int
    size: int
    path: Path


class _CannotStore(Exception):
    """Why not; the message is for the user."""


def _require_room(folder: Path, size: int) -> None:
    disk = shutil.disk_usage(folder)
    if disk.free - size < min(_FREE_SHARE * disk.total, _FREE_BYTES):
        raise _CannotStore(f"the disk is nearly full, {disk.free:,} bytes are free")


_DIGITS: Final = 20


def _write_total(account: int, total: int) -> None:
    os.pwrite(account, f"{total:0{_DIGITS}d}".encode(), 0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """The account, locked; None where another process does not let go of it."""
    account = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield account if _locked(account) else None
    finally:
        os.close(account)


def _locked(file: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        else:
            return True


def _metadata(name: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """What a file says of itself: whose it is, and a sum that garbled content does not have."""
    shapes = [f"{key} {tensors[key].dtype} {list(tensors[key].shape)}" for key in sorted(tensors)]
    sums = [_word_sum(tensors[key]) for key in sorted(tensors)]
    total = torch.stack(sums).sum().item() if sums else 0
    return {"name": name, "shapes": ", ".join(shapes), "sum": str(total)}


def _word_sum(tensor: Tensor) -> Tensor:
    """All bits of a tensor, added up as 64-bit words modulo 2^64: as fast as memory is read."""
    raw = tensor.reshape(-1).view(torch.uint8)
    whole = len(raw) // 8 * 8
    return raw[:whole].view(torch.int64).sum() + raw[whole:].sum()
