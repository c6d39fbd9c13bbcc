"""One process at a time in a directory, and a process that ends in order when told to."""

import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from reviosa.errors import RunError, RunInUseError

__all__ = ["LOCK_NAME", "Terminated", "is_locked", "locked_directory", "sigterm_raises"]

LOCK_NAME: Final = ".lock"

# Another process may remove the directory of a run that came to nothing just when we enter it.
_ATTEMPTS: Final = 100

_held: set[int] = set()


class Terminated(SystemExit):
    """SIGTERM, as an exception, so that everything open is closed properly on the way out."""


@contextlib.contextmanager
def locked_directory(directory: Path) -> Iterator[list[Path]]:
    """Hold the lock of a directory, made if absent; the kernel drops it however the process ends.

    Yields the folders that were made, the innermost first.

    Raises:
        RunInUseError: another process holds the lock.
        RunError: the directory cannot be made or written.
    """
    made: list[Path] = []
    lock = None
    for _ in range(_ATTEMPTS):
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        try:
            directory.mkdir(parents=True, exist_ok=True)
            made = missing or made
            lock = _lock(directory / LOCK_NAME)
        except BlockingIOError:
            raise RunInUseError(
                f"{directory}: got a run in use by another process, expected a free one; "
                "wait for it, stop it or choose another directory"
            ) from None
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(
                f"{directory}: got {error.strerror!r}, expected a directory to write in; "
                "choose another path"
            ) from None
        if lock is not None:
            break
    else:
        raise RunError(
            f"{directory}: got a directory that keeps vanishing, expected one to write in; "
            "choose another path"
        )
    _held.add(lock)
    try:
        yield made
    finally:
        _held.discard(lock)
        os.close(lock)


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of a directory now."""
    try:
        lock = os.open(directory / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, so that two who look at once do not take each other for a holder.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _lock(path: Path) -> int | None:
    """Open and lock a file; None if it was removed meanwhile, so that others lock another one."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):
            return lock
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _close_locks_in_child() -> None:
    """Let go of the locks in a forked worker.

    An flock belongs to the open file, which a fork shares: an orphaned worker would otherwise
    keep the run of a killed process locked.
    """
    for lock in _held:
        with contextlib.suppress(OSError):
            os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=_close_locks_in_child)


@contextlib.contextmanager
def sigterm_raises() -> Iterator[Callable[[], None]]:
    """Turn SIGTERM into an exception; after the yielded call it is ignored until the block ends.

    A handler that the program has set already is left alone, and so are other threads, which
    cannot set one.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield lambda: None
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated(128 + number)

    def ignore() -> None:
        # The last write of the header must not itself be interrupted.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield ignore
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
