"""Atomic writing: a file is complete or absent, and what is appended to one is there or not."""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from darkpose.errors import DarkposeError

PREFIX, SUFFIX = ".darkpose-", ".partial"  # of the names of temporary files
_cleaned: set[str] = set()  # folders


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file in the folder of `path`, flush it to disk and rename it to `path`.

    Args:
        path: of the file.
        write: writes the content to the path that it is given.

    Raises:
        DarkposeError: the folder is missing, or the disk is full or read-only. No temporary file stays, and an earlier
            file at `path` is unchanged.
    """
    try:
        with replacing(path) as temporary:
            write(temporary)
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file in the folder of `path`; at the end of the block it is flushed and renamed to `path`.

    After an exception in the block no temporary file stays, and an earlier file at `path` is unchanged.

    Raises:
        OSError: the folder is missing, or the disk is full or read-only.
    """
    temporary = path.with_name(f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}")
    try:
        _remove_leftovers_once(path.parent)
        with open(temporary, "xb") as held, _locked(held):  # it has a writer
            yield temporary
            with temporary.open("rb+") as file:  # Windows flushes only what is open for writing
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):  # it has usually been renamed
            temporary.unlink()


def check_place(path: Path) -> None:
    """Check that a file can be written, before the work that leads to it; nothing changes on the disk.

    Raises:
        DarkposeError: it cannot be written.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_atomically` does; undecodable bytes of file names are written unchanged.

    Raises:
        DarkposeError: as `write_atomically`.
    """
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="surrogateescape"))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write parts of a UTF-8 text as `write_atomically` does; they are not held in memory.

    Raises:
        DarkposeError: as `write_atomically`.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    write_atomically(path, write)


def append(path: Path, text: str) -> None:
    """Append UTF-8 text to a file, all of it or nothing; only a killed process leaves a part. A missing file is made.

    Raises:
        OSError: the disk is full, read-only or gone.
    """
    with path.open("ab", buffering=0) as file:
        before, data = os.fstat(file.fileno()).st_size, text.encode()
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # for the rest
        except BaseException:
            os.ftruncate(file.fileno(), before)
            raise


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder; those that a process writes to stay."""
    for leftover in folder.glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError), leftover.open("rb") as file:
            if _is_abandoned(file):
                leftover.unlink()


def _is_abandoned(file: IO[bytes]) -> bool:
    """Whether no process has a lock on the file; where there are no locks, whether it is older than a day."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return time.time() - os.fstat(file.fileno()).st_mtime > 24 * 3600
    return True


def _remove_leftovers_once(folder: Path) -> None:
    """Remove leftovers before the first file that this process writes into a folder."""
    real = os.path.realpath(folder)
    if real not in _cleaned:
        _cleaned.add(real)
        remove_leftovers(folder)


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Hold a lock on a file where there are locks."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
    yield


def make_folder(folder: Path) -> None:
    """Make a folder and its parents unless they exist.

    Raises:
        DarkposeError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error
