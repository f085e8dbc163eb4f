"""File checks that return False where `pathlib` raises: folders without permission, names that are too long.

Also: whether two paths are the same file, names of files below a folder, and reading of regular files only.
"""

import errno
import os
import stat
from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from pathlib import Path


def is_folder(path: str | Path) -> bool:
    """Whether the path is a folder."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises)


def is_file(path: str | Path) -> bool:
    """Whether the path is a file."""
    return os.path.isfile(path)  # noqa: PTH113  (Path.is_file raises)


def exists(path: str | Path) -> bool:
    """Whether the path exists."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises)


def place(path: Path) -> str:
    """Where a path is, however it is spelt; links to the file itself are kept apart."""
    try:
        return f"{_real(str(Path.cwd() / path.parent))}/{path.name}"
    except ValueError:  # a NUL, which no file has
        return str(path)


_real = lru_cache(maxsize=4096)(os.path.realpath)


def shared_folder(paths: Iterable[str | Path]) -> tuple[str, ...]:
    """The parts of the deepest folder that all files are in, however their paths are spelt; () for no files."""
    shared: tuple[str, ...] | None = None
    for path in paths:
        parts = _folders(path)
        if shared is None:
            shared = parts
        elif parts[: len(shared)] != shared:
            same = (one == other for one, other in zip(shared, parts, strict=False))
            shared = shared[: sum(takewhile(bool, same))]
    return shared or ()


def name_below(folder: tuple[str, ...], path: str | Path) -> str:
    """The name of a file below a `shared_folder`, with / between the folders."""
    return "/".join([*_folders(path)[len(folder) :], Path(path).name])


def _folders(path: str | Path) -> tuple[str, ...]:
    return Path(os.path.abspath(path)).parent.parts  # noqa: PTH100  (links stay)


def check_regular(path: str | Path) -> None:
    """Refuse FIFOs, sockets and devices, which could be read for ever.

    Raises:
        OSError: it is one of these, or cannot be seen.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kinds = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for test, name in kinds if test(mode)), "a device")
        raise OSError(errno.EINVAL, f"expected a regular file, got {kind}")


def read_limited(path: str | Path, limit: int) -> bytes:
    """Read a regular file that has at most `limit` bytes.

    Raises:
        OSError: it has more, is no regular file, or cannot be read.
    """
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return data


def no_link(path: str, flags: int) -> int:
    """An opener for `open` that refuses a symbolic link, which somebody else may have put there."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)
