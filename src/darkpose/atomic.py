"""Files that are whole or not there."""

import os
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
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
