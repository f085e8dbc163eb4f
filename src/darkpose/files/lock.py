"""One process at a time, by a lock on a file."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_held: set[IO[str]] = set()


def _let_go() -> None:
    for file in _held:
        file.close()  # which leaves the lock to the parent


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def alone(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock between processes; it ends with the process, however that ends.

    Processes that are forked from this one do not hold it. On Windows, and on file systems without locks, nothing is
    held.

    Args:
        lock: a file, made if it is not there.
        wait: for another process that holds it.

    Raises:
        BlockingIOError: another process holds it, and we do not wait.
        OSError: the file cannot be made.
    """
    with lock.open("w") as file, holding(file, wait=wait):
        yield


@contextmanager
def holding(file: IO[str], *, wait: bool = True) -> Iterator[None]:
    """As `alone`, by an open file."""
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
