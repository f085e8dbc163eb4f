"""One process at a time, by a lock on a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(lock: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock between processes; it ends with the process, however that ends. Not on Windows.

    Args:
        lock: a file, made if it is not there.
        wait: for another process that holds it.

    Raises:
        BlockingIOError: another process holds it, and we do not wait.
        OSError: the file cannot be made.
    """
    with lock.open("w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
