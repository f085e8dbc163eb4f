"""Files that are whole or not there."""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from darkpose.errors import DarkposeError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file of a temporary name beside `path`, flush it to disk, then rename it to `path`.

    Raises:
        DarkposeError: the folder does not exist, or the disk is full or refuses; nothing is left behind, and a file
            that was at `path` before is untouched.
    """
    temporary = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # most often because the rename took it
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text in one rename; parts of file names that are no text are written as the bytes they are.

    Raises:
        DarkposeError: as `write_atomically`.
    """
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="surrogateescape"))


def remove_leftovers(folder: Path, *, older: float = 0.0) -> None:
    """Remove what processes that were killed while they wrote have left in a folder.

    Args:
        folder: where no other process writes to, or only to files that are not as old.
        older: seconds since the last change.
    """
    for leftover in folder.glob(".*.partial"):
        with suppress(OSError):
            if not older or time.time() - leftover.stat().st_mtime > older:
                leftover.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises:
        DarkposeError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DarkposeError(f"{folder}: the folder cannot be made: {error.strerror or error}") from error
