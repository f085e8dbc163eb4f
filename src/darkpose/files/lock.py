"""Locks between processes, by `flock` on a file."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from darkpose.files.paths import no_link

_held: set[IO[str]] = set()


def _release_in_child() -> None:
    """Close the inherited files, so that the parent alone holds the locks."""
    for file in _held:
        file.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_release_in_child)


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock that only one process can hold; it is released when the process ends, even by a kill.

    Forked child processes do not hold it. On Windows, and on file systems without locks, this does nothing.

    Args:
        path: of the lock file, which is made if it is missing.
        wait: whether to wait while another process holds the lock.

    Raises:
        BlockingIOError: another process holds it, and `wait` is False.
        OSError: the lock file cannot be made.
    """
    with open(path, "a", opener=no_link) as file, lock_open_file(file, wait=wait):
        yield


@contextmanager
def lock_open_file(file: IO[str], *, wait: bool = True) -> Iterator[None]:
    """As `file_lock`, on a file that is open."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise
    _held.add(file)
    try:
        yield
    finally:
        _held.remove(file)
