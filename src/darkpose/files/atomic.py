"""Atomic writing: a file is complete or absent."""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from darkpose.errors import DarkposeError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file in the folder of `path`, flush it to disk and rename it to `path`.

    Args:
        path: of the file.
        write: writes the content to the path that it is given.

    Raises:
        DarkposeError: the folder is missing, or the disk is full or read-only. No temporary file stays, and an earlier
            file at `path` is unchanged.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        write(temporary)
        with temporary.open("rb+") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has usually been renamed
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_atomically` does; undecodable bytes of file names are written unchanged.

    Raises:
        DarkposeError: as `write_atomically`.
    """
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="surrogateescape"))


def remove_leftovers(folder: Path, *, older: float = 0.0) -> None:
    """Remove the temporary files of killed processes from a folder.

    Args:
        folder: the folder; other processes must not be writing files there that are older than `older`.
        older: least age in seconds.
    """
    for leftover in folder.glob(".*.partial"):
        with suppress(OSError):
            if not older or time.time() - leftover.stat().st_mtime > older:
                leftover.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents unless they exist.

    Raises:
        DarkposeError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error
