"""Locks between processes, by `flock` on a file."""

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from darkpose.errors import shown
from darkpose.files.paths import no_link

MOMENT = 2.0  # seconds

_held: set[IO[str]] = set()


def _release_in_child() -> None:
    """Close the inherited files, so that the parent alone holds the locks."""
    for file in _held:
        file.close()


if hasattr(os, "register_at_fork"):  # Windows has none
    os.register_at_fork(after_in_child=_release_in_child)


@contextmanager
def file_lock(path: Path, *, wait: bool = True, work: str = "") -> Iterator[None]:
    """Hold a lock that only one process can hold; it is released when the process ends, even by a kill.

    Forked child processes do not hold it. On Windows, and on file systems without locks, this does nothing.

    Args:
        path: of the lock file, which is made if it is missing.
        wait: whether to wait while another process holds the lock.
        work: what the other process then does ("to download x"); a long wait is told on stderr. "": it is not.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
        OSError: the lock file cannot be made.
    """
    with open(path, "a", opener=no_link) as file, lock_open_file(file, wait=wait, work=work):
        yield


@contextmanager
def lock_open_file(file: IO[str], *, wait: bool = True, work: str = "") -> Iterator[None]:
    """As `file_lock`, on a file that is open."""
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None  # type: ignore[assignment]
    if fcntl is not None:
        try:
            if not (wait and work and _lock_soon(file, work)):
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise
    _held.add(file)
    try:
        yield
    finally:
        _held.remove(file)


def _lock_soon(file: IO[str], work: str) -> bool:
    """Lock a file within a moment; if another process holds it, say so and return False."""
    import fcntl

    until = time.monotonic() + MOMENT
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > until:
            print(f"waiting for another process {work} ({shown(file.name)})", file=sys.stderr)
            return False
        time.sleep(0.1)
